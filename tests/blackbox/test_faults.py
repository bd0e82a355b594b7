"""Faults at random moments, under load, on a real broker and a real Redis: the history of all devices is judged by the page's promises,
and how long it took until everybody was served again is printed."""

import os
import random
import signal
import subprocess
import time
import urllib.request

import pytest

from cluster import is_ready
from conftest import unique
from history import History
from test_crash import SEED, Writer, finish_and_judge, gone

pytestmark = pytest.mark.cluster
TIMES = int(os.environ.get("TIDEGATE_FAULTS", "2"))
DEVICES = int(os.environ.get("TIDEGATE_DEVICES", "3"))  # three to a space
HEAL_S = 90


class Hardy(Writer):
    """Comes back by itself, and sends again after `busy`."""

    again = 0.0

    def write(self):
        """And now and then everything unanswered once more, on purpose."""
        super().write()
        if random.random() < 0.02:
            self.device.resend(self.space)

    def carry_on(self, seconds):
        try:
            if self.device.ws is None:
                self.come_back()
            self.write()
            self.take(seconds)
            if self.again and time.monotonic() >= self.again:
                self.again = 0.0
                self.device.resend(self.space)
        except Exception as error:  # noqa: BLE001 (whatever says that the other end is gone)
            assert gone(error) or isinstance(error, AssertionError) and "did not come" in str(error), error
            self.device.disconnect()
            time.sleep(0.02)

    def take(self, seconds):
        d = self.device
        d.pump(seconds)
        if any(f["type"] == "error" and f["code"] in ("busy", "too_many") for f in d.inbox) and not self.again:
            self.again = time.monotonic() + 0.5
        super().take(0)


def crowd(one, history):
    users = [unique("u") for _ in range(max(DEVICES // 3, 1))]
    return [Hardy(one, user, f"todos:{user}", history) for user in users for _ in range(3)]


def run(writers, holds, timeout):
    end = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > end:
            return False
        for writer in writers:
            writer.carry_on(0.002)
    return True


def for_a_while(writers, seconds):
    end = time.monotonic() + seconds
    run(writers, lambda: time.monotonic() >= end, seconds + 1)


def healed(writers):
    """Seconds until each of them has the outcome of a push that it made from now on."""
    begun = time.monotonic()
    marks = [writer.device.next_id for writer in writers]
    assert run(writers, lambda: all(any(space == w.space and i >= mark for space, i in w.device.outcomes) for w, mark in zip(writers, marks)), HEAL_S), \
        f"nobody was served within {HEAL_S} s"
    return time.monotonic() - begun


def updates(child):
    with urllib.request.urlopen(f"http://127.0.0.1:{child.port}/metrics", timeout=10) as answer:
        line = next(line for line in answer.read().decode().splitlines() if line.startswith("tidegate_worker_updates_total "))
    return float(line.split()[1])


def owner(one):
    """Of the one space that is written to: whose updates grow."""
    assert run(one.writers, lambda: all(is_ready(child.port) for child in one.deployment.workers), HEAL_S)
    before = {child: updates(child) for child in one.deployment.workers}
    for_a_while(one.writers, 0.3)
    return max(one.deployment.workers, key=lambda child: updates(child) - before[child])


def kill_worker(one):
    child = owner(one)
    child.kill()
    return child.start


def kill_gateway(one):
    child = random.choice(one.deployment.gateways)
    child.kill()
    return child.start


def stop_worker(one):
    """Past its session; then it wakes, with work in its hands."""
    child = owner(one)
    child.process.send_signal(signal.SIGSTOP)
    return lambda: child.process.send_signal(signal.SIGCONT)


def kill_redis(one):
    services = one.deployment.services
    os.kill(services.pid("redis"), signal.SIGKILL)
    return lambda: services.again("redis")


def flush_redis(one):
    host, port = one.deployment.services.redis.split(":")
    subprocess.run(["redis-cli", "-h", host, "-p", port, "FLUSHALL"], check=True, capture_output=True)
    return lambda: None


def kill_broker(one):
    services = one.deployment.services
    os.kill(services.pid("kafka"), signal.SIGKILL)
    time.sleep(0.5)
    services.again("kafka")
    return lambda: None


@pytest.mark.parametrize("fault", [kill_worker, kill_gateway, stop_worker, kill_redis, flush_redis, kill_broker], ids=lambda f: f.__name__)
def test_a_fault_under_load_loses_and_repeats_nothing(make_server, fault):
    one = make_server().start()
    history = History(counters=[("todos", "count", "n")])
    one.writers = writers = crowd(one, history)
    random.seed(SEED)
    for_a_while(writers, 0.5)
    history.add("faults")
    took = []
    for _ in range(TIMES):
        for_a_while(writers, random.uniform(0.1, 1.0))
        mend = fault(one)
        took.append(healed(writers))
        mend()
        healed(writers)
    history.add("calm")
    one.deployment.until_ready()
    assert run(writers, lambda: all(w.device.ws is not None for w in writers), HEAL_S)
    for writer in writers:
        writer.device.resend(writer.space)
    finish_and_judge(one, writers, history)
    print(f"{fault.__name__}: served again after {', '.join(f'{t:.1f}' for t in took)} s")
