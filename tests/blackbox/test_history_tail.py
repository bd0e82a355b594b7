"""Long append collections: only the newest by `tail`, the older by `history`."""

import pytest

from client import op
from conftest import unique


def fill(d, space, begin, end):
    for i in range(begin, end):
        d.push_within_limits(space, [op("append", "messages", f"m{i:04}", {"text": f"text {i}"})])
    d.until(lambda: not d.outbox[space])


def messages(d, space):
    return sorted(key[1] for key in d.copies[space].live() if key[0] == "messages")


def history(d, space, limit, before=None):
    d.next_ref += 1
    frame = {"type": "history", "ref": d.next_ref, "space": space, "collection": "messages", "limit": limit}
    d.send(frame | ({"before": before} if before is not None else {}))
    return d.wait_type("page", "error", ref=d.next_ref)


@pytest.fixture
def chat(device):
    """A room of 300 messages, and a member who has not opened it."""
    owner, reader = device(), device()
    space = f"chat:{unique('room')}"
    owner.open(space)
    owner.do(space, op("put", "room", "settings", {"title": "t"}), op("put", "members", reader.user, {"role": "writer"}))
    fill(owner, space, 0, 300)
    return space, owner, reader


def test_tail_gives_the_newest_and_says_what_it_left_out(chat):
    space, owner, reader = chat
    reader.open(space, tail=20)
    assert messages(reader, space) == [f"m{i:04}" for i in range(280, 300)]
    oldest = min(d["born"] for k, d in reader.copies[space].docs.items() if k[0] == "messages")
    pages = [f for f in reader.seen if f["type"] == "page"]
    left_out = [f["tail"]["messages"] for f in pages if "tail" in f]
    assert left_out and all(rev <= oldest for rev in left_out)
    assert left_out[-1] > owner.copies[space].docs[("messages", "m0279")]["born"]
    assert ("room", "settings") in reader.copies[space].live(), "other collections come whole"


def test_tail_larger_than_what_there_is_leaves_nothing_out(chat):
    space, owner, reader = chat
    reader.open(space, tail=5000)
    assert messages(reader, space) == messages(owner, space)
    assert not any("tail" in f for f in reader.seen)
    reader.copies[space].compare(owner.copies[space].sums())


def test_tail_counts_only_what_was_born_after_the_cursor(chat):
    """Of the documents of an append collection born after the cursor only the newest n."""
    space, owner, reader = chat
    reader.open(space)
    reader.disconnect()
    fill(owner, space, 300, 350)
    owner.do(space, op("patch", "messages", "m0005", {"text": "changed"}))
    reader.reconnect().open(space, tail=10)
    held = messages(reader, space)
    assert held == [f"m{i:04}" for i in range(300)] + [f"m{i:04}" for i in range(340, 350)]
    assert reader.body(space, "messages", "m0005") == '{"text":"changed"}', "born before the cursor: told in full"


def test_live_updates_follow_a_tail(chat):
    space, owner, reader = chat
    reader.open(space, tail=3)
    fill(owner, space, 300, 305)
    reader.barrier(space)
    assert messages(reader, space) == [f"m{i:04}" for i in range(297, 305)]


def test_history_goes_back_newest_first_to_the_beginning(chat):
    space, owner, reader = chat
    reader.open(space, tail=10)
    cursor = reader.copies[space].cursor
    before, got = None, []
    while True:
        page = history(reader, space, 70, before)
        assert page["type"] == "page" and isinstance(page["at"], int)
        borns = [d["born"] for d in page["docs"]]
        assert borns == sorted(borns, reverse=True), "newest first"
        assert len(borns) <= 70 and all(before is None or b < before for b in borns)
        if not borns:
            break
        got += [d["id"] for d in page["docs"] if not d.get("deleted")]
        before = borns[-1]
    assert got == [f"m{i:04}" for i in reversed(range(300))]
    assert reader.copies[space].cursor == cursor, "moves nothing"
    assert messages(reader, space) == messages(owner, space)


def test_history_shows_the_newest_state(chat):
    space, owner, reader = chat
    owner.do(space, op("patch", "messages", "m0299", {"text": "changed"}), op("delete", "messages", "m0298"))
    reader.open(space, tail=1)
    page = history(reader, space, 3)
    texts = {d["id"]: d.body_text for d in page["docs"] if not d.get("deleted")}
    assert texts["m0299"] == '{"text":"changed"}' and "m0298" not in texts


def test_history_of_what_is_not_ones_own_is_refused(chat, device):
    space, owner, reader = chat
    stranger = device()
    answer = history(stranger, space, 3)
    assert answer["type"] == "error" and answer["code"] == "forbidden"


def test_history_of_a_collection_that_is_not_append_is_refused(chat):
    space, owner, reader = chat
    owner.send({"type": "history", "ref": 999, "space": space, "collection": "room", "limit": 3})
    refused = owner.wait_type("error", ref=999)
    assert refused["code"] == "invalid" and "collection" in refused["message"], "the message names the member"


def test_tail_of_one_leaves_the_newest(chat):
    space, owner, reader = chat
    reader.open(space, tail=1)
    assert messages(reader, space) == ["m0299"]
    fill(owner, space, 300, 301)
    reader.barrier(space)
    assert messages(reader, space) == ["m0299", "m0300"]


def test_a_tail_of_zero_leaves_all_out(chat):
    space, owner, reader = chat
    reader.open(space, tail=0)
    assert messages(reader, space) == []
    fill(owner, space, 300, 301)
    reader.barrier(space)
    assert messages(reader, space) == ["m0300"]


def test_a_big_space_comes_in_several_pages_that_do_not_divide_a_push(device):
    a = device()
    space = f"todos:{a.user}"
    a.open(space)
    for i in range(60):
        a.push_within_limits(space, [op("put", "todos", f"{i}-{k}", {"title": "x" * 3000}) for k in range(20)])
    a.until(lambda: not a.outbox[space], timeout=30)
    b = device(a.user)
    b.open(space)
    pages = [f for f in b.seen if f["type"] == "page"]
    assert len(pages) > 1 and all(p["reset"] for p in pages)
    assert [p["more"] for p in pages] == [True] * (len(pages) - 1) + [False]
    seen = {}
    for n, page in enumerate(pages):
        for doc in page["docs"]:
            assert seen.setdefault(doc["rev"], n) == n, "a page never divides a push"
    assert b.copies[space].live() == a.copies[space].live()


def test_a_run_is_resumed_from_any_pages_to(device):
    a = device()
    space = f"todos:{a.user}"
    a.open(space)
    for i in range(60):
        a.push_within_limits(space, [op("put", "todos", f"{i}-{k}", {"title": "x" * 3000}) for k in range(20)])
    a.until(lambda: not a.outbox[space], timeout=30)
    b = device(a.user)
    b.open(space, wait=False)
    first = b.wait_type("page")
    assert first["more"] is True
    kept = dict(b.copies[space].docs)
    while b.copies[space].run is None:
        b.pump(1)
    b.drop()
    b2 = device(a.user, device=b.id)
    from copy_of_space import Copy
    copy = b2.copies[space] = Copy(space)
    copy.docs, copy.cursor, copy.run, copy.run_resets = kept, first["to"], set(kept), True
    a.do(space, op("delete", "todos", "0-0"), op("put", "todos", "1-1", {"title": "new"}))
    b2.open(space)
    pages = [f for f in b2.seen if f["type"] == "page"]
    assert all(p.get("reset") for p in pages) and pages[0]["from"] == first["to"]
    a.barrier(space)
    b2.barrier(space)
    assert b2.copies[space].live() == a.copies[space].live()
