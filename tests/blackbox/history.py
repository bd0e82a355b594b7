"""What devices said and heard, as lines that tests/tools/check_history judges by the page's promises."""

import hashlib
import itertools
import json
import os
import pathlib
import subprocess
import tempfile
import time

from wire import dumps, encode, entry_hash

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHECKER = os.environ.get("TIDEGATE_CHECK_HISTORY", str(ROOT / "build/plain/tools/check_history"))
_stores = itertools.count(1)


def digest(ops):
    """Tells other operations apart, but not `age` and `base`, which may differ."""
    plain = encode([{k: v for k, v in op.items() if k not in ("age", "base")} for op in ops])
    return hashlib.sha256(plain.encode()).hexdigest()[:16]


def doc(one):
    told = {"collection": one["collection"], "id": one["id"], "rev": one["rev"]} | ({"born": one["born"]} if "born" in one else {})
    if one.get("deleted"):
        return told | {"deleted": True}
    return told | {"sum": f"{entry_hash(one['id'], one['rev'], one.body_text):016x}"}


class History:
    """One file of events. `counters`: {(collection, id, field)} that nothing but unclamped `incr` ever touches."""

    def __init__(self, counters=()):
        self.counters = set(counters)
        self.file = tempfile.NamedTemporaryFile("w", prefix="tidegate-history-", suffix=".jsonl", delete=False)
        self.path = pathlib.Path(self.file.name)

    def add(self, event, **members):
        if self.file.closed:
            return  # it is judged
        members = {k: v for k, v in members.items() if v not in (None, False, [], {}, "", 0)}
        self.file.write(dumps({"event": event, "time": time.time_ns() // 1_000_000} | members) + "\n")

    def store(self, device):
        """A name for one local store, whatever device ids it goes by."""
        return f"{device.user}/{device.id}#{next(_stores)}"

    # -- what a device says ------------------------------------------------------------------

    def hello(self, device):
        self.add("hello", who=device.who, user=device.user, device=device.id, log=device.welcome["log"])

    def enqueue(self, device, space, push_id, ops):
        parts = [{"counter": "/".join(name), "by": op["by"]} for op in ops if op["op"] == "incr"
                 for name in [(op["collection"], op["id"], op["field"])] if name in self.counters]
        self.add("enqueue", who=device.who, user=device.user, device=device.id, space=space, id=push_id, digest=digest(ops), parts=parts)

    def said(self, device, frame):
        kind = frame["type"]
        if kind == "push":
            self.add("sent", who=device.who, space=frame["space"], id=frame["id"], after=frame["after"], known=frame["known"])
        elif kind == "close":
            self.add("close", who=device.who, space=frame["space"])
        elif kind == "open":
            for entry in frame["spaces"]:
                self.add("open", who=device.who, space=entry["space"], ref=str(frame["ref"]), **{"from": entry.get("since")},
                         known=entry.get("known"), once=frame.get("mode") == "once")

    # -- what it hears -----------------------------------------------------------------------

    def heard(self, device, frame):
        tell = getattr(self, f"_{frame['type']}", None)
        if tell is not None:
            tell(device, frame)

    def _frame(self, one, event, frame, /, **members):
        self.add(event, who=one.who, space=frame.get("space"), **members)

    def _current(self, device, frame):
        for entry in frame["spaces"]:
            self.add("current", who=device.who, space=entry["space"], ref=str(frame["ref"]), to=entry["cursor"], pushed=entry["pushed"],
                     window=entry["window"] * 1000)

    def _page(self, device, frame):
        docs = [doc(one) for one in frame["docs"]]
        if "at" in frame:
            self._frame(device, "history", frame, at=frame["at"], docs=docs)
            return
        refused = [{"id": one["id"], "status": one["status"], "code": one.get("code", "")} for one in frame.get("refused", [])]
        self._frame(device, "page", frame, ref=str(frame["ref"]), **{"from": frame["from"]}, to=frame["to"], more=frame["more"],
                    at=frame.get("head", 0), reset=frame.get("reset"), pushed=frame["pushed"], docs=docs, tails=frame.get("tail"), sums=frame.get("sum"),
                    refused=refused, window=frame.get("window", 0) * 1000)

    def _update(self, device, frame):
        own = "docs" not in frame
        self._frame(device, "update", frame, **{"from": frame["prev"]}, to=frame["cursor"], rev=frame["rev"], log_time=frame["time"],
                    user=frame["user"], device=frame["device"], id=frame["push"], own=own,
                    docs=self._own_docs(device, frame) if own else [doc(one) for one in frame["docs"]])

    @staticmethod
    def _own_docs(device, frame):
        """Those that the device makes of its push, where the frame leaves them out."""
        made = []
        for op in device.sent[frame["space"]][frame["push"]]:
            told = {"collection": op["collection"], "id": op["id"], "rev": frame["rev"]}
            if op["op"] == "append":
                told["born"] = frame["rev"]
            if op["op"] == "delete":
                told["deleted"] = True
            else:
                told["sum"] = f"{entry_hash(op['id'], frame['rev'], encode(op['body'])):016x}"
            made = [one for one in made if (one["collection"], one["id"]) != (op["collection"], op["id"])] + [told]
        return made

    def _ack(self, device, frame):
        self._frame(device, "ack", frame, id=frame["id"])

    def _result(self, device, frame):
        self._frame(device, "result", frame, id=frame["id"], status=frame["status"], code=frame.get("code"), to=frame.get("cursor"),
                    at=frame.get("at"), docs=[doc(one) for one in frame.get("docs", [])])

    def _closed(self, device, frame):
        self._frame(device, "closed", frame, ref=str(frame["ref"]) if "ref" in frame else None, code=frame.get("code"), purge=frame.get("purge"))

    def _error(self, device, frame):
        self._frame(device, "error", frame, id=frame.get("id"), code=frame["code"], after=frame.get("after"))

    # -- the end -----------------------------------------------------------------------------

    def claims(self, device, space, owner=False):
        """What a device holds; with `owner`, what the server has: of a device that just read all of it from nothing."""
        copy = device.copies[space]
        live = [one for one in copy.docs.values() if one.body is not None]
        docs = [{"collection": one["collection"], "id": one["id"], "rev": one["rev"],
                 "sum": f"{entry_hash(one['id'], one['rev'], one.body):016x}"} for one in live]
        values = {(one["collection"], one["id"]): json.loads(one.body) for one in live}
        parts = [{"counter": "/".join(name), "by": values.get(name[:2], {}).get(name[2], 0)} for name in self.counters] if owner else []
        self.add("final", who=None if owner else device.who, log=device.welcome["log"], space=space, to=copy.cursor, docs=docs, parts=parts)

    def copied(self):
        """All that was recorded so far, in a file of its own."""
        self.file.flush()
        other = History(self.counters)
        other.file.write(self.path.read_text())
        return other

    def checked(self, told=False):
        """All is over, all was waited for: nothing may be left to come. `told`: what each push must come to was told too (oracle.py)."""
        self.add("end")
        self.file.close()
        return subprocess.run([CHECKER, *(["--told"] if told else []), "--converge", "1", "--slack", "60000", str(self.path)], capture_output=True, text=True)

    def judge(self, seed="", told=False):
        run = self.checked(told)
        assert run.returncode == 0, f"{run.stdout[-6000:]}{run.stderr}\nthe history is in {self.path}; {seed}"
        self.path.unlink()
        return run.stdout
