"""`tidegate device`'s background work, against the running server; and what a device costs that has nothing to do."""

import http.server
import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest
from conftest import BINARY, unique
from test_device import TIMEOUT, Cli, Watch

CLIENT_TESTS = os.path.join(os.path.dirname(BINARY), "build", "plain", "client-tests")
ROUTES = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
WAY_OUT = "%s\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"


class System:
    """/proc and /sys as a device is to find them."""

    def __init__(self, folder):
        self.root = folder / "root"
        self.network()
        self.write("sys/class/power_supply/BAT0/type", "Battery\n")
        self.power("Discharging", 80)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(text)
        new.rename(path)

    def network(self, interface=None):
        self.write("proc/net/route", ROUTES + (WAY_OUT % interface if interface else ""))

    def power(self, status, capacity):
        self.write("sys/class/power_supply/BAT0/status", status + "\n")
        self.write("sys/class/power_supply/BAT0/capacity", f"{capacity}\n")


@pytest.fixture
def system(tmp_path):
    return System(tmp_path)


@pytest.fixture
def daemons():
    made = []

    def daemon(cli, *spaces):
        made.append(Watch([BINARY, "device", "--db", cli.db] + cli.options + cli.online + ["run", *spaces]))
        return made[-1]

    yield daemon
    for one in made:
        one.kill()


def device(tmp_path, server, system, **kwargs):
    return Cli(tmp_path, server, options=["--root", str(system.root)], **kwargs)


def test_work_waits_for_what_it_needs_says_so_and_runs_once_it_is_there(server, tmp_path, system):
    phone = device(tmp_path, server, system)
    till = Cli(tmp_path, server, user=phone.user)
    space = f"cart:{phone.user}"
    phone.run("put", space, "items/tea", '{"qty":1}')
    phone.run("work", "add", "upload", "--push", "--network", "unmetered", "--charging")
    for hinder, why in ((lambda: None, "network"), (lambda: system.network("wwan0"), "unmetered"), (lambda: system.network("eth0"), "charging")):
        hinder()
        [due] = phone.run("due", online=True)
        assert (due["ran"], due["next"], due["why"]) == (0, -1, why)
        [said] = phone.run("why", "upload")
        assert said["why"] == why and "upload waits for" in said["says"]
        with_sql = subprocess.run(["python3", "-c", "import sqlite3,sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT why FROM work').fetchone()[0])", phone.db],
                                  capture_output=True, text=True, check=True)
        assert with_sql.stdout.strip() != ""
    system.power("Charging", 80)
    [due] = phone.run("due", online=True)
    assert (due["ran"], due["well"], due["why"]) == (1, 1, "no_work")
    assert phone.run("work") == [] and phone.run("status")[0]["pending"] == 0
    till.sync(space)
    assert till.run("get", space, "items/tea") == [{"qty": 1}]


def test_without_a_server_it_is_tried_again_after_its_backoff(server, tmp_path, system):
    phone = device(tmp_path, server, system)
    with socket.socket() as closed:  # bound, and nobody listens
        closed.bind(("127.0.0.1", 0))
        phone.online[1] = f"http://127.0.0.1:{closed.getsockname()[1]}"
        phone.run("put", f"cart:{phone.user}", "items/tea", '{"qty":1}')
        phone.run("work", "add", "upload", "--backoff", "3600")
        [due] = phone.run("due", online=True)
        assert (due["ran"], due["well"], due["why"]) == (1, 0, "backoff") and 0 < due["next"] <= 3600000
        [due] = phone.run("due", "1", online=True)
        assert (due["ran"], due["why"]) == (0, "backoff")
    [work] = phone.run("work")
    assert work["outcome"] == "retry" and work["attempts"] == 1 and work["reason"] != ""
    phone.online[1] = server.url()
    phone.run("work", "add", "upload", "--replace")
    [due] = phone.run("due", online=True)
    assert due["well"] == 1


def test_a_daemon_runs_work_that_others_ask_for_when_it_may(server, tmp_path, system, daemons):
    phone = device(tmp_path, server, system)
    till = Cli(tmp_path, server, user=phone.user)
    space = f"todos:{phone.user}"
    daemon = daemons(phone, space)
    phone.run("put", space, "todos/milk", '{"title":"milk"}')
    phone.run("work", "add", "at once")
    daemon.until(lambda line: line["well"] >= 1, "work that is due")
    phone.run("put", space, "todos/tea", '{"title":"tea"}')
    phone.run("work", "add", "on a network", "--network", "any")
    assert phone.run("why", "on a network")[0]["why"] == "network"
    system.network("eth0")  # seen at its next look
    end = time.monotonic() + TIMEOUT
    while phone.run("work") != []:
        assert time.monotonic() < end
        time.sleep(0.1)
    till.sync(space)
    assert {line["id"] for line in till.run("list", space, "todos")} == {"milk", "tea"}
    daemon.stop()


def test_a_daemon_that_is_killed_leaves_its_work_to_the_next(server, tmp_path, system, daemons):
    phone = device(tmp_path, server, system)
    space = f"todos:{phone.user}"
    for i in range(20):
        phone.run("put", space, f"todos/t{i}", '{"title":"x"}')
    phone.run("work", "add", "upload", "--push", "--backoff", "10")
    daemon = daemons(phone)
    time.sleep(0.05)  # at any point of it
    daemon.kill()
    daemon = daemons(phone)
    end = time.monotonic() + TIMEOUT
    while phone.run("work") != []:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert phone.run("status")[0]["pending"] == 0 and phone.run("refused") == []
    daemon.stop()


