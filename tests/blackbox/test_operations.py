"""Counters, sets, maxima, append and manual; `if`; equal times; the order of arrival."""

import time

import pytest

from client import op
from test_policies import CART, NOTES, TODOS, WORKOUTS, pair, settle


# -- counters, sets, maxima: never lose anyone's part --------------------------------------------------


def test_counters_of_many_devices_add_up(device):
    space, *all_ = pair(device, CART, 4)
    for n in range(10):
        for one in all_:
            one.push(space, [op("incr", "items", "m", field="qty", by=n % 3)])
    settle(space, *all_)
    assert all_[0].body(space, "items", "m") == '{"qty":36}'


def test_a_counter_is_clamped(device):
    space, a, b = pair(device, CART)
    a.do(space, op("incr", "items", "m", field="qty", by=10, min=0, max=5))
    assert settle(space, a, b)[("items", "m")][1] == '{"qty":5}'
    b.do(space, op("incr", "items", "m", field="qty", by=-100, min=2, max=5))
    assert settle(space, a, b)[("items", "m")][1] == '{"qty":2}'


def test_an_increment_older_than_a_put_still_counts_when_it_comes_after(device):
    """They take effect in the log's order and conflict with nothing but a later put or delete."""
    space, a, b = pair(device, CART)
    a.do(space, op("put", "items", "m", {"name": "x", "qty": 1}, age=60_000))
    b.do(space, op("incr", "items", "m", field="qty", by=2))
    a.do(space, op("patch", "items", "m", {"name": "y"}))
    assert settle(space, a, b)[("items", "m")][1] == '{"name":"y","qty":3}'


def test_a_counter_that_would_leave_int64_is_refused_or_clamped_never_wrapped(device):
    space, a, b = pair(device, TODOS)
    a.do(space, op("incr", "todos", "t", field="n", by=2 ** 53 - 1))
    a.do(space, op("put", "todos", "t", {"n": 9223372036854775800}))
    a.do(space, op("incr", "todos", "t", field="n", by=100))
    body = settle(space, a, b)[("todos", "t")][1]
    assert body in ('{"n":9223372036854775800}', '{"n":9223372036854775807}')


def test_a_counter_on_a_field_that_is_no_integer_is_refused(device):
    space, a, b = pair(device, TODOS)
    a.do(space, op("put", "todos", "t", {"title": "x"}))
    done = b.do(space, op("incr", "todos", "t", field="title", by=1))
    assert (done.status, done.code) == ("rejected", "invalid")
    assert settle(space, a, b)[("todos", "t")][1] == '{"title":"x"}'


def test_sets_keep_everyones_additions_in_order_of_insertion(device):
    space, a, b = pair(device, TODOS)
    a.do(space, op("add", "todos", "t", field="tags", values=["x", "y", "x"]))
    b.do(space, op("add", "todos", "t", field="tags", values=["z", "y"]))
    assert settle(space, a, b)[("todos", "t")][1] == '{"tags":["x","y","z"]}'
    a.do(space, op("remove", "todos", "t", field="tags", values=["x", "nothing"]))
    b.do(space, op("add", "todos", "t", field="tags", values=["x"]))
    assert settle(space, a, b)[("todos", "t")][1] == '{"tags":["y","z","x"]}'


def test_max_keeps_the_greater(device):
    space, a, b = pair(device, TODOS)
    for one, value in ((a, 5), (b, 3), (b, 9), (a, 7)):
        one.do(space, op("max", "todos", "t", field="read", value=value))
    assert settle(space, a, b)[("todos", "t")][1] == '{"read":9}'


def test_operations_of_one_push_apply_in_order_each_on_what_those_before_left(device):
    space, a, b = pair(device, CART)
    a.do(space, op("put", "items", "m", {"qty": 1}), op("incr", "items", "m", field="qty", by=4),
         op("patch", "items", "m", {"name": "n"}), op("delete", "items", "x"),
         op("put", "items", "gone", {"qty": 1}), op("delete", "items", "gone"))
    assert settle(space, a, b) == {("items", "m"): (a.copies[space].docs[("items", "m")]["rev"], '{"qty":5,"name":"n"}')}


