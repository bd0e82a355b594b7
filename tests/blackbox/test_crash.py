"""kill -9 under load, again and again: nothing acked is lost, nothing counts twice, all copies agree."""

import os
import random

from client import Closed, Device, op
from conftest import TARGET, unique
from load import SEED, Load, namespaces

ROUNDS = int(os.environ.get("TIDEGATE_CRASHES", "8" if TARGET == "cluster" else "50"))  # a cluster comes back in seconds


def gone(error):
    return isinstance(error, (Closed, OSError, TimeoutError)) or "Invalid" in type(error).__name__


def test_kill_9_under_load_loses_and_repeats_nothing(make_server, tmp_path):
    """Of all processes at once: of serve, or of each gateway and worker."""
    one = make_server(namespaces=namespaces(tmp_path)).start()
    random.seed(SEED)
    load = Load(one, "kill -9", 12, 250)
    for _ in range(ROUNDS):
        load.swarm.for_a_while(random.uniform(0.02, 0.4))
        one.kill()
        load.swarm.for_a_while(random.uniform(0.0, 0.05))  # they go on offline
        one.start()
        load.everybody_live()
        assert {member.welcome["log"] for member in load.swarm.members} == {load.log}, "the log changes its name only if it was lost"
    assert sum(len(member.acked) for member in load.swarm.members) > ROUNDS
    print(load.judge())


def test_a_kill_right_after_the_ack_keeps_the_push(make_server):
    one = make_server().start()
    user = unique("u")
    space = f"cart:{user}"
    for n in range(1, 6):
        d = Device(one, user)
        d.push(space, [op("incr", "items", "m", field="qty", by=1)])
        d.wait_type("ack", "result", space=space)  # an outcome implies it, and may be faster
        one.kill()
        one.start()
        d.reconnect().resend(space)
        d.open(space)
        d.outcome(space, 1)
        assert d.body(space, "items", "m") == '{"qty":%d}' % n
        d.disconnect()
