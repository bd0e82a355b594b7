"""Every row of the HTTP table."""

import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from client import op
from conftest import unique
from test_members_access import room
from wire import Frame, dumps, parse


def call(server, method, path, token=None, body=None, headers=None):
    """(status, parsed body or text, headers)"""
    data = body if isinstance(body, (bytes, type(None))) else dumps(body).encode()
    request = urllib.request.Request(server.url(path), data=data, method=method, headers=headers or {})
    if data is not None:
        request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", "Bearer " + token)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            status, raw, head = answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as refused:
        status, raw, head = refused.code, refused.read().decode(), refused.headers
    if "json" in head.get("Content-Type", ""):
        return status, parse(raw), head
    return status, raw, head


def q(part):
    return urllib.parse.quote(part, safe="")


@pytest.fixture
def user(server):
    name = unique("u")
    return name, server.token(name), f"cart:{name}"


def sync(server, token, **body):
    return call(server, "POST", "/v1/sync", token, body)


# -- sync -----------------------------------------------------------------------------------------------


def test_sync_pushes_and_opens_in_one_round_trip(server, user):
    name, token, space = user
    me = unique("device-")
    push = {"id": 1, "after": 0, "space": space, "known": 0, "ops": [op("put", "items", "m", {"qty": 1})]}
    status, answer, _ = sync(server, token, device=me, pushes=[push],
                             opens=[{"space": space, "since": None, "known": 0}])
    assert status == 200 and isinstance(answer["log"], str)
    assert [(r["id"], r["status"]) for r in answer["results"]] == [(1, "applied")]
    page = answer["pages"][-1]
    assert page["space"] == space and page["more"] is False and page["pushed"] == 1
    assert [d["id"] for d in page["docs"]] == ["m"], "the pages include this call's pushes"
    status, answer, _ = sync(server, token, device=me, log=answer["log"], pushes=[],
                             opens=[{"space": space, "since": page["to"], "known": 1}])
    assert status == 200 and answer["current"][0]["cursor"] == page["to"] and answer["pages"] == []
    assert answer["results"] == [] and answer["errors"] == [] and answer["closed"] == []


def test_sync_names_every_outcome_and_every_error(server, user):
    name, token, space = user
    me = unique("device-")
    pushes = [{"id": 1, "after": 0, "space": space, "known": 0, "ops": [op("put", "items", "m", {"qty": "bad"})]},
              {"id": 2, "after": 1, "space": space, "known": 0, "ops": [op("put", "items", "m", {"qty": 1})]},
              {"id": 9, "after": 7, "space": space, "known": 0, "ops": [op("put", "items", "m", {"qty": 2})]},
              {"id": 10, "after": 0, "space": "cart:someoneelse", "known": 0, "ops": [op("put", "items", "m", {})]}]
    status, answer, _ = sync(server, token, device=me, pushes=pushes,
                             opens=[{"space": "cart:someoneelse", "since": None, "known": 0}])
    assert status == 200
    got = {r["id"]: (r["status"], r.get("code")) for r in answer["results"]}
    assert got == {1: ("rejected", "invalid"), 2: ("applied", None), 10: ("rejected", "forbidden")}
    gap = [e for e in answer["errors"] if e.get("id") == 9][0]
    assert gap["code"] == "gap" and gap["after"] == 2
    assert answer["closed"][0]["space"] == "cart:someoneelse" and answer["closed"][0]["purge"] is True


def test_sync_with_another_log_does_nothing_and_names_the_right_one(server, user):
    name, token, space = user
    push = {"id": 1, "after": 0, "space": space, "known": 0, "ops": [op("put", "items", "m", {"qty": 1})]}
    status, answer, _ = sync(server, token, device=unique("device-"), log="another", pushes=[push], opens=[])
    assert status == 409 and answer["code"] == "log" and answer["log"] and "message" in answer
    status, page, _ = call(server, "GET", f"/v1/spaces/{q(space)}/docs", token)
    assert page["docs"] == []


def test_sync_closes_no_other_session_of_the_device(server, user, device):
    name, token, space = user
    d = device(name)
    d.open(space)
    sync(server, token, device=d.id, opens=[{"space": space, "since": None, "known": 0}], pushes=[])
    d.send({"type": "ping"})
    d.wait_type("pong")


