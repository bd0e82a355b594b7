"""What a push may leave behind: schemas, sizes, counts, the number in flight."""

import pathlib
import shutil

import pytest

from client import Raw, op
from conftest import unique
from test_policies import CART, NOTES, TODOS, WORKOUTS, pair, settle

KIB = 1024


def room(d):
    """A chat room that this device's first push founds."""
    space = f"chat:{unique('room')}"
    d.open(space)
    return space


@pytest.mark.parametrize("space_of, collection, body", [
    (CART, "items", {"qty": 1000}), (CART, "items", {"qty": -1}), (CART, "items", {"qty": 1.5}),
    (CART, "items", {"qty": "1"}), (CART, "items", {"name": 5}), (CART, "items", {"price": "2"}),
    (NOTES, "notes", {"title": 1}), (NOTES, "notes", {"text": []}), (TODOS, "todos", {"done": "yes"}),
    (TODOS, "todos", {"tags": "x"}), (TODOS, "todos", {"tags": [1]}), (WORKOUTS, "workouts", {"kind": 1}),
    (WORKOUTS, "workouts", {"started": 1.5})], ids=str)
def test_what_the_schema_forbids_is_invalid_and_the_message_names_the_member(device, space_of, collection, body):
    space, a, b = pair(device, space_of)
    done = a.do(space, op("put", collection, "d", body))
    assert (done.status, done.code) == ("rejected", "invalid")
    assert next(iter(body)) in done.frame["message"]
    assert settle(space, a, b) == {}


@pytest.mark.parametrize("space_of, collection, body", [
    (CART, "items", {"qty": 999, "name": "x", "price": 1.25, "unnamed": ["is", "allowed"]}),
    (CART, "items", Raw('{"qty":1.0}')), (TODOS, "todos", {"tags": ["a"], "done": True}), (NOTES, "notes", {}),
    (WORKOUTS, "workouts", {"kind": "run", "started": 2 ** 40})], ids=str)
def test_what_the_schema_allows_is_applied(device, space_of, collection, body):
    space, a, b = pair(device, space_of)
    assert a.do(space, op("put", collection, "d", body)).status == "applied"
    assert len(settle(space, a, b)) == 1


@pytest.mark.parametrize("text, good", [("", False), ("x", True), ("😀" * 4000, True), ("😀" * 4001, False)],
                         ids=["empty", "one", "4000 astral", "4001 astral"])
def test_a_messages_text_is_1_to_4000_code_points(device, text, good):
    d = device()
    space = room(d)
    d.do(space, op("put", "room", "settings", {"title": "t"}))
    assert (d.do(space, op("append", "messages", "m", {"text": text})).status == "applied") is good
    assert d.do(space, op("append", "messages", "n", {"no": "text"})).code == "invalid"


def test_the_schema_is_checked_on_what_the_push_would_leave_behind(device):
    space, a, b = pair(device, CART)
    a.do(space, op("put", "items", "m", {"qty": 990}))
    done = b.do(space, op("incr", "items", "m", field="qty", by=50))
    assert done.code == "invalid"
    done = b.do(space, op("incr", "items", "m", field="qty", by=50), op("incr", "items", "m", field="qty", by=-45))
    assert done.status == "applied", "only what the push leaves behind counts"
    assert settle(space, a, b)[("items", "m")][1] == '{"qty":995}'


def test_a_refusal_undoes_the_whole_push(device):
    space, a, b = pair(device, CART)
    done = a.do(space, op("put", "items", "good", {"qty": 1}), op("put", "items", "bad", {"qty": "x"}))
    assert done.code == "invalid"
    assert settle(space, a, b) == {}


def test_an_unknown_collection_is_invalid(device):
    space, a, b = pair(device, CART)
    for name in ("nosuch", "Items", "", "x" * 33, None):
        assert a.do(space, op("put", name, "d", {"qty": 1})).status == "rejected"
    assert settle(space, a, b) == {}


@pytest.mark.parametrize("bad", [
    {"op": "nosuch", "collection": "items", "id": "m"}, {"collection": "items", "id": "m", "body": {}},
    {"op": "put", "collection": "items", "id": "m"}, {"op": "put", "collection": "items", "id": "m", "body": []},
    {"op": "put", "collection": "items", "id": "m", "body": "x"}, {"op": "incr", "collection": "items", "id": "m"},
    {"op": "incr", "collection": "items", "id": "m", "field": "qty", "by": 1.5},
    {"op": "add", "collection": "items", "id": "m", "field": "qty", "values": 3},
    {"op": "put", "collection": "items", "id": "m", "body": {"qty": 1}, "if": "present"},
    {"op": "put", "collection": "items", "id": "m", "body": {"qty": 1}, "base": "x"}], ids=str)
def test_a_malformed_operation_is_refused_with_its_place_in_the_order(device, bad):
    """Every refusal by the owner, `forbidden` and a malformed push too, takes its place in the log's order."""
    space, a, b = pair(device, CART)
    done = a.do(space, bad)
    assert done.status == "rejected" and done.code == "invalid"
    assert a.do(space, op("put", "items", "next", {"qty": 1})).status == "applied"
    assert [key[1] for key in settle(space, a, b)] == ["next"]


