"""Tokens that must not pass, and keys of every kind that is taken."""

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from client import Device
from conftest import SECRET, unique
from test_http import call


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header, payload, key=SECRET):
    text = b64(json.dumps(header).encode()) + "." + b64(json.dumps(payload).encode() if isinstance(payload, dict) else payload)
    return text + "." + b64(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest())


def now(delta=0):
    return int(time.time()) + delta


def status(server, token):
    """What an authenticated call says to this token."""
    return call(server, "GET", "/v1/devices/device-123/offsets", token)[0]


HS = {"alg": "HS256", "typ": "JWT"}


def test_a_good_token_passes(server):
    assert status(server, signed(HS, {"sub": "x", "exp": now(60)})) == 200


@pytest.mark.parametrize("make", [
    lambda: signed(HS, {"sub": "x", "exp": now(60)}, "another secret, just as long as it"),
    lambda: signed({"alg": "none"}, {"sub": "x", "exp": now(60)}),
    lambda: b64(b'{"alg":"none"}') + "." + b64(json.dumps({"sub": "x", "exp": now(60)}).encode()) + ".",
    lambda: b64(b'{"alg":"None"}') + "." + b64(json.dumps({"sub": "x", "exp": now(60)}).encode()) + ".",
    lambda: signed(HS, {"sub": "x", "exp": now(60)}).rsplit(".", 1)[0] + ".",
    lambda: signed(HS, {"sub": "x", "exp": now(60)}).rsplit(".", 1)[0],
    lambda: signed(HS, {"sub": "x", "exp": now(60)})[:-4],
    lambda: signed({"alg": "HS384"}, {"sub": "x", "exp": now(60)}),
    lambda: signed({"alg": "RS256"}, {"sub": "x", "exp": now(60)}),
    lambda: signed({}, {"sub": "x", "exp": now(60)}),
    lambda: signed(HS, {"exp": now(60)}), lambda: signed(HS, {"sub": "x"}),
    lambda: signed(HS, {"sub": "", "exp": now(60)}), lambda: signed(HS, {"sub": "x" * 129, "exp": now(60)}),
    lambda: signed(HS, {"sub": 5, "exp": now(60)}), lambda: signed(HS, {"sub": "x", "exp": "tomorrow"}),
    lambda: signed(HS, {"sub": "x", "exp": now(-31)}), lambda: signed(HS, {"sub": "x", "exp": -1}),
    lambda: signed(HS, {"sub": "x", "exp": now(60), "nbf": now(90)}),
    lambda: signed(HS | {"crit": ["exp"]}, {"sub": "x", "exp": now(60)}), lambda: signed(HS, b"[]"), lambda: signed(HS, b"x"),
    lambda: "", lambda: ".", lambda: "..", lambda: "a.b.c", lambda: "." * 5000, lambda: "x" * 7000],
    ids=["another key", "none but signed", "none", "None", "no signature", "two parts", "cut", "HS384", "RS256 by HMAC", "no alg",
         "no sub", "no exp", "empty sub", "long sub", "sub number", "exp string", "expired", "exp -1", "not yet", "crit",
         "array", "no json", "empty", "dot", "dots", "abc", "many dots", "long"])
def test_a_bad_token_is_401(server, make):
    assert status(server, make()) == 401


def test_leeway_is_thirty_seconds(server):
    assert status(server, signed(HS, {"sub": "x", "exp": now(-20)})) == 200
    assert status(server, signed(HS, {"sub": "x", "exp": now(60), "nbf": now(20)})) == 200


def test_a_sub_of_128_bytes_of_any_utf8_passes(server, device):
    user = unique("é😀:*/ ") + "x" * 90
    d = device(user)
    assert d.welcome["user"] == user


def test_any_change_of_a_byte_of_the_token_is_noticed(server):
    token = signed(HS, {"sub": "x", "exp": now(600)})
    for i in range(0, len(token) - 1):
        other = "A" if token[i] != "A" else "B"
        assert status(server, token[:i] + other + token[i + 1:]) == 401, i


def keys():
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    curve = ec.generate_private_key(ec.SECP256R1())
    return private, curve


def pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def test_a_public_key_in_pem_takes_its_own_algorithm_alone(make_server):
    """The classic: the public key's text as an HMAC secret."""
    rsa_key, _ = keys()
    one = make_server(key=pem(rsa_key)).start()
    payload = {"sub": "x", "exp": now(60)}
    assert status(one, jwt.encode(payload, rsa_key, algorithm="RS256")) == 200
    for text in (pem(rsa_key).decode(), pem(rsa_key).decode().rstrip("\n")):
        assert status(one, signed(HS, payload, text)) == 401
    assert status(one, jwt.encode(payload, rsa.generate_private_key(65537, 2048), algorithm="RS256")) == 401
    assert status(one, signed({"alg": "none"}, payload)) == 401


def test_an_elliptic_key_in_pem(make_server):
    _, curve = keys()
    one = make_server(key=pem(curve)).start()
    payload = {"sub": "x", "exp": now(60)}
    assert status(one, jwt.encode(payload, curve, algorithm="ES256")) == 200
    head, body, _ = jwt.encode(payload, curve, algorithm="ES256").split(".")
    assert status(one, f"{head}.{body}.{b64(bytes(64))}") == 401, "a signature of zeros"
    assert status(one, jwt.encode(payload, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256")) == 401


def test_a_jwks_chooses_by_kid_and_hup_rereads_it(make_server):
    first, second = keys()[1], keys()[1]

    def entry(key, kid):
        return json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())) | {"kid": kid, "alg": "ES256", "use": "sig"}

    def token(key, kid):
        return jwt.encode({"sub": "x", "exp": now(60)}, key, algorithm="ES256", headers={"kid": kid})
    one = make_server(key=json.dumps({"keys": [entry(first, "one"), entry(second, "two")]})).start()
    assert status(one, token(first, "one")) == status(one, token(second, "two")) == 200
    assert status(one, token(second, "one")) == 401 and status(one, token(first, "three")) == 401
    one.key_file.write_text(json.dumps({"keys": [entry(second, "two")]}))
    one.signal(1)
    end = time.monotonic() + 10
    while status(one, token(first, "one")) != 401:
        assert time.monotonic() < end, "HUP rereads keys"
        time.sleep(0.05)
    assert status(one, token(second, "two")) == 200


def test_an_expired_session_is_told_and_goes_on_with_a_fresh_token(server):
    """An expired token: error unauthenticated at once."""
    user = unique("u")
    d = Device(server, user, token=server.token(user, ttl=-28))
    assert d.wait_type("error", timeout=10)["code"] == "unauthenticated"
    d.send({"type": "auth", "token": server.token(user)})
    d.send({"type": "ping"})
    d.wait_type("pong")
    d.disconnect()


def test_a_bad_fresh_token_is_refused_and_the_old_one_stands(server, device):
    d = device()
    d.send({"type": "auth", "token": "nonsense"})
    assert d.wait_type("error")["code"] == "unauthenticated"
