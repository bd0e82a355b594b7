"""docker-compose.yml run without Docker: its services' own commands and variables, in the order of its conditions, with this machine's
Kafka, Redis and folders in the place of the containers'. What Docker adds (images, networks, limits) is not seen here."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.request

import pytest
import yaml
from compose import calls_tidegate, environment_of
from monitoring import ALERTS, BOARD
from tools import FETCHED, ROOT
from websockets.sync.client import connect

WAIT_S = 150
FILE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
IMAGE_S = dict(re.findall(r"^ENV (\w+)=(\S+)$", (ROOT / "deploy/Dockerfile").read_text(), re.M))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as held:
        return held.getsockname()[1]


class Machine:
    """The file's services as processes. `addresses` translates a container's host:port."""

    def __init__(self, folder):
        self.folder, self.running, self.done = folder, {}, set()
        told = subprocess.run([ROOT / "tools/cluster-services", "up", folder / "services"], cwd=ROOT, capture_output=True, text=True)
        assert told.returncode == 0, told.stderr
        self.addresses = {"kafka:19092": re.search(r"KAFKA=(\S+)", told.stdout)[1], "redis:6379": re.search(r"REDIS=(\S+)", told.stdout)[1]}
        for name in FILE["services"]:
            self.addresses[f"{name}:8080"] = f"127.0.0.1:{free_port()}"

    def here(self, name, text):
        """A container's word, as it is on this machine: addresses, and paths in volumes."""
        text = re.sub(r"\b[a-z][a-z0-9-]*:\d+\b", lambda m: self.addresses.get(m[0]) or self.addresses.setdefault(m[0], f"127.0.0.1:{free_port()}"), str(text))
        for item in FILE["services"][name].get("volumes", []):
            source, target = item.split(":")[:2]
            text = text.replace(target, str(self.folder / source) if not source.startswith(".") else str(ROOT / source))
        return text.replace("0.0.0.0:8080", self.addresses[f"{name}:8080"]).replace("$$", "$")

    def environment(self, name):
        service = FILE["services"][name]
        given = {**(IMAGE_S if "tidegate" in service["image"] else {}), **environment_of(service)}
        found = {key: self.here(name, value) for key, value in given.items()}
        if "LISTEN" in found:
            found["LISTEN"] = self.addresses[f"{name}:8080"]
        return {"PATH": f"{ROOT}:/usr/bin:/bin", **found}

    def command(self, name, *more):
        service = FILE["services"][name]
        if name == "balancer":
            return [str(FETCHED / "haproxy"), "-f", self.here(name, "/usr/local/etc/haproxy/haproxy.cfg")]
        return [self.here(name, word) for word in service.get("entrypoint", ["tidegate"]) + (list(more) or service.get("command", []))]

    def up(self, name):
        """One service, when those that it waits for are as it wants them."""
        service = FILE["services"][name]
        if name in self.done or name in ("kafka", "redis"):
            return
        for other, how in service.get("depends_on", {}).items():
            self.up(other)
            if other not in ("kafka", "redis"):
                self.wait(other, how["condition"])
        for item in service.get("volumes", []):
            if not item.startswith("."):
                (self.folder / item.split(":")[0]).mkdir(exist_ok=True)
        self.done.add(name)
        log = open(self.folder / f"{name}.log", "ab")
        self.running[name] = subprocess.Popen(self.command(name), env=self.environment(name), stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder)

    def wait(self, name, condition):
        process, end = self.running[name], time.monotonic() + WAIT_S
        if condition == "service_completed_successfully":
            assert process.wait(WAIT_S) == 0, self.log(name)
            return
        while subprocess.run([ROOT / "tidegate", "health"], env=self.environment(name), capture_output=True).returncode != 0:
            assert process.poll() is None and time.monotonic() < end, self.log(name)
            time.sleep(0.1)

    def log(self, name):
        return f"{name}: " + (self.folder / f"{name}.log").read_text()[-2000:]

    def down(self):
        """All at once, as `docker compose down` may: TERM, but to HAProxy USR1, which its image names. {service: exit code}, each within its grace period."""
        begin, codes = time.monotonic(), {}
        for name, process in self.running.items():
            if process.poll() is None:
                process.send_signal(signal.SIGUSR1 if name == "balancer" else signal.SIGTERM)
        for name, process in self.running.items():
            grace = float(FILE["services"][name].get("stop_grace_period", "10s").rstrip("s"))
            try:
                codes[name] = process.wait(max(1, begin + grace - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                codes[name] = "had to be killed"
        subprocess.run([ROOT / "tools/cluster-services", "down", self.folder / "services"], cwd=ROOT, capture_output=True)
        return codes


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    machine = Machine(tmp_path_factory.mktemp("compose"))
    try:
        for name, service in FILE["services"].items():
            if not service.get("profiles"):
                machine.up(name)
        for name, service in FILE["services"].items():
            if calls_tidegate(service) and not service.get("profiles") and service.get("restart") != "no":
                machine.wait(name, "service_healthy")
        yield machine
    finally:
        machine.down()


class Device:
    def __init__(self, machine, name):
        token = subprocess.run(machine.command("token", "--user", "ana"), env=machine.environment("token"), capture_output=True, text=True, check=True).stdout.strip()
        end = time.monotonic() + WAIT_S
        while True:  # the balancer has to find the gateways ready first
            try:
                self.ws = connect(f"ws://{machine.addresses['balancer:8080']}/v1/ws", subprotocols=["tidegate.v1"], compression=None, proxy=None, open_timeout=30)
                break
            except Exception:
                assert time.monotonic() < end and machine.running["balancer"].poll() is None, machine.log("balancer")
                time.sleep(0.1)
        self.frames = []
        self.send({"type": "hello", "protocol": 1, "token": token, "device": name})
        self.until("welcome")

    def send(self, frame):
        self.ws.send(json.dumps(frame))

    def until(self, kind, **members):
        while True:
            if not self.frames:
                self.frames = [json.loads(line) for line in self.ws.recv(timeout=WAIT_S).split("\n")]
            frame = self.frames.pop(0)
            if frame["type"] == kind and all(frame.get(key) == value for key, value in members.items()):
                return frame


def scraped(address):
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as answer:
        return answer.read().decode()


def number(text, name):
    return float(re.search(rf"^{name} (\S+)$", text, re.M)[1])


def test_what_one_device_pushes_another_gets(machine):
    one, two = Device(machine, "device-0001"), Device(machine, "device-0002")
    for device in (one, two):
        device.send({"type": "open", "ref": 1, "spaces": [{"space": "cart:ana", "since": None}]})
        device.until("page", more=False)
    one.send({"type": "push", "id": 1, "after": 0, "space": "cart:ana", "ops": [{"op": "put", "collection": "items", "id": "milk", "body": {"qty": 2}}]})
    assert two.until("update", push=1)["docs"][0]["body"] == {"qty": 2}
    shares = [number(scraped(machine.addresses[f"{name}:8080"]), "tidegate_connections") for name in ("gateway-1", "gateway-2")]
    assert shares == [1, 1]  # so what went from one to the other went through Kafka, a worker and a link each


def test_each_worker_owns_half_of_the_partitions(machine):
    partitions = int(FILE["services"]["topics"]["command"][FILE["services"]["topics"]["command"].index("--partitions") + 1])
    owned = [number(scraped(machine.addresses[f"{name}:8080"]), "tidegate_kafka_partitions_owned") for name in ("worker-1", "worker-2")]
    assert sorted(owned) == [partitions / 2, partitions / 2]


def test_every_metric_of_alerts_and_dashboard_is_on_a_gateway_or_a_worker(machine):
    there = {re.split(r"[ {]", line)[0] for name in ("gateway-1", "worker-1") for line in scraped(machine.addresses[f"{name}:8080"]).splitlines() if not line.startswith("#")}
    used = set(re.findall(r"\btidegate_\w+", (ROOT / ALERTS).read_text() + (ROOT / BOARD).read_text()))
    assert used - there == set()


def test_topics_run_again_finds_nothing_to_do(machine):
    done = subprocess.run(machine.command("topics"), env=machine.environment("topics"), capture_output=True, text=True, timeout=WAIT_S)
    assert done.returncode == 0, done.stderr


def test_all_end_by_themselves_within_their_grace(machine):
    """The last."""
    assert set(machine.down().values()) == {0}
    assert pathlib.Path(machine.folder / "worker-1").is_dir() and os.listdir(machine.folder / "worker-1")
