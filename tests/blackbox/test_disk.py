"""A worker's disk that fills up: what it stores is a copy, so it goes on from memory, says so, and heals when there is room."""

import resource
import time
import urllib.error
import urllib.request

import pytest

from client import Device, op
from conftest import unique
from test_cluster import reader, wait  # noqa: F401 (reader is a fixture)

pytestmark = pytest.mark.cluster
TEXT = "x" * 50_000


def limit(child, number, room_bytes):
    """No file of the process grows past what its stores are, and `room_bytes`; None: there is room again. Any user may."""
    hard = resource.prlimit(child.process.pid, resource.RLIMIT_FSIZE)[1]
    if room_bytes is None:
        soft = hard
    else:
        sizes = [file.stat().st_size for file in (child.cwd / f"worker-{number}").glob("store-*/data.mdb")]
        soft = max(sizes, default=0) + room_bytes
    resource.prlimit(child.process.pid, resource.RLIMIT_FSIZE, (soft, hard))


def is_full(child):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{child.port}/readyz", timeout=5).close()
        return False
    except urllib.error.HTTPError as answer:
        return b"the disk is full" in answer.read()


def same(one, devices):
    for d in devices:
        fresh = Device(one, d.user)
        fresh.open(f"notes:{d.user}")
        assert fresh.copies[f"notes:{d.user}"].live() == d.copies[f"notes:{d.user}"].live()
        fresh.disconnect()


def test_a_worker_whose_disk_is_full_serves_from_memory_until_there_is_room(make_server, reader):  # noqa: F811
    one = make_server().start()
    along = reader(one)
    workers = one.deployment.workers
    for number, child in enumerate(workers):
        limit(child, number, 300_000)
    devices = [Device(one, unique("u")) for _ in range(4)]
    for d in devices:
        d.open(f"notes:{d.user}")
    written, end = set(), time.monotonic() + 120

    def write():
        name = f"d{len(written)}"
        for d in devices:
            assert d.do(f"notes:{d.user}", op("put", "notes", name, {"text": TEXT})).status == "applied"
            written.add(f"notes:{d.user}/notes/{name}")

    while not any(is_full(child) for child in workers):
        assert time.monotonic() < end, one.tail()
        write()
    for _ in range(10):
        write()
    full = [child for child in workers if is_full(child)]
    assert full and all(child.alive() for child in workers)
    same(one, devices)  # what it lacks is read from memory
    # One that dies so comes back to what the log and the journal have.
    full[0].kill()
    full[0].start()
    for number, child in enumerate(workers):
        if child is not full[0]:
            limit(child, number, None)
    one.deployment.until_ready()
    same(one, devices)
    for d in devices:
        assert d.copies[f"notes:{d.user}"].live()
    for child in full:
        said = child.log.read_text()
        assert said.count("disk_full") >= 1 and "partition_failed" not in said, said[-3000:]
    for child in full[1:]:
        wait(lambda: "disk_has_room" in child.log.read_text(), what="its store caught up")
    along.until(lambda: set(along.docs) == written)
    assert along.backwards == []
    for d in devices:
        d.disconnect()
