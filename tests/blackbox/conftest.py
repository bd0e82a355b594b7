"""Servers for the tests: one shared by most, fresh ones for those that kill, restart or configure."""

import itertools
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import jwt
import pytest

from cluster import Deployment, Services, Wires

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("TIDEGATE_BIN", str(ROOT / "tidegate"))
SECRET = "a-secret-that-only-these-tests-know-0123456789"
TARGET = os.environ.get("TARGET", "serve") # or "cluster"
_names = itertools.count(1)
_services = []
_ports = set()


def free_port():
    """None that the kernel gives to connections by itself: who is to listen there may take seconds to begin, and is killed and begun again. None twice."""
    low = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", 12000 + secrets.randbelow(low - 12000) if low > 14000 else 0))
            except OSError:
                continue
            port = probe.getsockname()[1]
        if port not in _ports:
            _ports.add(port)
            return port


def unique(prefix):
    """A user, space or device nobody else in this run has."""
    return f"{prefix}{next(_names)}{secrets.token_hex(3)}"


class ServeServer:
    """`tidegate serve` as a child process with a directory of its own."""

    def __init__(self, namespaces=None, key=SECRET, args=(), env=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-bb-"))
        self.key_file = self.dir / "key"
        self.key_file.write_text(key) if isinstance(key, str) else self.key_file.write_bytes(key)
        self.data = self.dir / "data"
        self.log = self.dir / "log"
        self.port = free_port()
        self.namespaces = namespaces
        self.args = list(args)
        self.env = env or {}
        self.process = None

    def command(self):
        line = [BINARY, "serve", "--listen", f"127.0.0.1:{self.port}", "--data", str(self.data),
                "--jwt-key", str(self.key_file)]
        if self.namespaces:
            line += ["--namespaces", str(self.namespaces)]
        return line + self.args

    def start(self, timeout=30):
        env = {k: v for k, v in os.environ.items() if not k.startswith("TIDEGATE_")} | self.env
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, env=env, cwd=self.dir)
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            assert self.process.poll() is None, f"serve ended with {self.process.returncode}: {self.tail()}"
            try:
                with urllib.request.urlopen(self.url("/readyz"), timeout=2) as answer:
                    if answer.status == 200:
                        return self
            except OSError:
                pass
            time.sleep(0.01)
        raise AssertionError(f"not ready within {timeout} s: {self.tail()}")

    def tail(self, size=2000):
        return self.log.read_text(errors="replace")[-size:] if self.log.exists() else ""

    def url(self, path=""):
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def ws(self):
        return f"ws://127.0.0.1:{self.port}/v1/ws"

    @property
    def ways(self):
        return [("127.0.0.1", self.port)]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout):
        return self.process.wait(timeout)

    def pids(self):
        """Of those that devices are connected to."""
        return [self.process.pid]

    def stop(self, timeout=20):
        """TERM, then the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        return self.process.returncode

    def destroy(self):
        if self.process and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def token(self, sub, ttl=3600, key=SECRET, **claims):
        payload = {"sub": sub, "exp": int(time.time()) + ttl} | claims
        return jwt.encode({k: v for k, v in payload.items() if v is not None}, key, algorithm="HS256")


class ClusterServer(ServeServer):
    """The same, as two gateways on one port and two workers. `wired`: each pair of processes over a wire that a test can cut (or what it puts in the place of Wires)."""

    def __init__(self, namespaces=None, key=SECRET, args=(), env=None, wired=False, **deployment):
        super().__init__(namespaces, key, args, env)
        if not _services:
            _services.append(Services())
        made = Wires if wired is True else wired
        self.wires = made(_services[0], self.port, free_port) if made else None
        self.deployment = Deployment(_services[0], self.dir, self.port, self.key_file, free_port, namespaces=namespaces, args=args, env=env,
                                     wires=self.wires, **deployment)
        if wired is True:
            self.wires.ways += [_services[0].loom.wire(("127.0.0.1", child.port)) for child in self.deployment.gateways]

    @property
    def ws(self):
        return f"ws://{self.wires.devices.address}/v1/ws" if self.wires else super().ws

    @property
    def ways(self):
        """To a gateway: by the port that all share, and by each one's own."""
        if self.wires:
            return [("127.0.0.1", wire.port) for wire in self.wires.ways]
        return [("127.0.0.1", port) for port in (self.port, *(child.port for child in self.deployment.gateways))]

    def start(self, timeout=120):
        self.deployment.namespaces = self.namespaces
        self.deployment.start(timeout)
        self.process = self.deployment.gateways[0].process
        return self

    def tail(self, size=2000):
        return self.deployment.tail(size)

    def kill(self):
        self.deployment.kill()

    def stop(self, timeout=60):
        return self.deployment.stop()

    def signal(self, number):
        for child in self.deployment.gateways:
            child.process.send_signal(number)

    def wait(self, timeout):
        codes = [child.process.wait(timeout) for child in self.deployment.gateways]
        return next((code for code in codes if code != 0), 0)

    def pids(self):
        return [child.process.pid for child in self.deployment.gateways]

    def destroy(self):
        self.deployment.kill()
        shutil.rmtree(self.dir, ignore_errors=True)


Server = ClusterServer if TARGET == "cluster" else ServeServer


def pytest_configure(config):
    config.addinivalue_line("markers", "serve: about `tidegate serve` itself, not about what it serves")
    config.addinivalue_line("markers", "cluster: about gateways and workers as processes of their own")


def pytest_terminal_summary(terminalreporter):
    """Seconds until all devices were served again, by fault."""
    from heals import lines
    for line in lines():
        terminalreporter.write_line(line)


def pytest_collection_modifyitems(config, items):
    other = "serve" if TARGET == "cluster" else "cluster"
    left_out = [item for item in items if item.get_closest_marker(other)]
    items[:] = [item for item in items if not item.get_closest_marker(other)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session", autouse=True)
def services():
    """Kafka and Redis end after the last server."""
    yield
    while _services:
        _services.pop().down()


@pytest.fixture(scope="session")
def server():
    """One server for all tests that neither stop nor configure it; their users and spaces are their own."""
    one = Server().start()
    yield one
    alive = one.process.poll() is None
    tail = one.tail()
    one.destroy()
    assert alive, f"the shared server died: {tail}"


@pytest.fixture
def make_server():
    """Fresh servers, ended with the test."""
    made = []

    def make(**options):
        one = Server(**options)
        made.append(one)
        return one
    yield make
    for one in made:
        one.destroy()


@pytest.fixture
def device(server):
    """Makes devices on the shared server; closes them at the end."""
    from client import Device
    made = []

    def make(user=None, on=None, **options):
        one = Device(on or server, user or unique("u"), **options)
        made.append(one)
        return one
    yield make
    for one in made:
        one.disconnect()
