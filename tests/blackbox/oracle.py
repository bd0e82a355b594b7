"""What the log says must come of every push: `changes`, read back from Kafka and resolved by a second reading of the protocol.

It shares no code with the product: tests/tools/check_vectors.py resolves (the four policies, in Python, kept honest by the golden vectors), and
here stands who is next in line, who repeats himself, and what a space's head is. It reads one test's spaces, from where the log ended before.
"""

import copy
import json
import sys
import time

import xxhash
from confluent_kafka import Consumer, TopicPartition

from conftest import ROOT
from wire import entry_hash

sys.path.insert(0, str(ROOT / "tests/tools"))
from check_vectors import Resolver, exact, items, members, read_members  # noqa: E402

INFLIGHT_MAX, LOSERS_MAX, READ_S = 64, 1000, 120
RAW = ("body", "by", "min", "max", "values", "value")


class Space:
    def __init__(self):
        self.head, self.docs, self.entries, self.losers = 0, {}, {}, []


class Oracle:
    """`namespace`: the text in force for all that is read."""

    def __init__(self, deployment, namespace, partitions):
        self.hosts, self.topic, self.namespace = deployment.services.kafka, f"{deployment.prefix}changes", namespace
        self.partitions = range(partitions)
        self.appended = {name for name, rules in namespace["collections"].items() if rules["policy"] == "append"}
        self.spaces, self.steps, self.outcomes, self.repeats = {}, [], {}, 0
        self.begun, self.records = self.ends(), None

    def by(self, namespace):
        """The same log, read by another text; what is in it by now."""
        if self.records is None:
            self.records = self.fetch()
        other = copy.copy(self)
        other.namespace, other.spaces, other.steps, other.outcomes, other.repeats = namespace, {}, [], {}, 0
        return other

    def consumer(self):
        return Consumer({"bootstrap.servers": self.hosts, "group.id": "oracle", "enable.auto.commit": False, "isolation.level": "read_committed"})

    def ends(self):
        consumer = self.consumer()
        ends = {p: consumer.get_watermark_offsets(TopicPartition(self.topic, p), timeout=60)[1] for p in self.partitions}
        consumer.close()
        return ends

    def replay(self):
        """Everything since it was made, each partition in its order."""
        if self.records is None:
            self.records = self.fetch()
        clocks = dict.fromkeys(self.partitions, 0)
        with exact():
            for p, text, rev, time_ms in self.records:
                clocks[p] = max(clocks[p], time_ms)
                self.step(text, rev, time_ms, clocks[p])
        return self

    def fetch(self):
        ends, consumer, found, due = self.ends(), self.consumer(), [], time.monotonic() + READ_S
        for p in self.partitions:
            at = self.begun[p]
            consumer.assign([TopicPartition(self.topic, p, at)])
            while at < ends[p]:
                assert time.monotonic() < due, f"partition {p} is read up to {at} of {ends[p]} within {READ_S} s"
                for message in consumer.consume(500, 0.05):
                    assert message.error() is None, message.error()
                    at = message.offset() + 1
                    found.append((p, message.value().decode(), at, message.timestamp()[1]))
                at = max(at, consumer.position([TopicPartition(self.topic, p)])[0].offset)
        consumer.close()
        return found

    # -- one push --------------------------------------------------------------------------

    def step(self, text, rev, time_ms, clock):
        record = dict((name, value) for name, _, value in members(text))
        if json.loads(record["kind"]) != "push":
            return
        told = {name: json.loads(value) for name, value in record.items() if name != "ops"}
        space = self.spaces.setdefault(told["space"], Space())
        entry = space.entries.setdefault((told["user"], told["device"]), {"last": 0, "time": None, "ids": []})
        if told["id"] <= entry["last"]:
            self.repeats += 1
            return
        waiting = [i for i in entry["ids"] if i > told["known"]]
        if told["after"] != entry["last"] or len(waiting) >= INFLIGHT_MAX:
            return  # gap, too_many: no outcome
        ops = [read_members(op, RAW) for op in items(record["ops"])]
        status, code, docs, losers = self.resolve(space, told, entry, ops, rev, time_ms, clock)
        entry.update(last=told["id"], time=time_ms, ids=[*waiting, told["id"]])
        space.losers = (space.losers + losers)[-LOSERS_MAX:]
        changed = [doc for doc in docs if doc.get("rev") == rev] if status == "changed" else []
        for doc in changed:
            space.docs[doc["collection"], doc["id"]] = doc
        said = status if status in ("conflict", "rejected") else "applied"
        self.outcomes[told["space"], told["user"], told["device"], told["id"]] = (said, code)
        self.steps.append({"space": told["space"], "user": told["user"], "device": told["device"], "id": told["id"], "rev": rev, "log_time": time_ms,
                           "prev": space.head, "status": said, "code": code if said != "applied" else None, "docs": [self.told(doc) for doc in changed]})
        if changed:
            space.head = rev

    def resolve(self, space, told, entry, ops, rev, time_ms, clock):
        owns = told["space"].split(":", 1)[1] == told["user"]
        push = {"user": told["user"], "device": told["device"], "role": "owner" if owns else told["grant"], "rev": rev, "head": space.head,
                "time": time_ms, "last": entry["time"], "clock": clock, "ops": ops}
        names = dict.fromkeys((op["collection"], op["id"]) for op in ops)
        return Resolver(self.namespace, push, [space.docs[name] for name in names if name in space.docs]).run()

    def told(self, doc):
        """As frames and the checker know it."""
        one = {"collection": doc["collection"], "id": doc["id"], "rev": doc["rev"]}
        if doc["collection"] in self.appended:
            one["born"] = doc["born"]
        return one | ({"deleted": True} if doc.get("deleted") else {"sum": f"{entry_hash(doc['id'], doc['rev'], doc['body']):016x}"})

    # -- what all others must agree with ---------------------------------------------------

    def tell(self, history, log):
        """Each push as the owner must have taken it: the checker holds every frame, copy and reader against it."""
        for one in self.steps:
            prev = f"{log}.{xxhash.xxh64_hexdigest(one['space'])}.{one['prev']}"
            history.add("step", log=log, **{"from": prev}, **{name: value for name, value in one.items() if name != "prev"})

    def live(self, space):
        """As Copy.live()."""
        return {name: (doc["rev"], doc["body"]) for name, doc in self.spaces[space].docs.items() if not doc.get("deleted")}

    def kept(self, space):
        """What lost, as `conflicts` tells it."""
        return sorted(loser(one, json.loads(one["value"])) for one in self.spaces[space].losers)


def loser(one, value):
    return json.dumps([one["collection"], one["id"], one["field"], value, one["user"], one["device"], one["rev"], one["time"]])
