"""What links are made through, and what a gateway says that can make none yet."""

import datetime
import os
import signal
import socket
import ssl
import tempfile
import urllib.error
import urllib.request

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from client import Device, op
from cluster import BINARY, Child, Wires
from conftest import Server, free_port, unique
from test_cluster import wait

pytestmark = pytest.mark.cluster


def certificate():
    """Of localhost, by itself: a PEM file that holds key and certificate."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), True).sign(key, hashes.SHA256()))
    with tempfile.NamedTemporaryFile("wb", suffix=".pem", delete=False) as file:
        file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        file.write(made.public_bytes(serialization.Encoding.PEM))
    return file.name


class Tunnels(Wires):
    """As stunnel or a mesh would be: a TLS client beside each gateway, a TLS server beside each worker; gateways are told the client's address."""

    def __init__(self, services, port, free):
        super().__init__(services, port, free)
        pem = certificate()
        near = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        near.load_cert_chain(pem)
        self.trust = ssl.create_default_context(cafile=pem)
        self.far = [services.loom.wire(("127.0.0.1", listens), server_tls=near) for listens in self.link_ports]
        self.links = [services.loom.wire(("127.0.0.1", far.port), client_tls=self.trust) for far in self.far]
        os.unlink(pem)


@pytest.fixture(scope="module")
def tunnelled():
    one = Server(wired=Tunnels).start()
    yield one
    one.destroy()


def told(writer, reader, space, name):
    """A push of one, until the other has it."""
    assert writer.do(space, op("put", "items", name, {"qty": 1}), timeout=60).status == "applied"
    reader.until(lambda: reader.body(space, "items", name) is not None, timeout=60, what=name)


def test_links_run_through_tls_tunnels(tunnelled):
    one, user = tunnelled, unique("u")
    space = f"cart:{user}"
    devices = [Device(one, user) for _ in range(4)]
    for d in devices:
        d.open(space)
    for n, d in enumerate(devices):
        told(d, devices[n - 1], space, f"before-{n}")
    assert all(wire.passed > 0 for wire in one.wires.far + one.wires.links)
    with socket.create_connection(("127.0.0.1", one.wires.far[0].port), 30) as raw, one.wires.trust.wrap_socket(raw, server_hostname="localhost") as tls:
        assert tls.version().startswith("TLS")  # nothing else is spoken between the two ends
    for wire in one.wires.far:
        wire.tear()
    for n, d in enumerate(devices):
        told(d, devices[n - 1], space, f"after-{n}")
    for d in devices:
        assert d.copies[space].live() == devices[0].copies[space].live() or d.barrier(space)
        d.disconnect()


class At:
    """What a Device wants to know of a server, but of one gateway."""

    def __init__(self, one, port):
        self.ws, self.token = f"ws://127.0.0.1:{port}/v1/ws", one.token


def unready(port):
    """Why it says that it is not; None: it is, or says nothing yet."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
    except urllib.error.HTTPError as answer:
        return answer.read().decode()
    except OSError:
        pass
    return None


def test_a_gateway_that_starts_without_redis_says_so_and_finds_its_workers_later(tunnelled):
    one, user = tunnelled, unique("u")
    space, services, port = f"cart:{user}", one.deployment.services, free_port()
    os.kill(services.pid("redis"), signal.SIGKILL)
    child = Child([BINARY, "gateway", *one.deployment.common, "--listen", f"127.0.0.1:{port}", "--jwt-key", str(one.key_file)],
                  one.dir / "late-gateway.log", {}, one.dir, port).start()
    try:
        wait(lambda: "Redis is away" in (unready(port) or ""), what="it says why it is not ready")
        assert child.alive()
        services.again("redis")
        wait(lambda: unready(port) is None and child.alive(), what="it found the workers")
        one.deployment.until_ready()
        late, other = Device(At(one, port), user), Device(one, user)
        for d in (late, other):
            d.open(space)
        told(late, other, space, "from-late")
        told(other, late, space, "to-late")
        late.disconnect()
        other.disconnect()
        assert child.end() == 0
    finally:
        if child.alive():
            child.kill()
