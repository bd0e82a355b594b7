#!/usr/bin/env python3
"""Resolves the golden vectors by itself, and compares: a second reading of the protocol that shares no code with the core.

usage: check_vectors.py [DIRECTORY]      (schemas/vectors by default); exit code 1 and the first lines that differ, else 0.
Numbers stay text, bodies stay bytes; only the standard library is used.
"""
import json
import re
import sys
from contextlib import contextmanager
from decimal import Decimal, localcontext
from pathlib import Path

OLDEST = None  # an edit's time that is older than all
SPACE = " \t\r\n"
UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


# ---- raw JSON: members and elements as (name, text) without converting a value ----

def skip_value(text, at):
    """Where the value that begins at `at` ends."""
    if text[at] == '"':
        return re.compile(r'"(?:[^"\\]|\\.)*"', re.S).match(text, at).end()
    if text[at] not in "{[":
        return re.compile(r'[^,\]}\s]+').match(text, at).end()
    depth = 0
    while True:
        if text[at] == '"':
            at = skip_value(text, at)
            continue
        depth += (text[at] in "{[") - (text[at] in "}]")
        at += 1
        if depth == 0:
            return at


def items(text):
    """Texts of an array's elements, or of an object's `"key"` and value by turns."""
    found, at = [], 1
    while at < len(text) - 1:
        if text[at] in SPACE + ",:":
            at += 1
            continue
        end = skip_value(text, at)
        found.append(text[at:end])
        at = end
    return found


def members(text):
    flat = items(text)
    return [(json.loads(flat[i]), flat[i][1:-1], flat[i + 1]) for i in range(0, len(flat), 2)]


class Raw(str):
    """The text of a value, as it stood."""


def read_vector(line):
    """Members of the line; bodies, values and by/min/max of operations as Raw."""
    top = {name: value for name, _, value in members(line)}
    push = {name: value for name, _, value in members(top["push"])}
    vector = {name: json.loads(value) for name, value in top.items() if name in ("n", "status", "code")}
    vector["push"] = {name: json.loads(value) for name, value in push.items() if name != "ops"}
    vector["push"]["ops"] = [read_members(op, ("body", "by", "min", "max", "values", "value")) for op in items(push["ops"])]
    vector["before"] = [read_members(doc, ("body",)) for doc in items(top["before"])]
    vector["after"] = [read_members(doc, ("body",)) for doc in items(top["after"])]
    vector["losers"] = [read_members(loser, ("value",)) for loser in items(top["losers"])]
    return vector


def read_members(text, raw_names):
    read = {}
    for name, key, value in members(text):
        read[name] = Raw(value) if name in raw_names else json.loads(value)
        if name == "field":
            read["field_key"] = value[1:-1]
    return read


def number(text):
    return Decimal(text)


def is_number(text):
    return text[0] == "-" or text[0].isdigit()


def as_int64(text):
    """The integer that a number is, or None."""
    if not is_number(text):
        return None
    value = number(text)
    if value.adjusted() > 30:
        return None
    if value != value.to_integral_value():
        return None
    value = int(value)
    return value if -2**63 <= value < 2**63 else None


# ---- the edit, and which is later ----

class Rejected(Exception):
    def __init__(self, code):
        self.code = code


class Edit:
    def __init__(self, push, op):
        base = op.get("base", 0)
        self.base = base if base <= push["head"] else 0
        self.rev, self.user, self.device = push["rev"], push["user"], push["device"]
        if op.get("age", 0) is None:
            self.edited = push["last"] if push["last"] is not None else OLDEST
        else:
            self.edited = push["time"] - max(0, op.get("age", 0))

    def stamp(self):
        return {"rev": self.rev, "edited": self.edited, "user": self.user, "device": self.device}

    def same_device(self, stamp):
        return (self.user, self.device) == (stamp["user"], stamp["device"]) and (self.device != "" or stamp["rev"] == self.rev)

    def knows(self, stamp):
        return self.base >= stamp["rev"] or self.same_device(stamp)

    def is_later(self, stamp, arrival):
        return arrival or self.knows(stamp) or place(self.stamp()) >= place(stamp)


