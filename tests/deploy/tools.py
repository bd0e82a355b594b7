"""Where everything is, and how a program's complaints become findings."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests/deploy"
VENV = ROOT / "build/venv/bin"
FETCHED = ROOT / "build/deploy/bin"


def complaints(*command, **more):
    """What a program says when it fails, by lines; nothing when it is content."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)
    if done.returncode == 0:
        return []
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines or [f"{command[0]} ends with {done.returncode}"]
