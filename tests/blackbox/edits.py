"""Random edits under every policy: what the fault suites load a cluster with. Few documents and many hands, so that edits do meet."""

from client import Raw, op

# A second reading (oracle.py) resolves by this very text; the schema of `typed` is the one that it knows.
NAMESPACE = {"namespace": "load", "version": 1, "access": "owner", "window": "90d", "collections": {
    "lww": {"policy": "lww"}, "arrival": {"policy": "lww", "order": "arrival"}, "merge": {"policy": "merge"}, "append": {"policy": "append"},
    "manual": {"policy": "manual"}, "rules": {"policy": "lww", "write": "owner"},
    "typed": {"policy": "merge", "schema": {"type": "object", "properties": {
        "n": {"type": "integer", "minimum": -50, "maximum": 50}, "s": {"type": "array", "maxItems": 4}}}}}}
COUNTER = ("merge", "count", "n")  # nothing but `incr` touches it
THEMES = ["lww", "lww", "arrival", "arrival", "merge", "merge", "append", "append", "manual", "manual", "typed", "rules"]
IDS = ["a", "b", "c", "é😀"]
VALUES = [1, 2.5, "x", [1, 2], {"a": None}, "é😀", Raw("1.10"), Raw("12345678901234567890"), Raw('"\\u00e9"'), None]


class Edits:
    """Of one device: `copy` is what it holds of the space, by whose revs it says what it knew."""

    def __init__(self, rng, name, copy):
        self.rng, self.name, self.copy, self.made = rng, name, copy, 0

    def push(self):
        """The operations of one push; now and then none (a barrier)."""
        rng = self.rng
        if rng.random() < 0.03:
            return []
        theme = rng.choice(THEMES)
        ops = [self.one(theme if rng.random() < 0.85 else rng.choice(THEMES)) for _ in range(rng.choice([1, 1, 2, 3]))]
        if rng.random() < 0.3:
            ops.append(op("incr", *COUNTER[:2], field=COUNTER[2], by=rng.randint(-3, 9)))
        return ops

    def one(self, collection):
        rng, kind = self.rng, collection
        if collection in ("arrival", "rules"):
            kind = "lww"
        id_ = rng.choice(IDS)
        made = getattr(self, f"in_{kind}")(collection, id_)
        held = self.copy.docs.get((collection, made["id"]))
        if rng.random() < 0.5:
            made["age"] = rng.choice([0, 5, 300, 20_000, None])
        if held is not None and rng.random() < (0.8 if kind == "manual" else 0.4):
            made["base"] = held["rev"]
        if rng.random() < 0.08:
            made["if"] = held["rev"] if held is not None and rng.random() < 0.7 else "absent"
        return made

    def fields(self, values=VALUES):
        return {name: self.rng.choice(values) for name in self.rng.sample("abcdef", 3)}

    def whole(self, collection, id_):
        """An edit of the whole document, or of some fields of it."""
        kind = self.rng.choice(["put", "put", "patch", "patch", "delete"])
        return op(kind, collection, id_, None if kind == "delete" else self.fields())

    def in_lww(self, collection, id_):
        return self.whole(collection, id_)

    def in_merge(self, collection, id_):
        rng = self.rng
        kind = rng.choice(["whole", "whole", "incr", "add", "remove", "max"])
        if kind == "whole":
            return self.whole(collection, id_)
        if kind == "incr":
            clamped = {"min": -5, "max": 40} if rng.random() < 0.4 else {}
            return op("incr", collection, id_, field="n", by=rng.randint(-4, 9), **clamped)
        if kind == "max":
            return op("max", collection, id_, field="m", value=rng.randint(0, 10_000))
        return op(kind, collection, id_, field="tags", values=rng.sample("pqrstuv", 2))

    def in_typed(self, collection, id_):
        rng = self.rng
        if rng.random() < 0.5:
            return op("incr", collection, id_, field="n", by=rng.randint(-30, 40))
        return op(rng.choice(["add", "remove"]), collection, id_, field="s", values=rng.sample("pqrstuv", 2))

    def in_append(self, collection, _):
        """Mostly a new one; then edits of what is there, whoever's it is, and an id that is taken."""
        rng = self.rng
        held = [id_ for (where, id_) in self.copy.docs if where == collection]
        if held and rng.random() < 0.3:
            return self.whole(collection, rng.choice(held[-8:]))
        if held and rng.random() < 0.1:
            return op("append", collection, rng.choice(held[-8:]), {"text": "taken"})
        self.made += 1
        return op("append", collection, f"{self.name}-{self.made}", Raw('{ "text" : "line %d", "n":1.0 }' % self.made))

    def in_manual(self, collection, id_):
        if self.rng.random() < 0.2 and (collection, id_) in self.copy.docs:
            return op("incr", collection, id_, field="n", by=1, base=self.copy.docs[collection, id_]["rev"])
        return self.whole(collection, id_)