def test_a_sync_page_with_more_goes_on_from_its_to(server, user, device):
    name, token, _ = user
    d = device(name)
    space = f"todos:{name}"
    for i in range(60):
        d.push_within_limits(space, [op("put", "todos", f"{i}-{k}", {"title": "x" * 3000}) for k in range(20)])
    d.until(lambda: not d.outbox[space], timeout=30)
    since, docs, calls, me = None, {}, 0, unique("device-")
    while True:
        calls += 1
        status, answer, _ = sync(server, token, device=me, pushes=[], opens=[{"space": space, "since": since, "known": 0}])
        assert status == 200
        for page in answer["pages"]:
            docs |= {doc["id"]: doc["rev"] for doc in page["docs"]}
        since = answer["pages"][-1]["to"]
        if not answer["pages"][-1]["more"]:
            break
        assert calls < 50
    assert len(docs) == 1200


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b'{"device":5}', b'{"device":"device-1","pushes":5}',
                                  b'{"device":"device-1","opens":{}}'])
def test_a_malformed_sync_is_400(server, user, body):
    status, answer, _ = call(server, "POST", "/v1/sync", user[1], body)
    assert status == 400 and set(answer) >= {"code", "message"}


# -- docs, conflicts, push ---------------------------------------------------------------------------


def test_docs_is_a_page_and_since_goes_on(server, user):
    name, token, space = user
    path = f"/v1/spaces/{q(space)}"
    status, done, _ = call(server, "POST", path + "/push", token, {"ops": [op("put", "items", "a", {"qty": 1})]})
    assert status == 200 and done["status"] == "applied" and done["docs"][0]["id"] == "a"
    status, page, _ = call(server, "GET", path + "/docs", token)
    assert status == 200 and [d.body_text for d in page["docs"]] == ['{"qty":1}'] and page["more"] is False
    call(server, "POST", path + "/push", token, {"ops": [op("put", "items", "b", {"qty": 2})]})
    status, page, _ = call(server, "GET", path + f"/docs?since={q(page['to'])}", token)
    assert [d["id"] for d in page["docs"]] == ["b"] and not page.get("reset")
    status, page, _ = call(server, "GET", path + "/docs?collection=checkout", token)
    assert page["docs"] == []
    status, page, _ = call(server, "GET", path + "/docs?limit=1", token)
    assert page["more"] is True and len(page["docs"]) == 1


def test_a_cursor_of_one_collection_leads_to_a_reset_anywhere_else(server, user, device):
    name, token, space = user
    d = device(name)
    d.do(space, op("put", "items", "a", {"qty": 1}), op("put", "checkout", "c", {"x": 1}))
    _, page, _ = call(server, "GET", f"/v1/spaces/{q(space)}/docs?collection=items", token)
    assert [x["id"] for x in page["docs"]] == ["a"]
    d.open(space, since=page["to"])
    assert [f for f in d.seen if f["type"] == "page"][-1]["reset"] is True


def test_a_backends_push_with_a_key_happens_once(server, user):
    name, token, space = user
    path = f"/v1/spaces/{q(space)}/push"
    body = {"ops": [op("incr", "items", "m", field="qty", by=2)], "key": "order-4711"}
    answers = [call(server, "POST", path, token, body) for _ in range(3)]
    assert [status for status, _, _ in answers] == [200] * 3
    assert all(answer["status"] == "applied" for _, answer, _ in answers)
    _, page, _ = call(server, "GET", f"/v1/spaces/{q(space)}/docs", token)
    assert page["docs"][0].body_text == '{"qty":2}'


def test_a_409s_body_is_the_result(server, user):
    name, token, space = user
    path = f"/v1/spaces/{q(space)}/push"
    call(server, "POST", path, token, {"ops": [op("put", "items", "m", {"qty": 1})]})
    status, done, _ = call(server, "POST", path, token, {"ops": [op("put", "items", "m", {"qty": 2}, **{"if": "absent"})]})
    assert status == 409 and done["status"] == "rejected" and done["code"] == "precondition"


def test_a_line_end_in_a_body_over_http_becomes_a_space(server, user, device):
    name, token, space = user
    text = b'{"ops":[{"op":"put","collection":"items","id":"m","body":{\r\n"qty":1,\n"name":"x"}}]}'
    status, done, _ = call(server, "POST", f"/v1/spaces/{q(space)}/push", token, text)
    assert status == 200
    d = device(name)
    d.open(space)
    assert d.body(space, "items", "m") == '{  "qty":1, "name":"x"}'


def test_invalid_and_large_pushes_over_http(server, user):
    name, token, space = user
    path = f"/v1/spaces/{q(space)}/push"
    status, answer, _ = call(server, "POST", path, token, {"ops": [op("put", "items", "m", {"qty": "x"})]})
    assert status == 400 and answer["code"] == "invalid"
    status, answer, _ = call(server, "POST", path, token, {"ops": [op("put", "items", "m", {"x": "y" * 300_000})]})
    assert status == 413 and answer["code"] == "too_large"
    status, answer, _ = call(server, "POST", path, token, b"{" + b" " * 5_000_000 + b"}")
    assert status == 413


