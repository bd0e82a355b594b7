"""What lies between the topics: outboxes across resets, many devices at once, compression, two ways in."""

import random
import threading
import time

import pytest
from websockets.sync.client import connect

from client import Device, op
from conftest import unique
from test_hostile import handshake
from test_http import call, q, sync
from test_members_access import room, say
from wire import dumps


def test_a_client_that_offers_compression_is_served(server, device):
    d = device(hello=False)
    d.ws = connect(server.ws, subprotocols=["tidegate.v1"], compression="deflate", max_size=None, proxy=None)
    d.hello()
    space = f"todos:{d.user}"
    d.open(space)
    for n in range(20):
        d.do(space, op("put", "todos", "t", {"title": "abc" * 10_000, "n": n}))
    assert d.body(space, "todos", "t") == dumps({"title": "abc" * 10_000, "n": 19})


def test_a_message_in_many_fragments_is_one_message(device):
    d = device()
    d.ws.send(iter(['{"ty', 'pe":"pi', 'ng"}\n{"type":', '"ping"}']))
    d.wait_type("pong")
    d.wait_type("pong")


def test_a_reset_does_not_touch_the_outbox(device):
    a = device()
    b = device(a.user)
    space = f"cart:{a.user}"
    a.open(space)
    a.do(space, op("put", "items", "m", {"qty": 1}))
    b.do(space, op("incr", "items", "m", field="qty", by=1))
    a.disconnect()
    a.push(space, [op("incr", "items", "m", field="qty", by=10)], send=False)
    a.reconnect().open(space, since="gone")
    assert [f for f in a.seen if f["type"] == "page"][-1]["pushed"] == 1
    a.resend(space, after=1)
    assert a.outcome(space, 2).status == "applied"
    a.barrier(space)
    assert a.body(space, "items", "m") == '{"qty":12}'


def test_one_key_from_many_connections_at_once_happens_once(server):
    name = unique("u")
    token, space = server.token(name), f"cart:{name}"
    body = {"ops": [op("incr", "items", "m", field="qty", by=1)], "key": "the-same"}
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(
        call(server, "POST", f"/v1/spaces/{q(space)}/push", token, body)[:2])) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 12 and all(status in (200, 429, 503) for status, _ in answers), answers
    _, page, _ = call(server, "GET", f"/v1/spaces/{q(space)}/docs", token)
    assert page["docs"][0].body_text == '{"qty":1}'


def test_one_push_by_both_ways_in_at_once_happens_once(server, device):
    """A background sync and a live connection of one device, holding the same outbox."""
    d = device()
    space = f"cart:{d.user}"
    d.open(space)
    for _ in range(15):
        push_id = d.push(space, [op("incr", "items", "m", field="qty", by=1)], send=False)
        frame = d.push_frame(space, push_id, push_id - 1, 0)
        got = []
        other = threading.Thread(target=lambda: got.append(sync(server, d.token, device=d.id, pushes=[frame], opens=[])))
        other.start()
        d.send(frame)
        d.outcome(space, push_id)
        other.join()
        status, answer, _ = got[0]
        assert status == 200 and [(r["id"], r["status"]) for r in answer["results"]] == [(push_id, "applied")], answer
    d.barrier(space)
    assert d.body(space, "items", "m") == '{"qty":15}'


def test_pushes_of_one_device_take_effect_in_id_order(device):
    a = device()
    b = device(a.user)
    space = f"notes:{a.user}"
    b.open(space)
    for n in range(60):
        a.push(space, [op("put", "folders", f"f{n}", {"n": n})], known=0)
    a.until(lambda: not a.outbox[space])
    b.barrier(space)
    mine = [f["push"] for f in b.seen if f["type"] == "update"]
    assert mine == list(range(1, 61))


def test_pushes_to_two_spaces_share_the_numbering_and_not_the_chain(device):
    a = device()
    one, two = f"cart:{a.user}", f"notes:{a.user}"
    a.open(one, two)
    for n in range(10):
        a.push(one, [op("incr", "items", "m", field="qty", by=1)])
        a.push(two, [op("put", "folders", "f", {"n": n})])
    a.until(lambda: not a.outbox[one] and not a.outbox[two])
    assert sorted(a.sent[one]) == list(range(1, 21, 2)) and a.body(one, "items", "m") == '{"qty":10}'
    assert a.body(two, "folders", "f") == '{"n":9}'


