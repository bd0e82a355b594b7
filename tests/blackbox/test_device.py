"""`tidegate device`: the C client library from the command line, against the running server."""

import base64
import json
import os
import signal
import sqlite3
import ssl
import subprocess
import time
import urllib.request

import pytest
from conftest import BINARY, unique

TIMEOUT = 60


class Cli:
    """A device of a user: its store, and the commands on it."""

    def __init__(self, folder, server=None, user=None, token=None, options=()):
        self.db = str(folder / unique("device-")) + ".db"
        self.user, self.server = user or unique("ana"), server
        self.online = ["--url", server.url(), "--token", token or server.token(self.user)] if server else []
        self.options = list(options)

    def run(self, *command, online=False, code=0):
        env = {k: v for k, v in os.environ.items() if not k.startswith("TIDEGATE_")}
        line = [BINARY, "device", "--db", self.db] + self.options + (self.online if online else []) + list(command)
        done = subprocess.run(line, capture_output=True, text=True, timeout=TIMEOUT, env=env)
        assert done.returncode == code, (line, done.returncode, done.stdout, done.stderr)
        if code != 0:
            return done.stderr
        return [json.loads(text) for text in done.stdout.splitlines()]

    def sync(self, *spaces, **kwargs):
        return self.run("sync", *spaces, online=True, **kwargs)

    def watch(self, *spaces):
        return Watch([BINARY, "device", "--db", self.db] + self.options + self.online + ["watch", *spaces])


class Watch:
    """A device that stays; what it prints is waited for."""

    def __init__(self, line):
        self.process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.text, self.seen = b"", []

    def until(self, predicate, what):
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            self.text += self.process.stdout.read() or b""
            *lines, self.text = self.text.split(b"\n")
            self.seen += [json.loads(line) for line in lines]
            for line in self.seen:
                if predicate(line):
                    return line
            assert self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.01)
        raise AssertionError(f"{what} did not come; seen {self.seen[-10:]}")

    def live(self):
        self.until(lambda line: line.get("state") == "live", "live")
        return self

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(TIMEOUT) == 0, self.process.stderr.read()

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def watches():
    made = []
    yield made
    for one in made:
        if one.process.poll() is None:
            one.kill()


def test_writing_and_reading_work_offline_and_one_sync_brings_it_over(server, tmp_path):
    phone = Cli(tmp_path, server)
    till = Cli(tmp_path, server, phone.user)
    space = f"cart:{phone.user}"
    phone.run("put", space, "items/tea", '{"name":"tea","qty":1}')
    phone.run("incr", space, "items/tea", "qty", "2")
    phone.run("patch", space, "items/tea", '{"price":9007199254740993}')
    phone.run("add", space, "items/tea", "tags", '["a","b"]')
    phone.run("remove", space, "items/tea", "tags", '["a"]')
    phone.run("max", space, "items/tea", "seen", "7")
    phone.run("put", space, "items/milk", '{"name":"milk"}')
    phone.run("delete", space, "items/milk")
    body = {"name": "tea", "qty": 3, "price": 9007199254740993, "tags": ["b"], "seen": 7}
    assert phone.run("get", space, "items/tea") == [body]
    assert phone.run("status")[0]["pending"] == 8
    assert phone.sync()[0]["pending"] == 0
    till.sync(space)
    assert till.run("get", space, "items/tea") == [body]
    assert [line["id"] for line in till.run("list", space, "items", "name=tea", "qty=3")] == ["tea"]
    assert till.run("list", space, "items", "name=milk") == []
    till.run("get", space, "items/milk", code=69)


def test_two_devices_see_each_other_live(server, tmp_path, watches):
    phone = Cli(tmp_path, server)
    till = Cli(tmp_path, server, phone.user)
    space = f"todos:{phone.user}"
    watches += [phone.watch(space).live(), till.watch(space).live()]
    phone.run("put", space, "todos/milk", '{"title":"milk"}')  # another process of the same store
    seen = watches[1].until(lambda line: line.get("id") == "milk" and line.get("change") == "added", "milk")
    assert seen["body"] == {"title": "milk"} and seen["rev"] > 0
    watches[0].until(lambda line: line.get("id") == "milk" and not line.get("pending", True), "the outcome")
    till.run("patch", space, "todos/milk", '{"done":true}')
    watches[0].until(lambda line: line.get("body") == {"title": "milk", "done": True}, "the patch")
    phone.run("sync", online=True, code=69)  # one syncs
    for one in watches:
        one.stop()