def test_conflicts_keep_what_lost_with_its_author(server, user, device):
    name, token, space = user
    a, b = device(name), device(name)
    a.do(space, op("put", "items", "m", {"qty": 1, "name": "won"}))
    b.do(space, op("put", "items", "m", {"qty": 7, "name": "lost"}, age=60_000))
    status, answer, _ = call(server, "GET", f"/v1/spaces/{q(space)}/conflicts", token)
    assert status == 200
    found = {c["field"]: c for c in answer["conflicts"]}
    assert (found["name"]["value"], found["qty"]["value"]) == ("lost", 7)
    for entry in found.values():
        assert (entry["collection"], entry["id"], entry["user"], entry["device"]) == ("items", "m", name, b.id)
        assert isinstance(entry["rev"], int) and isinstance(entry["time"], int)


# -- access and errors --------------------------------------------------------------------------------


@pytest.mark.parametrize("method, path", [
    ("POST", "/v1/sync"), ("GET", "/v1/spaces/cart%3Ax/docs"), ("GET", "/v1/spaces/cart%3Ax/conflicts"),
    ("POST", "/v1/spaces/cart%3Ax/push"), ("GET", "/v1/spaces/chat%3Ax/presence"), ("GET", "/v1/users/x/presence"),
    ("GET", "/v1/devices/device-1/offsets")])
def test_all_but_the_last_two_rows_need_a_token(server, method, path):
    for token in (None, "nonsense", server.token("x", ttl=-3600)):
        status, answer, _ = call(server, method, path, token, {} if method == "POST" else None)
        assert status == 401 and answer["code"] == "unauthenticated" and "message" in answer


def test_strangers_get_403_and_unknown_namespaces_404(server, user):
    name, token, space = user
    for tail in ("docs", "conflicts"):
        assert call(server, "GET", f"/v1/spaces/cart%3Asomeone/{tail}", token)[0] == 403
        status, answer, _ = call(server, "GET", f"/v1/spaces/nosuch%3Ax/{tail}", token)
        assert (status, answer["code"]) == (404, "unknown_space")
    assert call(server, "POST", "/v1/spaces/cart%3Asomeone/push", token, {"ops": []})[0] == 403
    assert call(server, "GET", "/v1/users/someone/presence", token)[0] == 403


# -- presence, offsets --------------------------------------------------------------------------------


def test_presence_over_http(server, device):
    a, b = device(), device()
    space = room(a, b)
    a.open(space, presence=True)
    a.wait_type("presence", space=space)
    status, answer, _ = call(server, "GET", f"/v1/spaces/{q(space)}/presence", a.token)
    assert status == 200 and answer["count"] >= 1 and a.user in [e["user"] for e in answer["here"]]
    assert isinstance(answer["away"], list)
    status, answer, _ = call(server, "GET", f"/v1/users/{q(a.user)}/presence", a.token)
    assert status == 200 and (answer["user"], answer["state"]) == (a.user, "online") and "last_seen" in answer
    nobody = unique("nobody")
    status, answer, _ = call(server, "GET", f"/v1/users/{nobody}/presence", server.token("boss", admin=True))
    assert status == 200 and answer["state"] == "offline"


def test_offsets_are_what_a_device_said_it_has_only_ever_forward(server, device):
    d = device()
    space = f"cart:{d.user}"
    d.open(space)
    old = d.copies[space].cursor
    d.do(space, op("put", "items", "m", {"qty": 1}))
    cursor = d.copies[space].cursor
    for one in (cursor, old):
        d.send({"type": "seen", "space": space, "cursor": one})
    d.barrier(space)
    end = time.monotonic() + 10
    while True:  # they are written in batches
        status, answer, _ = call(server, "GET", f"/v1/devices/{d.id}/offsets", d.token)
        assert status == 200 and answer["device"] == d.id
        if answer["offsets"] == {space: cursor}:
            break
        assert time.monotonic() < end and answer["offsets"] == {}, answer
    status, answer, _ = call(server, "GET", f"/v1/devices/{d.id}/offsets", server.token(unique("other")))
    assert status in (200, 404) and not (answer.get("offsets"))


def test_health_readiness_and_metrics_need_no_token(server):
    assert call(server, "GET", "/healthz")[0] == 200
    assert call(server, "GET", "/readyz")[0] == 200
    status, text, head = call(server, "GET", "/metrics")
    assert status == 200 and "text/plain" in head["Content-Type"]
    for line in text.splitlines():
        assert line.startswith("#") or len(line.rsplit(" ", 1)) == 2 and float(line.rsplit(" ", 1)[1]) is not None
