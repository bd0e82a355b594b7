"""The least a device needs: hello, open, push, the outcomes, and how they come when sent again."""

import pytest
import websockets.exceptions

from client import op


def cart(user):
    return f"cart:{user}"


def test_welcome_tells_all_it_promises(device):
    d = device()
    w = d.welcome
    assert w["user"] == d.user and w["device"] == d.id
    assert isinstance(w["session"], (str, int)) and isinstance(w["log"], str) and w["log"]
    assert isinstance(w["time"], int) and isinstance(w["heartbeat"], int) and w["heartbeat"] > 0
    for name in ("frame", "document", "ops", "inflight", "spaces", "rate"):
        assert name in w["limits"], name


def test_an_upgrade_without_the_subprotocol_is_400(device):
    d = device(hello=False)
    with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
        d.connect(protocols=())
    assert refused.value.response.status_code == 400


def test_a_bad_token_in_the_header_of_the_upgrade_is_401(device):
    with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
        device(hello=False).connect(headers={"Authorization": "Bearer nonsense"})
    assert refused.value.response.status_code == 401


def test_a_bad_token_in_the_query_of_the_upgrade_is_unauthenticated_and_4401(device):
    """A browser, which sets no header, is told nothing of a refused upgrade: its page would take it for a network that failed."""
    d = device(hello=False).connect(query="?access_token=nonsense")
    d.send({"type": "hello", "protocol": 1, "device": d.id, "client": "t"})
    assert d.wait_type("error")["code"] == "unauthenticated"
    assert d.wait_closed() == 4401


def test_a_good_token_in_the_hello_stands_in_for_a_bad_one_at_the_upgrade(device):
    d = device(hello=False).connect(query="?access_token=nonsense")
    assert d.hello().welcome["user"] == d.user


def test_a_token_may_come_as_header_or_in_the_query(server, device):
    for headers, query in (({"Authorization": "Bearer %s"}, ""), (None, "?access_token=%s")):
        d = device(hello=False)
        headers = headers and {k: v % d.token for k, v in headers.items()}
        d.connect(query=query % d.token if query else "", headers=headers)
        d.send({"type": "hello", "protocol": 1, "device": d.id, "client": "t"})
        assert d.wait_type("welcome")["user"] == d.user


@pytest.mark.parametrize("first", [
    {"type": "hello", "protocol": 1, "token": "nonsense", "device": "device-123", "client": "t"},
    {"type": "hello", "protocol": 1, "device": "device-123", "client": "t"},
    {"type": "ping"},
    {"type": "open", "ref": 1, "spaces": []},
], ids=["bad token", "no token", "ping", "open"])
def test_any_other_first_frame_or_a_bad_token_is_unauthenticated_and_4401(device, first):
    d = device(hello=False).connect()
    d.send(first)
    assert d.wait_type("error")["code"] == "unauthenticated"
    assert d.wait_closed() == 4401


@pytest.mark.parametrize("change", [
    {"protocol": 2}, {"protocol": "1"}, {"device": "short"}, {"device": "has space in it"}, {"device": "x" * 65},
    {"device": 5}, {"background": "yes"}, {"client": 5}, {"token": 5}], ids=str)
def test_a_malformed_hello_or_another_protocol_is_bad_frame_and_4400(device, change):
    d = device(hello=False).connect()
    d.send({"type": "hello", "protocol": 1, "token": d.token, "device": d.id, "client": "t"} | change)
    assert d.wait_type("error")["code"] == "bad_frame"
    assert d.wait_closed() == 4400


def test_a_second_hello_is_bad_frame_and_the_connection_lives(device):
    d = device()
    d.send({"type": "hello", "protocol": 1, "token": d.token, "device": d.id, "client": "t"})
    assert d.wait_type("error")["code"] == "bad_frame"
    d.send({"type": "ping"})
    d.wait_type("pong")


def test_an_unknown_type_is_bad_frame_and_the_connection_lives(device):
    d = device()
    d.send({"type": "no-such-thing", "x": 1})
    assert d.wait_type("error")["code"] == "bad_frame"
    d.send({"type": "ping", "unknown": "members are ignored"})
    d.wait_type("pong")


