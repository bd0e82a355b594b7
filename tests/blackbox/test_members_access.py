"""Who may: owners' spaces, members and their roles, join, grants, removals, fresh tokens."""

import time

import pytest

from client import op
from conftest import unique


def room(owner, *others, role="writer"):
    """A room founded by `owner`, with the others as members; everyone has it open."""
    space = f"chat:{unique('room')}"
    owner.open(space)
    ops = [op("put", "room", "settings", {"title": "t"})]
    ops += [op("put", "members", other.user, {"role": role}) for other in others]
    assert owner.do(space, *ops).status == "applied"
    for other in others:
        other.open(space)
        assert space in other.copies, other.seen[-1].raw
    return space


def say(d, space, text="hi", **more):
    d.count = getattr(d, "count", 0) + 1
    return d.do(space, op("append", "messages", f"{d.id}-{d.count}", {"text": text}, **more))


def refused_open(d, space, **options):
    d.copies.pop(space, None)
    ref = d.open(space, **options)
    return [f for f in d.seen if f.get("ref") == ref][-1]


# -- owner spaces ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cart:{}", "cart:{}:second", "notes:{}", "todos:{}:a:b", "workouts:{}"])
def test_an_owners_space_is_his_alone(device, name):
    a, stranger = device(), device()
    space = name.format(a.user)
    a.open(space)
    assert space in a.copies
    answer = refused_open(stranger, space)
    assert answer["type"] == "closed" and answer["code"] == "forbidden" and answer["purge"] is True
    collection = {"cart": "items", "notes": "folders", "todos": "todos", "workouts": "workouts"}[space.split(":")[0]]
    done = stranger.do(space, op("put", collection, "x", {}))
    assert (done.status, done.code) == ("rejected", "forbidden")
    a.barrier(space)
    assert a.copies[space].live() == {}


def test_a_users_name_that_begins_like_anothers_reaches_nothing(device):
    a = device()
    longer = device(a.user + "x")
    assert refused_open(longer, f"cart:{a.user}")["type"] == "closed"
    assert refused_open(a, f"cart:{longer.user}")["type"] == "closed"


def test_an_owner_space_may_be_shared_by_members(device):
    a, b, reader = device(), device(), device()
    space = f"todos:{a.user}"
    a.open(space)
    a.do(space, op("put", "members", b.user, {"role": "writer"}), op("put", "members", reader.user, {"role": "reader"}))
    b.open(space)
    reader.open(space)
    assert b.do(space, op("put", "todos", "t", {"title": "x"})).status == "applied"
    assert reader.do(space, op("put", "todos", "u", {"title": "x"})).code == "forbidden"
    assert reader.barrier(space).status == "applied", "a reader may send a barrier"
    reader.until(lambda: reader.body(space, "todos", "t"))


# -- members --------------------------------------------------------------------------------------------


def test_who_first_pushes_becomes_the_owner_by_a_document_in_that_update(device):
    a = device()
    space = f"chat:{unique('room')}"
    a.open(space)
    done = a.do(space, op("append", "messages", "m1", {"text": "hello"}))
    assert done.via == "update"
    a.barrier(space)
    docs = {(d["collection"], d["id"]): d for d in done.frame["docs"]}
    assert '"owner"' in docs[("members", a.user)].body_text
    assert docs[("members", a.user)]["rev"] == done.frame["rev"]
    b = device()
    assert say(b, space).code == "forbidden"


def test_a_barrier_founds_nothing(device):
    a, b = device(), device()
    space = f"chat:{unique('room')}"
    assert a.barrier(space).status == "applied"
    a.open(space)
    assert a.copies[space].docs == {}
    b.open(space)
    assert say(b, space).status == "applied"
    assert b.copies[space].docs[("members", b.user)]


def test_who_opened_a_space_before_it_was_founded_hears_nothing_of_it(device):
    early, twin, owner, guest = device(), device(), device(), device()
    space = f"chat:{unique('early')}"
    for d in (early, twin, owner, guest):
        d.open(space)
        assert space in d.copies, "a space that nobody wrote to opens as empty"
    ops = [op("put", "members", guest.user, {"role": "writer"}), op("append", "messages", "m1", {"text": "secret"})]
    assert owner.do(space, *ops).via == "update", "the founder's own copy needs no healing"
    for d in (early, twin):
        closed = d.wait_type("closed", space=space)
        assert closed["purge"] is True and closed["code"] == "forbidden"
    guest.until(lambda: guest.body(space, "messages", "m1"))
    say(owner, space, "another secret")
    guest.barrier(space)
    for d in (early, twin):
        d.barrier(f"cart:{d.user}")
        assert not any("secret" in f.raw for f in d.seen), "nothing of the room got out"