def place(stamp):
    edited = float("-inf") if stamp["edited"] is OLDEST else stamp["edited"]
    return edited, stamp["user"].encode(), stamp["device"].encode()


NOBODY = {"rev": 0, "edited": OLDEST, "user": "", "device": ""}


# ---- a document at work ----

class Doc:
    def __init__(self, collection, doc_id, stored):
        self.collection, self.id, self.stored = collection, doc_id, stored
        self.exists, self.live, self.changed = stored is not None, False, False
        self.whole, self.stamps, self.author, self.rev = NOBODY, {}, None, 0
        self.known = {}  # field -> the rev that knows it, where this push folded its own part into another's value
        self.fields, self.text = {}, None  # name -> [key, value text], in order; text: None where it must be rebuilt
        if stored is not None:
            self.whole, self.stamps, self.author, self.rev = stored["whole"], dict(stored["fields"]), stored["author"], stored["rev"]
            if not stored.get("deleted"):
                self.become(stored["body"])

    def become(self, text):
        self.live, self.text = True, text
        self.fields = {name: [key, value] for name, key, value in members(text)}

    def set(self, name, key, value):
        """None removes. Bytes that stay leave the text."""
        if value is None:
            if name in self.fields:
                del self.fields[name]
                self.text = None
        elif name not in self.fields:
            self.fields[name] = [key, value]
            self.text = None
        elif self.fields[name][1] != value:
            self.fields[name][1] = value
            self.text = None

    def revive(self):
        if not self.live:
            self.live, self.fields, self.text = True, {}, None

    def delete(self):
        self.live, self.fields, self.text = False, {}, None

    def body(self):
        if self.text is None:
            self.text = "{" + ",".join(f'"{key}":{value}' for key, value in self.fields.values()) + "}"
        return self.text

    def stamp_of(self, name):
        """What an edit of the field is judged against."""
        if name not in self.stamps:
            return self.whole
        stamp = dict(self.stamps[name])
        stamp["rev"] = self.known.get(name, stamp["rev"])
        return stamp