def test_a_refusal_waits_until_it_is_settled(server, tmp_path):
    phone = Cli(tmp_path, server)
    space = f"cart:{phone.user}"
    phone.run("put", space, "items/tea", '{"qty":1000}')
    phone.run("put", space, "items/milk", '{"qty":1}')
    phone.sync()
    [refused] = phone.run("refused")
    assert refused["code"] == "invalid" and refused["ops"][0]["body"] == {"qty": 1000}
    phone.run("get", space, "items/tea", code=69)
    assert phone.run("get", space, "items/milk") == [{"qty": 1}]
    phone.run("refused", "retry", str(refused["refused"]), '[{"op":"put","collection":"items","id":"tea","body":{"qty":999}}]')
    phone.sync()
    assert phone.run("refused") == [] and phone.run("get", space, "items/tea") == [{"qty": 999}]
    phone.run("refused", "drop", "1", code=69)


def test_a_strict_sync_says_by_its_exit_code_that_something_waits_for_its_user(server, tmp_path):
    phone = Cli(tmp_path, server)
    space = f"cart:{phone.user}"
    assert phone.run("sync", "--strict", space, online=True)[0]["refused"] == 0
    phone.run("put", space, "items/tea", '{"qty":1000}')
    phone.sync()  # 0: it synced
    assert "not settled: 1" in phone.run("sync", "--strict", online=True, code=65)
    phone.run("refused", "drop", str(phone.run("refused")[0]["refused"]))
    phone.run("sync", "--strict", online=True)
    phone.sync("cart:somebody-else")
    assert "closed spaces: 1" in phone.run("sync", "--strict", online=True, code=65)


def test_a_file_that_is_no_store_is_called_what_it_is(tmp_path):
    other, text, folder = tmp_path / "other.db", tmp_path / "text", tmp_path / "folder"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE t (a)")
    text.write_text("hello, this is no database at all")
    folder.mkdir()
    for path, what in ((other, "an SQLite file of something else"), (text, "no SQLite file"), (folder, "a directory")):
        done = subprocess.run([BINARY, "device", "--db", str(path), "status"], capture_output=True, text=True, timeout=TIMEOUT)
        assert done.returncode != 0 and what in done.stderr and str(path) in done.stderr and "data directory" not in done.stderr, done.stderr
    assert text.read_text() == "hello, this is no database at all"


def test_a_killed_device_and_a_killed_server_lose_nothing(make_server, tmp_path, watches):
    server = make_server().start()
    phone = Cli(tmp_path, server)
    space = f"cart:{phone.user}"
    watches.append(phone.watch(space).live())
    for _ in range(5):
        phone.run("incr", space, "items/tea", "qty", "1")
    watches[0].kill()
    server.kill()
    for _ in range(5):
        phone.run("incr", space, "items/tea", "qty", "1")
    phone.sync(code=69)
    server.start()
    watches.append(phone.watch(space))
    watches[1].until(lambda line: line.get("id") == "tea" and line.get("body") == {"qty": 10} and not line["pending"], "ten")
    watches[1].stop()
    till = Cli(tmp_path, server, phone.user)
    till.sync(space)
    assert till.run("get", space, "items/tea") == [{"qty": 10}]


