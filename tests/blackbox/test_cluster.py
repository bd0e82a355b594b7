"""Only where gateways and workers are processes of their own: who owns what, who is fenced, what comes back from Kafka, who reads along."""

import json
import shutil
import signal
import threading
import time
import urllib.request

import pytest
import yaml
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from jsonschema import Draft202012Validator

from client import Closed, Device, op
from conftest import ROOT, unique
from test_resume_reset import namespace

pytestmark = pytest.mark.cluster


@pytest.fixture
def reader():
    from downstream import Downstream
    made = []

    def make(server):
        deployment = server.deployment
        made.append(Downstream(deployment.services.kafka, f"{deployment.prefix}updates", deployment.partitions))
        return made[-1]
    yield make
    for one in made:
        one.close()


class Load(threading.Thread):
    """A device that counts, one push after the other (or `window` of them at once), through whatever happens; each is sent until it has its outcome."""

    def __init__(self, server, user, window=1):
        super().__init__(daemon=True)
        self.device, self.space, self.window = Device(server, user), f"cart:{user}", window
        self.done, self.ending, self.failed, self.longest = 0, threading.Event(), None, 0.0
        self.device.open(self.space)
        self.start()

    def run(self):
        try:
            while not self.ending.is_set():
                begun = time.monotonic()
                self.device.push(self.space, [op("incr", "items", "n", field="qty", by=1), op("put", "items", f"d{self.done % 7}", {"qty": self.done % 900})])
                self.device.until(lambda: len(self.device.outbox[self.space]) < self.window, timeout=90)
                self.longest = max(self.longest, time.monotonic() - begun)
                self.done += 1
            self.device.until(lambda: not self.device.outbox[self.space], timeout=90)
        except (AssertionError, Closed, OSError) as error:
            self.failed = error

    def finish(self):
        self.ending.set()
        self.join(120)
        assert self.failed is None and not self.is_alive(), self.failed
        return self.device.copies[self.space]


def bodies(loads):
    """What downstream must end with: every device's documents."""
    return {f"{load.space}/{collection}/{id_}": json.loads(body) for load in loads
            for (collection, id_), (_, body) in load.device.copies[load.space].live().items()}


def finish_and_compare(one, loads, along):
    """Every press counted once; a fresh device, and who reads downstream, have what the writers have, and never saw anything go back."""
    for load in loads:
        copy = load.finish()
        assert json.loads(copy.live()[("items", "n")][1])["qty"] == min(load.done, 999)
        fresh = Device(one, load.device.user)
        fresh.open(load.space)
        assert fresh.copies[load.space].live() == copy.live()
        fresh.disconnect()
    along.until(lambda: along.docs == bodies(loads))
    assert along.backwards == []


