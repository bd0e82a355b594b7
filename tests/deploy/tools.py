"""Where everything is."""

import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / "build/venv/bin"