# -- append -------------------------------------------------------------------------------------------


def test_appended_documents_have_a_born_rev(device):
    space, a, b = pair(device, WORKOUTS)
    a.do(space, op("append", "samples", "s1", {"t": 1, "bpm": 100}))
    b.do(space, op("append", "samples", "s2", {"t": 2, "bpm": 110}))
    settle(space, a, b)
    for one in (a, b):
        docs = one.copies[space].docs
        assert docs[("samples", "s1")]["born"] < docs[("samples", "s2")]["born"]
        assert docs[("samples", "s1")]["born"] == docs[("samples", "s1")]["rev"]


def test_the_same_append_again_changes_nothing_another_body_is_a_precondition(device):
    space, a, b = pair(device, WORKOUTS)
    a.do(space, op("append", "samples", "s1", {"t": 1, "bpm": 100}))
    assert b.do(space, op("append", "samples", "s1", {"t": 1, "bpm": 100})).status == "applied"
    done = b.do(space, op("append", "samples", "s1", {"t": 1, "bpm": 101}))
    assert (done.status, done.code) == ("rejected", "precondition")
    assert settle(space, a, b)[("samples", "s1")][1] == '{"t":1,"bpm":100}'


def test_an_author_may_change_and_delete_what_he_appended_and_born_stays(device):
    space, a, b = pair(device, WORKOUTS)
    a.do(space, op("append", "samples", "s1", {"t": 1, "bpm": 100}))
    born = a.copies[space].docs[("samples", "s1")]["born"]
    a.do(space, op("patch", "samples", "s1", {"bpm": 90}))
    settle(space, a, b)
    assert b.body(space, "samples", "s1") == '{"t":1,"bpm":90}'
    assert b.copies[space].docs[("samples", "s1")]["born"] == born
    a.do(space, op("delete", "samples", "s1"))
    assert settle(space, a, b) == {}


@pytest.mark.parametrize("space_of, bad", [
    (NOTES, op("incr", "folders", "f", field="n", by=1)), (NOTES, op("add", "folders", "f", field="n", values=[1])),
    (NOTES, op("incr", "notes", "n", field="n", by=1)), (NOTES, op("append", "notes", "n", {"title": "x"})),
    (CART, op("append", "items", "n", {"qty": 1})), (WORKOUTS, op("max", "samples", "n", field="t", value=1)),
    (WORKOUTS, op("remove", "workouts", "n", field="t", values=[1]))], ids=lambda v: v["op"] if isinstance(v, dict) else "")
def test_an_op_where_it_does_not_belong_is_invalid(device, space_of, bad):
    """incr, add, remove, max belong to merge and, with base, manual; append to append."""
    space, a, b = pair(device, space_of)
    done = a.do(space, bad)
    assert (done.status, done.code) == ("rejected", "invalid")
    assert settle(space, a, b) == {}


# -- manual -------------------------------------------------------------------------------------------


def test_manual_who_did_not_know_gets_the_servers_document_and_pushes_again_on_it(device):
    space, a, b = pair(device, NOTES)
    a.do(space, op("put", "notes", "n", {"title": "mine"}))
    b.push(space, [op("put", "notes", "n", {"title": "other"})])
    done = b.outcome(space, 1)
    assert done.status == "conflict"
    doc = done.frame["docs"][0]
    assert doc.body_text == '{"title":"mine"}'
    settle(space, a, b)
    again = b.do(space, op("put", "notes", "n", {"title": "both"}, base=doc["rev"]))
    assert again.status == "applied"
    assert settle(space, a, b)[("notes", "n")][1] == '{"title":"both"}'


def test_manual_a_person_typing_offline_never_conflicts_with_himself(device):
    space, a, b = pair(device, NOTES)
    rev = a.do(space, op("put", "notes", "n", {"title": "1"})).frame["rev"]
    for title in "234":
        assert a.do(space, op("put", "notes", "n", {"title": title}, base=rev)).status == "applied"
    assert settle(space, a, b)[("notes", "n")][1] == '{"title":"4"}'


