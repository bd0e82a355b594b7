"""Coming back: within the window only what changed, after it a reset; the outbox untouched by both."""

import json
import time

import pytest

from client import op


def namespace(name, window, **changes):
    return {"namespace": name, "version": 1, "access": "owner", "window": window, "presence": False,
            "collections": {"docs": {"policy": "merge"}, "words": {"policy": "lww"},
                            "late": {"policy": "lww", "order": "arrival"}, "lines": {"policy": "append"},
                            "own": {"policy": "lww", "write": "self"}}} | changes


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A server whose namespaces are the test's own: `short` keeps 2 seconds, `long` a day."""
    from conftest import Server
    folder = tmp_path_factory.mktemp("namespaces")
    for name, window in (("short", "2s"), ("long", "1d")):
        (folder / f"{name}.json").write_text(json.dumps(namespace(name, window)))
    one = Server(namespaces=folder).start()
    yield one
    one.destroy()


@pytest.fixture
def on(quick, device):
    return lambda user=None, **options: device(user, on=quick, **options)


def test_namespaces_are_in_place_of_those_that_ship(on):
    d = on()
    assert d.do(f"cart:{d.user}", op("put", "items", "x", {"qty": 1})).code == "unknown_space"
    d.open(f"short:{d.user}", f"long:{d.user}")
    assert d.copies[f"short:{d.user}"].window == 2 and d.copies[f"long:{d.user}"].window == 86400


def test_order_arrival_lets_the_logs_order_decide(on):
    a = on()
    b = on(a.user)
    space = f"long:{a.user}"
    a.open(space)
    b.open(space)
    a.do(space, op("put", "late", "x", {"n": 1}))
    assert b.do(space, op("put", "late", "x", {"n": 2}, age=10 ** 9)).via == "update"
    a.barrier(space)
    assert a.body(space, "late", "x") == '{"n":2}'


def test_within_the_window_only_what_changed_comes(on):
    a = on()
    b = on(a.user)
    space = f"long:{a.user}"
    a.open(space)
    b.open(space)
    a.do(space, *[op("put", "docs", f"d{i}", {"n": i}) for i in range(20)])
    b.barrier(space)
    b.disconnect()
    a.do(space, op("patch", "docs", "d3", {"n": 33}))
    a.do(space, op("patch", "docs", "d3", {"n": 34}), op("delete", "docs", "d4"))
    b.reconnect().open(space)
    pages = [f for f in b.seen if f["type"] == "page"][1:]
    assert not any(p.get("reset") for p in pages)
    told = {d["id"]: d for p in pages for d in p["docs"]}
    assert set(told) == {"d3", "d4"}, "each document once, its newest state, deletions included"
    assert told["d3"].body_text == '{"n":34}' and told["d4"]["deleted"] is True
    assert b.copies[space].live() == a.copies[space].live()


def test_after_the_window_a_reset_drops_what_was_deleted_meanwhile(on):
    a = on()
    b = on(a.user)
    space = f"short:{a.user}"
    a.open(space)
    b.open(space)
    a.do(space, op("put", "docs", "stays", {"n": 1}), op("put", "docs", "goes", {"n": 1}))
    b.barrier(space)
    b.disconnect()
    a.do(space, op("delete", "docs", "goes"))
    time.sleep(5)
    c = on(a.user)
    c.do(space, op("put", "docs", "new", {"n": 1}))
    a.until(lambda: ("docs", "new") in a.copies[space].live())
    b.reconnect().open(space)
    assert set(b.copies[space].live()) == {("docs", "stays"), ("docs", "new")}
    assert b.copies[space].live() == a.copies[space].live()


def test_after_twice_the_window_a_device_is_not_known_and_its_next_push_gaps(on):
    """What the log knows of a device is kept for twice the window after its last push."""
    a = on()
    other = on(a.user)
    space = f"short:{a.user}"
    a.do(space, op("put", "docs", "x", {"n": 1}))
    time.sleep(6.5)
    other.do(space, op("put", "docs", "y", {"n": 1}))
    a.push(space, [op("put", "docs", "z", {"n": 1})])
    a.until(lambda: (space, 2) in a.outcomes or any(f["type"] == "error" for f in a.inbox))
    errors = [f for f in a.inbox if f["type"] == "error"]
    if errors:
        assert errors[0]["code"] == "gap" and errors[0]["after"] == 0
        a.send(a.push_frame(space, 2, 0))
    assert a.outcome(space, 2).status == "applied"


