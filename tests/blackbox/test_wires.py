"""What runs between two processes fails, and they do not: each pair's connections are reset, slowed down and cut under load, and mended.
The history of all devices is judged by the page's promises; how long it took until everybody was served again is printed."""

import os
import random

import pytest

from conftest import TARGET, Server
from history import History
from test_crash import SEED, finish_and_judge
from test_faults import HEAL_S, crowd, for_a_while, healed, owner, run

pytestmark = pytest.mark.cluster
TIMES = int(os.environ.get("TIDEGATE_FAULTS", "0"))  # 0: once, and only what takes a while where something gives up meanwhile
PAIRS = {
    "device-gateway": lambda one: [one.wires.devices],
    "gateway-worker": lambda one: one.wires.links,
    "gateway-kafka": lambda one: [one.wires.gateways_kafka],
    "worker-kafka": lambda one: one.wires.workers_kafka,
    "owner-kafka": lambda one: [one.wires.workers_kafka[one.deployment.workers.index(owner(one))]],
    "gateway-redis": lambda one: [one.wires.gateways_redis],
    "worker-redis": lambda one: [one.wires.workers_redis],
}
# Past what a link waits for a sign of life (6 s), and a worker's session (6 s): what is cut is given up at both ends.
GIVEN_UP_S, SHORT_S, DELAY_S = 8.0, 1.0, 0.1
GIVE_UP = ("gateway-worker", "worker-kafka")
WITHOUT = ("owner-kafka", "gateway-redis", "worker-redis")  # others serve meanwhile


@pytest.fixture(scope="module")
def wired():
    """One for all pairs: a wire that was mended is as good as new."""
    assert TARGET == "cluster"
    one = Server(wired=True).start()
    yield one
    one.destroy()


def torn(one, wires):
    for wire in wires:
        wire.tear()
    return healed(one.writers)


def slow(one, wires):
    """How long a push takes over a wire that is slow, not how long it stays so."""
    for wire in wires:
        wire.delay(DELAY_S)
    took = healed(one.writers)
    for wire in wires:
        wire.mend()
    healed(one.writers)
    return took


def cut(one, wires, seconds):
    for wire in wires:
        wire.cut()
    for_a_while(one.writers, seconds)
    for wire in wires:
        wire.mend()
    return healed(one.writers)


def cut_and_done_without(one, wires):
    """Served while it is cut: by another worker after the session, or as if nothing were."""
    for wire in wires:
        wire.cut()
    took = healed(one.writers)
    for wire in wires:
        wire.mend()
    healed(one.writers)
    return took


@pytest.mark.parametrize("pair", PAIRS)
def test_a_wire_that_fails_under_load_loses_and_repeats_nothing(wired, pair):
    one = wired
    history = History(counters=[("todos", "count", "n")])
    one.writers = writers = crowd(one, history)
    random.seed(SEED)
    for_a_while(writers, 0.5)
    assert all(wire.passed > 0 for wire in PAIRS[pair](one)), "the pair talks over its wire"
    history.add("faults")
    took = {"reset": [], "slow": [], "cut": [], "given up": [], "while cut": []}
    for _ in range(max(TIMES, 1)):
        for_a_while(writers, random.uniform(0.1, 0.5))
        took["reset"].append(torn(one, PAIRS[pair](one)))
        took["slow"].append(slow(one, PAIRS[pair](one)))
        took["cut"].append(cut(one, PAIRS[pair](one), random.uniform(0.1, SHORT_S)))
        if TIMES > 0 or pair in GIVE_UP:
            took["given up"].append(cut(one, PAIRS[pair](one), GIVEN_UP_S))
        if pair in WITHOUT:
            took["while cut"].append(cut_and_done_without(one, PAIRS[pair](one)))
    history.add("calm")
    one.deployment.until_ready()
    assert run(writers, lambda: all(w.device.ws is not None for w in writers), HEAL_S)
    for writer in writers:
        writer.device.resend(writer.space)
    finish_and_judge(one, writers, history)
    print(f"{pair}: served again after " + "; ".join(f"{what} {', '.join(f'{t:.1f}' for t in times)} s" for what, times in took.items() if times))
