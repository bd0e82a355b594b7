"""What the binary itself says of its commands, settings and metrics: files that name them are held against that."""

import functools
import re
import subprocess

from tools import ROOT


def said(*command):
    return subprocess.run([ROOT / "tidegate", *command], capture_output=True, text=True, check=True).stdout


@functools.cache
def commands():
    return set(re.findall(r"^  (\w+) +\S", said("--help").split("commands:")[1], re.M))


@functools.cache
def settings():
    """{environment's name: the commands that take it}"""
    rows = [line.split("|") for line in said("docs", "settings").splitlines() if line.startswith("| `--")]
    return {row[2].strip().strip("`"): set(row[5].split()) for row in rows}


@functools.cache
def metrics():
    return set(re.findall(r"^\| `(tidegate_\w+)`", said("docs", "metrics"), re.M))


def misuse(where, words, environment):
    """Findings in one call of the binary: a command, options or variables that it does not have."""
    command = words[0] if words else ""
    if command not in commands():
        return [f"{where}: tidegate has no command '{command}'"]
    flags = {word.split("=")[0] for word in words[1:] if word.startswith("--") and word != "--help"}
    names = {"TIDEGATE_" + flag[2:].upper().replace("-", "_") for flag in flags} | {name for name in environment if name.startswith("TIDEGATE_")}
    return [f"{where}: tidegate {command} does not take {name}" for name in sorted(names) if command not in settings().get(name, ())]