def test_a_document_past_256_kib_is_too_large(device):
    space, a, b = pair(device, TODOS)
    limit = a.welcome["limits"]["document"]
    assert limit == 256 * KIB
    frame = len('{"x":""}')
    assert a.do(space, op("put", "todos", "t", {"x": "y" * (limit - frame)})).status == "applied"
    done = a.do(space, op("put", "todos", "t", {"x": "y" * (limit - frame + 1)}))
    assert (done.status, done.code) == ("rejected", "too_large")
    assert len(settle(space, a, b)[("todos", "t")][1]) == limit


def test_a_document_has_at_most_256_members(device):
    space, a, b = pair(device, TODOS)
    assert a.do(space, op("put", "todos", "t", {f"m{i}": i for i in range(256)})).status == "applied"
    done = b.do(space, op("patch", "todos", "t", {"more": 1}, base=a.copies[space].newest))
    assert done.status == "rejected" and done.code in ("too_large", "invalid")
    assert len(settle(space, a, b)) == 1


def test_a_set_has_at_most_1024_values(device):
    space, a, b = pair(device, TODOS)
    assert a.do(space, op("add", "todos", "t", field="s", values=list(range(1024)))).status == "applied"
    assert b.do(space, op("add", "todos", "t", field="s", values=[5])).status == "applied"
    done = b.do(space, op("add", "todos", "t", field="s", values=["one more"]))
    assert done.status == "rejected" and done.code in ("too_large", "invalid")
    settle(space, a, b)


def test_a_push_touches_at_most_128_documents(device):
    space, a, b = pair(device, TODOS)
    assert a.do(space, *[op("put", "todos", f"t{i}", {"done": True}) for i in range(128)]).status == "applied"
    assert a.do(space, *[op("put", "todos", f"u{i}", {"done": True}) for i in range(129)]).status == "rejected"
    assert len(settle(space, a, b)) == 128


def test_a_push_leaves_behind_at_most_1_mib_of_bodies(device):
    space, a, b = pair(device, TODOS)
    part = "y" * (200 * KIB)
    assert a.do(space, *[op("put", "todos", f"t{i}", {"x": part}) for i in range(5)]).status == "applied"
    done = a.do(space, *[op("put", "todos", f"u{i}", {"x": part}) for i in range(6)])
    assert (done.status, done.code) == ("rejected", "too_large")
    assert len(settle(space, a, b)) == 5


def test_more_operations_than_the_limit_are_refused(device):
    space, a, b = pair(device, CART)
    ops = [op("incr", "items", "m", field="qty", by=0)] * (a.welcome["limits"]["ops"] + 1)
    a.push(space, ops)
    a.until(lambda: (space, 1) in a.outcomes or any(f["type"] == "error" for f in a.inbox), what="a refusal")
    assert (space, 1) not in a.outcomes or a.outcomes[(space, 1)].status == "rejected"


def test_past_the_number_in_flight_a_push_stays_and_is_sent_again(device):
    """At most limits.inflight pushes to a space past its known; too_many is no outcome."""
    space, a, b = pair(device, CART)
    limit = a.welcome["limits"]["inflight"]
    for _ in range(limit + 20):
        a.push(space, [op("incr", "items", "m", field="qty", by=1)], known=0, send=False)
    a.send(*(a.push_frame(space, push_id, push_id - 1, known=0) for push_id in sorted(a.outbox[space]))) # one message: read faster than any of it is answered
    errors = lambda: [f for f in a.seen if f["type"] == "error"]
    a.until(lambda: min(a.outbox[space]) > limit, what="the outcomes of as many as the limit")
    a.until(lambda: {f["id"] for f in errors()} >= set(a.outbox[space]), what="a word on the others")
    assert {f["code"] for f in errors()} <= {"too_many", "busy", "gap"}, errors() # once one has to wait, those behind it wait too
    assert all(isinstance(f["retry"], int) for f in errors() if f["code"] == "too_many") and any(f["code"] == "too_many" for f in errors())
    a.resend(space)
    a.until(lambda: not a.outbox[space], what="the rest's outcomes")
    assert settle(space, a, b)[("items", "m")][1] == '{"qty":%d}' % (limit + 20)


def test_more_spaces_than_the_limit_are_refused(device):
    a = device()
    limit = a.welcome["limits"]["spaces"]
    names = [f"cart:{a.user}:{i}" for i in range(limit + 1)]
    for i in range(0, limit, 128):
        a.open(*names[i:i + 128], wait=False)
    a.open(names[-1], wait=False)
    answer = a.wait_for(lambda f: f["type"] in ("error", "closed") and f["code"] in ("too_many", "too_large"), timeout=30)
    assert answer["ref"] == a.next_ref - 1


def test_an_apps_own_schema_may_refer_match_and_depend(make_server, device):
    seed = pathlib.Path(__file__).parents[1] / "fuzz" / "corpus" / "namespace" / "orders.json"
    server = make_server()
    server.namespaces = server.dir / "namespaces"
    server.namespaces.mkdir()
    shutil.copy(seed, server.namespaces)
    d = device(on=server.start())
    space = f"orders:{d.user}"
    d.open(space)
    for body, good in (({"total": "12.50", "lines": [{"sku": "a", "price": "1"}]}, True), ({"total": "12.5"}, False),
                       ({"lines": [{"sku": "a", "parts": [{"sku": "b", "price": "x"}]}]}, False), ({"x-note": "y" * 21}, False),
                       ({"status": "paid"}, False), ({"status": "open"}, True), ({"lat": 1}, False), ({"gift": 1, "to": "eve"}, True)):
        done = d.do(space, op("put", "orders", "o", body))
        assert (done.status == "applied") is good and (good or done.code == "invalid"), (body, done.frame.raw)
