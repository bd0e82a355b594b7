"""Faults at random moments, under a load of every policy, on a real broker and a real Redis: the history of all devices, what the log says must come
of it, and who reads along are judged together (load.py); how long it took until everybody was served again is printed."""

import os
import random
import shutil
import signal
import subprocess
import time

import pytest

from cluster import is_ready
from conftest import Server
from edits import NAMESPACE
from heals import Heals
from load import SEED, SERVED_S, Load, namespaces
from test_cluster import metric
from test_disk import is_full, limit

pytestmark = pytest.mark.cluster
TIMES = int(os.environ.get("TIDEGATE_FAULTS", "0"))  # 0: those that `make test` takes, once
DEVICES = int(os.environ.get("TIDEGATE_DEVICES", "24"))
PACE = float(os.environ.get("TIDEGATE_PACE", "100"))  # pushes a second of all devices


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """One cluster for all faults: each is mended, and the next load has spaces of its own."""
    made = Server(namespaces=namespaces(tmp_path_factory.mktemp("namespaces"))).start()
    yield made
    made.destroy()


def seldom(holds):
    """What costs a call to another process is asked ten times a second."""
    due = [0.0]

    def asked():
        if time.monotonic() < due[0]:
            return False
        due[0] = time.monotonic() + 0.1
        return holds()
    return asked


def whole(one, swarm):
    """All processes are there and ready."""
    processes = one.deployment.workers + one.deployment.gateways
    assert swarm.until(seldom(lambda: all(child.alive() and is_ready(child.port) for child in processes)), SERVED_S), one.tail()


def ended(swarm, child):
    assert swarm.until(lambda: not child.alive(), SERVED_S), child.line
    assert child.process.returncode == 0, child.line


# Each breaks something, measures how long everybody waits for that, and mends it.


def kill_worker(one, swarm):
    """Another takes its partitions over once its session is over."""
    child = random.choice(one.deployment.workers)
    child.kill()
    yield swarm.served(SERVED_S)
    child.start()


def kill_worker_and_its_disk(one, swarm):
    """Back at once, with nothing: it begins from the journal on Kafka."""
    number = random.randrange(len(one.deployment.workers))
    one.deployment.workers[number].kill()
    shutil.rmtree(one.dir / f"worker-{number}")
    one.deployment.workers[number].start()
    yield swarm.served(SERVED_S)


def stop_worker(one, swarm):
    """Past its session; then it wakes, with work in its hands."""
    child = random.choice(one.deployment.workers)
    child.process.send_signal(signal.SIGSTOP)
    try:
        yield swarm.served(SERVED_S)
    finally:
        child.process.send_signal(signal.SIGCONT)


def end_worker(one, swarm):
    """As in an upgrade: it journals what is left, and comes back."""
    child = random.choice(one.deployment.workers)
    child.process.send_signal(signal.SIGTERM)
    ended(swarm, child)
    child.start()
    yield swarm.served(SERVED_S)


def fill_disk(one, swarm):
    """A worker's: it serves from memory until there is room."""
    number = random.randrange(len(one.deployment.workers))
    child = one.deployment.workers[number]
    limit(child, number, 0)
    assert swarm.until(seldom(lambda: is_full(child)), SERVED_S), one.tail()
    yield swarm.served(SERVED_S)
    limit(child, number, None)


def add_worker(one, swarm):
    """A third comes under load; the worst wait until it has its share."""
    child = one.deployment.add_worker()
    waits = [swarm.served(SERVED_S)]
    while metric(child, "kafka_partitions_owned") == 0:
        waits.append(swarm.served(SERVED_S))
    waits.append(swarm.served(SERVED_S))
    yield max(waits, key=max)
    child.process.send_signal(signal.SIGTERM)
    ended(swarm, child)
    one.deployment.workers.remove(child)


def kill_gateway(one, swarm):
    """Its devices come back by the other."""
    child = random.choice(one.deployment.gateways)
    child.kill()
    yield swarm.served(SERVED_S)
    child.start()


def end_gateway(one, swarm):
    """As in an upgrade: its devices are told when to come back, each at another moment, and go to the other."""
    child = random.choice(one.deployment.gateways)
    child.process.send_signal(signal.SIGTERM)
    yield swarm.served(SERVED_S)
    ended(swarm, child)
    child.start()


def kill_redis(one, swarm):
    services = one.deployment.services
    os.kill(services.pid("redis"), signal.SIGKILL)
    yield swarm.served(SERVED_S)
    services.again("redis")


def flush_redis(one, swarm):
    host, port = one.deployment.services.redis.split(":")
    subprocess.run(["redis-cli", "-h", host, "-p", port, "FLUSHALL"], check=True, capture_output=True)
    yield swarm.served(SERVED_S)


def kill_broker(one, swarm):
    """Measured from when it takes connections again."""
    services = one.deployment.services
    os.kill(services.pid("kafka"), signal.SIGKILL)
    swarm.for_a_while(0.5)
    starting = services.begin("kafka")
    assert swarm.until(lambda: starting.poll() is not None, SERVED_S) and starting.returncode == 0
    yield swarm.served(SERVED_S)


FAULTS = [kill_worker, kill_worker_and_its_disk, stop_worker, end_worker, fill_disk, add_worker, kill_gateway, end_gateway, kill_redis, flush_redis, kill_broker]
QUICK = [kill_worker_and_its_disk, kill_gateway, kill_redis]


@pytest.mark.parametrize("fault", FAULTS if TIMES > 0 else QUICK, ids=lambda f: f.__name__)
def test_a_fault_under_load_loses_and_repeats_nothing(one, fault):
    random.seed(f"{SEED}-{fault.__name__}")
    load = Load(one, fault.__name__, DEVICES, PACE)
    swarm, heals = load.swarm, Heals(fault.__name__)
    swarm.for_a_while(0.5)
    for _ in range(max(TIMES, 1)):
        whole(one, swarm)
        swarm.for_a_while(random.uniform(0.1, 1.0))
        for times in fault(one, swarm):
            heals.add(times)
        swarm.served(SERVED_S)
    whole(one, swarm)
    print(heals.line())
    print(load.judge())


def test_a_push_that_is_resolved_otherwise_is_noticed_under_every_policy(one):
    """The judgement itself: where the log's word is read by another rule for one collection, what the devices heard must not fit it."""
    load = Load(one, "judgement", 12, PACE * 2)
    assert load.swarm.until(lambda: min(len(member.outcomes) for member in load.swarm.members) >= 60, SERVED_S)
    load.swarm.rest(SERVED_S)
    as_it_is = load.judged_by(NAMESPACE)
    assert as_it_is.returncode == 0, as_it_is.stdout
    for collection, other in (("lww", {"order": "arrival"}), ("arrival", {"order": "edited"}), ("merge", {"order": "arrival"}), ("append", {"policy": "lww"}),
                              ("manual", {"policy": "merge"}), ("rules", {"write": "writer"})):
        collections = NAMESPACE["collections"]
        found = load.judged_by(NAMESPACE | {"collections": collections | {collection: collections[collection] | other}})
        print(f"{collection} read as {other}: {found.stdout.splitlines()[-1]}")
        assert found.returncode == 1, f"{collection} read as {other}, seed {SEED}: {found.stdout}{found.stderr}"
    load.close()