class Resolver:
    def __init__(self, namespace, push, before):
        self.namespace, self.push = namespace, push
        self.losers, self.lost, self.conflict = [], False, False
        self.docs = {}
        stored = {(doc["collection"], doc["id"]): doc for doc in before}
        window = namespace["window"]
        oldest = push["clock"] - int(window[:-1]) * UNITS_MS[window[-1]]
        for op in push["ops"]:
            name = (op["collection"], op["id"])
            found = stored.get(name)
            if found and found.get("deleted") and found["time"] < oldest:
                found = None
            self.docs.setdefault(name, Doc(*name, found))

    def lose(self, doc, field, value, stamp):
        self.losers.append({"collection": doc.collection, "id": doc.id, "field": field, "value": "null" if value is None else value,
                            "user": stamp["user"], "device": stamp["device"], "rev": stamp["rev"], "time": stamp["edited"]})

    def change(self, doc):
        if not doc.exists:
            doc.author = self.push["user"]
        doc.exists = doc.changed = True

    # -- whole documents --

    def win_whole(self, doc, op, edit):
        was, whole, existed = (doc.text if doc.live else None), doc.whole, doc.exists
        self.change(doc)
        if op["op"] == "delete":
            doc.delete()
            becomes = None
        elif op["op"] == "patch":
            doc.revive()
            self.patch_fields(doc, op)
            becomes = doc.body()
        else:
            doc.become(op["body"])
            becomes = doc.text
        doc.whole, doc.stamps = edit.stamp(), {}
        if existed and not edit.knows(whole) and was != becomes:
            self.lose(doc, None, was, whole)

    @staticmethod
    def patch_fields(doc, op):
        for name, key, value in members(op["body"]):
            doc.set(name, key, None if value == "null" else value)

    def lww(self, doc, op, edit):
        if not doc.exists or edit.is_later(doc.whole, self.arrival(doc)):
            self.win_whole(doc, op, edit)
            return
        self.lost = True
        said, stands = op.get("body"), doc.body() if doc.live else None
        if said != stands:
            self.lose(doc, None, said, edit.stamp())

    def append(self, doc, op, edit):
        if op["op"] == "append":
            if not doc.exists:
                self.win_whole(doc, op, edit)
            elif not doc.live or doc.body() != op["body"]:
                raise Rejected("precondition")
            return
        if not doc.exists:
            raise Rejected("precondition")
        if doc.author != self.push["user"] and not (op["op"] == "delete" and self.push["role"] == "owner"):
            raise Rejected("forbidden")
        self.lww(doc, op, edit)

    def manual(self, doc, op, edit):
        rev = self.push["rev"] if doc.changed else doc.rev
        if doc.exists and edit.base < rev and not edit.same_device(doc.whole):
            self.conflict = True
        if op["op"] in ("put", "patch", "delete"):
            self.win_whole(doc, op, edit)
        else:
            self.on_field(doc, op, edit, False)

    # -- field by field --

    def merge(self, doc, op, edit):
        if op["op"] not in ("put", "patch", "delete"):
            self.on_field(doc, op, edit, True)
            return
        arrival, covers_all = self.arrival(doc), op["op"] != "patch"
        said = {}
        if op["op"] != "delete":
            for name, key, value in members(op["body"]):
                said[name] = (key, None if op["op"] == "patch" and value == "null" else value)
        whole_won = covers_all and edit.is_later(doc.whole, arrival)
        concerned = list(said) + ([name for name in (*doc.fields, *doc.stamps) if name not in said] if covers_all else [])
        concerned = list(dict.fromkeys(concerned))
        wins = {name: edit.is_later(doc.stamp_of(name), arrival) for name in concerned}
        brings = any(wins[name] and said[name][1] is not None for name in said)
        self.lost |= any(not wins[name] for name in said) or (covers_all and not whole_won)
        if not doc.live and not whole_won and not brings:
            self.lose_fields(doc, said, [name for name in said if not wins[name]], edit)
            return
        was_dead, whole, existed = not doc.live, doc.whole, doc.exists
        for name in concerned:
            if wins[name]:
                self.overwrite(doc, said, name, edit)
        self.lose_fields(doc, said, [name for name in said if not wins[name]], edit)
        outlived = any(name not in said and not wins[name] for name in doc.fields) if covers_all else False
        for name in concerned:
            if not wins[name]:
                continue
            doc.set(name, *said.get(name, (None, None)))
            doc.known.pop(name, None)
            if whole_won:
                doc.stamps.pop(name, None)
            else:
                doc.stamps[name] = edit.stamp()
        if whole_won or any(wins.values()):
            self.change(doc)
        if whole_won:
            doc.whole = edit.stamp()
        if op["op"] == "delete":
            if whole_won and not doc.fields:
                doc.delete()
            elif not was_dead:
                self.lose(doc, None, None, edit.stamp())
            return
        if was_dead and doc.changed:
            doc.live, doc.text = True, None
            if existed and not edit.knows(whole):
                self.lose(doc, None, None, whole)
        if op["op"] == "put" and all(wins[name] for name in said) and not outlived:
            doc.become(op["body"])

    def lose_fields(self, doc, said, names, edit):
        for name in names:
            stands = doc.fields[name][1] if name in doc.fields else None
            if said[name][1] != stands:
                self.lose(doc, name, said[name][1], edit.stamp())

    def overwrite(self, doc, said, name, edit):
        stamp, becomes = doc.stamp_of(name), said.get(name, (None, None))[1]
        stands = doc.fields[name][1] if name in doc.fields else None
        if edit.knows(stamp) or stands == becomes or (stands is None and name not in doc.stamps):
            return
        self.lose(doc, name, stands, stamp)

    # -- operations on a field --

    def on_field(self, doc, op, edit, merges):
        name = op["field"]
        if merges and not edit.is_later(doc.whole, self.arrival(doc)):
            self.lost = True
            value = {"incr": lambda: str(as_int64(op["by"])), "max": lambda: op["value"]}.get(op["op"], lambda: op["values"])()
            self.lose(doc, name, value, edit.stamp())
            return
        stands = doc.fields[name][1] if name in doc.fields else None
        becomes = {"incr": incremented, "max": maximum, "add": added, "remove": removed}[op["op"]](stands, op)
        if becomes is None:
            return
        if merges and doc.exists and not doc.live and not edit.knows(doc.whole):
            self.lose(doc, None, None, doc.whole)
        self.change(doc)
        doc.revive()
        doc.set(name, op["field_key"], becomes)
        if not merges:
            doc.whole = edit.stamp()
            return
        own = name in doc.stamps
        now = dict(doc.stamps[name] if own else doc.whole)
        if place(edit.stamp()) >= place(now):
            now, doc.known[name] = edit.stamp(), edit.rev
        elif not own or name not in doc.known:
            doc.known[name] = now["rev"]
        now["rev"] = edit.rev
        doc.stamps[name] = now

    # -- the push --

    def arrival(self, doc):
        if doc.collection == "members":
            return True
        return self.namespace["collections"][doc.collection].get("order") == "arrival"

    def rules(self, doc, op):
        if doc.collection == "members":
            return "lww", "owner"
        rules = self.namespace["collections"][doc.collection]
        return rules["policy"], rules.get("write", "writer")

    def judge(self, op):
        doc, edit = self.docs[op["collection"], op["id"]], Edit(self.push, op)
        policy, write = self.rules(doc, op)
        on_field = op["op"] in ("incr", "add", "remove", "max")
        belongs = {"lww": op["op"] != "append" and not on_field, "merge": op["op"] != "append", "append": not on_field,
                   "manual": op["op"] != "append" and (not on_field or "base" in op)}[policy]
        if not belongs:
            raise Rejected("invalid")
        role, own = self.push["role"], op["id"] == self.push["user"]
        may = {"writer": role in ("writer", "owner"), "owner": role == "owner", "self": role in ("writer", "owner") and own}[write]
        leaves = doc.collection == "members" and own and op["op"] == "delete" and doc.live
        if not may and not leaves:
            raise Rejected("forbidden")
        if "if" in op:
            wanted = op["if"]
            if wanted == "absent":
                holds = not doc.live
            else:
                holds = doc.exists and not doc.changed and 0 < wanted <= self.push["head"] and wanted == doc.rev
            if not holds:
                raise Rejected("precondition")
        {"lww": self.lww, "merge": self.merge, "append": self.append, "manual": self.manual}[policy](doc, op, edit)

    def run(self):
        """(status, code, documents, losers) as in a vector."""
        status = code = None
        try:
            for op in self.push["ops"]:
                self.judge(op)
            for doc in self.docs.values():
                if doc.changed and doc.live:
                    check_schema(doc)
        except Rejected as rejected:
            status, code = "rejected", rejected.code
        if status is None and self.conflict:
            status, code = "conflict", "conflict"
        if status is None and any(doc.changed for doc in self.docs.values()):
            status = "changed"
        if status is None:
            status, code = ("lost", "lost") if self.lost else ("unchanged", None)
        stands = status == "changed"
        kept = self.losers if status in ("changed", "unchanged", "lost") else []
        return status, code, [self.render(doc, stands) for doc in self.docs.values()], kept

    def render(self, doc, stands):
        if not (stands and doc.changed):
            return doc.stored if doc.stored else {"collection": doc.collection, "id": doc.id, "absent": True}
        policy = self.rules(doc, None)[0]
        revived = doc.stored and doc.stored.get("deleted") and doc.live and policy != "append"
        rendered = {"collection": doc.collection, "id": doc.id, "rev": self.push["rev"], "time": self.push["time"], "user": self.push["user"],
                    "born": self.push["rev"] if not doc.stored or revived else doc.stored["born"], "author": doc.author,
                    "whole": doc.whole, "fields": doc.stamps}
        if doc.live:
            rendered["body"] = doc.body()
        else:
            rendered["deleted"] = True
        return rendered


