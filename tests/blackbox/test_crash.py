"""kill -9 under load, again and again: nothing acked is lost, nothing counts twice, all copies agree."""

import os
import random
import time

from client import Closed, Device, op
from conftest import TARGET, unique
from history import History

ROUNDS = int(os.environ.get("TIDEGATE_CRASHES", "8" if TARGET == "cluster" else "50"))  # a cluster comes back in seconds
SEED = int(os.environ.get("TIDEGATE_SEED", "0")) or random.randrange(2 ** 32)


class Writer:
    """A device that goes on by the book: resends what is unanswered, heals gaps, keeps what it was acked."""

    def __init__(self, server, user, space, history):
        self.device = Device(server, user, hello=False, history=history)
        self.space, self.acked, self.names = space, set(), 0

    def come_back(self):
        d = self.device
        d.disconnect()
        for copy in d.copies.values():
            copy.ref, copy.fresh = None, False
        d.connect().hello()
        d.open(self.space)
        d.resend(self.space)

    def write(self):
        d = self.device
        if len(d.outbox.get(self.space, ())) >= 30:
            return
        self.names += 1
        d.push(self.space, [op("incr", "todos", "count", field="n", by=1),
                            op("put", "todos", f"{d.id}-{self.names}", {"title": str(self.names)})])

    @property
    def added(self):
        """push id -> the document it made: all that ever entered the outbox, sent or not."""
        return {push_id: ops[1]["id"] for push_id, ops in self.device.sent.get(self.space, {}).items() if ops}

    def take(self, seconds):
        d = self.device
        d.pump(seconds)
        healed = False
        while d.inbox:
            frame = d.inbox.pop(0)
            if frame["type"] == "ack" and frame["space"] == self.space:
                self.acked.add(frame["id"])
            elif frame["type"] == "error":
                assert frame["code"] in ("gap", "busy", "too_many"), frame.raw
                if frame["code"] == "gap" and not healed:
                    healed = True
                    d.resend(self.space, after=frame["after"])
        d.seen.clear()


def gone(error):
    return isinstance(error, (Closed, OSError, TimeoutError)) or "Invalid" in type(error).__name__


def load(writers, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for writer in writers:
            writer.write()
            writer.take(0.002)


def finish(writers):
    """Everything answered; everybody at the head."""
    end = time.monotonic() + 90
    while any(w.device.outbox.get(w.space) for w in writers):
        assert time.monotonic() < end, [(len(w.device.outbox[w.space]), [f.raw for f in w.device.seen]) for w in writers]
        for writer in writers:
            writer.take(0.01)
    for writer in writers:
        writer.device.barrier(writer.space)


def judge(writers, fresh):
    total = sum(len(w.added) for w in writers)
    live = fresh.copies[writers[0].space].live()
    names = {key[1] for key in live} - {"count"}
    assert names == {name for w in writers for name in w.added.values()}, f"seed {SEED}"
    assert fresh.body(writers[0].space, "todos", "count") == '{"n":%d}' % total, f"applied exactly once; seed {SEED}"
    for writer in writers:
        assert all((writer.space, i) in writer.device.outcomes for i in writer.acked), "an acked push has its outcome"
        assert writer.device.copies[writer.space].live() == live
    fresh.copies[writers[0].space].compare(writers[0].device.copies[writers[0].space].sums())


def finish_and_judge(one, writers, history):
    """Every push gets its outcome; then all that the writers and a fresh device in each of their spaces saw is judged."""
    finish(writers)
    fresh = []
    for space in dict.fromkeys(writer.space for writer in writers):
        group = [writer for writer in writers if writer.space == space]
        fresh.append(Device(one, group[0].device.user, history=history))
        fresh[-1].open(space)
        history.claims(fresh[-1], space, owner=True)
        for writer in group:
            history.claims(writer.device, space)
        judge(group, fresh[-1])
    history.judge(f"seed {SEED}")
    for device in [*fresh, *(w.device for w in writers)]:
        device.disconnect()


def test_kill_9_under_load_loses_and_repeats_nothing(make_server):
    one = make_server().start()
    user = unique("u")
    history = History(counters=[("todos", "count", "n")])
    writers = [Writer(one, user, f"todos:{user}", history) for _ in range(3)]
    for writer in writers:
        writer.come_back()
    log = writers[0].device.welcome["log"]
    random.seed(SEED)
    history.add("faults")
    for _ in range(ROUNDS):
        load(writers, random.uniform(0.02, 0.4))
        if random.random() < 0.5:
            writers[0].write()
        one.kill()
        for writer in writers:
            try:
                while True:
                    writer.write()
                    writer.take(1)
            except Exception as error:  # noqa: BLE001 (whatever says that the other end is gone)
                assert gone(error), error
        one.start()
        for writer in writers:
            writer.come_back()
            assert writer.device.welcome["log"] == log, "the log changes its name only if it was lost"
        load(writers, 0.05)
    history.add("calm")
    finish_and_judge(one, writers, history)
    assert sum(len(w.acked) for w in writers) > ROUNDS


def test_a_kill_right_after_the_ack_keeps_the_push(make_server):
    one = make_server().start()
    user = unique("u")
    space = f"cart:{user}"
    for n in range(1, 6):
        d = Device(one, user)
        d.push(space, [op("incr", "items", "m", field="qty", by=1)])
        d.wait_type("ack", "result", space=space)  # an outcome implies it, and may be faster
        one.kill()
        one.start()
        d.reconnect().resend(space)
        d.open(space)
        d.outcome(space, 1)
        assert d.body(space, "items", "m") == '{"qty":%d}' % n
        d.disconnect()
