"""Workers come and go under load: nothing is lost, and how long deliveries paused is printed."""

import json
import threading
import time

import pytest

from client import Closed, Device, op
from conftest import unique
from test_cluster import Load, finish_and_compare, owners, reader, wait  # noqa: F401 (reader is a fixture)
from test_crash import gone
from test_resume_reset import namespace

pytestmark = pytest.mark.cluster


def test_workers_are_scaled_from_one_to_three_and_back_under_load(make_server, reader):  # noqa: F811
    one = make_server(workers=1).start()
    deployment = one.deployment
    wait(lambda: owners(one) == [4])
    loads = [Load(one, unique("u")) for _ in range(6)]
    along = reader(one)

    def paused(change, holds):
        """The longest that one of them waited for a delivery while the group changed."""
        wait(lambda: all(load.done > 20 for load in loads))
        for load in loads:
            load.longest = 0.0
        change()
        wait(holds)
        before = [load.done for load in loads]
        wait(lambda: all(load.done > was + 20 for load, was in zip(loads, before)))
        return max(load.longest for load in loads)

    def add():
        deployment.add_worker()
        deployment.add_worker()

    def take():
        for child in deployment.workers[1:]:
            assert child.end() == 0

    up = paused(add, lambda: sorted(owners(one)) == [1, 1, 2])
    down = paused(take, lambda: owners(one) == [4])
    finish_and_compare(one, loads, along)
    print(f"workers 1 -> 3 -> 1: a partition's delivery paused for {up:.1f} s, then for {down:.1f} s")


class Judged(threading.Thread):
    """A device that writes what the tighter text refuses, one push after the other, whichever gateway goes; what became of each, in order."""

    def __init__(self, server):
        super().__init__(daemon=True)
        user = unique("u")
        self.device, self.space, self.said, self.failed, self.ending = Device(server, user), f"first:{user}", [], None, threading.Event()
        self.device.open(self.space)
        self.start()

    def run(self):
        try:
            while not self.ending.is_set():
                self.one(op("put", "docs", f"d{len(self.said)}", {"n": "text"}))
        except AssertionError as error:
            self.failed = error

    def one(self, *ops):
        d, end = self.device, time.monotonic() + 90
        made = d.push(self.space, list(ops), send=False)
        sent = False
        while (self.space, made) not in d.outcomes:
            assert time.monotonic() < end, f"push {made} has no outcome"
            try:
                if d.ws is None:
                    d.reconnect()
                    d.open(self.space)
                    sent = False
                if not sent and (self.space, made) not in d.outcomes:
                    d.resend(self.space)
                    sent = True
                d.pump(0.2)
            except (Closed, OSError, AssertionError) as error:
                assert gone(error) or "did not come" in str(error), error
                d.disconnect()
                time.sleep(0.05)
        outcome = d.outcomes[(self.space, made)]
        self.said.append("applied" if outcome.status == "applied" else outcome.code)


def test_a_rolling_upgrade_with_a_change_of_namespace_under_load(make_server, tmp_path):
    folder = tmp_path / "ns"
    folder.mkdir()
    (folder / "first.json").write_text(json.dumps(namespace("first", "1d")))
    one = make_server(namespaces=folder).start()
    devices = [Judged(one) for _ in range(6)]
    tighter = namespace("first", "1d")
    tighter["version"] = 2
    tighter["collections"]["docs"]["schema"] = {"type": "object", "properties": {"n": {"type": "integer"}}}

    def progress():
        before = [len(d.said) for d in devices]
        wait(lambda: all(len(d.said) > was + 3 or d.failed for d, was in zip(devices, before)))
        assert not any(d.failed for d in devices), [d.failed for d in devices]

    for place, child in enumerate(one.deployment.workers + one.deployment.gateways):
        progress()
        if place == 1:  # one worker is new by now, the other old
            (folder / "first.json").write_text(json.dumps(tighter))
            changing = threading.Thread(target=one.deployment.make_topics)
            changing.start()
        assert child.end() == 0
        child.start()
        one.deployment.until_ready()
    changing.join()
    wait(lambda: all(d.said[-3:] == ["invalid"] * 3 or d.failed for d in devices))
    for d in devices:
        d.ending.set()
        d.join(120)
        assert d.failed is None and not d.is_alive(), d.failed
        assert set(d.said) == {"applied", "invalid"} and d.said == sorted(d.said), f"the old text was in force, then the new one, once: {d.said}"
        fresh = Device(one, d.device.user)
        fresh.open(d.space)
        assert len(fresh.copies[d.space].live()) == d.said.count("applied")
        fresh.disconnect()
