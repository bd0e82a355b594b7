"""schemas/openapi.yaml beside the running server: every call that it names is made, and what comes back is what it says."""

import json
import re
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import jsonschema
import pytest
import yaml
from contracts import registry
from tools import ROOT

PATH = ROOT / "schemas/openapi.yaml"
DOCUMENT = yaml.safe_load(PATH.read_text())
REGISTRY = registry(ROOT)


class Server:
    def __init__(self, folder):
        (folder / "key").write_text("only-for-these-tests-0123456789abcdef")
        self.key = ["--jwt-key", str(folder / "key")]
        with socket.create_server(("127.0.0.1", 0)) as held:
            self.port = held.getsockname()[1]
        self.process = subprocess.Popen([ROOT / "tidegate", "serve", "--listen", f"127.0.0.1:{self.port}", "--data", folder / "data", *self.key],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while subprocess.run([ROOT / "tidegate", "health", "--listen", f"127.0.0.1:{self.port}"], capture_output=True).returncode != 0:
            assert self.process.poll() is None
        self.made = set()

    def token(self, user, *more):
        return subprocess.run([ROOT / "tidegate", "token", "--user", user, *more, *self.key], check=True, capture_output=True, text=True).stdout.strip()

    def call(self, operation, token=None, body=None, query="", **where):
        """(status, the answer), after it was held against the document, and a body that is taken against its schema."""
        path, method, described = next((path, method, one) for path, item in DOCUMENT["paths"].items() for method, one in item.items()
                                       if method != "parameters" and one["operationId"] == operation)
        filled = re.sub(r"\{(\w+)\}", lambda m: urllib.parse.quote(where[m.group(1)], safe=""), path)
        data = body.encode() if isinstance(body, str) else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{filled}{query}", data=data, method=method.upper())
        if token:
            request.add_header("Authorization", "Bearer " + token)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, head, raw = answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as refused:
            status, head, raw = refused.code, refused.headers, refused.read().decode()
        assert str(status) in described["responses"], f"{operation} answers {status}, which openapi.yaml does not name: {raw}"
        answer = self.fits((path, method, "responses", str(status)), head, raw)
        if status == 200 and isinstance(body, dict):
            self.validate(PATH.as_uri() + pointer("paths", path, method, "requestBody", "content", "application/json", "schema"), body)
        self.made.add((operation, status))
        return status, answer

    def fits(self, where, head, raw):
        response = DOCUMENT["paths"][where[0]][where[1]][where[2]][where[3]]
        at = ("paths", *where)
        if "$ref" in response:
            at = ("components", "responses", response["$ref"].split("/")[-1])
            response = DOCUMENT["components"]["responses"][at[-1]]
        kind = head.get_content_type()
        assert kind in response["content"], f"{where}: {kind}"
        for name, described in response.get("headers", {}).items():
            assert not described.get("required") or name in head
        answer = json.loads(raw) if kind == "application/json" else raw
        self.validate(PATH.as_uri() + pointer(*at, "content", kind, "schema"), answer)
        return answer

    @staticmethod
    def validate(reference, value):
        jsonschema.Draft202012Validator({"$ref": reference}, registry=REGISTRY).validate(value)


def pointer(*parts):
    return "#/" + "/".join(urllib.parse.quote(part.replace("~", "~0").replace("/", "~1"), safe="~{}") for part in parts)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.process.terminate()
    server.process.wait(30)


def put(ident, body, op="put", collection="items", **more):
    return {"op": op, "collection": collection, "id": ident, "body": body, **more}


def test_a_backends_calls(server):
    ana = server.token("ana")
    cart = {"space": "cart:ana"}
    assert server.call("push", ana, {"ops": [put("milk", {"qty": 1})], "key": "order-1"}, **cart)[1]["status"] == "applied"
    assert server.call("push", ana, {"ops": [put("eggs", {"qty": 2})], "key": "order-1"}, **cart)[0] == 409
    assert server.call("push", ana, {"ops": [put("milk", {"qty": 2}, **{"if": "absent"})]}, **cart)[0] == 409
    assert server.call("push", ana, {"ops": [put("milk", {"qty": "two"})]}, **cart)[0] == 400
    assert server.call("push", ana, "nonsense", **cart)[0] == 400
    assert server.call("push", ana, {"ops": [put("milk", {"qty": 3})]}, space="cart:bob")[0] == 403
    assert server.call("push", ana, {"ops": [put("milk", {"qty": 3})]}, space="nowhere:ana")[0] == 404
    assert server.call("push", ana, {"ops": [put("big", {"name": "x" * 300000})]}, **cart)[0] == 413
    assert server.call("push", None, {"ops": []}, **cart)[0] == 401
    todos = {"space": "todos:ana"}
    server.call("push", ana, {"ops": [put("a", {"title": "one"}, collection="todos", age=0)]}, **todos)
    server.call("push", ana, {"ops": [put("a", {"title": "older"}, collection="todos", age=3600000)]}, **todos)
    assert len(server.call("conflicts", ana, **todos)[1]["conflicts"]) == 1
    assert server.call("conflicts", ana, space="cart:bob")[0] == 403
    status, page = server.call("docs", ana, query="?limit=1", **cart)
    assert (status, len(page["docs"])) == (200, 1)
    assert server.call("docs", ana, query="?since=" + urllib.parse.quote(page["to"]), **cart)[1]["docs"] == []
    assert server.call("docs", ana, query="?collection=items", **cart)[0] == 200
    assert server.call("docs", ana, query="?limit=x", **cart)[0] == 400
    assert server.call("docs", ana, space="cart:bob")[0] == 403
    assert server.call("docs", ana, space="nowhere:ana")[0] == 404
    assert server.call("docs", **cart)[0] == 401


def test_presence_and_offsets(server):
    ana = server.token("ana")
    server.call("push", ana, {"ops": [put("m1", {"text": "hello"}, op="append", collection="messages")]}, space="chat:house")
    assert server.call("presence", ana, space="chat:house")[1]["count"] == 0
    assert server.call("presence", server.token("bob"), space="chat:house")[0] == 403
    assert server.call("userPresence", ana, user="ana")[1]["state"] == "offline"
    assert server.call("userPresence", ana, user="bob")[0] == 403
    assert server.call("userPresence", server.token("root", "--admin"), user="bob")[0] == 200
    assert server.call("offsets", ana, device="device-0001")[1] == {"device": "device-0001", "offsets": {}}
    assert server.call("offsets", None, device="device-0001")[0] == 401


def test_a_device_in_the_background(server):
    carl = server.token("carl")
    pushes = [{"id": 1, "after": 0, "space": "cart:carl", "known": 0, "ops": [put("milk", {"qty": 1})]},
              {"id": 2, "after": 1, "space": "cart:carl", "known": 0, "ops": [put("milk", {"qty": "bad"})]},
              {"id": 9, "after": 8, "space": "cart:carl", "known": 0, "ops": []}]
    opens = [{"space": "cart:carl", "since": None, "known": 0}, {"space": "cart:bob", "since": None, "known": 0}]
    status, answer = server.call("sync", carl, {"device": "device-0002", "pushes": pushes, "opens": opens})
    assert status == 200
    assert [one["status"] for one in answer["results"]] == ["applied", "rejected"]
    assert [one["code"] for one in answer["errors"]] == ["gap"]
    assert [one["space"] for one in answer["closed"]] == ["cart:bob"]
    cursor = answer["pages"][-1]["to"]
    _, again = server.call("sync", carl, {"device": "device-0002", "log": answer["log"], "opens": [{"space": "cart:carl", "since": cursor, "known": 2}]})
    assert [one["cursor"] for one in again["current"]] == [cursor]
    assert server.call("sync", carl, {"device": "device-0002", "log": "another"})[0] == 409
    assert server.call("sync", carl, "[]")[0] == 400
    assert server.call("sync", None, {"device": "device-0002"})[0] == 401


def test_what_those_who_run_it_look_at(server):
    assert server.call("alive")[0] == 200
    assert server.call("ready")[0] == 200
    assert "tidegate_connections " in server.call("metrics")[1]


def test_every_call_was_made_and_answered(server):
    named = {one["operationId"] for item in DOCUMENT["paths"].values() for method, one in item.items() if method != "parameters"}
    assert named == {operation for operation, status in server.made if status == 200}