def incremented(stands, op):
    was = 0 if stands is None else as_int64(stands)
    if was is None:
        raise Rejected("invalid")
    becomes = min(max(was + as_int64(op["by"]), -2**63), 2**63 - 1)
    if "min" in op:
        becomes = max(becomes, as_int64(op["min"]))
    if "max" in op:
        becomes = min(becomes, as_int64(op["max"]))
    return None if becomes == was else str(becomes)


def maximum(stands, op):
    if stands is None:
        return op["value"]
    if not is_number(stands):
        raise Rejected("invalid")
    return op["value"] if number(op["value"]) > number(stands) else None


def identity(text):
    if text[0] == '"':
        return "text", json.loads(text)
    return ("number", number(text)) if is_number(text) else ("other", text)


def as_set(stands):
    if stands is not None and stands[0] != "[":
        raise Rejected("invalid")
    values = {}
    for text in items(stands or "[]"):
        values.setdefault(identity(text), text)
    return values


def added(stands, op):
    values = as_set(stands)
    count = len(values)
    for text in items(op["values"]):
        values.setdefault(identity(text), text)
    return None if len(values) == count else "[" + ",".join(values.values()) + "]"


def removed(stands, op):
    values = as_set(stands)
    count = len(values)
    for text in items(op["values"]):
        values.pop(identity(text), None)
    return None if len(values) == count else "[" + ",".join(values.values()) + "]"


