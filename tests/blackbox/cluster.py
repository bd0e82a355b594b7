"""The same server as gateways and workers of their own, on a real Kafka and a real Redis: what TARGET=cluster puts in serve's place."""

import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

from wires import Loom

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("TIDEGATE_BIN", str(ROOT / "tidegate"))
GATEWAYS, WORKERS, PARTITIONS = 2, 2, 4


def pair(address):
    """host:port as a socket wants it."""
    host, port = address.rsplit(":", 1)
    return host, int(port)


class Services:
    """Kafka and Redis, begun from nothing. Kafka is reached over wires too (wires.py): one for gateways, one for each worker."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-services-"))
        self.loom = Loom()
        self.kafka_wires = [self.loom.wire() for _ in range(1 + WORKERS)]
        env = os.environ | {"ADVERTISED": " ".join(str(wire.port) for wire in self.kafka_wires)}
        done = subprocess.run([ROOT / "tools/cluster-services", "up", self.dir], capture_output=True, text=True, env=env)
        assert done.returncode == 0, done.stderr
        found = dict(line.split("=", 1) for line in done.stdout.split() if "=" in line)
        self.kafka, self.redis = found["KAFKA"], found["REDIS"]
        for wire, behind in zip(self.kafka_wires, found["KAFKA_BEHIND"].split(",")):
            wire.to = pair(behind)

    def again(self, name):
        """Starts one that was killed, on its port and its data."""
        assert self.begin(name).wait() == 0

    def begin(self, name):
        """The same, for who has something to do meanwhile: it ends once that one serves."""
        return subprocess.Popen([ROOT / "tools/cluster-services", name, self.dir])

    def pid(self, name):
        return int((self.dir / f"{name}.pid").read_text())

    def down(self):
        subprocess.run([ROOT / "tools/cluster-services", "down", self.dir], check=False)
        self.loom.close()
        shutil.rmtree(self.dir, ignore_errors=True)


class Wires:
    """What runs between the processes of one deployment, each pair over a wire of its own."""

    def __init__(self, services, port, free_port, workers=WORKERS):
        loom, redis = services.loom, pair(services.redis)
        self.devices = loom.wire(("127.0.0.1", port))
        self.ways = [self.devices]  # one more to each gateway's own port, once that is known
        self.link_ports = [free_port() for _ in range(workers)]
        self.links = [loom.wire(("127.0.0.1", listens)) for listens in self.link_ports]
        self.gateways_kafka, self.workers_kafka = services.kafka_wires[0], services.kafka_wires[1:1 + workers]
        self.gateways_redis, self.workers_redis = loom.wire(redis), loom.wire(redis)

    def of_gateways(self):
        return ["--kafka", self.gateways_kafka.address, "--redis", self.gateways_redis.address]

    def of_worker(self, i):
        return ["--kafka", self.workers_kafka[i].address, "--redis", self.workers_redis.address,
                "--link", self.links[i].address, "--link-listen", f"127.0.0.1:{self.link_ports[i]}"]


def cleaned(extra):
    return {k: v for k, v in os.environ.items() if not k.startswith("TIDEGATE_")} | extra


def is_ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


class Child:
    """A process of ours with a log; started as often as it dies."""

    def __init__(self, line, log, env, cwd, port):
        self.line, self.log, self.env, self.cwd, self.port = line, log, env, cwd, port
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.line, stdout=log, stderr=log, env=cleaned(self.env), cwd=self.cwd)
        return self

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self, timeout=40):
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)


class Deployment:
    """A log of its own on shared services, gateways on one port, workers; all of it in one directory."""

    def __init__(self, services, directory, port, key_file, free_port, gateways=GATEWAYS, workers=WORKERS, partitions=PARTITIONS,
                 namespaces=None, args=(), env=None, worker_args=(), wires=None):
        self.services, self.dir, self.port, self.free_port, self.env = services, directory, port, free_port, env or {}
        self.namespaces, self.partitions = namespaces, partitions
        self.prefix = f"bb{secrets.token_hex(4)}."
        direct = ["--kafka", services.kafka, "--redis", services.redis]
        self.common = [*direct, "--prefix", self.prefix]
        of_gateways = wires.of_gateways() if wires else direct
        of_workers = [wires.of_worker(i) if wires else direct for i in range(workers)]
        self.gateways = [self.gateway(i, [*of_gateways, "--listen", f"127.0.0.1:{port}", "--jwt-key", str(key_file)], args) for i in range(gateways)]
        self.workers = [self.worker(i, [*of_workers[i], "--instance", f"worker-{i}", *worker_args]) for i in range(workers)]
        self.made = False

    def gateway(self, i, args, more):
        """On the port that they share, and on one of its own."""
        port = self.free_port()
        return Child([BINARY, "gateway", *args, "--listen", f"127.0.0.1:{port}", "--prefix", self.prefix, *more], self.dir / f"gateway-{i}.log", self.env,
                     self.dir, port)

    def worker(self, i, args):
        port = self.free_port()
        return Child([BINARY, "worker", *args, "--prefix", self.prefix, "--data", str(self.dir / f"worker-{i}"), "--listen", f"127.0.0.1:{port}",
                      "--session", "6"], self.dir / f"worker-{i}.log", self.env, self.dir, port)

    def add_worker(self):
        """One more, of those that come and go: no static member."""
        self.workers.append(self.worker(len(self.workers), self.common[:4]).start())
        return self.workers[-1]

    def make_topics(self, *more):
        line = [BINARY, "topics", "--kafka", self.services.kafka, "--prefix", self.prefix, *more]
        if self.namespaces:
            line += ["--namespaces", str(self.namespaces)]
        done = subprocess.run(line, capture_output=True, text=True, env=cleaned({}))
        assert done.returncode == 0, done.stderr + done.stdout

    def start(self, timeout=120):
        if not self.made:
            self.make_topics("--partitions", str(self.partitions))
            self.made = True
        elif self.namespaces:
            self.make_topics()  # where serve reads them at its start
        for child in self.workers + self.gateways:
            if not child.alive():
                child.start()
        self.until_ready(timeout)
        return self

    def until_ready(self, timeout=120):
        end = time.monotonic() + timeout
        waiting = [child for child in self.workers + self.gateways if child.process is not None]
        while waiting and time.monotonic() < end:
            for child in waiting:
                assert child.alive(), f"{child.line[1]} ended with {child.process.returncode}: {self.tail()}"
            waiting = [child for child in waiting if not is_ready(child.port)]
            time.sleep(0.02)
        assert not waiting, f"not ready within {timeout} s: {self.tail()}"

    def tail(self, size=1500):
        logs = [child.log for child in self.gateways + self.workers if child.log.exists()]
        return "\n".join(f"{log.name}: {log.read_text(errors='replace')[-size:]}" for log in logs)

    def kill(self):
        for child in self.gateways + self.workers:
            if child.process is not None:
                child.kill()

    def stop(self):
        """TERM to each; the first exit code that is not 0, or 0."""
        codes = [child.end() for child in self.gateways] + [child.end() for child in self.workers]
        return next((code for code in codes if code != 0), 0)
