"""Bodies travel byte for byte; names travel unescaped but whole; sums are over those bytes."""

import json

import pytest

from client import Raw, op
from test_policies import CART, NOTES, TODOS, WORKOUTS, pair, settle

ODD = [
    r'{"n":1234567890123456789}', r'{"n":1.10}', r'{"n":1e5,"m":1E+2,"k":-0,"l":-0.0}', r'{"s":"\u0041\/\"\\"}',
    r'{"z":1,"a":2,"m":3}', r'{ "a" : [ 1 , 2 ] , "b" : { } }', '{"a":\t"tabs outside strings"}', r'{}', r'{"":""}',
    '{"é":"ü","emoji":"😀"}', r'{"s":"\ud83d\ude00"}', r'{"s":"\ud800"}', r'{"s":"x\udc00\ud800y"}', r'{"s":"\u0000"}',
    r'{"n":12345678901234567890123456789012345678901234567890.000000000001}', r'{"deep":{"x":1,"x":2}}',
    r'{"n":1e400}', r'{"u":"  "}'.replace("  ", "\u2028\u2029"), r'{"\u0061":1}', r'{"a":null}',
]


@pytest.mark.parametrize("text", ODD)
def test_a_put_comes_out_as_it_went_in(device, text):
    space, a, b = pair(device, NOTES)
    done = a.do(space, op("put", "folders", "f", Raw(text)))
    assert done.status == "applied", done
    settle(space, a, b)
    assert a.body(space, "folders", "f") == text
    assert b.body(space, "folders", "f") == text
    c = device(a.user)
    c.open(space)
    assert c.body(space, "folders", "f") == text
    assert (c.do(space, op("put", "folders", "f", Raw(text), if_=99))).frame["docs"][0].body_text == text


@pytest.mark.parametrize("text", ODD)
def test_a_document_of_an_append_and_of_a_merge_collection_keeps_its_bytes(device, text):
    space, a, b = pair(device, TODOS)
    a.do(space, op("put", "todos", "t", Raw(text)))
    assert settle(space, a, b)[("todos", "t")][1] == text
    space, a, b = pair(device, WORKOUTS)
    a.do(space, op("append", "samples", "t", Raw(text)))
    assert settle(space, a, b)[("samples", "t")][1] == text


def test_where_fields_are_merged_each_value_keeps_its_bytes_new_fields_at_the_end(device):
    """Where fields are merged, each value does (new fields at the end, no white space added)."""
    space, a, b = pair(device, TODOS)
    a.do(space, op("put", "todos", "t", Raw('{"a":1.10,"b":[ 1, 2 ],"c":"\\u0041"}')))
    b.barrier(space)
    b.do(space, op("patch", "todos", "t", Raw('{"d":1e2,"b":{ "x":19999999999999999999 }}'), base=a.copies[space].newest))
    assert settle(space, a, b)[("todos", "t")][1] == '{"a":1.10,"b":{ "x":19999999999999999999 },"c":"\\u0041","d":1e2}'


def test_a_put_of_which_every_field_won_is_its_own_bytes(device):
    space, a, b = pair(device, TODOS)
    a.do(space, op("put", "todos", "t", {"a": 1, "b": 2}))
    text = '{ "b": 3,  "a": 4 }'
    b.do(space, op("put", "todos", "t", Raw(text), base=a.copies[space].newest))
    assert settle(space, a, b)[("todos", "t")][1] == text


def test_a_body_that_repeats_a_key_at_its_top_level_is_invalid(device):
    space, a, b = pair(device, TODOS)
    for text in (r'{"a":1,"a":2}', r'{"a":1,"\u0061":2}'):
        done = a.do(space, op("put", "todos", "t", Raw(text)))
        assert (done.status, done.code) == ("rejected", "invalid")
    assert settle(space, a, b) == {}


@pytest.mark.parametrize("doc_id", ["é😀", 'quote"back\\slash', "a/b?c#d e", "x" * 128, "é" * 64, " ", ".", "a\u2028b"])
def test_a_documents_id_is_any_utf8(device, doc_id):
    space, a, b = pair(device, CART)
    a.do(space, op("put", "items", doc_id, {"qty": 1}))
    assert settle(space, a, b)[("items", doc_id)][1] == '{"qty":1}'
    c = device(a.user)
    c.open(space)
    assert ("items", doc_id) in c.copies[space].live()


def test_an_id_is_the_same_escaped_or_not(device):
    space, a, b = pair(device, CART)
    a.do(space, op("put", "items", Raw(r'"\u00e9\/A"'), {"qty": 1}))
    a.do(space, op("incr", "items", "é/A", field="qty", by=1))
    b.barrier(space)
    assert b.copies[space].live() == {("items", "é/A"): (b.copies[space].newest, '{"qty":2}')}


@pytest.mark.parametrize("doc_id", ["", "x" * 129, "é" * 65, "a\u0000b", "a\nb", "a\u007fb", 5, None], ids=repr)
def test_an_id_that_is_none_is_refused(device, doc_id):
    """1 to 128 bytes of UTF-8 without control characters."""
    space, a, b = pair(device, CART)
    done = a.do(space, op("put", "items", doc_id, {"qty": 1}))
    assert done.status == "rejected" and done.code in ("invalid", "too_large")
    assert settle(space, a, b) == {}


def test_an_int64_counter_keeps_its_neighbours_bytes(device):
    space, a, b = pair(device, TODOS)
    a.do(space, op("put", "todos", "t", Raw('{"x":1.50,"n":9007199254740993,"y":"\\/"}')))
    b.do(space, op("incr", "todos", "t", field="n", by=1))
    assert settle(space, a, b)[("todos", "t")][1] == '{"x":1.50,"n":9007199254740994,"y":"\\/"}'


def test_sets_know_equal_values_and_keep_the_bytes_of_the_first(device):
    space, a, b = pair(device, TODOS)
    a.do(space, op("add", "todos", "t", field="s", values=[Raw('"a\\u0062"'), 1]))
    b.do(space, op("add", "todos", "t", field="s", values=["ab", 1, 2]))
    found = json.loads(settle(space, a, b)[("todos", "t")][1])["s"]
    assert found == ["ab", 1, 2]


def test_the_users_name_in_a_space_is_escaped(device):
    """Each byte outside [A-Za-z0-9._@-] written ~XX, upper-case hex."""
    from conftest import unique
    user = unique("zoë:x/y~ ")
    escaped = "".join(c if c.isascii() and (c.isalnum() or c in "._@-")
                      else "".join(f"~{b:02X}" for b in c.encode()) for c in user)
    a = device(user)
    assert a.welcome["user"] == user
    space = "cart:" + escaped
    a.open(space)
    assert a.do(space, op("put", "items", "m", {"qty": 1})).via == "update"
    assert a.copies[space].docs[("items", "m")]["user"] == user
    b = device(unique("zo"))
    assert b.do(space, op("put", "items", "m", {"qty": 2})).code == "forbidden"
