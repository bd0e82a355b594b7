"""Sums over whole collections; what lost is kept with its author; when docs may be absent."""

import json

import pytest

from client import Raw, op
from conftest import unique
from test_http import call, q
from test_policies import CART, NOTES, TODOS, WORKOUTS, pair, settle


def last_page(d):
    return [f for f in d.seen if f["type"] == "page"][-1]


def conflicts(server, d, space):
    status, answer, _ = call(server, "GET", f"/v1/spaces/{q(space)}/conflicts", d.token)
    assert status == 200
    return answer["conflicts"]


# -- sums -----------------------------------------------------------------------------------------------


def test_the_sum_is_over_every_live_document_of_each_collection(device):
    """The client compares on every last page; here that pages, updates and deletes lead to the same."""
    space, a, b = pair(device, CART)
    for n in range(30):
        a.do(space, op("put", "items", f"é{n}", Raw('{ "qty" : %d }' % n)), op("put", "checkout", "c", {"n": n}))
        if n % 3 == 0:
            a.do(space, op("delete", "items", f"é{n}"))
    settle(space, a, b)
    c = device(a.user)
    c.open(space)
    page = last_page(c)
    assert set(page["sum"]) >= {"items", "checkout"}
    assert page["sum"]["items"] == b.copies[space].sums()["items"] == a.copies[space].sums()["items"]


def test_a_sum_is_told_after_a_part_too(device):
    space, a, b = pair(device, CART)
    a.do(space, *[op("put", "items", f"i{n}", {"qty": n}) for n in range(10)])
    b.barrier(space)
    b.disconnect()
    a.do(space, op("patch", "items", "i3", {"qty": 33}))
    b.reconnect().open(space)
    assert not last_page(b).get("reset") and len(last_page(b)["docs"]) == 1
    assert last_page(b)["sum"]["items"] == a.copies[space].sums()["items"], "of the whole collection"


def test_a_collection_whose_documents_were_all_deleted_sums_to_nothing(device):
    space, a, b = pair(device, CART)
    a.do(space, op("put", "items", "x", {"qty": 1}))
    a.do(space, op("delete", "items", "x"))
    c = device(a.user)
    c.open(space)
    assert last_page(c)["sum"].get("items", "0" * 16) == "0" * 16


def test_a_difference_heals_by_opening_from_nothing(device):
    space, a, b = pair(device, CART)
    a.do(space, op("put", "items", "x", {"qty": 1}), op("put", "items", "y", {"qty": 2}))
    b.barrier(space)
    del b.copies[space].docs[("items", "x")]
    b.open(space, since=None)
    assert last_page(b)["reset"] is True
    assert b.copies[space].live() == a.copies[space].live()


def test_sums_hold_in_every_shipped_namespace(device):
    d = device()
    room = f"chat:{unique('room')}"
    d.open(room)
    for space, ops in (
            (room, [op("append", "messages", "m", {"text": "x"}), op("put", "reactions", "r", {"a": 1}),
                    op("max", "receipts", d.user, field="read", value=4), op("put", "room", "settings", {"title": "t"})]),
            (CART(d.user), [op("incr", "items", "i", field="qty", by=3)]), (NOTES(d.user), [op("put", "notes", "n", {"title": "t"})]),
            (TODOS(d.user), [op("add", "todos", "t", field="tags", values=["a"])]),
            (WORKOUTS(d.user), [op("append", "samples", "s", {"t": 1, "bpm": 2}), op("put", "workouts", "w", {"kind": "run"})])):
        for one in ops:
            assert d.do(space, one).status == "applied", one
        fresh = device(d.user)
        fresh.open(space)
        assert set(last_page(fresh)["sum"]) >= {o["collection"] for o in ops}


# -- conflicts -----------------------------------------------------------------------------------------


def test_a_lost_field_is_kept_and_the_winner_is_not(server, device):
    space, a, b = pair(device, TODOS)
    a.do(space, op("put", "todos", "t", {"done": False}, age=120_000), op("patch", "todos", "t", {"title": "won"}))
    b.do(space, op("patch", "todos", "t", Raw('{"title":"l\\u006fst","more":1.50}'), age=60_000))
    kept = conflicts(server, a, space)
    assert [(c["field"], c["value"], c["device"]) for c in kept] == [("title", "lost", b.id)]


def test_what_was_overwritten_by_a_later_edit_that_did_not_know_it_is_kept_too(server, device):
    space, a, b = pair(device, TODOS)
    a.do(space, op("put", "todos", "t", {"title": "first"}, age=60_000))
    b.do(space, op("put", "todos", "t", {"title": "second"}))
    kept = conflicts(server, a, space)
    assert [(c["value"], c["device"], c["user"]) for c in kept if c["field"] == "title"] == [("first", a.id, a.user)]


