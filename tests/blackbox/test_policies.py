"""Whose edit wins: every policy, by ages, bases, devices, and the log's order."""

import pytest

from client import op


def pair(device, space_of, n=2):
    """n devices of one user with the same space open."""
    first = device()
    space = space_of(first.user)
    devices = [first] + [device(first.user) for _ in range(n - 1)]
    for one in devices:
        one.open(space)
    return space, *devices


def settle(space, *devices):
    """Everybody holds everything; all copies are the same, and so are the server's sums."""
    for _ in range(2):  # the first: everybody's own pushes are in; the second: everybody else's too, whatever gateway they came by
        for one in devices:
            one.barrier(space)
    live = devices[0].copies[space].live()
    for one in devices[1:]:
        assert one.copies[space].live() == live
        assert one.copies[space].cursor == devices[0].copies[space].cursor
    return live


CART, NOTES, TODOS, WORKOUTS = (lambda u, n=n: f"{n}:{u}" for n in ("cart", "notes", "todos", "workouts"))


# -- lww: the later edit wins, as a whole ------------------------------------------------------------


def test_lww_the_edit_made_later_wins_though_it_came_first(device):
    space, a, b = pair(device, NOTES)
    a.do(space, op("put", "folders", "f", {"name": "later"}, age=0))
    done = b.do(space, op("put", "folders", "f", {"name": "earlier", "extra": 1}, age=60_000))
    assert (done.via, done.status, done.code) == ("result", "applied", "lost")
    settle(space, a, b)
    assert b.body(space, "folders", "f") == '{"name":"later"}'


def test_lww_the_edit_made_later_wins_when_it_comes_last(device):
    space, a, b = pair(device, NOTES)
    a.do(space, op("put", "folders", "f", {"name": "earlier"}, age=60_000))
    b.do(space, op("put", "folders", "f", {"name": "later"}, age=30_000))
    settle(space, a, b)
    assert a.body(space, "folders", "f") == '{"name":"later"}'


def test_lww_a_patch_that_wins_keeps_the_other_fields_of_what_it_patched(device):
    space, a, b = pair(device, NOTES)
    a.do(space, op("put", "folders", "f", {"name": "x", "colour": "red"}, age=60_000))
    b.do(space, op("patch", "folders", "f", {"name": "y"}))
    settle(space, a, b)
    assert a.body(space, "folders", "f") == '{"name":"y","colour":"red"}'


def test_lww_a_lost_delete_leaves_the_document(device):
    space, a, b = pair(device, NOTES)
    a.do(space, op("put", "folders", "f", {"name": "x"}))
    done = b.do(space, op("delete", "folders", "f", age=60_000))
    assert done.code == "lost"
    assert settle(space, a, b)[("folders", "f")][1] == '{"name":"x"}'


# -- which edit is later -----------------------------------------------------------------------------


def test_an_edit_that_knew_what_it_replaces_is_later_whatever_its_age(device):
    """One made knowing the value that it replaces always is: its base is at or past that value's rev."""
    space, a, b = pair(device, NOTES)
    rev = a.do(space, op("put", "folders", "f", {"name": "x"})).frame["rev"]
    done = b.do(space, op("put", "folders", "f", {"name": "y"}, age=10 ** 9, base=rev))
    assert done.via == "update"
    assert settle(space, a, b)[("folders", "f")][1] == '{"name":"y"}'


def test_a_base_past_the_newest_rev_counts_as_none(device):
    space, a, b = pair(device, NOTES)
    rev = a.do(space, op("put", "folders", "f", {"name": "x"})).frame["rev"]
    done = b.do(space, op("put", "folders", "f", {"name": "y"}, age=60_000, base=rev + 10 ** 12))
    assert done.code == "lost"


def test_a_device_never_conflicts_with_itself(device):
    """Or the same device wrote both."""
    space, a, b = pair(device, NOTES)
    a.do(space, op("put", "folders", "f", {"name": "x"}, age=0))
    assert a.do(space, op("put", "folders", "f", {"name": "y"}, age=10 ** 9)).via == "update"
    assert settle(space, a, b)[("folders", "f")][1] == '{"name":"y"}'


def test_an_unknown_age_without_a_push_before_is_older_than_all(device):
    space, a, b = pair(device, NOTES)
    a.do(space, op("put", "folders", "f", {"name": "x"}, age=10 ** 12))
    done = b.do(space, op("put", "folders", "f", {"name": "y"}, age=None))
    assert done.code == "lost"
    assert settle(space, a, b)[("folders", "f")][1] == '{"name":"x"}'


