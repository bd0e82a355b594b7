"""The schemas of the frames: sound, as strict as the examples say, and telling the same as the running server."""

import contextlib
import json
import pathlib
import subprocess
import tempfile
import urllib.request

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMAS = sorted((ROOT / "schemas").glob("frames/**/*.schema.json")) + sorted((ROOT / "schemas").glob("records/**/*.schema.json")) + \
    sorted((ROOT / "schemas").glob("*.schema.json"))
REGISTRY = Registry().with_resources((path.as_uri(), Resource.from_contents(json.loads(path.read_text()))) for path in SCHEMAS)
SIDES = ("device", "gateway")


def name_of(path):
    return str(path.relative_to(ROOT / "schemas"))


def where(schema):
    return (ROOT / "schemas" / f"{schema}.schema.json").as_uri()


def validator(schema):
    return Draft202012Validator({"$ref": where(schema)}, registry=REGISTRY)


def references(schema):
    """Every $ref in a schema."""
    if isinstance(schema, dict):
        yield from ([schema["$ref"]] if isinstance(schema.get("$ref"), str) else [])
    for below in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else []:
        yield from references(below)


def examples(kind, side):
    return sorted((ROOT / "schemas/examples" / kind / side).glob("*.json"))


@pytest.mark.parametrize("path", SCHEMAS, ids=name_of)
def test_a_schema_is_itself_valid_and_its_references_are_files_beside_it(path):
    schema = json.loads(path.read_text())
    Draft202012Validator.check_schema(schema)
    assert "$id" not in schema  # a reference is then a path, which every tool can follow
    for reference in references(schema):
        REGISTRY.resolver(base_uri=path.as_uri()).lookup(reference)


def test_the_sealed_body_that_clients_are_tried_with_fits_its_schema_and_what_is_in_it_does_not():
    vector = json.loads((ROOT / "schemas/vectors/sealed.json").read_text())
    assert validator("sealed-body").is_valid(vector["sealed"])
    assert not validator("sealed-body").is_valid(vector["body"])
    for member, wrong in (("sealed", 2), ("key", "a b"), ("nonce", "AAAA"), ("box", "AAA"), ("more", 1)):
        assert not validator("sealed-body").is_valid(vector["sealed"] | {member: wrong})


@pytest.mark.parametrize("side", SIDES)
def test_an_envelope_names_every_frame_of_its_side(side):
    named = {entry["$ref"] for entry in REGISTRY.contents(where(f"frames/{side}"))["oneOf"]}
    assert named == {f"{side}/{path.name}" for path in (ROOT / "schemas/frames" / side).glob("*.json")}


@pytest.mark.parametrize("side", SIDES)
def test_every_frame_has_an_example(side):
    shown = {json.loads(path.read_text())["type"] for path in examples("valid", side)}
    assert shown == {path.name.removesuffix(".schema.json") for path in (ROOT / "schemas/frames" / side).glob("*.json")}


@pytest.mark.parametrize("side,path", [(side, path) for side in SIDES for path in examples("valid", side)], ids=lambda v: getattr(v, "stem", v))
def test_a_valid_example_fits(side, path):
    validator(f"frames/{side}").validate(json.loads(path.read_text()))


@pytest.mark.parametrize("side,path", [(side, path) for side in SIDES for path in examples("invalid", side)], ids=lambda v: getattr(v, "stem", v))
def test_an_invalid_example_does_not(side, path):
    frame = json.loads(path.read_text())
    assert not validator(f"frames/{side}").is_valid(frame)
    kind = frame.get("type") if isinstance(frame, dict) else None
    if where(f"frames/{side}/{kind}") in REGISTRY:  # nor the schema of its own type: the envelope is not what refuses it
        assert not validator(f"frames/{side}/{kind}").is_valid(frame)


# -- beside the running server --------------------------------------------------------------------------------------
def descriptors(pid):
    """What a process has open. While it starts it also closes some, maybe between their being listed and being read."""
    found = set()
    for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(link.readlink().name)
    return found


class Server:
    def __init__(self, folder):
        self.log = open(folder / "log", "w+b")
        (folder / "key").write_text("only-for-these-tests-0123456789abcdef")
        self.key = ["--jwt-key", str(folder / "key")]
        self.process = subprocess.Popen([ROOT / "tidegate", "serve", "--listen", "127.0.0.1:0", "--data", folder / "data", *self.key], stdout=self.log, stderr=self.log)
        self.port = self.wait_port()

    def wait_port(self):
        """The port, from what the kernel says this process listens on, once it is ready."""
        while self.process.poll() is None:
            sockets = descriptors(self.process.pid)
            for line in pathlib.Path(f"/proc/{self.process.pid}/net/tcp").read_text().splitlines()[1:]:
                row = line.split()
                if row[3] == "0A" and f"socket:[{row[9]}]" in sockets:
                    port = int(row[1].split(":")[1], 16)
                    try:
                        urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
                        return port
                    except OSError:
                        pass
        raise AssertionError(pathlib.Path(self.log.name).read_text())

    def token(self, user):
        return subprocess.run([ROOT / "tidegate", "token", "--user", user, *self.key], check=True, capture_output=True, text=True).stdout.strip()

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


