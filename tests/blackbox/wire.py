"""Frames as text: what JSON says, and the exact bytes it said it with.

Written from the protocol page alone; shares no code with the server.
A device must give bodies back byte for byte and hash them as they stood in the frame,
so a frame is kept beside the raw text of each document's body.
"""

import json

import xxhash

_decoder = json.JSONDecoder()
_WHITE = " \t\r\n"


def dumps(value):
    """One line, no white space: what a device would send."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class Raw(str):
    """JSON text that goes out (or came in) exactly as it stands."""


def encode(value):
    """Like dumps, but a Raw anywhere inside is put in verbatim."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(dumps(k) + ":" + encode(v) for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(encode(v) for v in value) + "]"
    return dumps(value)


def _skip(text, i):
    while text[i] in _WHITE:
        i += 1
    return i


def members(text):
    """[(key, raw text of the value)] of a JSON object, in order, repeats included."""
    found = []
    i = _skip(text, 0)
    assert text[i] == "{", text[:80]
    i = _skip(text, i + 1)
    while text[i] != "}":
        key, i = _decoder.raw_decode(text, i)
        i = _skip(text, i)
        assert text[i] == ":"
        begin = _skip(text, i + 1)
        _, end = _decoder.raw_decode(text, begin)
        found.append((key, text[begin:end]))
        i = _skip(text, end)
        if text[i] == ",":
            i = _skip(text, i + 1)
    return found


def items(text):
    """The raw text of each element of a JSON array."""
    found = []
    i = _skip(text, 1)
    while text[i] != "]":
        _, end = _decoder.raw_decode(text, i)
        found.append(text[i:end])
        i = _skip(text, end)
        if text[i] == ",":
            i = _skip(text, i + 1)
    return found


class Frame(dict):
    """A frame; `raw` is its text. Documents in `docs` are Frames as well, and have `body_text`."""

    raw, _text = "", False

    @property
    def body_text(self):
        if self._text is False:
            self._text = dict(members(self.raw)).get("body")
        return self._text


def parse(text):
    frame = Frame(json.loads(text))
    frame.raw = text
    if isinstance(frame.get("docs"), list):
        frame["docs"] = [parse(one) for one in items(dict(members(text))["docs"])]
    return frame


def split(message):
    """A text message holds one or more frames, each a JSON object on a line of its own."""
    return [parse(line) for line in message.split("\n") if line.strip()]


def entry_hash(doc_id, rev, body_text):
    """XXH64 (seed 0) of id 0x00 rev in decimal 0x00 body, its bytes in the frame."""
    return xxhash.xxh64_intdigest(
        doc_id.encode() + b"\0" + str(rev).encode() + b"\0" + body_text.encode(), seed=0)