def test_many_frames_in_one_message_are_each_answered(device):
    d = device()
    d.send({"type": "ping"}, {"type": "ping"}, {"type": "ping"})
    for _ in range(3):
        d.wait_type("pong")


def test_an_untouched_space_opens_as_empty(device):
    d = device()
    d.open(cart(d.user))
    copy = d.copies[cart(d.user)]
    assert copy.docs == {} and isinstance(copy.cursor, str)
    assert copy.window == 90 * 86400


def test_a_push_comes_to_both_devices_of_a_user_in_one_chain(device):
    a = device()
    b = device(a.user)
    space = cart(a.user)
    a.open(space)
    b.open(space)
    for n in range(5):
        assert a.do(space, op("put", "items", "milk", {"qty": n, "name": "Milk"})).status == "applied"
    b.until(lambda: b.body(space, "items", "milk") == '{"qty":4,"name":"Milk"}')
    update = [f for f in b.seen if f["type"] == "update"][-1]
    assert (update["user"], update["device"], update["push"]) == (a.user, a.id, 5)
    assert a.copies[space].cursor == b.copies[space].cursor
    assert a.copies[space].live() == b.copies[space].live()
    revs = [f["rev"] for f in b.seen if f["type"] == "update"]
    assert revs == sorted(set(revs))


def test_an_open_after_the_fact_gets_the_state_in_a_page_then_current(device):
    a = device()
    space = cart(a.user)
    a.open(space)
    a.do(space, op("put", "items", "a", {"qty": 1}), op("put", "items", "b", {"qty": 2}))
    a.do(space, op("delete", "items", "a"))
    b = device(a.user)
    b.open(space)
    pages = [f for f in b.seen if f["type"] == "page"]
    assert all(p["reset"] is True for p in pages) and pages[0]["from"] is None
    assert b.copies[space].live() == a.copies[space].live() and len(b.copies[space].live()) == 1
    b.reconnect().open(space)
    assert b.seen[-1]["type"] == "current"


def test_once_opens_nothing_that_lasts(device):
    a = device()
    space = cart(a.user)
    b = device(a.user)
    a.open(space)
    a.do(space, op("put", "items", "a", {"qty": 1}))
    b.open(space, mode="once")
    assert b.body(space, "items", "a") == '{"qty":1}'
    a.do(space, op("put", "items", "a", {"qty": 2}))
    done = b.do(space)
    assert done.via == "result", "a push to a space that is not open is answered by a result"
    assert not [f for f in b.seen if f["type"] == "update"]


def test_a_barrier_is_answered_by_a_result_and_moves_no_cursor(device):
    d = device()
    space = cart(d.user)
    d.open(space)
    d.do(space, op("put", "items", "a", {"qty": 1}))
    before = d.copies[space].cursor
    done = d.barrier(space)
    assert done.via == "result" and done.frame["cursor"] == before and isinstance(done.frame["at"], int)
    assert d.copies[space].cursor == before


def test_an_ack_names_pushes_that_are_in_the_log(device):
    d = device()
    space = cart(d.user)
    d.push(space, [op("put", "items", "a", {"qty": 1})])
    first = d.wait_type("ack", "result", space=space)
    assert first["id"] == 1


def test_a_push_to_a_space_that_is_not_open_gets_a_result(device):
    d = device()
    space = cart(d.user)
    done = d.do(space, op("put", "items", "a", {"qty": 1}))
    assert done.via == "result" and done.status == "applied"
    assert done.frame["docs"][0].body_text == '{"qty":1}' and done.frame["docs"][0]["rev"] <= done.frame["at"]


def test_a_push_sent_again_changes_nothing_and_is_answered(device, known=0):
    """Sending the same push again is always safe, and is answered with its outcome (while it has not said that it knows it:
    after that it has left the outbox, and its number can only come from an old backup)."""
    d = device()
    space = cart(d.user)
    d.open(space)
    d.do(space, op("put", "items", "a", {"qty": 1}), known=known)
    d.do(space, op("incr", "items", "a", field="qty", by=5), known=known)
    cursor = d.copies[space].cursor
    for push_id in (1, 2):
        d.send(d.push_frame(space, push_id, push_id - 1, known))
        again = d.wait_type("result", "error", id=push_id)
        assert again["type"] == "result" and again["status"] == "applied" and again["space"] == space, again
    assert d.barrier(space).frame["cursor"] == cursor
    assert d.body(space, "items", "a") == '{"qty":6}'


