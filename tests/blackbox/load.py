"""The load of the fault suites, and its judgement.

LOAD  a swarm of devices (swarm.py), three to a space: two of its owner, one of a guest whose token lets him write there; random edits under
every policy (edits.py), repeated on purpose. JUDGEMENT, once faults are over and every push has its outcome:
1. what the log says must come of every push (oracle.py) is told to the checker, beside all that devices said and heard, and each document
   that a reader of `updates` saw: no push lost, doubled, or resolved otherwise; one order; no gap; equal documents and sums;
2. a device that knows nothing is given those very documents, and so has every other device;
3. each outcome that a device heard, and all that is kept of what lost, is the log's.
On a server without Kafka the first is judged without the log's word, and the third not at all.
"""

import json
import os
import urllib.parse
import urllib.request

from client import Device
from conftest import TARGET, unique
from downstream import Downstream
from edits import COUNTER, NAMESPACE
from history import History
from oracle import LOSERS_MAX, Oracle, loser
from swarm import Swarm
from wire import entry_hash, parse

SEED = int(os.environ.get("TIDEGATE_SEED", "0")) or int.from_bytes(os.urandom(4), "little")
SERVED_S = 120  # far more than anything takes


def namespaces(folder):
    """The folder that a server of this load reads them from."""
    (folder / "load.json").write_text(json.dumps(NAMESPACE))
    return folder


class Load:
    def __init__(self, one, name, devices, pace):
        self.one, self.history = one, History(counters=[COUNTER])
        self.oracle = Oracle(one.deployment, NAMESPACE, one.deployment.partitions) if TARGET == "cluster" else None
        self.along = Downstream(one.deployment.services.kafka, f"{one.deployment.prefix}updates", one.deployment.partitions, new=True, told=self.saw) \
            if TARGET == "cluster" else None
        self.swarm = Swarm(one.ways, pace, f"{SEED}-{name}")
        self.spaces = {}
        for _ in range(max(devices // 3, 1)):
            self.group()
        self.everybody_live()
        self.log = self.swarm.members[0].welcome["log"]
        self.history.add("faults")

    def group(self):
        owner = unique("u")
        space = f"load:{owner}"
        guest = {"claims": {"spaces": {space: "rw"}}}
        self.spaces[space] = [self.swarm.add(self.one, user, space, history=self.history, **options)
                              for user, options in ((owner, {}), (owner, {}), (unique("guest"), guest))]

    def everybody_live(self):
        """Each has been, since it is asked: some are always on their way to another gateway."""
        before = {member: 0 if member.stage == "live" else member.lives for member in self.swarm.members}
        assert self.swarm.until(lambda: all(member.lives > was for member, was in before.items()), SERVED_S), \
            [self.swarm.state(member) for member, was in before.items() if member.lives <= was][:5]

    def saw(self, key, raw):
        """A reader of `updates` did."""
        if raw is None or key.split("/", 1)[0] not in self.spaces:
            return
        doc = parse(raw.decode())
        told = {"collection": doc["collection"], "id": doc["id"], "rev": doc["rev"]} | ({"born": doc["born"]} if "born" in doc else {}) | (
            {"deleted": True} if doc.get("deleted") else {"sum": f"{entry_hash(doc['id'], doc['rev'], doc.body_text):016x}"})
        self.history.add("downstream", who="updates", log=self.log, space=key.split("/", 1)[0], docs=[told])

    # -- the end ---------------------------------------------------------------------------

    def judged_by(self, namespace):
        """What the checker says of all that was heard so far, had this been the text in force."""
        history = self.history.copied()
        history.add("calm")
        self.oracle.by(namespace).replay().tell(history, self.log)
        run = history.checked(told=True)
        history.path.unlink()
        return run

    def judge(self):
        """The figures of what was judged, for whoever prints them."""
        self.history.add("calm")
        self.swarm.rest(SERVED_S)
        if self.oracle:
            self.oracle.replay().tell(self.history, self.log)
        for space, members in self.spaces.items():
            self.compare(space, members)
        if self.oracle:
            self.compare_outcomes()
            self.read_along()
        events = self.history.judge(f"seed {SEED}", told=self.oracle is not None)
        said = self.figures(events)
        self.close()
        return said

    def close(self):
        self.swarm.close()
        self.history.file.close()
        self.history.path.unlink(missing_ok=True)
        if self.along:
            self.along.close()

    def compare(self, space, members):
        fresh = Device(self.one, members[0].user, history=self.history)
        fresh.open(space)
        self.history.claims(fresh, space, owner=True)
        live = fresh.copies[space].live()
        if self.oracle:
            assert live == self.oracle.live(space), f"documents of {space}, seed {SEED}"
            told, kept = self.conflicts(fresh, space), self.oracle.kept(space)
            if len(kept) == LOSERS_MAX:  # which of one operation's is the oldest, and goes, is nobody's business
                assert len(told) == LOSERS_MAX
                told = kept = [one for one in kept if one in told]
                assert len(kept) > LOSERS_MAX - 20
            assert told == kept, f"what lost in {space}, seed {SEED}: told {[one for one in told if one not in kept]}, kept {[one for one in kept if one not in told]}"
        for member in members:
            self.history.claims(member, space)
            assert member.copies[space].live() == live, f"{member.who}, seed {SEED}"
            fresh.copies[space].compare(member.copies[space].sums())
            assert all((space, i) in member.outcomes for i in member.acked), "an acked push has its outcome"
        fresh.disconnect()

    def conflicts(self, device, space):
        request = urllib.request.Request(self.one.url(f"/v1/spaces/{urllib.parse.quote(space, safe='')}/conflicts"),
                                         headers={"Authorization": f"Bearer {device.token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return sorted(loser(one, one["value"]) for one in json.loads(answer.read())["conflicts"])

    def compare_outcomes(self):
        for member in self.swarm.members:
            for (space, push_id), heard in member.outcomes.items():
                status, code = self.oracle.outcomes[space, member.user, member.id, push_id]
                assert heard.status == status, (member.who, push_id, heard, status, code)
                if status != "applied" or heard.via == "result":  # a page does not tell that an edit lost
                    assert heard.code == code, (member.who, push_id, heard, status, code)

    def read_along(self):
        wanted = {f"{space}/{collection}/{id_}": json.loads(body) for space in self.spaces for (collection, id_), (_, body) in self.oracle.live(space).items()}
        # Another load's spaces may still be journalled.
        self.along.until(lambda: {key: body for key, body in self.along.docs.items() if key.split("/", 1)[0] in self.spaces} == wanted, SERVED_S)
        assert self.along.backwards == []

    def figures(self, judged):
        if not self.oracle:
            return judged.split("\n")[-2] if judged else ""
        came = {}
        for status, code in self.oracle.outcomes.values():
            came[code or status] = came.get(code or status, 0) + 1
        return (f"{len(self.swarm.members)} devices, {len(self.oracle.outcomes)} pushes ({', '.join(f'{n} {what}' for what, n in sorted(came.items()))}), "
                f"{self.oracle.repeats} repeats in the log, {sum(self.swarm.repeated.values())} on purpose, {self.along.read} records of `updates` read; {judged.strip()}")
