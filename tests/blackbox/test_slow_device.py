"""A slow device delays nobody, keeps the gateway's memory flat, and gets its backlog coalesced."""

import socket
import time

import pytest

from client import Closed, Device, op
from conftest import unique


def resident_kib(server):
    total = 0
    for pid in server.pids():
        with open(f"/proc/{pid}/status") as status:
            total += next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
    return total


class Stuck(Device):
    """Reads nothing after its open: a small receive buffer, and a library told to stop reading."""

    def connect(self, **options):
        from websockets.sync.client import connect
        wire = socket.socket()
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        wire.connect(("127.0.0.1", self.server.port))
        self.ws = connect(self.server.ws, sock=wire, subprotocols=["tidegate.v1"], compression=None, max_size=None,
                          max_queue=(1, 0), ping_interval=None, close_timeout=1, proxy=None)
        return self


@pytest.fixture
def scene(make_server):
    """A server of its own, a writer and a reader that keep up, and one that does not read."""
    one = make_server().start()
    user = unique("u")
    space = f"todos:{user}"
    writer, reader, stuck = Device(one, user), Device(one, user), Stuck(one, user)
    for d in (writer, reader, stuck):
        d.open(space)
    yield one, space, writer, reader, stuck
    for d in (writer, reader, stuck):
        d.disconnect()


def flood(writer, reader, space, rounds, size=20_000, ids=10):
    """Writes `rounds` bodies over a few documents; the longest that the reader waited for one, s."""
    worst = 0.0
    for n in range(rounds):
        begin = time.monotonic()
        writer.push_within_limits(space, [op("put", "todos", f"d{n % ids}", {"title": f"{n} " + "x" * size})])
        if n % 20 == 0:
            reader.until(lambda: (reader.body(space, "todos", f"d{n % ids}") or "").startswith('{"title":"%d ' % n))
            worst = max(worst, time.monotonic() - begin)
        else:
            reader.pump(0)
        writer.seen.clear()
        reader.seen.clear()
        reader.inbox.clear()
        writer.inbox.clear()
    writer.until(lambda: not writer.outbox[space])
    return worst


def test_it_delays_nobody_and_gets_each_document_once(scene):
    one, space, writer, reader, stuck = scene
    worst = flood(writer, reader, space, 1500)
    assert worst < 2, f"another device waited {worst} s"
    seen = len(stuck.seen)
    try:
        stuck.until(lambda: stuck.copies[space].live() == writer.copies[space].live(), timeout=30)
    except Closed:
        stuck.reconnect().open(space)
    assert stuck.copies[space].live() == writer.copies[space].live()
    came = sum(len(f.raw) for f in stuck.seen[seen:])
    assert came < 1500 * 20_000 / 2, f"coalesced, not replayed: {came} bytes"
    writer.do(space, op("put", "todos", "after", {"title": "live again"}))
    stuck.until(lambda: stuck.body(space, "todos", "after"))


def test_memory_stays_flat(scene):
    one, space, writer, reader, stuck = scene
    flood(writer, reader, space, 400)
    before = resident_kib(one)
    flood(writer, reader, space, 2500)
    grown = resident_kib(one) - before
    assert grown < 24 * 1024, f"grew by {grown} KiB while 50 MB were not read"


def test_a_device_that_reads_nothing_at_all_does_not_hold_up_a_drain(scene):
    one, space, writer, reader, stuck = scene
    flood(writer, reader, space, 300)
    begin = time.monotonic()
    one.signal(15)
    assert one.wait(30) == 0
    assert time.monotonic() - begin < 25


def test_many_spaces_of_a_slow_device_all_catch_up(make_server):
    one = make_server().start()
    user = unique("u")
    spaces = [f"todos:{user}:{i}" for i in range(20)]
    writer, stuck = Device(one, user), Stuck(one, user)
    stuck.open(*spaces)
    for n in range(600):
        writer.push_within_limits(spaces[n % 20], [op("put", "todos", f"d{n % 40}", {"title": f"{n} " + "y" * 10_000})])
    for space in spaces:
        writer.until(lambda: not writer.outbox[space])
    writer.open(*spaces)
    for space in spaces:
        try:
            stuck.until(lambda: stuck.copies[space].live() == writer.copies[space].live(), timeout=30, what=space)
        except Closed:
            stuck.reconnect().open(*spaces)
    for space in spaces:
        assert stuck.copies[space].live() == writer.copies[space].live()
    writer.disconnect()
    stuck.disconnect()