def test_what_is_wrong_is_said_in_one_line(server, tmp_path):
    phone = Cli(tmp_path, server, token="not.a.token")
    space = f"cart:{phone.user}"
    phone.run("put", space, "items/tea", "{}")
    assert "token" in phone.sync(code=78)
    assert "--url" in phone.run("sync", code=78)
    assert "body: not JSON: it ends too soon" in phone.run("put", space, "items/tea", "{", code=64)
    assert "body: not JSON from byte 8 on" in phone.run("patch", space, "items/tea", '{"qty":tea}', code=64)
    assert "values: not JSON from byte 1 on" in phone.run("add", space, "items/tea", "tags", "shop", code=64)
    assert "value: not JSON from byte 3 on" in phone.run("max", space, "items/tea", "seen", "7 8", code=64)
    assert "body" in phone.run("put", space, "items/tea", "[1]", code=64)
    assert "not the name of a space" in phone.run("put", "cart", "items/tea", "{}", code=64)
    assert "no such command" in phone.run("fetch", code=64)
    assert phone.run("put", space, "items", "{}", code=64).count("\n") == 1
    assert "COLLECTION/ID OBJECT" in phone.run("put", space, "items", "{}", code=64)
    assert "whole numbers" in phone.run("incr", space, "items/tea", "qty", "many", code=64)
    phone.online = ["--url", "gopher://x", "--token", "t"]
    assert "http(s)" in phone.sync(code=64)
    phone.online = ["--url", "http://127.0.0.1:1", "--token", "t"]
    phone.sync(code=69)
    assert phone.run("status")[0]["pending"] == 1


def test_the_store_is_read_with_plain_sql(server, tmp_path):
    phone = Cli(tmp_path, server)
    space = f"todos:{phone.user}"
    phone.run("put", space, "todos/milk", '{"title":"milk"}')
    with sqlite3.connect(phone.db) as db:
        assert db.execute("SELECT id, body, pending FROM shown WHERE space = ?", (space,)).fetchall() == [("milk", '{"title":"milk"}', 1)]
        assert json.loads(db.execute("SELECT ops FROM outbox").fetchone()[0])[0]["op"] == "put"


def certificate(folder, name):
    key, cert = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    public = subprocess.run(["openssl", "x509", "-in", cert, "-pubkey", "-noout"], check=True, capture_output=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=public, check=True, capture_output=True).stdout
    digest = subprocess.run(["openssl", "dgst", "-sha256", "-binary"], input=der, check=True, capture_output=True).stdout
    return key, cert, base64.b64encode(digest).decode()


@pytest.mark.serve  # whether the cluster's gateway is ready is asked in plain HTTP
def test_tls_trusts_a_named_authority_and_a_pinned_key_and_nobody_else(make_server, tmp_path, watches):
    key, cert, pin = certificate(tmp_path, "ours")
    _, other, other_pin = certificate(tmp_path, "other")
    server = make_server(args=["--tls-cert", str(cert), "--tls-key", str(key)])
    server.url = lambda path="": f"https://localhost:{server.port}{path}"
    urllib.request.install_opener(urllib.request.build_opener(urllib.request.HTTPSHandler(context=ssl._create_unverified_context())))
    try:
        server.start()
    finally:
        urllib.request.install_opener(None)
    for options, code in (((), 69), (("--ca", str(other)), 69), (("--ca", str(cert)), 0), (("--ca", str(cert), "--pin", pin), 0),
                          (("--ca", str(cert), "--pin", other_pin), 69)):
        phone = Cli(tmp_path, server, options=options)
        phone.run("put", f"todos:{phone.user}", "todos/a", '{"title":"a"}')
        phone.sync(code=code)
        assert phone.run("status")[0]["pending"] == (1 if code else 0)
    phone = Cli(tmp_path, server, options=("--ca", str(cert), "--pin", pin))
    watches.append(phone.watch(f"todos:{phone.user}").live())
    watches[0].stop()


def test_a_device_runs_on_a_libuv_loop_of_the_app(server, tmp_path, watches):
    phone = Cli(tmp_path, server)
    space = f"todos:{phone.user}"
    program = os.path.join(os.path.dirname(BINARY), "build/plain/client-tests/on_uv")
    process = subprocess.Popen([program, str(tmp_path / "uv.db"), *phone.online[1::2], space], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "+mine\n"
        while process.stdout.readline() != "whole\n":
            assert process.poll() is None
        phone.run("put", space, "todos/stop", '{"title":"stop"}')
        phone.sync()
        assert "+stop\n" in process.communicate(timeout=TIMEOUT)[0]
        assert process.returncode == 0
    finally:
        process.kill()


def test_tails_history_signals_and_barriers_before_the_real_server(server, tmp_path):
    program = os.path.join(os.path.dirname(BINARY), "build/plain/client-tests/talk")
    user = unique("ana")
    done = subprocess.run([program, str(tmp_path), server.url(), server.token(user), f"chat:{unique('room')}"], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "talked\n"), done.stderr