@pytest.mark.parametrize("since", ["", "nonsense", "x" * 300, "mwusayzr-lgsoaek9nt.4e14ea27fdfc462f.1"])
def test_an_unknown_cursor_leads_to_a_reset_never_to_a_gap(on, since):
    a = on()
    b = on(a.user)
    space = f"long:{a.user}"
    a.do(space, op("put", "docs", "x", {"n": 1}))
    b.open(space, since=since)
    page = [f for f in b.seen if f["type"] == "page"][0]
    assert page["reset"] is True and page["from"] is None
    assert set(b.copies[space].live()) == {("docs", "x")}


def test_another_spaces_cursor_leads_to_a_reset(on):
    a = on()
    one, two = f"long:{a.user}", f"long:{a.user}:2"
    a.open(one, two)
    a.do(one, op("put", "docs", "x", {"n": 1}))
    a.do(two, op("put", "docs", "y", {"n": 1}))
    a.open(one, since=a.copies[two].cursor)
    assert [f for f in a.seen if f["type"] == "page"][-1]["reset"] is True
    assert set(a.copies[one].live()) == {("docs", "x")}


def test_another_logs_cursor_leads_to_a_reset_and_welcome_names_the_log(on, device, server):
    a = on()
    space = f"long:{a.user}"
    a.open(space)
    a.do(space, op("put", "docs", "x", {"n": 1}))
    foreign = device()
    assert foreign.welcome["log"] != a.welcome["log"]
    foreign.open(f"cart:{foreign.user}", since=a.copies[space].cursor)
    assert [f for f in foreign.seen if f["type"] == "page"][-1]["reset"] is True


def test_the_last_page_tells_the_outcome_of_pushes_sent_before_the_wire_broke(on):
    a = on()
    space = f"long:{a.user}"
    a.open(space)
    a.do(space, op("put", "docs", "x", {"n": 1}))
    for n in range(10):
        a.push(space, [op("incr", "docs", "x", field="n", by=1)])
    a.push(space, [op("put", "docs", "x", {"n": 0}, if_=1)], known=1)
    a.wait_type("ack", id=12)
    a.outbox[space] = {i: ops for i, ops in a.sent[space].items() if i > 1}
    a.answered[space], a.outcomes = {1}, {}
    a.copies[space].cursor, a.copies[space].docs = None, {}
    a.reconnect().open(space)
    assert not a.outbox[space]
    assert a.outcomes[(space, 12)].code == "precondition", "refused: those up to pushed and after known"
    assert a.outcomes[(space, 5)].status == "applied"
    assert a.body(space, "docs", "x") == '{"n":11}'


def test_a_refusal_is_kept_until_the_known_of_a_later_push(on):
    a = on()
    space = f"long:{a.user}"
    bad = a.push(space, [op("put", "docs", "x", {"n": 1}, if_=99)], known=0)
    a.outcome(space, bad)

    def refused(known):
        a.answered[space] = set(range(1, known + 1))
        a.copies.pop(space, None)
        a.open(space)
        page = [f for f in a.seen if f["type"] == "page"][-1]
        return [entry["id"] for entry in page["refused"]]
    assert refused(0) == [bad] == refused(0)
    assert refused(1) == [], "an open's `known` only shapes the answer"
    assert refused(0) == [bad]
    a.push(space, [], known=1)
    a.outcome(space, 2)
    assert refused(0) == []


def test_a_waiting_refusal_keeps_an_unchanged_space_from_being_current(on):
    a = on()
    space = f"long:{a.user}"
    a.open(space)
    a.do(space, op("put", "docs", "x", {"n": 1}))
    a.do(space, op("put", "docs", "x", {"n": 1}, if_=99))
    a.answered[space] = {1}
    a.reconnect().open(space)
    last = a.seen[-1]
    assert last["type"] == "page" and [r["id"] for r in last["refused"]] == [2], last.raw
    a.answered[space] = {1, 2}
    a.reconnect().open(space)
    assert a.seen[-1]["type"] == "current"


def test_the_log_and_all_outcomes_survive_a_restart(make_server, device):
    one = make_server().start()
    a = device(on=one)
    space = f"cart:{a.user}"
    a.open(space)
    a.do(space, op("put", "items", "m", {"qty": 1}))
    log, cursor = a.welcome["log"], a.copies[space].cursor
    assert one.stop() == 0
    one.start()
    a.reconnect().open(space)
    assert a.welcome["log"] == log and a.copies[space].cursor == cursor and a.seen[-1]["type"] == "current"
    a.send(a.push_frame(space, 1, 0, 0))
    assert a.wait_type("result", id=1)["status"] == "applied"
    assert a.do(space, op("incr", "items", "m", field="qty", by=1)).via == "update"
    assert a.body(space, "items", "m") == '{"qty":2}'
