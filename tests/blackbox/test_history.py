"""The judge of histories, as the suites call it."""

import subprocess

from client import op
from history import CHECKER, History


def run(text, *options):
    return subprocess.run([CHECKER, *options, "-"], input=text, capture_output=True, text=True)


def recorded(device):
    """What two devices heard, as lines."""
    history = History()
    one = device(history=history)
    other = device(one.user, history=history)
    space = f"todos:{one.user}"
    for d in (one, other):
        d.open(space)
    for n in range(5):
        one.do(space, op("put", "todos", f"t{n}", {"title": str(n)}))
    other.barrier(space)
    history.file.flush()
    text = history.path.read_text()
    history.path.unlink()
    return text.splitlines()


def test_what_devices_heard_passes_and_is_more_than_nothing(device):
    found = run("\n".join(recorded(device)))
    assert found.returncode == 0, found.stdout
    assert int(found.stdout.split()[-4]) > 50, found.stdout


def test_an_update_that_one_of_them_never_heard_is_found(device):
    lines = recorded(device)
    updates = [i for i, line in enumerate(lines) if '"event":"update"' in line]
    del lines[updates[len(updates) // 2]]
    found = run("\n".join(lines))
    assert found.returncode == 1 and "hole: " in found.stdout, found.stdout


def test_a_line_that_is_no_event_stops_it():
    found = run('{"event":"updates"}')
    assert found.returncode == 65 and "no such event" in found.stderr


def test_a_history_of_nothing_is_no_success():
    assert run("").returncode == 1
