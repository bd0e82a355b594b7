"""Hundreds of devices on one thread: sockets that never block, one poll for all, and each device goes on by the book whatever happens.

It sends again what is unanswered after each reconnect, heals gaps, waits where it is told `busy`; between that it writes, and repeats itself
on purpose: the same push twice on one connection, on a second one while the first still stands, and by the other gateway. A third of them are
patient: those never send again while their connection lives, so that an outcome that is owed must come by itself.
"""

import heapq
import itertools
import random
import selectors
import time

from client import Device
from edits import Edits
from line import Line
from wire import split

PROGRESS_S = 8.0     # who is not served by then has lost his connection and does not know it
IN_HAND_MAX = 30     # unanswered pushes of one device, past which it writes no more
REPEATS = {"twice": 0.03, "again": 0.02, "twin": 0.01, "other": 0.02}  # of the pushes


class Member(Device):
    """One device of the swarm, with one space. STATES of its connection: none (until `due`), joining, opening, live."""

    def __init__(self, swarm, server, user, space, rng, patient, **options):
        super().__init__(server, user, hello=False, **options)
        self.swarm, self.space, self.rng, self.patient = swarm, space, rng, patient
        self.edits = Edits(rng, self.id, self.copy(space))
        self.stage, self.due, self.since, self.backoff = "none", 0.0, 0.0, 0.02
        self.acked, self.old, self.where, self.again, self.gap = set(), None, None, 0.0, (0, 0.0)
        self.mark, self.served_at, self.lives = 0, None, 0

    # -- the connection ------------------------------------------------------------------

    def join(self, now, elsewhere=False):
        """Asks for a connection, by a gateway's own port or the one that they share; `elsewhere`: by another than now, where there is one."""
        ways = [way for way in self.swarm.addresses if not elsewhere or way != self.where] or [self.where]
        self.where = self.rng.choice(ways)
        for copy in self.copies.values():
            copy.ref, copy.fresh = None, False
        self.stage, self.since, self.gap, self.again = "joining", now, (0, 0.0), 0.0
        self.ws = Line(self.where)
        self.swarm.watch(self)
        self.swarm.at(now + PROGRESS_S, self.tick)

    def leave(self, now, wait=None):
        """There is no connection any more."""
        if self.ws is not None:
            self.swarm.forget(self.ws)
            self.ws.close()
            self.gone()
        self.stage = "none"
        self.backoff = min(self.backoff * 2, 0.5)
        self.due = now + (wait if wait is not None else self.backoff * self.rng.uniform(0.5, 1.5))
        self.swarm.at(self.due, self.tick)

    def tick(self, now):
        """What time asks of it."""
        if self.ws is None and now >= self.due:
            self.guarded(lambda: self.join(now), now)
        elif self.ws is not None and self.stage != "live" and now >= self.since + PROGRESS_S:
            self.leave(now, wait=0)
        elif self.stage == "live" and self.again and now >= self.again:
            self.again = 0.0
            self.guarded(lambda: self.resend(self.space), now)

    def guarded(self, work, now):
        try:
            work()
        except OSError:
            self.leave(now)

    def ready(self, now):
        """Its socket has something, or takes something again."""
        line = self.ws
        try:
            messages = line.take()
            if self.stage == "joining" and line.is_open:
                self.stage = "opening"
                self.send({"type": "hello", "protocol": 1, "token": self.token, "device": self.id, "client": "swarm/1"})
            for frame in (frame for message in messages for frame in split(message)):
                if self.ws is not line:
                    return
                if self.history:
                    self.history.heard(self, frame)
                self.heed(frame, self.take(frame), now)
            line.check()
        except OSError:
            if self.ws is line:
                self.leave(now)

    def heed(self, frame, taken, now):
        kind = frame["type"]
        if kind == "welcome":
            self.welcome = frame
            if self.history:
                self.history.hello(self)
            self.open(self.space, wait=False)
        elif kind == "ack":
            self.acked.add(frame["id"])
        elif kind == "error":
            self.trouble(frame, now)
        elif kind == "bye":
            self.leave(now, wait=frame["retry"] / 1000)
        elif self.stage == "opening" and taken is not False and self.answers_open(frame, self.next_ref - 1, self.space):
            assert kind != "closed", frame.raw
            self.stage, self.backoff = "live", 0.02
            self.lives += 1
            if self.old is not None:
                self.old.close()
                self.old = None
            self.resend(self.space)

    def trouble(self, frame, now):
        code = frame["code"]
        assert code in ("gap", "busy", "too_many"), frame.raw
        if code != "gap" or self.stage != "live":
            if self.stage == "opening" and "id" not in frame:
                self.leave(now, wait=0.2)
            elif not self.again:
                self.later(now + 0.5)
            return
        # One answer to all that came behind one hole; and not below what the log said since.
        after = max(frame["after"], max(self.answered.get(self.space, ()), default=0))
        if self.gap[0] == after and now < self.gap[1] + 1:
            self.later(now + 1)
            return
        self.gap = (after, now)
        self.resend(self.space, after=after)

    def later(self, when):
        if not self.again:
            self.again = when
            self.swarm.at(when, self.tick)

    # -- pushes --------------------------------------------------------------------------

    def resend(self, space, after=None):
        """Everything unanswered, in order; the first past `after`, where that is given, goes behind it."""
        for push_id in sorted(self.outbox.get(space, {})):
            before = max((i for i in self.sent[space] if i < push_id), default=0)
            if after is not None and push_id > after:
                before, after = after, None
            self.send(self.push_frame(space, push_id, before))

    def settle(self, space, push_id, outcome):
        super().settle(space, push_id, outcome)
        if push_id == self.mark and self.served_at is None:
            self.served_at = time.monotonic()

    def write(self, now):
        """One push, or a few at once; repeats itself now and then. Offline it goes into the outbox."""
        if len(self.outbox.get(self.space, ())) >= IN_HAND_MAX:
            return
        self.guarded(lambda: self.write_some(now), now)

    def write_some(self, now):
        for _ in range(self.rng.choice([1, 1, 1, 1, 4])):
            made = self.push(self.space, self.edits.push(), send=self.stage == "live")
        if self.stage == "live":
            self.repeat(made, now)

    def repeat(self, made, now):
        chance = self.rng.random()
        for what, share in REPEATS.items():
            if chance < share:
                break
            chance -= share
        else:
            return
        if what in ("twice", "again") and self.patient:
            return
        self.swarm.repeated[what] += 1
        if what == "twice":  # the same on the same connection
            before = max((i for i in self.sent[self.space] if i < made), default=0)
            self.send(self.push_frame(self.space, made, before))
        elif what == "again":
            self.resend(self.space)
        elif what == "twin":  # a second connection, while what was said on the first is still on its way
            self.swarm.forget(self.ws)
            if self.old is not None:
                self.old.close()
            self.old = self.ws
            self.gone()
            self.join(now)
        else:  # the other gateway
            self.swarm.forget(self.ws)
            self.ws.close()
            self.gone()
            self.join(now, elsewhere=True)

    def aim(self, now):
        """From here on: when does it have the outcome of a push that it makes now?"""
        self.served_at, self.mark = None, self.next_id
        self.guarded(lambda: self.push(self.space, self.edits.push(), send=self.stage == "live"), now)

    @property
    def is_quiet(self):
        return self.stage == "live" and not self.outbox.get(self.space)

    def end(self):
        for line in (self.ws, self.old):
            if line is not None:
                self.swarm.forget(line)
                line.close()
        self.ws = self.old = None