class Busy(http.server.BaseHTTPRequestHandler):
    """A server that always says to come back."""

    asked = threading.Event()

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(503)
        self.send_header("Retry-After", "1")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
        Busy.asked.set()

    def log_message(self, *args):
        pass


def test_a_second_term_ends_a_daemon_amid_a_run(server, tmp_path, system, daemons):
    phone = device(tmp_path, server, system)
    busy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Busy)
    threading.Thread(target=busy.serve_forever, daemon=True).start()
    phone.online[1] = f"http://127.0.0.1:{busy.server_address[1]}"
    phone.run("put", f"todos:{phone.user}", "todos/milk", '{"title":"milk"}')
    phone.run("work", "add", "upload")
    daemon = daemons(phone)
    assert Busy.asked.wait(TIMEOUT)
    end = time.monotonic() + TIMEOUT
    while daemon.process.poll() is None:
        assert time.monotonic() < end
        daemon.process.terminate()
        time.sleep(0.1)
    busy.shutdown()
    busy.server_close()
    assert daemon.process.returncode in (0, -signal.SIGTERM)
    [work] = phone.run("work")
    assert work["work"] == "upload" and phone.run("status")[0]["pending"] == 1


def test_what_is_no_work_is_refused_with_a_line_that_helps(server, tmp_path, system):
    phone = device(tmp_path, server, system)
    assert "--every S" in phone.run("work", "add", code=64)
    assert "--every S" in phone.run("work", "add", "a", "--sometimes", code=64)
    assert "15 minutes" in phone.run("work", "add", "a", "--every", "60", code=64)
    for backoff in ("0", "3", "9", "18001"):
        assert "--backoff %s: must be 10 to 18000 seconds" % backoff in phone.run("work", "add", "a", "--backoff", backoff, code=64)
    assert "--flex 60: must be 300 to 3600 seconds" in phone.run("work", "add", "a", "--every", "3600", "--flex", "60", code=64)
    assert "--every" in phone.run("work", "add", "a", "--flex", "600", code=64)
    assert "no work 'a', nor any other" in phone.run("why", "a", code=69)
    phone.run("work", "add", "b", "--backoff", "10", "--delay", "3600")
    phone.run("work", "add", "c", "--backoff", "18000", "--delay", "3600")
    assert "no work 'a'; there is: b, c\n" in phone.run("why", "a", code=69)
    assert phone.run("why", "b")[0]["why"] == "time"
    for name in ("b", "c"):
        phone.run("work", "cancel", name)
    assert phone.run("why")[0]["why"] == "no_work"
    phone.run("work", "cancel", "a", code=69)
    assert phone.run("why")[0]["why"] == "no_work"
    assert "--url" in phone.run("due", code=78)


class Wire:
    """A TCP proxy that counts connections, requests and bytes."""

    def __init__(self, port):
        self.to, self.connections, self.requests, self.up, self.down = port, 0, 0, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                here, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            there = socket.create_connection(("127.0.0.1", self.to))
            threading.Thread(target=self.pump, args=(here, there, "up"), daemon=True).start()
            threading.Thread(target=self.pump, args=(there, here, "down"), daemon=True).start()

    def pump(self, source, target, way):
        try:
            while data := source.recv(65536):
                setattr(self, way, getattr(self, way) + len(data))
                self.requests += data.count(b"POST /v1/sync") if way == "up" else 0
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()


def test_a_sync_that_finds_nothing_new_is_one_round_trip_of_less_than_a_kilobyte(server, tmp_path):
    phone = Cli(tmp_path, server)
    space = f"cart:{phone.user}"
    phone.run("put", space, "items/tea", '{"qty":1}')
    phone.sync()
    wire = Wire(int(server.url().rsplit(":", 1)[1]))
    phone.online[1] = f"http://127.0.0.1:{wire.port}"
    phone.sync()
    wire.close()
    print(f"{wire.requests} request, {wire.up} bytes up, {wire.down} bytes down")
    assert (wire.connections, wire.requests) == (1, 1)
    assert 0 < wire.up + wire.down < 1024, (wire.up, wire.down)


def test_a_live_device_with_nothing_to_do_wakes_at_most_once_a_heartbeat(tmp_path, make_server):
    server = make_server(args=["--heartbeat", "1"]).start()
    tries = []
    for i in range(5):  # a machine that stands still for two heartbeats costs a connection: what wakes too often does so each time
        user = unique("ana")
        done = subprocess.run([os.path.join(CLIENT_TESTS, "idle"), str(tmp_path / f"idle-{i}.db"), server.url(), server.token(user), f"todos:{user}", "8"],
                              capture_output=True, text=True, timeout=TIMEOUT)
        assert done.returncode == 0, done.stderr
        tries.append(json.loads(done.stdout))
        print(tries[-1])
        # Where the server's ping is late by a heartbeat, the device asks by itself: an allowance for a machine that is busy.
        if tries[-1]["live"] and 0 < tries[-1]["wakes"] <= tries[-1]["ms"] / 1000 * 1.5 + 3:
            return
    raise AssertionError(tries)