def test_what_lost_and_is_older_than_all_is_kept_without_a_time(server, device):
    space, a, b = pair(device, NOTES)
    a.do(space, op("put", "folders", "f", {"n": "won"}))
    assert b.do(space, op("put", "folders", "f", {"n": "lost"}, age=None)).code == "lost"
    assert [(c["field"], c["value"], c["device"], c["time"]) for c in conflicts(server, a, space)] == [(None, {"n": "lost"}, b.id, None)]


def test_who_knew_what_he_replaced_leaves_no_conflict(server, device):
    space, a, b = pair(device, TODOS)
    rev = a.do(space, op("put", "todos", "t", {"title": "first"})).frame["rev"]
    b.do(space, op("put", "todos", "t", {"title": "second"}, base=rev))
    b.do(space, op("patch", "todos", "t", {"title": "third"}))
    assert conflicts(server, a, space) == []


def test_counters_sets_and_maxima_leave_no_conflict(server, device):
    space, a, b = pair(device, TODOS)
    for d in (a, b, a, b):
        d.do(space, op("incr", "todos", "t", field="n", by=1), op("add", "todos", "t", field="tags", values=[d.id]),
             op("max", "todos", "t", field="m", value=3))
    assert conflicts(server, a, space) == []


def test_only_the_newest_thousand_conflicts_are_kept(server, device):
    space, a, b = pair(device, NOTES)
    for n in range(11):
        a.do(space, *[op("put", "folders", f"f{n}-{k}", {"n": "won"}) for k in range(100)])
        b.do(space, *[op("put", "folders", f"f{n}-{k}", {"n": "lost"}, age=60_000) for k in range(100)])
    kept = conflicts(server, a, space)
    assert len(kept) <= 1000
    assert {f"f10-{k}" for k in range(100)} <= {c["id"] for c in kept}


def test_conflicts_survive_a_restart(make_server, device):
    one = make_server().start()
    a = device(on=one)
    b = device(a.user, on=one)
    space = TODOS(a.user)
    a.do(space, op("put", "todos", "t", {"title": "won"}))
    b.do(space, op("put", "todos", "t", {"title": "lost"}, age=60_000))
    before = conflicts(one, a, space)
    assert len(before) == 1
    assert one.stop() == 0
    one.start()
    assert conflicts(one, a, space) == before


def test_a_put_is_an_edit_of_the_fields_it_lacks_too(server, device):
    """An earlier edit of a field that a later put lacks loses to it, and is kept."""
    space, a, b = pair(device, TODOS)
    a.do(space, op("put", "todos", "t", {"title": "won"}))
    assert b.do(space, op("patch", "todos", "t", {"more": 1}, age=60_000)).code == "lost"
    assert [(c["field"], c["value"]) for c in conflicts(server, a, space)] == [("more", 1)]


# -- docs of updates and results -------------------------------------------------------------------------


def test_another_device_always_gets_the_docs(device):
    space, a, b = pair(device, WORKOUTS)
    a.do(space, op("put", "workouts", "w", {"kind": "run"}))
    a.do(space, op("append", "samples", "s", {"t": 1}))
    a.do(space, op("delete", "workouts", "w"))
    b.barrier(space)
    assert all("docs" in f for f in b.seen if f["type"] == "update")


@pytest.mark.parametrize("ops", [
    [op("patch", "todos", "t", {"title": "x"})], [op("incr", "todos", "t", field="n", by=1)],
    [op("put", "todos", "u", {"a": 1}), op("max", "todos", "u", field="m", value=1)]], ids=["patch", "incr", "put and max"])
def test_docs_are_told_to_the_author_too_where_he_cannot_know(device, ops):
    space, a, b = pair(device, TODOS)
    a.do(space, op("put", "todos", "t", {"title": "old", "n": 4}))
    done = a.do(space, *ops)
    assert "docs" in done.frame and done.frame["docs"]


def test_a_put_that_won_only_in_part_comes_with_its_docs(device):
    space, a, b = pair(device, TODOS)
    a.do(space, op("put", "todos", "t", {}, age=120_000), op("patch", "todos", "t", {"title": "late"}))
    done = b.do(space, op("put", "todos", "t", {"title": "early", "more": 1}, age=60_000))
    assert done.via == "update" and json.loads(done.frame["docs"][0].body_text) == {"title": "late", "more": 1}


def test_a_result_names_the_servers_documents(device):
    space, a, b = pair(device, TODOS)
    a.do(space, op("put", "todos", "t", {"title": "here"}))
    done = b.do(space, op("put", "todos", "t", {"title": "x"}, if_="absent"))
    assert done.status == "rejected" and [d["id"] for d in done.frame["docs"]] == ["t"]
    assert done.frame["at"] == a.copies[space].newest
    assert done.frame["cursor"] == b.copies[space].cursor, "after everything up to cursor"
