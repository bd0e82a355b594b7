"""What the journal has leaves the log (`--keep`), and nobody misses it."""

import shutil

import pytest
import xxhash
from confluent_kafka import Consumer, TopicPartition

from client import Device, op
from conftest import unique
from test_cluster import wait

pytestmark = pytest.mark.cluster


def test_a_log_that_was_trimmed_is_gone_on_from_with_and_without_stores(make_server):
    one = make_server(worker_args=("--keep", "1")).start()
    deployment, user = one.deployment, unique("u")
    space = f"cart:{user}"
    partition = TopicPartition(f"{deployment.prefix}changes", xxhash.xxh64(space).intdigest() % deployment.partitions)
    log = Consumer({"bootstrap.servers": deployment.services.kafka, "group.id": "looks"})
    writer, away = Device(one, user), Device(one, user)
    for d in (writer, away):
        d.open(space)
    writer.do(space, op("put", "items", "first", {"qty": 1}))
    away.until(lambda: away.body(space, "items", "first") is not None)
    away.disconnect()

    def write():
        assert writer.do(space, op("put", "items", f"i{writer.next_id % 7}", {"qty": writer.next_id % 900}), timeout=90).status == "applied"

    def trimmed():
        write()
        return log.get_watermark_offsets(partition, timeout=60)[0] > 20

    wait(trimmed, what="the log forgets what is older than a second")
    first, end = log.get_watermark_offsets(partition, timeout=60)
    assert first < end  # the record before where the journal is stays: the next owner compares it

    def all_again(lose_disks):
        for number, child in enumerate(deployment.workers):
            child.kill()
            if lose_disks:
                shutil.rmtree(one.dir / f"worker-{number}")
        for child in deployment.workers:
            child.start()
        write()
        deployment.until_ready()
        fresh = Device(one, user)
        fresh.open(space)
        assert fresh.copies[space].live() == writer.copies[space].live()
        fresh.disconnect()

    all_again(lose_disks=False)
    all_again(lose_disks=True)
    away.reconnect().open(space)  # from a place that the log no longer holds: what changed since, and nothing is begun anew
    assert not any(f["type"] == "page" and f.get("reset") for f in away.seen if f.get("ref") == away.next_ref - 1)
    assert away.copies[space].live() == writer.copies[space].live()
    for d in (writer, away):
        d.disconnect()
    log.close()