def test_who_opened_a_space_before_it_was_founded_open_stays(device):
    early, owner = device(), device()
    space = f"chat:{unique('early')}"
    early.open(space)
    owner.open(space)
    assert owner.do(space, op("put", "room", "settings", {"join": "open"})).status == "applied"
    early.until(lambda: early.body(space, "room", "settings"))
    assert say(early, space).status == "applied"


def test_roles_decide(device):
    owner, writer, reader, stranger = device(), device(), device(), device()
    space = room(owner, writer)
    owner.do(space, op("put", "members", reader.user, {"role": "reader"}))
    reader.open(space)
    assert say(writer, space).status == "applied"
    assert say(reader, space).code == "forbidden"
    assert say(stranger, space).code == "forbidden"
    assert refused_open(stranger, space)["purge"] is True
    assert writer.do(space, op("put", "room", "settings", {"title": "mine"})).code == "forbidden", "owners write the room"
    assert writer.do(space, op("put", "members", stranger.user, {"role": "writer"})).code == "forbidden", "owners write"
    assert writer.do(space, op("put", "members", writer.user, {"role": "owner"})).code == "forbidden"
    assert owner.do(space, op("patch", "room", "settings", {"title": "ours"})).status == "applied"
    reader.barrier(space)
    assert reader.body(space, "room", "settings") == '{"title":"ours"}'


def test_self_documents_are_ones_own(device):
    owner, writer = device(), device()
    space = room(owner, writer)
    assert writer.do(space, op("max", "receipts", writer.user, field="read", value=3)).status == "applied"
    assert writer.do(space, op("max", "receipts", owner.user, field="read", value=3)).code == "forbidden"


def test_anothers_message_is_not_theirs_to_change_but_an_owner_may_delete_it(device):
    owner, a, b = device(), device(), device()
    space = room(owner, a, b)
    say(a, space, "first")
    mid = f"{a.id}-1"
    for bad in (op("put", "messages", mid, {"text": "x"}), op("patch", "messages", mid, {"text": "x"}),
                op("delete", "messages", mid)):
        assert b.do(space, bad).code == "forbidden"
    assert owner.do(space, op("patch", "messages", mid, {"text": "x"})).code == "forbidden"
    assert a.do(space, op("patch", "messages", mid, {"text": "second"})).status == "applied"
    assert owner.do(space, op("delete", "messages", mid)).status == "applied"
    b.barrier(space)
    assert b.body(space, "messages", mid) is None


def test_a_member_may_leave_but_not_the_last_owner(device):
    owner, a = device(), device()
    space = room(owner, a)
    assert owner.do(space, op("delete", "members", owner.user)).code == "precondition"
    a.push(space, [op("delete", "members", a.user)])
    a.wait_type("closed", space=space)
    assert refused_open(a, space)["type"] == "closed"
    owner.barrier(space)
    assert owner.body(space, "members", a.user) is None


def test_the_last_owner_may_not_step_down_but_may_once_there_is_another(device):
    owner, a = device(), device()
    space = room(owner, a)
    assert owner.do(space, op("put", "members", owner.user, {"role": "writer"})).status == "rejected"
    assert owner.do(space, op("put", "members", a.user, {"role": "owner"})).status == "applied"
    assert owner.do(space, op("delete", "members", owner.user)).status == "applied"


def test_nothing_with_a_rev_past_a_removal_reaches_the_removed(device):
    owner, a = device(), device()
    space = room(owner, a)
    for i in range(20):
        owner.push(space, [op("append", "messages", f"before{i}", {"text": "x"})])
    out = owner.push(space, [op("delete", "members", a.user)])
    for i in range(20):
        owner.push(space, [op("append", "messages", f"secret{i}", {"text": "x"})])
    rev = owner.outcome(space, out).frame["rev"]
    owner.barrier(space)
    closed = a.wait_type("closed", space=space)
    assert closed["purge"] is True
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        a.pump(end - time.monotonic())
    for frame in a.seen:
        assert frame.get("rev", 0) <= rev, frame.raw
        for doc in frame.get("docs", []):
            assert not doc["id"].startswith("secret"), frame.raw
    assert say(a, space).code == "forbidden"