def test_age_and_base_may_differ_in_a_repeat(device):
    d = device()
    space = cart(d.user)
    d.do(space, op("put", "items", "a", {"qty": 1}, age=5, base=0))
    d.sent[space][1] = [op("put", "items", "a", {"qty": 1}, age=9000, base=1)]
    d.send(d.push_frame(space, 1, 0))
    assert d.wait_type("result", id=1)["status"] == "applied"


def test_a_gap_names_the_last_id_that_the_log_has(device):
    d = device()
    space = cart(d.user)
    d.do(space, op("put", "items", "a", {"qty": 1}))
    d.push(space, [op("put", "items", "b", {"qty": 2})], send=False)
    d.push(space, [op("put", "items", "c", {"qty": 3})])
    error = d.wait_type("error", code="gap")
    assert (error["id"], error["space"], error["after"]) == (3, space, 1)
    d.resend(space, after=1)
    assert d.outcome(space, 2).status == d.outcome(space, 3).status == "applied"


def test_an_id_used_for_something_else_is_forked(device):
    d = device()
    space = cart(d.user)
    d.do(space, op("put", "items", "a", {"qty": 1}))
    d.do(space, op("put", "items", "a", {"qty": 2}))
    d.sent[space][2] = [op("put", "items", "a", {"qty": 3})]
    d.send(d.push_frame(space, 2, 1))
    error = d.wait_type("error", code="forked")
    assert (error["space"], error["id"], error["after"]) == (space, 2, 2)
    d.open(space)
    assert d.body(space, "items", "a") == '{"qty":2}'


@pytest.mark.parametrize("space", ["nosuch:thing", "cart", "Cart:x", "cart:", "cart:a b", "cart:" + "x" * 444])
def test_unknown_namespaces_and_malformed_names_are_refused_by_the_gateway(device, space):
    """A `result` too, without `cursor` and `at`, that never enters the log."""
    d = device()
    done = d.do(space, op("put", "items", "a", {"qty": 1}))
    assert done.status == "rejected" and done.code in ("unknown_space", "invalid")
    if space == "nosuch:thing":
        assert done.code == "unknown_space"
    assert "cursor" not in done.frame and "at" not in done.frame


def test_an_open_of_an_unknown_namespace_is_answered(device):
    d = device()
    d.open("nosuch:thing")
    answer = [f for f in d.seen if f.get("space") == "nosuch:thing"][-1]
    assert answer["type"] in ("closed", "error") and answer["code"] == "unknown_space"


def test_the_same_device_again_closes_the_older_with_4409(device):
    a = device()
    b = device(a.user, device=a.id)
    assert a.wait_closed() == 4409
    b.send({"type": "ping"})
    b.wait_type("pong")


def test_one_device_id_under_two_users_is_two_devices(device):
    a = device()
    b = device(device=a.id)
    a.send({"type": "ping"})
    a.wait_type("pong")
    b.send({"type": "ping"})
    b.wait_type("pong")


def test_close_unsubscribes(device):
    a = device()
    b = device(a.user)
    space = cart(a.user)
    a.open(space)
    b.open(space)
    b.send({"type": "close", "space": space})
    done = b.do(space, op("put", "items", "z", {"qty": 9}))
    assert done.via == "result", "the space is not open here any more"
    a.until(lambda: a.body(space, "items", "z") == '{"qty":9}')


def test_a_space_opened_twice_answers_the_newest_ref(device):
    a = device()
    space = cart(a.user)
    a.open(space)
    a.do(space, op("put", "items", "a", {"qty": 1}))
    a.open(space)
    a.open(space, since=None)
    a.do(space, op("put", "items", "a", {"qty": 2}))
    assert a.body(space, "items", "a") == '{"qty":2}'


def test_no_hello_within_ten_seconds_ends_the_connection(device):
    d = device(hello=False).connect()
    assert d.wait_closed(timeout=20) == 4401


def test_pings_of_the_websocket_are_answered(device):
    d = device()
    assert d.ws.ping().wait(5)
