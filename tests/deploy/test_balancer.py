"""The balancer's configuration, run: HAProxy as docker-compose.yml sets it up, before two real servers."""

import contextlib
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from tools import FETCHED, ROOT
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

WAIT_S = 60


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as held:
        return held.getsockname()[1]


def status(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def until(what, want):
    end = time.monotonic() + WAIT_S
    while (got := what()) != want:
        assert time.monotonic() < end, f"{got}, not {want}, after {WAIT_S} s"
        time.sleep(0.05)


class Stage:
    def __init__(self, folder):
        (folder / "key").write_text("only-for-these-tests-0123456789abcdef")
        self.key = ["--jwt-key", str(folder / "key")]
        self.ports = [free_port(), free_port()]
        self.servers = [subprocess.Popen([ROOT / "tidegate", "serve", "--listen", f"127.0.0.1:{port}", "--data", folder / str(port), "--drain", "2", *self.key],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for port in self.ports]
        port = free_port()
        self.url = f"127.0.0.1:{port}"
        self.log = open(folder / "haproxy.log", "w+b")
        self.balancer = None

    def begin(self):
        """The balancer last: whom it finds ready it counts as ready from its start."""
        for at in self.ports:
            until(lambda: status(f"http://127.0.0.1:{at}/readyz"), 200)
        gateways = {f"GATEWAY_{i}": f"127.0.0.1:{at}" for i, at in enumerate(self.ports, 1)}
        self.balancer = subprocess.Popen([FETCHED / "haproxy", "-f", ROOT / "deploy/compose/haproxy.cfg"], stdout=self.log, stderr=self.log,
                                         env={"PATH": "/usr/bin:/bin", "LISTEN": self.url, **gateways})
        until(lambda: self.balancer.poll() is None and status(f"http://{self.url}/readyz"), 200)

    def connect(self):
        token = subprocess.run([ROOT / "tidegate", "token", "--user", "ana", *self.key], check=True, capture_output=True, text=True).stdout.strip()
        ws = connect(f"ws://{self.url}/v1/ws", subprotocols=["tidegate.v1"], compression=None, proxy=None, open_timeout=30)
        ws.send(json.dumps({"type": "hello", "protocol": 1, "token": token, "device": f"device-{ws.local_address[1]}"}))
        assert json.loads(ws.recv(timeout=30))["type"] == "welcome"
        return ws

    def connections(self):
        """How many each server has; None of one that is gone."""
        return [self.number(at) for at in self.ports]

    @staticmethod
    def number(port):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                return next(int(line.split()[1]) for line in answer.read().decode().splitlines() if line.startswith("tidegate_connections "))
        except OSError:
            return None

    def stop(self):
        for process in [self.balancer, *self.servers]:
            if process is not None:
                process.kill()
                process.wait()
        self.log.close()


@pytest.fixture
def stage(tmp_path):
    stage = Stage(tmp_path)
    try:
        stage.begin()
        yield stage
    finally:
        stage.stop()


def test_devices_are_shared_out_and_numbers_stay_inside(stage):
    devices = [stage.connect() for _ in range(6)]
    assert sorted(stage.connections()) == [3, 3]
    assert status(f"http://{stage.url}/metrics") == 404
    assert status(f"http://{stage.url}/v1/ws") == 400  # the gateway's own answer to what is no upgrade
    for device in devices:
        device.close()


def told_to_leave(device):
    """True: `bye`, and 1012; False: lives on."""
    frames = []
    with contextlib.suppress(ConnectionClosed):
        device.send('{"type":"ping"}')
    try:
        while "pong" not in frames:
            frames += [json.loads(line)["type"] for line in device.recv(timeout=30).split("\n")]
    except ConnectionClosed as closed:
        assert closed.rcvd.code == 1012
        assert "bye" in frames
        return True
    return False


def test_a_gateway_that_drains_takes_leave_of_its_devices_and_the_other_takes_them(stage):
    devices = [stage.connect() for _ in range(4)]
    assert stage.connections() == [2, 2]
    stage.servers[0].terminate()
    assert stage.servers[0].wait(30) == 0
    assert sorted(map(told_to_leave, devices)) == [False, False, True, True]  # by the gateway itself: the balancer cut nobody off
    back = [stage.connect() for _ in range(2)]
    until(stage.connections, [None, 4])
    for device in back:
        device.close()


def test_with_no_gateway_ready_the_balancer_says_so(stage):
    for server in stage.servers:
        server.terminate()
    for server in stage.servers:
        server.wait(30)
    until(lambda: status(f"http://{stage.url}/v1/ws"), 503)