def check_schema(doc):
    """The namespace's two schemas, by hand."""
    fields = {name: value for name, (_, value) in doc.fields.items()}
    if doc.collection == "members":
        if fields.get("role") not in ('"owner"', '"writer"', '"reader"'):
            raise Rejected("invalid")
    if doc.collection == "typed":
        if "n" in fields and (as_int64(fields["n"]) is None or not -50 <= as_int64(fields["n"]) <= 50):
            raise Rejected("invalid")
        if "s" in fields and (fields["s"][0] != "[" or len(items(fields["s"])) > 4):
            raise Rejected("invalid")


def compare(name, line, namespace):
    vector = read_vector(line)
    status, code, after, losers = Resolver(namespace, vector["push"], vector["before"]).run()
    def order(loser):
        return json.dumps(loser, sort_keys=True)
    for loser in vector["losers"]:
        loser.pop("field_key", None)
    made = (status, code, after, sorted(losers, key=order))
    kept = (vector["status"], vector.get("code"), vector["after"], sorted(vector["losers"], key=order))
    if made == kept:
        return True
    print(f"{name} n={vector['n']}\n  made {made}\n  kept {kept}\n  push {vector['push']}\n  before {vector['before']}")
    return False


def main():
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else "schemas/vectors")
    good = bad = 0
    for path in sorted(directory.glob("*.jsonl")):
        lines = path.read_text(encoding="utf-8").split("\n")
        namespace = json.loads(lines[0])["namespace"]
        for line in lines[1:]:
            if not line:
                continue
            if compare(path.name, line, namespace):
                good += 1
            else:
                bad += 1
                if bad == 5:
                    return 1
    print(f"{good} vectors agree, {bad} differ")
    return 0 if bad == 0 and good > 0 else 1


@contextmanager
def exact():
    """Numbers of any length, compared and added as they stand."""
    with localcontext() as context:
        context.prec, context.Emax, context.Emin = 400, 10**9, -10**9
        yield


if __name__ == "__main__":
    with exact():
        sys.exit(main())
