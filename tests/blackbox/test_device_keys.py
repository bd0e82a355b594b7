"""`tidegate device` with keys: bodies encrypted end to end, stores encrypted at rest, and what is said where a key is not to be had."""

import os
import subprocess

from conftest import BINARY
from test_device import TIMEOUT, Cli


def key_file(folder, name, *lines):
    path = folder / name
    path.write_text("".join(line + "\n" for line in lines))
    return ["--keys", str(path)]


def hex_key():
    return os.urandom(32).hex()


def test_bodies_are_sealed_for_those_who_have_the_key_and_for_nobody_else(server, tmp_path):
    first, second = hex_key(), hex_key()
    old = key_file(tmp_path, "old", "# of the gym", "", f"workouts:*/workouts k1 {first}")
    phone = Cli(tmp_path, server, options=old)
    till = Cli(tmp_path, server, phone.user, options=old)
    stranger = Cli(tmp_path, server, phone.user)
    space = f"workouts:{phone.user}"
    phone.run("put", space, "workouts/w1", '{"kind":"run"}')
    phone.run("append", space, "samples/s1", '{"bpm":140}')  # another collection
    phone.sync()
    for one in (till, stranger):
        one.sync(space)
    assert till.run("get", space, "workouts/w1") == [{"kind": "run"}]
    assert till.run("list", space, "workouts")[0]["seal"] == "open"
    [seen] = stranger.run("list", space, "workouts")
    assert seen["seal"] == "locked" and seen["body"]["sealed"] == 1 and seen["body"]["key"] == "k1" and "kind" not in seen["body"]
    assert stranger.run("get", space, "samples/s1") == [{"bpm": 140}]
    assert "--keys" in stranger.run("patch", space, "workouts/w1", '{"kind":"swim"}', code=78)
    # The next key is written with, the old one still reads; who lacks it is told so.
    phone.options = key_file(tmp_path, "new", f"{space}/workouts k2 {second}", f"workouts:*/workouts k1 {first}")
    assert phone.run("get", space, "workouts/w1") == [{"kind": "run"}]
    phone.run("put", space, "workouts/w2", '{"kind":"row"}')
    phone.sync()
    till.sync()
    assert "locked" in till.run("get", space, "workouts/w2", code=78)
    till.options = phone.options
    assert till.run("get", space, "workouts/w2") == [{"kind": "row"}]


def test_what_is_sealed_by_a_key_that_the_file_does_not_name_is_kept(server, tmp_path):
    of_notes, of_workouts = (f"{place} {hex_key()}" for place in ("notes:*/notes k2", "workouts:*/workouts k1"))
    both = key_file(tmp_path, "both", of_notes, of_workouts)
    phone = Cli(tmp_path, server, options=both)
    tablet = Cli(tmp_path, server, phone.user, options=key_file(tmp_path, "notes", of_notes))
    space = f"workouts:{phone.user}"
    phone.run("put", space, "workouts/w1", '{"kind":"run"}')
    phone.sync()
    tablet.sync(space)
    assert "locked" in tablet.run("get", space, "workouts/w1", code=78)
    assert tablet.run("list", space, "workouts")[0]["seal"] == "locked"
    assert "encrypted" in tablet.run("patch", space, "workouts/w1", '{"x":1}', code=78)
    assert "encrypted" in tablet.run("put", space, "workouts/w1", '{"x":1}', code=78)
    tablet.sync()
    phone.sync()
    assert phone.run("get", space, "workouts/w1") == [{"kind": "run"}]
    tablet.options = both
    assert tablet.run("get", space, "workouts/w1") == [{"kind": "run"}]