def test_an_id_below_the_logs_last_that_was_never_here_is_no_silent_success(device):
    a = device()
    space = f"cart:{a.user}"
    a.do(space, op("put", "items", "a", {"qty": 1}), push_id=5)
    a.sent[space][3] = [op("put", "items", "b", {"qty": 1})]
    a.send(a.push_frame(space, 3, 0, 0))
    answer = a.wait_for(lambda f: f["type"] in ("error", "result") and f.get("id") == 3)
    assert answer["type"] == "error" and answer["code"] == "forked" and answer["after"] == 5, answer.raw
    fresh = device(a.user)
    fresh.open(space)
    assert set(fresh.copies[space].live()) == {("items", "a")}


def say_mending(d, space, text):
    """The push of a stranger leaves no trace: the next one's `after` may name nothing, and the gap mends that."""
    push_id = d.push(space, [op("append", "messages", f"{d.id}-{text}", {"text": text})])
    while (space, push_id) not in d.outcomes:
        d.pump(1)
        for error in [f for f in d.inbox if f["type"] == "error"]:
            assert error["code"] == "gap", error.raw
            d.inbox.remove(error)
            d.resend(space, after=error["after"])
    return d.outcomes[(space, push_id)]


def test_members_come_and_go_in_a_busy_room_and_no_secret_gets_out(device):
    rng = random.Random(7)
    owner, *others = [device() for _ in range(5)]
    space = room(owner, *others)
    inside = set(others)
    for n in range(120):
        one = rng.choice(others)
        if rng.random() < 0.25:
            if one in inside:
                assert owner.do(space, op("delete", "members", one.user)).status == "applied"
                inside.remove(one)
                one.wait_type("closed", space=space)
            else:
                assert owner.do(space, op("put", "members", one.user, {"role": "writer"})).status == "applied"
                inside.add(one)
                one.open(space)
        done = say_mending(one, space, f"{n}")
        assert (done.status == "applied") is (one in inside), (n, done)
        owner.barrier(space)
    for one in inside:
        one.barrier(space)
        assert one.copies[space].live() == owner.copies[space].live()


@pytest.mark.parametrize("count", [200])
def test_many_devices_in_one_room_all_hear_everything(device, count):
    owner = device()
    space = room(owner)
    owner.do(space, op("patch", "room", "settings", {"join": "open"}))
    crowd = [device() for _ in range(count)]
    for one in crowd:
        one.open(space)
    for n in range(20):
        say(crowd[n], space, str(n))
    for one in crowd:
        one.until(lambda: len([k for k in one.copies[space].live() if k[0] == "messages"]) == 20)
    assert len({one.copies[space].cursor for one in crowd}) == 1


def test_an_expired_token_ends_in_a_minute_and_a_silent_device_after_two_heartbeats(server):
    """4401 a minute later unless renewed; who but answers pings stays; two heartbeats without a byte from the device: 4408."""
    user = unique("u")
    expired, renewed, idle = (Device(server, user, token=server.token(user, ttl=ttl)) for ttl in (-28, -28, 600))
    silent, name = handshake(server), unique("u")
    silent.sendall(masked(dumps({"type": "hello", "protocol": 1, "token": server.token(name), "device": "device-silent", "client": "t"})))
    heartbeat = expired.welcome["heartbeat"] / 1000
    begin = time.monotonic()
    for one in (expired, renewed):
        assert one.wait_type("error", timeout=15)["code"] == "unauthenticated"
    renewed.send({"type": "auth", "token": server.token(user)})
    silent.settimeout(2.5 * heartbeat + 15)
    got = b""
    while chunk := silent.recv(65536):
        got += chunk
        if b"\x88" in got and (4408).to_bytes(2, "big") in got.rsplit(b"\x88", 1)[1]:
            break
    waited = time.monotonic() - begin
    assert (4408).to_bytes(2, "big") in got and 1.5 * heartbeat < waited < 3.5 * heartbeat, waited
    assert expired.wait_closed(timeout=90) == 4401
    assert 40 < time.monotonic() - begin < 90
    for one in (renewed, idle):
        one.send({"type": "ping"})
        one.wait_type("pong")
        one.disconnect()


def masked(text):
    data = text.encode()
    assert 125 < len(data) < 65536
    return b"\x81\xfe" + len(data).to_bytes(2, "big") + b"\0\0\0\0" + data