def test_a_push_in_the_log_stands_whatever_its_maker_lost_since(device):
    """Access is the owner's to judge, after repeats are answered."""
    owner, a = device(), device()
    space = room(owner, a)
    a.push(space, [op("append", "messages", "m", {"text": "x"})], known=0)
    a.outcome(space, 1)
    owner.do(space, op("delete", "members", a.user))
    a.wait_type("closed", space=space)
    a.send(a.push_frame(space, 1, 0, 0))
    assert a.wait_type("result", id=1)["status"] == "applied"


# -- join -----------------------------------------------------------------------------------------------


def test_an_open_room_takes_everyone_signed_in_as_a_writer_until_it_goes_back(device):
    owner, member, guest = device(), device(), device()
    space = room(owner, member)
    assert refused_open(guest, space)["type"] == "closed"
    owner.do(space, op("patch", "room", "settings", {"join": "open"}))
    guest.open(space)
    assert say(guest, space).status == "applied"
    owner.do(space, op("patch", "room", "settings", {"join": "members"}))
    assert guest.wait_type("closed", space=space)["purge"] is True
    assert say(guest, space).code == "forbidden"
    assert say(member, space).status == "applied"


# -- grants ---------------------------------------------------------------------------------------------


def test_grants_of_a_token_add_to_the_rest(device):
    owner, other = device(), device()
    space = room(owner, other)
    reader = device(claims={"spaces": {space: "r"}})
    reader.open(space)
    assert say(reader, space).code == "forbidden"
    writer = device(claims={"spaces": {"chat:*": "rw"}})
    writer.open(space)
    assert say(writer, space).status == "applied"
    assert writer.do(space, op("patch", "room", "settings", {"title": "x"})).code == "forbidden"
    admin = device(claims={"admin": True})
    admin.open(space)
    assert admin.do(space, op("patch", "room", "settings", {"title": "x"})).status == "applied"
    assert admin.do(space, op("put", "members", reader.user, {"role": "writer"})).status == "applied"
    assert say(reader, space).status == "applied"


@pytest.mark.parametrize("pattern", ["ch*:x", "*room", "c*t:*", "chat:*room"])
def test_a_star_stands_only_at_the_end(device, server, pattern):
    """A pattern with a star elsewhere grants nothing (or makes the token bad)."""
    owner = device()
    space = room(owner)
    d = device(hello=False, claims={"spaces": {pattern: "rw"}}).connect()
    d.send({"type": "hello", "protocol": 1, "token": d.token, "device": d.id, "client": "t"})
    if d.wait_type("welcome", "error")["type"] == "welcome":
        assert refused_open(d, space)["type"] == "closed"


def test_a_fresh_token_replaces_the_grants_and_closes_what_it_no_longer_covers(device, server):
    owner, other = device(), device()
    space = room(owner, other)
    d = device(claims={"spaces": {space: "rw"}})
    own = f"cart:{d.user}"
    d.open(space, own)
    assert say(d, space).status == "applied"
    d.send({"type": "auth", "token": server.token(d.user, spaces={space: "r"})})
    assert say(d, space).code == "forbidden"
    d.send({"type": "auth", "token": server.token(d.user)})
    assert d.wait_type("closed", space=space)["purge"] is True
    assert d.do(own, op("put", "items", "m", {"qty": 1})).via == "update", "the others stay open"


def test_a_token_of_another_user_by_auth_is_refused(device, server):
    d = device()
    d.send({"type": "auth", "token": server.token(unique("other"))})
    assert d.wait_type("error")["code"] == "unauthenticated"


def test_the_push_of_a_stranger_leaves_no_trace(device):
    owner, stranger = device(), device()
    space = room(owner)
    cursor = owner.copies[space].cursor
    stranger.push(space, [op("append", "messages", "m", {"text": "x"})], known=0)
    assert stranger.outcome(space, 1).code == "forbidden"
    assert owner.barrier(space).frame["cursor"] == cursor
    owner.do(space, op("put", "members", stranger.user, {"role": "writer"}))
    stranger.open(space)
    assert [f for f in stranger.seen if f["type"] == "page"][-1]["pushed"] == 0
