"""Who is here, and what is told only to those who are."""

import time

import pytest

from client import op
from test_members_access import refused_open, room


def here(d, space):
    """The state after all presence frames so far: user -> entry."""
    state = {}
    for frame in d.seen:
        if frame["type"] != "presence" or frame["space"] != space:
            continue
        if "here" in frame:
            assert len(frame["here"]) <= 200 and isinstance(frame["count"], int)
            state = {e["user"]: e for e in frame["here"]}
        for entry in frame.get("join", []):
            state[entry["user"]] = entry
        for entry in frame.get("leave", []):
            state.pop(entry["user"], None)
    return state


def listen(d, space, **extra):
    d.open(space, presence=True, **extra)
    first = d.wait_type("presence", space=space)
    assert "here" in first and "count" in first, "`here` and `count` first"
    return first


def quiet(d, seconds):
    """Takes in whatever comes for that long: to see that something does not."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        d.pump(end - time.monotonic())


def test_here_comes_first_ones_own_user_included(device):
    a = device()
    space = room(a)
    listen(a, space)
    a.until(lambda: a.user in here(a, space), what="oneself")
    entry = here(a, space)[a.user]
    assert entry["devices"] == 1 and entry["state"] == "online"


def test_a_join_and_after_ten_seconds_a_leave(device):
    a, b = device(), device()
    space = room(a, b)
    listen(a, space)
    b.open(space, presence=True)
    a.until(lambda: b.user in here(a, space), what="the join")
    b.disconnect()
    begin = time.monotonic()
    a.until(lambda: b.user not in here(a, space), timeout=25, what="the leave")
    assert time.monotonic() - begin > 8, "a return within 10 s shows as neither"


def test_a_return_within_ten_seconds_shows_as_neither(device):
    a, b = device(), device()
    space = room(a, b)
    listen(a, space)
    b.open(space, presence=True)
    a.until(lambda: b.user in here(a, space))
    begin = len(a.seen)
    b.reconnect().open(space, presence=True)
    quiet(a, 12)
    for frame in a.seen[begin:]:
        if frame["type"] == "presence":
            users = [e["user"] for e in frame.get("leave", [])]
            assert b.user not in users, frame.raw


def test_two_devices_of_a_user_are_one_entry(device):
    a, b = device(), device()
    space = room(a, b)
    b2 = device(b.user)
    listen(a, space)
    b2.open(space, presence=True)
    b.open(space, presence=True)
    a.until(lambda: here(a, space).get(b.user, {}).get("devices") == 2, what="two devices")


def test_meta_is_the_newest_of_the_devices_and_its_change_comes_as_a_join(device):
    a, b = device(), device()
    space = room(a, b)
    listen(a, space)
    b.open(space, presence=True, meta={"colour": "red"})
    a.until(lambda: here(a, space).get(b.user, {}).get("meta") == {"colour": "red"}, what="the meta")
    b.open(space, presence=True, meta={"colour": "blue"})
    a.until(lambda: here(a, space).get(b.user, {}).get("meta") == {"colour": "blue"}, what="the new meta")


def test_who_leaves_takes_his_meta_along(device):
    a, b = device(), device()
    second = device(b.user)
    space = room(a, b)
    listen(a, space)
    b.open(space, meta={"on": "laptop"})
    a.until(lambda: here(a, space).get(b.user, {}).get("meta") == {"on": "laptop"})
    second.open(space, meta={"on": "phone"})
    a.until(lambda: here(a, space)[b.user]["meta"] == {"on": "phone"})
    second.disconnect()
    a.until(lambda: here(a, space)[b.user]["meta"] == {"on": "laptop"}, what="the meta of the device that stays")
    assert here(a, space)[b.user]["devices"] == 1


def test_a_meta_belongs_to_the_spaces_of_its_open(device):
    a, b = device(), device()
    one, other, third = room(a, b), room(a, b), room(a, b)
    for space in (one, other, third):
        b.send({"type": "close", "space": space})
        listen(a, space)
    b.open(one, meta={"typing": True})
    b.open(other)
    b.open(third, meta={"of": "third"})
    a.until(lambda: b.user in here(a, one) and b.user in here(a, other) and b.user in here(a, third))
    quiet(a, 2.5)
    assert [here(a, space)[b.user]["meta"] for space in (one, other, third)] == [{"typing": True}, {}, {"of": "third"}]


def test_a_background_session_does_not_make_its_user_look_online(device):
    a, b = device(), device(background=True)
    space = f"chat:{a.user}"
    a.open(space)
    a.do(space, op("put", "members", b.user, {"role": "writer"}))
    listen(a, space)
    b.open(space, presence=True)
    quiet(a, 3)
    assert b.user not in here(a, space)


def test_at_most_one_frame_a_second(device):
    a = device()
    others = [device() for _ in range(6)]
    space = room(a, *others)
    listen(a, space)
    a.arrivals = []
    end = time.monotonic() + 4
    for n, one in enumerate(others * 2):
        one.open(space, presence=True, meta={"n": n})
        before = len([f for f in a.seen if f["type"] == "presence"])
        a.pump(0.3)
        if len([f for f in a.seen if f["type"] == "presence"]) > before:
            a.arrivals.append(time.monotonic())
    while time.monotonic() < end:
        before = len([f for f in a.seen if f["type"] == "presence"])
        a.pump(end - time.monotonic())
        if len([f for f in a.seen if f["type"] == "presence"]) > before:
            a.arrivals.append(time.monotonic())
    gaps = [later - earlier for earlier, later in zip(a.arrivals, a.arrivals[1:])]
    assert a.arrivals and all(gap > 0.8 for gap in gaps), gaps
    assert set(here(a, space)) >= {one.user for one in others}


def test_a_signal_reaches_the_others_who_have_the_space_open_now(device):
    a, b, c = device(), device(), device()
    space = room(a, b, c)
    b2 = device(b.user)
    b2.open(space)
    c.send({"type": "close", "space": space})
    c.barrier(space)
    a.send({"type": "signal", "space": space, "body": {"typing": True}})
    for one in (b, b2):
        got = one.wait_type("signal", space=space)
        assert (got["user"], got["device"], got["body"]) == (a.user, a.id, {"typing": True})
    quiet(a, 0.5)
    quiet(c, 0.2)
    assert not [f for f in a.seen + c.seen if f["type"] == "signal"]


def test_a_signal_needs_the_space_open(device):
    a, b = device(), device()
    space = room(a, b)
    stranger = device()
    refused_open(stranger, space)
    stranger.send({"type": "signal", "space": space, "body": {"x": 1}})
    a.send({"type": "close", "space": space})
    a.barrier(space)
    a.send({"type": "signal", "space": space, "body": {"x": 2}})
    quiet(b, 0.7)
    assert not [f for f in b.seen if f["type"] == "signal"]


def test_a_signal_is_never_stored(device):
    a, b = device(), device()
    space = room(a, b)
    a.send({"type": "signal", "space": space, "body": {"x": 1}})
    b.wait_type("signal")
    cursor = b.copies[space].cursor
    b.reconnect().open(space)
    quiet(b, 0.3)
    assert b.copies[space].cursor == cursor and len([f for f in b.seen if f["type"] == "signal"]) == 1


@pytest.mark.parametrize("namespace", ["cart", "todos"])
def test_without_presence_in_the_namespace_nothing_is_told(device, namespace):
    a = device()
    space = f"{namespace}:{a.user}"
    a.open(space, presence=True)
    quiet(a, 1.5)
    told = [f for f in a.seen if f["type"] == "presence"]
    assert not any(f.get("here") or f.get("join") for f in told), told
