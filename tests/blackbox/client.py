"""A device: a WebSocket, a local store, an outbox. Sees to every rule the page sets a client."""

import time
from collections import namedtuple

import websockets.exceptions
from websockets.sync.client import connect

from copy_of_space import Copy
from wire import Raw, dumps, encode, split  # noqa: F401 (Raw: for the tests)

Outcome = namedtuple("Outcome", "via status code frame")
TIMEOUT = 15


class Closed(Exception):
    """The gateway closed: with which code."""

    def __init__(self, code, reason=""):
        super().__init__(f"closed with {code} {reason}")
        self.code = code


class Device:
    def __init__(self, server, user, device=None, token=None, hello=True, background=False, claims=None, history=None, **headers):
        from conftest import unique
        self.server, self.user, self.id = server, user, device or unique("device-")
        self.history = history  # where all that it says and hears is recorded, or None
        self.who = history.store(self) if history else None
        self.claims = claims or {}
        self.token = token or server.token(user, **self.claims)
        self.background = background
        self.copies, self.outbox, self.sent, self.answered, self.outcomes = {}, {}, {}, {}, {}
        self.next_id, self.next_ref = 1, 1
        self.refs = {}          # ref -> once?
        self.inbox, self.seen = [], []
        self.ws, self.welcome = None, None
        if hello:
            self.connect().hello()

    # -- the connection ------------------------------------------------------------------

    def connect(self, query="", headers=None, protocols=("tidegate.v1",)):
        self.ws = connect(self.server.ws + query, subprotocols=list(protocols) or None, compression=None,
                          max_size=None, max_queue=None, ping_interval=None, open_timeout=TIMEOUT,
                          close_timeout=2, additional_headers=headers, proxy=None)
        self.inbox = []
        return self

    def hello(self, **changes):
        frame = {"type": "hello", "protocol": 1, "token": self.token, "device": self.id, "client": "blackbox/1"}
        if self.background:
            frame["background"] = True
        self.send(frame | changes)
        self.welcome = self.wait_type("welcome")
        if self.history:
            self.history.hello(self)
        return self

    def reconnect(self):
        self.disconnect()
        for copy in self.copies.values():
            copy.ref, copy.fresh = None, False
        return self.connect().hello()

    def disconnect(self):
        if self.ws is not None:
            try:
                self.ws.close()
            except (OSError, websockets.exceptions.WebSocketException):
                pass
            self.gone()

    def drop(self):
        """The wire is cut: no close handshake."""
        self.ws.socket.close()
        self.gone()

    def gone(self):
        """There is no connection any more, whoever ended it."""
        self.ws = None
        if self.history:
            self.history.add("cut", who=self.who)

    def send(self, *frames):
        """Frames (or Raw text), in one message, each on a line of its own."""
        for frame in frames if self.history else ():
            if isinstance(frame, dict):
                self.history.said(self, frame)
        self.send_text("\n".join(encode(frame) for frame in frames))

    def send_text(self, text):
        try:
            self.ws.send(text)
        except websockets.exceptions.ConnectionClosed as gone:
            raise Closed(*self._code(gone)) from gone

    @staticmethod
    def _code(gone):
        return (gone.rcvd.code, gone.rcvd.reason) if gone.rcvd else (1006, "")

    def pump(self, timeout):
        """Takes in one message; False if none came in time."""
        try:
            message = self.ws.recv(timeout=max(timeout, 0))
        except TimeoutError:
            return False
        except websockets.exceptions.ConnectionClosed as gone:
            raise Closed(*self._code(gone)) from gone
        assert isinstance(message, str), "a binary message from the gateway"
        for frame in split(message):
            self.seen.append(frame)
            if self.history:
                self.history.heard(self, frame)
            if self.take(frame) is not False:
                self.inbox.append(frame)
        return True

    def wait_for(self, predicate, timeout=TIMEOUT, what=""):
        """The first frame not yet waited for that fits; taken out of the inbox."""
        end, begin = time.monotonic() + timeout, 0
        while True:
            for i in range(begin, len(self.inbox)):
                if predicate(self.inbox[i]):
                    return self.inbox.pop(i)
            begin = len(self.inbox)
            left = end - time.monotonic()
            if left <= 0 or not self.pump(left):
                raise AssertionError(f"{what or 'frame'} did not come; last: {[f.raw[:300] for f in self.seen[-8:]]}")

    def wait_type(self, *types, timeout=TIMEOUT, **members):
        return self.wait_for(lambda f: f["type"] in types and all(f.get(k) == v for k, v in members.items()),
                             timeout, f"{types} {members}")

    def until(self, condition, timeout=TIMEOUT, what="condition"):
        """Takes frames in until the condition holds of this device."""
        end = time.monotonic() + timeout
        while not condition():
            left = end - time.monotonic()
            if left <= 0 or not self.pump(left):
                raise AssertionError(f"{what} did not come to hold; last: {[f.raw[:300] for f in self.seen[-8:]]}")

    def wait_closed(self, timeout=TIMEOUT):
        end = time.monotonic() + timeout
        try:
            while time.monotonic() < end:
                self.pump(end - time.monotonic())
        except Closed as closed:
            return closed.code
        raise AssertionError(f"not closed within {timeout} s; last: {[f.raw[:300] for f in self.seen[-8:]]}")

    # -- what comes ------------------------------------------------------------------------

    def take(self, frame):
        """False: to be ignored by the rule of the new ref."""
        kind = frame["type"]
        if kind == "current":
            for entry in frame["spaces"]:
                copy = self.copies[entry["space"]]
                if frame["ref"] == copy.ref:
                    copy.fresh = False
                    copy.current(entry)
                    self.settle_up_to(copy.space, entry["pushed"], entry.get("refused", []), frame)
        elif kind == "page" and "at" not in frame:
            copy = self.copies.get(frame["space"])
            if copy is None or copy.ref is None or (frame.get("ref") != copy.ref and copy.fresh):
                return False
            assert frame.get("ref") == copy.ref, f"a page of ref {frame.get('ref')}, open is {copy.ref}"
            copy.fresh = False
            copy.page(frame)
            if not frame["more"]:
                self.settle_up_to(copy.space, frame["pushed"], frame["refused"], frame)
        elif kind == "page":
            assert not {"from", "to", "sum"} & set(frame), f"a history page has neither cursors nor sum: {frame.raw}"
            if frame["space"] in self.copies:
                frame.stored = self.copies[frame["space"]].ahead(frame["docs"], frame["at"])
        elif kind == "update":
            copy = self.copies.get(frame["space"])
            if copy is None or copy.ref is None or copy.fresh:
                return False
            mine = frame["user"] == self.user and frame["device"] == self.id
            ops = self.sent.get(frame["space"], {}).get(frame["push"]) if mine else None
            copy.update(frame, ops)
            if mine:
                self.settle(copy.space, frame["push"], Outcome("update", "applied", None, frame))
        elif kind == "result":
            copy = self.copies.get(frame["space"])
            if copy is not None and frame.get("docs") and frame.get("at"):
                copy.ahead(frame["docs"], frame["at"])
            if frame.get("code") not in ("busy", "too_many"):
                self.settle(frame["space"], frame["id"], Outcome("result", frame["status"], frame.get("code"), frame))
        elif kind == "closed":
            copy = self.copies.get(frame["space"])
            if copy is not None:
                copy.ref = None
                if frame.get("purge"):
                    del self.copies[frame["space"]]
        return True

    def settle(self, space, push_id, outcome):
        self.outbox.get(space, {}).pop(push_id, None)
        self.answered.setdefault(space, set()).add(push_id)
        self.outcomes.setdefault((space, push_id), outcome)

    def settle_up_to(self, space, pushed, refused, frame):
        told = {entry["id"]: entry for entry in refused}
        for push_id in [i for i in self.outbox.get(space, {}) if i <= pushed]:
            entry = told.get(push_id)
            self.settle(space, push_id, Outcome(frame["type"], entry["status"] if entry else "applied",
                                                entry.get("code") if entry else None, entry or frame))

    # -- what a device does ----------------------------------------------------------------

    def copy(self, space):
        return self.copies.setdefault(space, Copy(space))

    def known(self, space):
        waiting = self.outbox.get(space)
        answered = self.answered.get(space, ())
        below = [i for i in answered if not waiting or i < min(waiting)]
        return max(below, default=0)

    def open(self, *spaces, wait=True, since="own", mode=None, tail=None, **extra):
        """Opens each from its own cursor (or `since`); waits for what answers each."""
        ref = self.next_ref
        self.next_ref += 1
        entries = []
        for space in spaces:
            copy = self.copy(space)
            copy.ref, copy.fresh, copy.reopened = ref, True, True
            entry = {"space": space, "since": copy.cursor if since == "own" else since, "known": self.known(space)}
            if tail is not None:
                entry["tail"] = tail
            if entry["since"] is None:
                copy.partial = False
            entries.append(entry)
        frame = {"type": "open", "ref": ref, "spaces": entries} | ({"mode": mode} if mode else {}) | extra
        self.send(frame)
        if wait:
            for space in spaces:
                self.wait_for(lambda f: self.answers_open(f, ref, space), what=f"answer to open {ref} of {space}")
        return ref

    @staticmethod
    def answers_open(frame, ref, space):
        if frame.get("ref") != ref:
            return False
        if frame["type"] == "current":
            return any(entry["space"] == space for entry in frame["spaces"])
        return frame.get("space") == space and (frame["type"] == "closed" or frame["type"] == "error"
                                                or (frame["type"] == "page" and not frame["more"]))

    def push(self, space, ops, after=None, push_id=None, known=None, send=True):
        """Numbers it, puts it into the outbox, sends it; the id."""
        push_id = push_id or self.next_id
        self.next_id = max(self.next_id, push_id + 1)
        history = self.sent.setdefault(space, {})
        after = max((i for i in history if i < push_id), default=0) if after is None else after
        history[push_id] = ops
        self.outbox.setdefault(space, {})[push_id] = ops
        if self.history:
            self.history.enqueue(self, space, push_id, ops)
        if send:
            self.send(self.push_frame(space, push_id, after, known))
        return push_id

    def push_within_limits(self, space, ops):
        """Waits until there is room: at most limits.inflight pushes to a space past its `known`."""
        self.until(lambda: len(self.outbox.get(space, ())) < self.welcome["limits"]["inflight"] // 2, what="room")
        return self.push(space, ops)

    def push_frame(self, space, push_id, after, known=None):
        return {"type": "push", "id": push_id, "after": after, "space": space,
                "known": self.known(space) if known is None else known, "ops": self.sent[space][push_id]}

    def resend(self, space, after=None):
        """Everything unanswered, in order; the first with `after` where it is given."""
        for push_id in sorted(self.outbox.get(space, {})):
            before = max((i for i in self.sent[space] if i < push_id), default=0)
            self.send(self.push_frame(space, push_id, before if after is None else after))
            after = None

    def outcome(self, space, push_id, timeout=TIMEOUT):
        """Waits for it, and for the log's next millisecond: an edit made on hearing of it is the later one, by the clock too."""
        self.until(lambda: (space, push_id) in self.outcomes, timeout, f"outcome of push {push_id} to {space}")
        heard_ms = time.time_ns() // 1_000_000
        while time.time_ns() // 1_000_000 == heard_ms:
            pass
        return self.outcomes[(space, push_id)]

    def do(self, space, *ops, timeout=TIMEOUT, **options):
        """Pushes and waits for the outcome."""
        return self.outcome(space, self.push(space, list(ops), **options), timeout)

    def barrier(self, space):
        """Its outcome says that everything before it has arrived."""
        done = self.do(space)
        assert done.status == "applied", done
        return done

    def body(self, space, collection, doc_id):
        return self.copies[space].body(collection, doc_id)


def op(kind, collection, doc_id, body=None, **extra):
    """One operation; `if_` and the like lose their underscore."""
    found = {"op": kind, "collection": collection, "id": doc_id}
    if body is not None:
        found["body"] = body
    return found | {k.rstrip("_"): v for k, v in extra.items()}