@pytest.fixture(scope="module")
def server():
    with tempfile.TemporaryDirectory(prefix="tidegate-schemas-") as folder:
        server = Server(pathlib.Path(folder))
        yield server
        server.stop()


class Device:
    """A connection that holds every frame against the schemas, both ways."""

    count = 0

    def __init__(self, server, user, hello=True):
        Device.count += 1
        self.server, self.token = server, server.token(user)
        self.ws = connect(f"ws://127.0.0.1:{server.port}/v1/ws", subprotocols=["tidegate.v1"], compression=None, proxy=None)
        self.frames = []
        if hello:
            self.send({"type": "hello", "protocol": 1, "token": self.token, "device": f"device-{Device.count:04}"})
            self.until("welcome")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ws.close()

    def send(self, frame, check=True):
        if check:
            validator("frames/device").validate(frame)
        self.ws.send(json.dumps(frame))

    def until(self, *types, **members):
        """The frames up to one of these types that has these members."""
        got = []
        while True:
            if not self.frames:
                self.frames = [json.loads(line) for line in self.ws.recv(timeout=20).split("\n")]
            frame = self.frames.pop(0)
            validator("frames/gateway").validate(frame)
            got.append(frame)
            if frame["type"] in types and all(frame.get(k) == v for k, v in members.items()):
                return got

    def settled(self):
        """All frames that answer what was sent: up to a pong, and to the outcome of every push."""
        self.send({"type": "ping"})
        return self.until("pong")


def test_what_the_server_sends_fits(server):
    with Device(server, "ana") as one, Device(server, "ana") as two:
        one.send({"type": "open", "ref": 1, "spaces": [{"space": "chat:house", "since": None}], "presence": True, "meta": {"name": "Ana"}})
        one.until("page")
        one.until("presence")
        one.send({"type": "push", "id": 1, "after": 0, "space": "chat:house", "ops": [{"op": "append", "collection": "messages", "id": "m1", "body": {"text": "a"}}]})
        one.until("update", push=1)
        two.send({"type": "open", "ref": "two", "spaces": [{"space": "chat:house", "since": None, "tail": 10}, {"space": "cart:bob"}], "presence": True})
        two.until("closed")
        two.send({"type": "signal", "space": "chat:house", "body": 1})
        one.until("signal")
        two.send({"type": "push", "id": 1, "after": 0, "space": "chat:house", "ops": []})
        result = two.until("result", id=1)[-1]
        assert result["status"] == "applied"
        two.send({"type": "push", "id": 2, "after": 1, "space": "chat:house", "ops": [{"op": "put", "collection": "room", "id": "settings", "body": {"title": 7}}]})
        assert two.until("result", id=2)[-1]["code"] == "invalid"
        two.send({"type": "push", "id": 9, "after": 8, "space": "chat:house", "ops": []})
        assert two.until("error", id=9)[-1]["code"] == "gap"
        two.send({"type": "push", "id": 3, "after": 2, "space": "chat:house", "ops": [{"op": "delete", "collection": "messages", "id": "m1"}]})
        cursor = one.until("update", push=3)[-1]["cursor"]
        two.send({"type": "open", "ref": 3, "spaces": [{"space": "chat:house", "since": None}]})
        last = two.until("page", ref=3)[-1]
        assert [entry["id"] for entry in last["refused"]] == [2]
        two.send({"type": "open", "ref": 4, "spaces": [{"space": "chat:house", "since": cursor, "known": 2}]})
        two.until("current", ref=4)
        two.send({"type": "history", "ref": 5, "space": "chat:house", "collection": "messages"})
        assert "at" in two.until("page", ref=5)[-1]
        two.send({"type": "auth", "token": "bad"})
        assert two.until("error")[-1]["code"] == "unauthenticated"


@pytest.mark.parametrize("path", [p for p in examples("valid", "device") if not p.stem.startswith(("hello", "auth"))], ids=lambda v: v.stem)
def test_the_server_takes_a_valid_frame(server, path):
    frame = json.loads(path.read_text())
    with Device(server, "ana") as device:
        device.send(frame)
        if frame["type"] == "push":
            outcome = device.until("result", "update", "error")[-1]
            assert outcome.get("code") not in ("bad_frame", "invalid", "too_large", "unknown_space"), outcome
        assert not [f for f in device.settled() if f.get("code") == "bad_frame"]


@pytest.mark.parametrize("path", examples("invalid", "device"), ids=lambda v: v.stem)
def test_the_server_refuses_an_invalid_frame(server, path):
    frame = json.loads(path.read_text())
    if isinstance(frame, dict) and frame.get("type") == "hello":
        with Device(server, "ana", hello=False) as device:
            device.send({**frame, "token": device.token} if "token" in frame else frame, check=False)
            assert device.until("error")[-1]["code"] == "bad_frame"
            with pytest.raises(ConnectionClosed) as closed:
                device.until("welcome")
            assert closed.value.rcvd.code == 4400
        return
    with Device(server, "ana") as device:
        device.send(frame, check=False)
        answer = device.until("error", "result")[-1]
        assert answer["code"] in ("bad_frame", "invalid", "unknown_space"), answer
        assert device.settled()[-1] == {"type": "pong"}  # the connection lives
