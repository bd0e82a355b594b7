"""A device's copy of one space: cursors checked by `prev`, sums on last pages, bodies as their bytes."""

from wire import entry_hash


class Copy:
    """What a device holds of a space. Every broken promise is an assertion that shows the frame."""

    def __init__(self, space):
        self.space = space
        self.cursor = None
        self.docs = {}          # (collection, id) -> Frame of the document, tombstones included
        self.ref = None         # of the open that stands
        self.fresh = False      # opened again: pages and updates are ignored until the new ref speaks
        self.run = None         # keys named by the run of pages under way, None between runs
        self.run_resets = False
        self.reopened = False   # a run under way may be resumed: what its earlier pages named stays named
        self.partial = False    # a tail left something out, or a collection was asked for: no sums
        self.newest = 0         # greatest rev seen
        self.window = None
        self.tails = {}         # collection -> what the last run left out

    # -- frames ----------------------------------------------------------------------------

    def current(self, entry):
        self.cursor = entry["cursor"]
        self.window = entry["window"]
        self.run = None

    def page(self, frame):
        resumes = self.reopened and self.run is not None and self.run_resets and frame["from"] is not None
        if self.run is None or (self.reopened and not resumes):
            self.run, self.run_resets, self.tails = set(), bool(frame.get("reset")), {}
        self.reopened = False
        assert bool(frame.get("reset")) == self.run_resets, f"reset stands on each page of its run: {frame.raw}"
        if self.run_resets and frame["from"] is None:
            assert not self.run, f"`from` null only on the first: {frame.raw}"
        else:
            assert frame["from"] == self.cursor, f"page begins at {frame['from']}, we are at {self.cursor}"
        for doc in frame["docs"]:
            self.run.add(self.key(doc))
            self.store(doc)
        for collection, rev in frame.get("tail", {}).items():
            self.partial = True
            self.tails[collection] = rev
        self.cursor = frame["to"]
        if frame["more"]:
            return
        self.newest = max(self.newest, frame["head"])
        if self.run_resets:
            for key in set(self.docs) - self.run:
                if key not in self.kept_by_tail(frame):
                    del self.docs[key]
        self.run = None
        self.window = frame["window"]
        if not self.partial:
            self.compare(frame["sum"], frame.raw)

    def kept_by_tail(self, frame):
        return {key for key, doc in self.docs.items()
                if key[0] in self.tails and doc.get("born", 0) < self.tails[key[0]]}

    def update(self, frame, own_ops=None):
        self.reopened = False
        assert self.run is None, f"no update of a space comes amid a run of its pages: {frame.raw}"
        assert frame["prev"] == self.cursor, f"prev {frame['prev']}, we are at {self.cursor}: {frame.raw}"
        assert frame["rev"] > 0
        if "docs" in frame:
            for doc in frame["docs"]:
                self.store(doc)
        else:
            assert own_ops is not None, f"docs absent to a device that did not make the push: {frame.raw}"
            for op in own_ops:
                self.store_own(op, frame)
        self.newest = max(self.newest, frame["rev"])
        self.cursor = frame["cursor"]

    def ahead(self, docs, at):
        """docs of a history page or a result: stored only if `at` is not below the greatest rev seen."""
        if at is not None and at >= self.newest:
            for doc in docs:
                self.store(doc)
            return True
        return False

    # -- documents -------------------------------------------------------------------------

    @staticmethod
    def key(doc):
        return (doc["collection"], doc["id"])

    def store(self, doc):
        for member in ("rev", "time", "user"):
            assert member in doc, f"a document has {member}: {doc.raw}"
        assert doc["rev"] > 0, doc.raw
        assert ("body" in doc) != (doc.get("deleted") is True), f"a body or deleted:true: {doc.raw}"
        held = self.docs.get(self.key(doc))
        if held is not None and held["rev"] == doc["rev"]:
            assert held.body == doc.body_text, f"one rev, two bodies: {held.body} / {doc.raw}"
        kept = type(doc)(doc)
        kept.raw, kept.body = doc.raw, doc.body_text
        self.docs[self.key(doc)] = kept
        self.newest = max(self.newest, doc["rev"])

    def store_own(self, op, frame):
        assert op["op"] in ("put", "append", "delete"), f"docs absent though the push held a {op['op']}: {frame.raw}"
        from wire import encode, parse
        doc = {"collection": op["collection"], "id": op["id"], "rev": frame["rev"], "time": frame["time"],
               "user": frame["user"]}
        if op["op"] == "delete":
            doc["deleted"] = True
            held = self.docs.get(self.key(doc))
            if held is not None and "born" in held:
                doc["born"] = held["born"]
        else:
            doc["body"] = op["body"]
            if op["op"] == "append":
                doc["born"] = frame["rev"]
        self.store(parse(encode(doc)))

    def body(self, collection, doc_id):
        """The bytes of a live document's body, None for a tombstone or nothing."""
        doc = self.docs.get((collection, doc_id))
        return doc.body if doc is not None else None

    def live(self):
        """{(collection, id): (rev, body bytes)} of what is not deleted."""
        return {key: (doc["rev"], doc.body) for key, doc in self.docs.items() if doc.body is not None}

    # -- sums ------------------------------------------------------------------------------

    def sums(self):
        found = {}
        for (collection, doc_id), (rev, body) in self.live().items():
            found[collection] = found.get(collection, 0) ^ entry_hash(doc_id, rev, body)
        return {collection: f"{value:016x}" for collection, value in found.items()}

    def compare(self, told, raw=""):
        """A collection without live documents may be absent."""
        mine = self.sums()
        for collection in set(mine) | set(told):
            zero = "0" * 16
            assert told.get(collection, zero) == mine.get(collection, zero), \
                f"sum of {collection}: server {told.get(collection)}, copy {mine.get(collection)}: {raw[:2000]}"