def test_manual_a_conflict_undoes_the_whole_push(device):
    space, a, b = pair(device, NOTES)
    a.do(space, op("put", "notes", "n", {"title": "mine"}))
    done = b.do(space, op("put", "folders", "f", {"name": "x"}), op("put", "notes", "n", {"title": "other"}))
    assert done.status == "conflict"
    assert list(settle(space, a, b)) == [("notes", "n")]


def test_manual_takes_counters_with_a_base(device):
    space, a, b = pair(device, NOTES)
    rev = a.do(space, op("put", "notes", "n", {"title": "t", "n": 1})).frame["rev"]
    assert b.do(space, op("incr", "notes", "n", field="n", by=2, base=rev)).status == "applied"
    assert settle(space, a, b)[("notes", "n")][1] == '{"title":"t","n":3}'


# -- if -----------------------------------------------------------------------------------------------


def test_if_absent_holds_for_nothing_and_for_what_is_deleted(device):
    space, a, b = pair(device, CART)
    assert a.do(space, op("put", "items", "m", {"qty": 1}, if_="absent")).status == "applied"
    done = b.do(space, op("put", "items", "x", {"qty": 7}), op("put", "items", "m", {"qty": 2}, if_="absent"))
    assert (done.status, done.code) == ("rejected", "precondition")
    assert list(settle(space, a, b)) == [("items", "m")]


def test_if_rev_holds_for_that_rev_alone(device):
    space, a, b = pair(device, CART)
    rev = a.do(space, op("put", "items", "m", {"qty": 1})).frame["rev"]
    assert b.do(space, op("patch", "items", "m", {"qty": 2}, if_=rev)).status == "applied"
    done = a.do(space, op("patch", "items", "m", {"qty": 3}, if_=rev))
    assert (done.status, done.code) == ("rejected", "precondition")
    assert settle(space, a, b)[("items", "m")][1] == '{"qty":2}'


def test_a_refused_push_does_not_hold_back_those_after_it(device):
    space, a, b = pair(device, CART)
    a.push(space, [op("put", "items", "m", {"qty": 1}, if_=7)])
    a.push(space, [op("put", "items", "n", {"qty": 2})])
    assert a.outcome(space, 1).status == "rejected"
    assert a.outcome(space, 2).status == "applied"
    assert list(settle(space, a, b)) == [("items", "n")]


# -- equal times --------------------------------------------------------------------------------------


def contested(space, first, second, n, age):
    """Both put one document, neither knowing; the difference of their true times, ms, None if it can't be told.

    The second's push goes between two others in one message: when those have one time, so has it.
    """
    begin = first.do(space, op("put", "folders", f"f{n}", {"by": first.id})).frame["time"]
    clocks = []
    frames = []
    for ops in ([op("put", "folders", "before", {"n": n})], [op("put", "folders", f"f{n}", {"by": second.id}, age=age)],
                [op("put", "folders", "after", {"n": n})]):
        push_id = second.push(space, ops, send=False)
        frames.append(second.push_frame(space, push_id, push_id - 1))
        clocks.append(push_id)
    second.send(*frames)
    early, late = (second.outcome(space, clocks[k]).frame["time"] for k in (0, 2))
    second.outcome(space, clocks[1])
    return early - age - begin if early == late else None


def test_of_equal_times_the_greater_device_wins(device):
    """Equal times: the greater (user, device id). Ages are guessed until two true times are one."""
    space, one, two = pair(device, NOTES)
    low, high = sorted((one, two), key=lambda d: d.id)
    hit, guess, n, end = {low.id: 0, high.id: 0}, 1, 0, time.monotonic() + 30
    while min(hit.values()) == 0 and time.monotonic() < end:
        n += 1
        first, second = (low, high) if n % 2 else (high, low)
        apart = contested(space, first, second, n, guess)
        if apart is None:
            continue
        guess = max(0, guess + (apart > 0) - (apart < 0))
        hit[first.id] += apart == 0
        winner = high if apart == 0 else second if apart > 0 else first
        one.barrier(space)
        assert one.body(space, "folders", f"f{n}") == '{"by":"%s"}' % winner.id, (n, apart, first.id, second.id)
    assert min(hit.values()) > 0, f"no two edits of one millisecond in {n} rounds: {hit}"