def metric(child, name):
    """0 while it does not answer yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{child.port}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return 0
    return next(int(float(line.split()[1])) for line in lines if line.startswith(f"tidegate_{name} "))


def owners(server):
    """How many partitions each worker says to hold."""
    return [metric(child, "kafka_partitions_owned") for child in server.deployment.workers if child.alive()]


def wait(holds, timeout=90, what=""):
    end = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def test_a_zombie_is_fenced_and_who_reads_along_never_goes_back(make_server, reader):
    one = make_server().start()
    wait(lambda: sorted(owners(one)) == [2, 2], what="both workers own something")
    loads = [Load(one, unique("u"), window=20) for _ in range(6)]
    along = reader(one)
    wait(lambda: all(load.done > 20 for load in loads))
    zombie = one.deployment.workers[0]
    # Stopped under such a load it has a batch in its hands, or nearly always; what it tries to journal when it wakes, Kafka refuses.
    for _ in range(6):
        zombie.process.send_signal(signal.SIGSTOP)
        try:
            before = [load.done for load in loads]
            # Past its session: the other owns everything and goes on.
            wait(lambda: all(load.done > was + 20 for load, was in zip(loads, before)), what="the other takes over")
        finally:
            zombie.process.send_signal(signal.SIGCONT)
        before = [load.done for load in loads]
        wait(lambda: all(load.done > was + 20 for load, was in zip(loads, before)), what="it goes on with the zombie awake")
        wait(lambda: sorted(owners(one)) == [2, 2], what="the zombie is a member again")
        if metric(zombie, "kafka_fenced_total") > 0:
            break
    refused = [line for line in zombie.log.read_text().splitlines() if " transaction call=offsets " in line]
    assert metric(zombie, "kafka_fenced_total") > 0 and refused
    for load in loads:
        copy = load.finish()
        assert json.loads(copy.live()[("items", "n")][1])["qty"] == min(load.done, 999)
    along.until(lambda: along.docs == bodies(loads))
    assert along.backwards == []
    assert all(child.alive() for child in one.deployment.workers), one.tail()
    print(f"Kafka to the zombie: {refused[-1]}\nlongest wait of a push while a worker was stopped: {max(load.longest for load in loads):.1f} s")


def test_a_worker_killed_and_without_its_disk_serves_the_same(make_server, reader):
    one = make_server().start()
    loads = [Load(one, unique("u")) for _ in range(4)]
    along = reader(one)
    # Without anything in the journal there would be nothing to restore: the log alone would do.
    along.until(lambda: all(f"{load.space}/items/n" in along.docs for load in loads))
    for round_ in range(3):
        before = [load.done for load in loads]
        wait(lambda: all(load.done > was + 10 for load, was in zip(loads, before)))
        child = one.deployment.workers[round_ % 2]
        child.kill()
        shutil.rmtree(one.dir / f"worker-{round_ % 2}")
        child.start()
    one.deployment.until_ready()
    finish_and_compare(one, loads, along)
    wait(lambda: any(" restored " in child.log.read_text() for child in one.deployment.workers), what="a store was made anew from the journal")


def test_a_namespace_changes_under_load_at_one_place_for_everybody(make_server, tmp_path):
    folder = tmp_path / "ns"
    folder.mkdir()
    (folder / "first.json").write_text(json.dumps(namespace("first", "1d")))
    one = make_server(namespaces=folder).start()
    devices = [Device(one, unique("u")) for _ in range(4)]
    outcomes = {device.user: [] for device in devices}
    for device in devices:
        device.open(f"first:{device.user}")
    tighter = namespace("first", "1d")
    tighter["version"] = 2
    tighter["collections"]["docs"]["schema"] = {"type": "object", "properties": {"n": {"type": "integer"}}}
    (folder / "first.json").write_text(json.dumps(tighter))
    changing = threading.Timer(0.5, one.deployment.make_topics)
    changing.start()
    end = time.monotonic() + 60
    n = 0
    while not all(outcomes[d.user][-5:] == ["invalid"] * 5 for d in devices):
        assert time.monotonic() < end, outcomes
        for device in devices:
            outcome = device.do(f"first:{device.user}", op("put", "docs", f"d{n}", {"n": "text"}))
            outcomes[device.user].append("applied" if outcome.status == "applied" else outcome.code)
        n += 1
        if n == 8:  # an owner that comes to the change anew judges it alike
            one.deployment.workers[0].kill()
            one.deployment.workers[0].start()
    changing.join()
    for device in devices:
        said = outcomes[device.user]
        assert said == sorted(said), f"the old text was in force, then the new one, once: {said}"
        fresh = Device(one, device.user)
        fresh.open(f"first:{device.user}")
        assert len(fresh.copies[f"first:{device.user}"].live()) == said.count("applied")
        fresh.disconnect()


def test_updates_are_cloud_events(make_server, reader):
    one = make_server().start()
    user = unique("u")
    device = Device(one, user)
    device.open(f"notes:{user}")
    device.do(f"notes:{user}", op("put", "notes", "a/b", {"text": "x", "big": 12345678901234567890}))
    device.do(f"notes:{user}", op("put", "notes", "gone", {"text": "x"}))
    device.do(f"notes:{user}", op("delete", "notes", "gone"))
    along = reader(one)
    key, gone = f"notes:{user}/notes/a/b", f"notes:{user}/notes/gone"
    along.until(lambda: key in along.docs and along.headers.get(gone, {}).get("ce_type") == b"tidegate.document.deleted")
    headers = along.headers[key]
    assert headers["ce_specversion"] == b"1.0" and headers["ce_type"] == b"tidegate.document.changed"
    assert headers["ce_subject"].decode() == key and headers["content-type"] == b"application/json"
    assert headers["ce_source"].startswith(b"/tidegate/") and headers["ce_id"].startswith(headers["ce_subject"])
    assert headers["ce_time"].endswith(b"Z")
    assert along.values, "what the topics carry fits its schema"
    for schema, values in (("update", along.values), ("state-partition", partition_records(one))):
        check = Draft202012Validator(json.loads((ROOT / f"schemas/records/{schema}.schema.json").read_text()))
        for value in values:
            check.validate(value)
    heed_asyncapi(one.deployment, along)


def heed_asyncapi(deployment, along):
    """The headers of all that was read, and the topics as they are, against what schemas/asyncapi.yaml says of both."""
    spec = yaml.safe_load((ROOT / "schemas/asyncapi.yaml").read_text())
    check = Draft202012Validator({"$ref": "#/components/schemas/documentHeaders", "components": spec["components"]})
    assert along.headers
    for headers in along.headers.values():
        check.validate({name: value.decode("latin-1") for name, value in headers.items()})
    named = {ConfigResource(ResourceType.TOPIC, deployment.prefix + channel["address"]): channel["bindings"]["kafka"]["topicConfiguration"]
             for channel in spec["channels"].values() if "topicConfiguration" in channel.get("bindings", {}).get("kafka", {})}
    assert len(named) == 5
    admin = AdminClient({"bootstrap.servers": deployment.services.kafka})  # gone, it answers nothing
    for resource, found in admin.describe_configs(list(named)).items():
        for name, wanted in named[resource].items():
            text = ",".join(wanted) if isinstance(wanted, list) else str(wanted)
            assert found.result(60)[name].value == text, (resource.name, name)


def partition_records(server):
    from downstream import Downstream
    deployment = server.deployment
    state = Downstream(deployment.services.kafka, f"{deployment.prefix}state", deployment.partitions)
    try:
        state.until(lambda: "partition" in state.raw)
        return [json.loads(state.raw["partition"])]
    finally:
        state.close()
