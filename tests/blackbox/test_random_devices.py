"""Random devices, offline and back, random edits: all converge, and the ages and bases decide as the page says."""

import os
import random

import pytest

from client import Closed, Device, op
from conftest import unique
from history import History

SEED = int(os.environ.get("TIDEGATE_SEED", "0")) or random.randrange(2 ** 32)
IDS = [f"d{i}" for i in range(6)]


def edit(rng, d, space):
    """One random operation of a todos space, on the base this device knows."""
    doc_id = rng.choice(IDS)
    held = d.copies[space].docs.get(("todos", doc_id)) if space in d.copies else None
    extra = {"age": rng.choice([0, 0, 5, 1000, 60_000, None])}
    if held is not None and rng.random() < 0.7:
        extra["base"] = held["rev"]
    kind = rng.choice(["put", "patch", "patch", "patch", "delete", "incr", "incr", "add", "remove", "max"])
    fields = {name: rng.choice([1, 2.5, "x", [1, 2], {"a": None}, "é😀"]) for name in rng.sample("abcdefgh", 3)}
    if kind == "put":
        return op("put", "todos", doc_id, fields, **extra)
    if kind == "patch":
        return op("patch", "todos", doc_id, {k: rng.choice([v, None]) for k, v in fields.items()}, **extra)
    if kind == "delete":
        return op("delete", "todos", doc_id, **extra)
    if kind == "incr":
        return op("incr", "todos", doc_id, field="n", by=rng.randint(-3, 5))
    if kind == "max":
        return op("max", "todos", doc_id, field="m", value=rng.randint(0, 1000))
    return op(kind, "todos", doc_id, field="tags", values=rng.sample("pqrstuv", 2))


def step(rng, d, space):
    """Something a device does: edit, go, come back, reopen, or just take frames in."""
    what = rng.random()
    if d.ws is None:
        if what < 0.3:
            d.reconnect()
            d.open(space)
            d.resend(space)
        elif what < 0.7 and len(d.outbox.get(space, ())) < 20:
            d.push(space, [edit(rng, d, space) for _ in range(rng.randint(1, 3))], send=False)
        return
    if what < 0.6 and len(d.outbox.get(space, ())) < 20:
        d.push(space, [edit(rng, d, space) for _ in range(rng.randint(1, 3))])
    elif what < 0.63:
        d.drop()
    elif what < 0.66:
        d.disconnect()
    elif what < 0.69:
        d.open(space)
    elif what < 0.70:
        d.open(space, since=None)
    else:
        d.pump(0.001)


@pytest.mark.parametrize("part", range(6))
def test_random_devices_converge(server, part):
    rng = random.Random(f"{SEED}-{part}")
    user = unique("u")
    space = f"todos:{user}"
    history = History()
    history.add("faults")
    devices = [Device(server, user, history=history) for _ in range(5)]
    for d in devices:
        d.open(space)
    for _ in range(600):
        d = rng.choice(devices)
        try:
            step(rng, d, space)
        except Closed:
            d.gone()
    history.add("calm")
    for d in devices:
        if d.ws is None:
            d.reconnect()
            d.open(space)
            d.resend(space)
    for d in devices:
        d.until(lambda: not d.outbox.get(space), what=f"every outcome, seed {SEED}")
    for d in devices:
        d.barrier(space)
    fresh = Device(server, user, history=history)
    fresh.open(space)
    history.claims(fresh, space, owner=True)
    for d in devices:
        history.claims(d, space)
        assert d.copies[space].live() == fresh.copies[space].live(), f"seed {SEED}"
        assert d.copies[space].cursor == fresh.copies[space].cursor, f"seed {SEED}"
    history.judge(f"seed {SEED}")
    for d in devices:
        d.disconnect()
    fresh.disconnect()


def test_random_lww_edits_end_as_the_rule_for_later_says(server):
    """Among devices that did not know of each other: append time less age, then the greater device."""
    rng = random.Random(SEED)
    user = unique("u")
    space = f"notes:{user}"
    devices = [Device(server, user) for _ in range(4)]
    for d in devices:
        d.open(space)
    for n in range(150):
        doc_id, expected = f"f{n}", None
        order = rng.sample(devices, 3)
        for k, d in enumerate(order):
            age = rng.choice([0, 10_000, 20_000, 30_000]) + 3_000 * k
            done = d.do(space, op("put", "folders", doc_id, {"n": k}, age=age))
            when = -age
            wins = expected is None or when > expected[0]
            assert (done.code != "lost") is wins, (n, k, age, expected, done, SEED)
            if wins:
                expected = (when, '{"n":%d}' % k)
        devices[0].barrier(space)
        assert devices[0].body(space, "folders", doc_id) == expected[1], f"seed {SEED}"
    for d in devices:
        d.disconnect()


def test_counters_never_lose_anyones_part_among_reconnects(server):
    rng = random.Random(SEED)
    user = unique("u")
    space = f"todos:{user}"
    history = History(counters=[("todos", "t", "n")])
    history.add("faults")
    devices = [Device(server, user, history=history) for _ in range(4)]
    total = 0
    for d in devices:
        d.open(space)
    for _ in range(300):
        d = rng.choice(devices)
        if rng.random() < 0.1:
            d.drop()
            d.reconnect()
            d.open(space)
            d.resend(space)
        by = rng.randint(-5, 9)
        total += by
        d.push_within_limits(space, [op("incr", "todos", "t", field="n", by=by)])
    history.add("calm")
    for d in devices:
        d.until(lambda: not d.outbox.get(space))
    for d in devices:
        d.barrier(space)
        assert d.body(space, "todos", "t") == '{"n":%d}' % total, f"seed {SEED}"
    fresh = Device(server, user, history=history)
    fresh.open(space)
    history.claims(fresh, space, owner=True)
    history.judge(f"seed {SEED}")
    for d in [*devices, fresh]:
        d.disconnect()
