"""What runs between two processes fails, and they do not: each pair's connections are reset, slowed down and cut under the load of the fault suites, and
mended. All is judged together (load.py); how long it took until everybody was served again is printed."""

import random

import pytest

from conftest import TARGET, Server
from heals import Heals
from load import SEED, SERVED_S, Load, namespaces
from test_cluster import metric
from test_faults import DEVICES, PACE, TIMES, seldom, whole

pytestmark = pytest.mark.cluster
PAIRS = {
    "device-gateway": lambda one: one.wires.ways,
    "gateway-worker": lambda one: one.wires.links,
    "gateway-kafka": lambda one: [one.wires.gateways_kafka],
    "worker-kafka": lambda one: one.wires.workers_kafka,
    "owner-kafka": lambda one: [random.choice(one.wires.workers_kafka)],
    "gateway-redis": lambda one: [one.wires.gateways_redis],
    "worker-redis": lambda one: [one.wires.workers_redis],
}
# Past what a link waits for a sign of life (6 s), and a worker's session (6 s): what is cut is given up at both ends.
GIVEN_UP_S, SHORT_S, DELAY_S = 8.0, 1.0, 0.1
GIVE_UP = ("gateway-worker", "worker-kafka")
WITHOUT = ("owner-kafka", "gateway-redis", "worker-redis")  # others serve meanwhile


@pytest.fixture(scope="module")
def wired(tmp_path_factory):
    """One for all pairs: a wire that was mended is as good as new."""
    assert TARGET == "cluster"
    one = Server(namespaces=namespaces(tmp_path_factory.mktemp("namespaces")), wired=True).start()
    yield one
    one.destroy()


def torn(swarm, wires):
    for wire in wires:
        wire.tear()
    return swarm.served(SERVED_S)


def slow(swarm, wires):
    """How long a push takes over a wire that is slow, not how long it stays so."""
    for wire in wires:
        wire.delay(DELAY_S)
    took = swarm.served(SERVED_S)
    for wire in wires:
        wire.mend()
    swarm.served(SERVED_S)
    return took


def cut(swarm, wires, seconds):
    for wire in wires:
        wire.cut()
    swarm.for_a_while(seconds)
    for wire in wires:
        wire.mend()
    return swarm.served(SERVED_S)


def cut_and_done_without(swarm, wires):
    """Served while it is cut: by another worker after the session, or as if nothing were."""
    for wire in wires:
        wire.cut()
    took = swarm.served(SERVED_S)
    for wire in wires:
        wire.mend()
    swarm.served(SERVED_S)
    return took


def owned_by_all(one, swarm):
    """Each worker has partitions: whoever is cut off has something to lose."""
    whole(one, swarm)
    assert swarm.until(seldom(lambda: all(metric(child, "kafka_partitions_owned") > 0 for child in one.deployment.workers)), SERVED_S), one.tail()


@pytest.mark.parametrize("pair", PAIRS)
def test_a_wire_that_fails_under_load_loses_and_repeats_nothing(wired, pair):
    one = wired
    random.seed(f"{SEED}-{pair}")
    load = Load(one, pair, DEVICES, PACE)
    swarm = load.swarm
    heals = {what: Heals(f"{pair}: {what}") for what in ("reset", "slow", "cut", "given up", "while cut")}
    swarm.for_a_while(0.5)
    for _ in range(max(TIMES, 1)):
        owned_by_all(one, swarm)
        wires = PAIRS[pair](one)
        swarm.for_a_while(random.uniform(0.1, 0.5))
        assert all(wire.passed > 0 for wire in wires), "the pair talks over its wire"
        heals["reset"].add(torn(swarm, wires))
        heals["slow"].add(slow(swarm, wires))
        heals["cut"].add(cut(swarm, wires, random.uniform(0.1, SHORT_S)))
        if TIMES > 0 or pair in GIVE_UP:
            heals["given up"].add(cut(swarm, wires, GIVEN_UP_S))
        if pair in WITHOUT:
            owned_by_all(one, swarm)
            heals["while cut"].add(cut_and_done_without(swarm, wires))
    whole(one, swarm)
    for one_kind in heals.values():
        if one_kind.rounds:
            print(one_kind.line())
    print(load.judge())