def test_a_key_comes_from_a_descriptor_too(tmp_path):
    with open(key_file(tmp_path, "keys", f"workouts:ana/workouts k1 {hex_key()}")[1]) as keys:
        line = [BINARY, "device", "--db", str(tmp_path / "a.db"), "--keys", f"/dev/fd/{keys.fileno()}", "put", "workouts:ana", "workouts/w1", "{}"]
        subprocess.run(line, pass_fds=[keys.fileno()], check=True, timeout=TIMEOUT)
    done = subprocess.run([BINARY, "device", "--db", str(tmp_path / "a.db"), "patch", "workouts:ana", "workouts/w1", "{}"], capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 78 and "encrypted" in done.stderr


def test_a_file_of_keys_that_is_none_is_refused_with_its_line_and_without_what_it_holds(tmp_path):
    good = hex_key()
    for lines, what in (
        ([], "holds no key"),
        (["workouts:ana/workouts k1"], "line 1"),
        (["# one", f"workouts:ana/workouts k1 {good[:-2]}"], "line 2"),
        ([f"workouts:ana k1 {good}"], "line 1"),
        ([f"workouts:ana/Workouts k1 {good}"], "line 1"),
        ([f"workouts:ana/workouts k,1 {good}"], "line 1"),
        ([f"workouts:ana/workouts k1 {good} more"], "line 1"),
        ([f"workouts:ana/c{i} k1 {good}" for i in range(65)], "more than 64"),
    ):
        one = Cli(tmp_path, options=key_file(tmp_path, "keys", *lines))
        said = one.run("status", code=78)
        assert "--keys" in said and what in said and good[:16] not in said, (lines, said)
        assert not os.path.exists(one.db)
    one = Cli(tmp_path, options=["--keys", f"workouts:ana/workouts k1 {good}"])  # an argument is no key
    for option in ("--keys", "--store-key"):  # nor is it said again to whoever reads stderr
        one.options = [option, f"workouts:ana/workouts k1 {good}"]
        said = one.run("status", code=78)
        assert "cannot be read" in said and good[:16] not in said


def test_a_file_of_keys_that_every_user_can_read_is_said_to_be_one(tmp_path):
    one = Cli(tmp_path, options=key_file(tmp_path, "keys", f"workouts:ana/workouts k1 {hex_key()}"))
    for mode, is_open in ((0o604, True), (0o602, True), (0o600, False), (0o640, False)):
        os.chmod(one.options[1], mode)
        done = subprocess.run([BINARY, "device", "--db", one.db, *one.options, "status"], capture_output=True, text=True, timeout=TIMEOUT)
        assert done.returncode == 0 and ("chmod 600" in done.stderr) == is_open, (mode, done.stderr)


def test_a_store_key_is_refused_where_sqlite_cannot_encrypt_and_nothing_is_made(tmp_path):
    key = tmp_path / "key"
    key.write_bytes(os.urandom(32))
    one = Cli(tmp_path, options=["--store-key", str(key)])
    said = one.run("put", "todos:ana", "todos/milk", "{}", code=78)
    assert "--store-key" in said and "cannot encrypt" in said and not os.path.exists(one.db)
    key.write_text("too short")
    assert "32 bytes" in one.run("status", code=78)
    one.options = ["--store-key", str(tmp_path / "nowhere")]
    assert "cannot be read" in one.run("status", code=78)


def test_namespaces_of_ones_own_say_at_once_what_the_server_would_refuse(tmp_path):
    folder = tmp_path / "namespaces"
    folder.mkdir()
    schema = '{"type":"object","properties":{"count":{"type":"integer"}}}'
    (folder / "stock.json").write_text('{"namespace":"stock","version":1,"access":"owner","collections":{"items":{"policy":"lww","schema":%s}}}' % schema)
    one = Cli(tmp_path, options=["--namespaces", str(folder)])
    one.run("put", "stock:ana", "items/a", '{"count":1}')
    assert "count" in one.run("put", "stock:ana", "items/b", '{"count":"many"}', code=64)
    one.options += key_file(tmp_path, "keys", f"stock:ana/items k1 {hex_key()}")
    one.run("put", "stock:ana", "items/c", '{"count":2}')
    assert one.run("list", "stock:ana", "items", "count=2")[0]["id"] == "c"