def test_an_unknown_age_counts_from_the_devices_last_push_to_the_space(device):
    """`null`: not known, and counts as the time since the device's last push to this space in the log."""
    space, a, b = pair(device, NOTES)
    a.do(space, op("put", "folders", "f", {"name": "x"}, age=3_600_000))
    b.do(space, op("put", "folders", "other", {"name": "o"}))
    assert b.do(space, op("put", "folders", "f", {"name": "y"}, age=None)).via == "update"
    c = device(a.user)
    c.open(space)
    before = c.do(space, op("put", "folders", "other2", {"name": "o"})).frame["time"]
    while a.do(space, op("put", "folders", "g", {"name": "between"})).frame["time"] == before:
        pass  # within one millisecond: equal times are another rule's
    assert c.do(space, op("put", "folders", "g", {"name": "z"}, age=None)).code == "lost"
    live = settle(space, a, b, c)
    assert live[("folders", "f")][1] == '{"name":"y"}' and live[("folders", "g")][1] == '{"name":"between"}'


def test_of_the_whole_old_pushes_of_many_devices_the_youngest_edit_wins(device):
    space, *all_ = pair(device, NOTES, 4)
    ages = [50_000, 10_000, 90_000, 30_000]
    for one, age in zip(all_, ages):
        one.push(space, [op("put", "folders", "f", {"age": age}, age=age)])
    for one in all_:
        one.outcome(space, 1)
    assert settle(space, *all_)[("folders", "f")][1] == '{"age":10000}'


@pytest.mark.parametrize("age", [1.5, "1", 2 ** 53], ids=str)
def test_an_age_that_is_no_integer_is_refused(device, age):
    space, a, b = pair(device, NOTES)
    a.push(space, [op("put", "folders", "f", {"name": "x"}, age=age)])
    a.until(lambda: (space, 1) in a.outcomes or any(f["type"] == "error" for f in a.inbox))
    b.barrier(space)
    assert b.copies[space].live() == {}


def test_what_is_deleted_comes_back_by_a_later_edit_with_what_it_says(device):
    space, a, b = pair(device, CART)
    a.do(space, op("put", "items", "m", {"qty": 1, "name": "Milk"}))
    a.do(space, op("delete", "items", "m"))
    assert settle(space, a, b) == {}
    assert b.copies[space].docs[("items", "m")]["deleted"] is True
    b.do(space, op("patch", "items", "m", {"qty": 3}))
    assert settle(space, a, b)[("items", "m")][1] == '{"qty":3}'


def test_an_edit_older_than_the_delete_does_not_bring_back(device):
    space, a, b = pair(device, CART)
    a.do(space, op("put", "items", "m", {"qty": 1}, age=120_000))
    a.do(space, op("delete", "items", "m"))
    assert b.do(space, op("patch", "items", "m", {"qty": 3}, age=60_000)).code == "lost"
    assert settle(space, a, b) == {}


# -- merge: field by field ---------------------------------------------------------------------------


def test_merge_two_devices_two_fields_both_stay(device):
    space, a, b = pair(device, CART)
    rev = a.do(space, op("put", "items", "m", {"qty": 1, "name": "Milk", "price": 2})).frame["rev"]
    b.until(lambda: b.body(space, "items", "m"))
    a.do(space, op("patch", "items", "m", {"qty": 5}, base=rev))
    b.do(space, op("patch", "items", "m", {"name": "Oat milk"}, base=rev, age=60_000))
    assert settle(space, a, b)[("items", "m")][1] == '{"qty":5,"name":"Oat milk","price":2}'


def test_merge_one_field_the_later_wins_and_the_rest_of_the_push_counts(device):
    space, a, b = pair(device, CART)
    a.do(space, op("put", "items", "m", {"qty": 1}, age=100_000))
    a.do(space, op("patch", "items", "m", {"name": "late"}))
    done = b.do(space, op("patch", "items", "m", {"name": "early", "price": 9}, age=50_000))
    assert done.via == "update"
    assert settle(space, a, b)[("items", "m")][1] == '{"qty":1,"name":"late","price":9}'


def test_merge_null_in_a_patch_removes_the_field(device):
    space, a, b = pair(device, CART)
    a.do(space, op("put", "items", "m", {"qty": 1, "name": "Milk"}))
    a.do(space, op("patch", "items", "m", {"name": None}))
    assert settle(space, a, b)[("items", "m")][1] == '{"qty":1}'


def test_merge_a_put_is_an_edit_of_every_field_those_it_lacks_included(device):
    space, a, b = pair(device, CART)
    rev = a.do(space, op("put", "items", "m", {"qty": 1, "name": "Milk"})).frame["rev"]
    b.do(space, op("put", "items", "m", {"price": 3}, base=rev))
    assert settle(space, a, b)[("items", "m")][1] == '{"price":3}'


def test_merge_a_removal_that_is_earlier_loses_to_a_later_value(device):
    space, a, b = pair(device, CART)
    a.do(space, op("put", "items", "m", {"qty": 1, "name": "Milk"}))
    assert b.do(space, op("patch", "items", "m", {"name": None}, age=60_000)).code == "lost"
    assert settle(space, a, b)[("items", "m")][1] == '{"qty":1,"name":"Milk"}'
