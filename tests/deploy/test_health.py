"""`tidegate health`, which the image's HEALTHCHECK is, beside a server in each state."""

import socket
import subprocess
import threading

import pytest
from tools import ROOT


def health(address, **more):
    return subprocess.run([ROOT / "tidegate", "health"], env={"TIDEGATE_LISTEN": address, **more}, capture_output=True, text=True, timeout=30)


@pytest.fixture
def answering():
    """A server that answers every request with one answer; gives its port."""
    stops = []

    def start(answer):
        server = socket.create_server(("127.0.0.1", 0))
        asked = []

        def serve():
            while True:
                try:
                    one, _ = server.accept()
                except OSError:
                    return
                with one:
                    if answer is None:
                        one.settimeout(20)
                        while one.recv(1024):
                            pass
                        continue
                    asked.append(one.recv(1024))
                    one.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        stops.append(server)
        return server.getsockname()[1], asked

    yield start
    for server in stops:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "", "localhost"])
def test_who_listens_everywhere_is_asked_on_loopback(answering, host):
    port, asked = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")
    done = health(f"{host}:{port}")
    assert done.returncode == 0, done.stderr
    assert asked[0].startswith(b"GET /readyz HTTP/1.1\r\n")


def test_not_ready_says_why(answering):
    port, _ = answering(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 8\r\n\r\ndraining")
    done = health(f"127.0.0.1:{port}")
    assert done.returncode == 69
    assert done.stderr == "tidegate: not ready: draining\n"


def test_nobody_there_and_nobody_answering(answering):
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    assert "nobody accepts" in health(f"127.0.0.1:{port}").stderr
    port, _ = answering(None)
    done = health(f"127.0.0.1:{port}")
    assert done.returncode == 69
    assert "no answer within 2 s" in done.stderr
    assert health(f"127.0.0.1:{port}", TIDEGATE_TLS_CERT="cert.pem").returncode == 0
    assert health("nonsense").returncode == 69


def test_a_real_server_is_ready(tmp_path):
    (tmp_path / "key").write_text("only-for-these-tests-0123456789abcdef")
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    server = subprocess.Popen([ROOT / "tidegate", "serve", "--listen", f"127.0.0.1:{port}", "--data", tmp_path / "data", "--jwt-key", tmp_path / "key"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while health(f"127.0.0.1:{port}").returncode != 0:
            assert server.poll() is None
    finally:
        server.terminate()
        assert server.wait(30) == 0
    assert health(f"127.0.0.1:{port}").returncode == 69
