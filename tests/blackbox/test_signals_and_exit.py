"""TERM, HUP, exit codes, one line on stderr; and the commands `token` and `check`."""

import json
import os
import signal
import subprocess
import time

import jwt
import pytest

from client import op
from conftest import BINARY, SECRET, free_port
from test_http import call
from test_resume_reset import namespace


def run(*args, env=None, timeout=15, cwd=None):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TIDEGATE_")} | (env or {})
    return subprocess.run([BINARY, *args], capture_output=True, text=True, timeout=timeout, env=clean, cwd=cwd)


def serve_fails(tmp_path, *args, env=None):
    done = run("serve", "--data", str(tmp_path / "data"), *args, env=env)
    assert len(done.stderr.strip().splitlines()) >= 1, "one line on stderr says which setting to change"
    return done.returncode, done.stderr


def key(tmp_path, text=SECRET):
    path = tmp_path / "key"
    path.write_text(text)
    return str(path)


# -- TERM and HUP -----------------------------------------------------------------------------------------


def test_term_says_bye_closes_with_1012_and_ends_with_0(make_server, device):
    one = make_server().start()
    d = device(on=one)
    d.open(f"cart:{d.user}")
    one.signal(signal.SIGTERM)
    bye = d.wait_type("bye")
    assert isinstance(bye["reason"], str) and isinstance(bye["retry"], int)
    assert d.wait_closed() == 1012
    assert one.wait(20) == 0


def test_term_without_anybody_ends_with_0(make_server):
    assert make_server().start().stop() == 0


def test_a_second_term_hurries(make_server, device):
    one = make_server().start()
    device(on=one)
    one.signal(signal.SIGTERM)
    one.signal(signal.SIGTERM)
    assert one.wait(5) == 0


def test_what_was_pushed_before_term_is_there_after_a_restart(make_server, device):
    one = make_server().start()
    d = device(on=one)
    space = f"cart:{d.user}"
    for _ in range(20):
        d.push(space, [op("incr", "items", "m", field="qty", by=1)])
    acked = d.wait_type("ack", "result", id=20)
    one.signal(signal.SIGTERM)
    assert acked and one.wait(20) == 0
    one.start()
    d.reconnect().open(space)
    assert d.body(space, "items", "m") == '{"qty":20}'


@pytest.mark.serve
def test_hup_rereads_the_namespaces(make_server, device, tmp_path):
    (tmp_path / "first.json").write_text(json.dumps(namespace("first", "1d")))
    one = make_server(namespaces=tmp_path).start()
    d = device(on=one)
    d.open(f"first:{d.user}")
    assert d.do(f"second:{d.user}", op("put", "docs", "x", {})).code == "unknown_space"
    (tmp_path / "second.json").write_text(json.dumps(namespace("second", "1d")))
    one.signal(signal.SIGHUP)
    end = time.monotonic() + 10
    while d.do(f"second:{d.user}", op("put", "docs", "x", {}), after=0).status != "applied":
        assert time.monotonic() < end, "HUP rereads namespaces"
        d.sent.pop(f"second:{d.user}", None)
    assert d.do(f"first:{d.user}", op("put", "docs", "x", {})).via == "update", "what was open stays open"


@pytest.mark.serve
def test_hup_with_a_broken_namespace_keeps_what_is_in_force(make_server, device, tmp_path):
    (tmp_path / "first.json").write_text(json.dumps(namespace("first", "1d")))
    one = make_server(namespaces=tmp_path).start()
    (tmp_path / "second.json").write_text('{"namespace":')
    one.signal(signal.SIGHUP)
    d = device(on=one)
    assert d.do(f"first:{d.user}", op("put", "docs", "x", {})).status == "applied"
    assert one.process.poll() is None


# -- exit codes -----------------------------------------------------------------------------------------


@pytest.mark.serve
@pytest.mark.parametrize("args", [["nosuch"], ["serve", "--nosuch"], ["serve", "--listen"], ["token"]], ids=" ".join)
def test_usage_is_64(args, tmp_path):
    done = run(*args, cwd=tmp_path)
    assert done.returncode == 64, (done.returncode, done.stderr)
    assert done.stderr.strip()


@pytest.mark.serve
def test_a_key_file_that_is_not_there_is_named(tmp_path):
    code, said = serve_fails(tmp_path, "--listen", f"127.0.0.1:{free_port()}", "--jwt-key", str(tmp_path / "nosuch"))
    assert code in (69, 78) and ("jwt-key" in said or "JWT_KEY" in said or "nosuch" in said)


@pytest.mark.serve
def test_no_key_at_all_is_configuration_or_usage(tmp_path):
    code, said = serve_fails(tmp_path, "--listen", f"127.0.0.1:{free_port()}")
    assert code in (64, 78) and "jwt-key" in said.lower().replace("_", "-")