class Swarm:
    """`pace`: pushes a second of all together. `addresses`: ways to the gateways, (host, port)."""

    def __init__(self, addresses, pace, seed):
        self.addresses, self.rng, self.pace = addresses, random.Random(seed), pace
        self.poll, self.times, self.order = selectors.DefaultSelector(), [], itertools.count()
        self.members, self.repeated, self.writing = [], dict.fromkeys(REPEATS, 0), True

    def add(self, server, user, space, **options):
        number = len(self.members)
        member = Member(self, server, user, space, random.Random(self.rng.random()), number % 3 == 2, **options)
        self.members.append(member)
        self.at(0, member.tick)
        self.next_write(member, time.monotonic())
        return member

    def next_write(self, member, now):
        self.at(now + self.rng.expovariate(self.pace / max(len(self.members), 1)), lambda then: self.write(member, then))

    def write(self, member, now):
        if self.writing:
            member.write(now)
            self.next_write(member, now)

    # -- the loop ------------------------------------------------------------------------

    def at(self, when, work):
        heapq.heappush(self.times, (when, next(self.order), work))

    def watch(self, member):
        self.poll.register(member.ws.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, (member, member.ws))

    def forget(self, line):
        try:
            self.poll.unregister(line.sock)
        except KeyError:
            pass

    def turn(self):
        now = time.monotonic()
        wait = min(max(self.times[0][0] - now, 0), 0.02) if self.times else 0.02
        for key, events in self.poll.select(wait):
            member, line = key.data
            if member.ws is not line:
                continue
            if events & selectors.EVENT_WRITE:
                member.guarded(line.flush, time.monotonic())
                if member.ws is not line:
                    continue
            if events & selectors.EVENT_READ:
                member.ready(time.monotonic())
            if member.ws is line:
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if line.out else 0)
                if wanted != key.events:
                    self.poll.modify(line.sock, wanted, key.data)
        now = time.monotonic()
        while self.times and self.times[0][0] <= now:
            heapq.heappop(self.times)[2](now)

    def until(self, holds, timeout):
        """Goes on until it holds; False if it did not in time."""
        end = time.monotonic() + timeout
        while not holds():
            if time.monotonic() > end:
                return False
            self.turn()
        return True

    def for_a_while(self, seconds):
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end, seconds + 1)

    def served(self, timeout):
        """Seconds until each has the outcome of a push that it made from now on, one each; in order."""
        begun = time.monotonic()
        waiting = set(self.members)
        for member in self.members:
            member.aim(begun)

        def all_are():
            waiting.difference_update([member for member in waiting if member.served_at is not None])
            return not waiting
        assert self.until(all_are, timeout), f"{len(waiting)} of {len(self.members)} were not served within {timeout} s: {[self.state(m) for m in waiting][:5]}"
        return sorted(member.served_at - begun for member in self.members)

    def state(self, member):
        return f"{member.who} {member.stage} mark {member.mark} outbox {sorted(member.outbox.get(member.space, ()))[:5]} of {member.where}"

    def rest(self, timeout):
        """Nobody writes any more, and each outcome comes: to the patient ones by itself."""
        self.writing = False
        for member in self.members:
            if not member.patient:
                self.at(0, lambda now, one=member: one.stage == "live" and one.guarded(lambda: one.resend(one.space), now))
        assert self.until(lambda: all(member.is_quiet for member in self.members), timeout), \
            f"outcomes that never came: {[self.state(m) for m in self.members if not m.is_quiet][:5]}"
        self.barrier(timeout)

    def barrier(self, timeout):
        """Whose outcome says that everything before it has arrived."""
        now, barriers = time.monotonic(), {}
        for member in self.members:
            barriers[member] = member.next_id
            member.guarded(lambda one=member: one.push(one.space, [], send=one.stage == "live"), now)
        assert self.until(lambda: all((m.space, i) in m.outcomes for m, i in barriers.items()), timeout), "barriers without an outcome"

    def close(self):
        for member in self.members:
            member.end()
        self.poll.close()
