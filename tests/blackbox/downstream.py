"""Somebody else who reads `updates`: read_committed, nothing of ours but the topic's name."""

import json
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition


class Downstream:
    """`new`: only what comes from now on. `told`: hears (key, value) of each record."""

    def __init__(self, hosts, topic, partitions, new=False, told=None):
        self.told = told
        self.docs, self.headers, self.raw, self.revs, self.backwards, self.values, self.read = {}, {}, {}, {}, [], [], 0
        self.consumer = Consumer({"bootstrap.servers": hosts, "group.id": f"downstream-{time.monotonic_ns()}", "isolation.level": "read_committed", "log_level": 0,
                                  "enable.auto.commit": False, "auto.offset.reset": "earliest"})
        places = [TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(partitions)]
        for place in places if new else ():
            place.offset = self.consumer.get_watermark_offsets(place, timeout=60)[1]
        self.consumer.assign(places)

    def take(self, timeout=0.1):
        for message in self.consumer.consume(500, timeout):
            if message.error():
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                continue
            self.read += 1
            key = message.key().decode()
            if self.told:
                self.told(key, message.value())
            self.headers[key] = dict(message.headers() or ()) # a trailer has none
            self.raw[key] = message.value()
            if message.value() is None:
                self.docs.pop(key, None)
                continue
            if not message.topic().endswith("updates"):
                continue
            doc = json.loads(message.value())
            self.values.append(doc)
            if doc["rev"] < self.revs.get(key, 0):
                self.backwards.append((key, self.revs[key], doc["rev"]))
            self.revs[key] = doc["rev"]
            if doc.get("deleted"):
                self.docs.pop(key, None)
            else:
                self.docs[key] = doc["body"]

    def until(self, holds, timeout=60):
        end = time.monotonic() + timeout
        while not holds():
            assert time.monotonic() < end, f"after {self.read} records: {str(self.docs)[:2000]}"
            self.take()

    def close(self):
        self.consumer.close()