@pytest.mark.serve
def test_an_empty_key_is_configuration(tmp_path):
    code, said = serve_fails(tmp_path, "--listen", f"127.0.0.1:{free_port()}", "--jwt-key", key(tmp_path, ""))
    assert code == 78, said


@pytest.mark.serve
def test_an_address_in_use_is_69(server, tmp_path):
    code, said = serve_fails(tmp_path, "--listen", f"127.0.0.1:{server.port}", "--jwt-key", key(tmp_path))
    assert code == 69 and "listen" in said.lower()


@pytest.mark.serve
def test_an_address_that_is_none_is_64_or_78(tmp_path):
    code, said = serve_fails(tmp_path, "--listen", "no-such-thing", "--jwt-key", key(tmp_path))
    assert code in (64, 78) and "listen" in said.lower()


@pytest.mark.serve
@pytest.mark.parametrize("change", [{"access": "nobody"}, {"window": "soon"}, {"namespace": "Bad Name"},
                                    {"collections": {"docs": {"policy": "magic"}}}, {"collections": {"docs": {"policy": "lww", "schema": {"type": 5}}}}], ids=str)
def test_a_namespace_that_says_nonsense_is_78(tmp_path, change):
    folder = tmp_path / "namespaces"
    folder.mkdir()
    (folder / "bad.json").write_text(json.dumps(namespace("bad", "1d") | change))
    code, said = serve_fails(tmp_path, "--listen", f"127.0.0.1:{free_port()}", "--jwt-key", key(tmp_path), "--namespaces", str(folder))
    assert code == 78 and "bad" in said


@pytest.mark.serve
def test_two_servers_do_not_share_a_data_directory(server, tmp_path):
    done = run("serve", "--data", str(server.data), "--listen", f"127.0.0.1:{free_port()}", "--jwt-key", key(tmp_path))
    assert done.returncode in (69, 78) and done.stderr.strip()


@pytest.mark.serve
def test_dev_is_for_loopback_only(tmp_path):
    code, said = serve_fails(tmp_path, "--listen", f"0.0.0.0:{free_port()}", "--dev")
    assert code in (64, 78) and said


# -- options as environment; token; check -----------------------------------------------------------------


@pytest.mark.serve
def test_every_option_is_also_an_environment_variable(make_server, tmp_path):
    one = make_server()
    one.command = lambda: [BINARY, "serve"]
    one.env = {"TIDEGATE_LISTEN": f"127.0.0.1:{one.port}", "TIDEGATE_DATA": str(one.data), "TIDEGATE_JWT_KEY": str(one.key_file)}
    one.start()
    assert call(one, "GET", "/healthz")[0] == 200


@pytest.mark.serve
def test_token_prints_a_jwt_that_passes(server, tmp_path):
    done = run("token", "--user", "bob", "--ttl", "60", "--grant", "chat:*=rw", "--jwt-key", key(tmp_path))
    assert done.returncode == 0
    claims = jwt.decode(done.stdout.strip(), SECRET, algorithms=["HS256"])
    assert claims["sub"] == "bob" and claims["spaces"] == {"chat:*": "rw"} and 50 <= claims["exp"] - time.time() <= 61
    assert call(server, "GET", "/v1/devices/device-123/offsets", done.stdout.strip())[0] == 200


@pytest.mark.serve
def test_a_key_files_final_newline_is_not_part_of_the_secret(server, tmp_path):
    done = run("token", "--user", "bob", "--jwt-key", key(tmp_path, SECRET + "\n"))
    assert call(server, "GET", "/v1/devices/device-123/offsets", done.stdout.strip())[0] == 200


@pytest.mark.serve
def test_check_finds_what_is_well_and_what_is_not(tmp_path):
    good = run("check", "--listen", "127.0.0.1:0", "--jwt-key", key(tmp_path), "--data", str(tmp_path / "d"))
    assert good.returncode == 0, good.stderr
    bad = run("check", "--jwt-key", str(tmp_path / "nosuch"), "--data", str(tmp_path / "d"))
    assert bad.returncode in (69, 78) and (bad.stderr + bad.stdout).strip()
    assert "serve needs it" in run("check", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "d")).stdout, "no key is no key that is well"


@pytest.mark.parametrize("address", ["zork", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99999", "127.0.0.1:70000"])
def test_an_address_that_is_none_is_named_by_serve_and_check(tmp_path, address):
    for command in ("serve", "check"):
        done = run(command, "--listen", address, "--jwt-key", key(tmp_path), "--data", str(tmp_path / "d"))
        assert done.returncode == 78 and f"--listen {address}: must be host:port" in done.stderr, (command, done)
