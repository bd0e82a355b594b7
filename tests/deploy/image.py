"""The image's recipe: hadolint, and what hadolint cannot know."""

import fnmatch
import re
import subprocess

from tools import ROOT, VENV, complaints


def taken(pattern_lines, path):
    """Does .dockerignore let this path into the build? The last line that matches it, or a folder above it, decides."""
    parts, verdict = path.split("/"), True
    for line in pattern_lines:
        pattern = line.removeprefix("!").removeprefix("/").rstrip("/").split("/")
        if pattern[0] == "**":
            hit = any(fnmatch.fnmatch(part, pattern[1]) for part in parts)
        else:
            hit = len(pattern) <= len(parts) and all(fnmatch.fnmatch(a, b) for a, b in zip(parts, pattern))
        if hit:
            verdict = line.startswith("!")
    return verdict


def context_wants(root):
    """What a build reads, told by the compiler (of the tree that was built here), and what the Makefile reads itself."""
    paths = {"Makefile", "LICENSE", "tools/setup", "tools/embed.c", "tools/packages-of"}
    for folder in ("core", "base", "backends", "gateway", "workers", "cli"):
        for listing in (ROOT / "build/plain" / folder).glob("**/*.d"):
            for word in listing.read_text().replace("\\\n", " ").split():
                word = word.rstrip(":")
                if not word.startswith(("/", "build/")) and (ROOT / word).is_file():
                    paths.add(word)
    for pattern in ("schemas/namespaces/*.json", "web/demo/*"):
        paths |= {str(path.relative_to(ROOT)) for path in ROOT.glob(pattern)}
    assert len(paths) > 100, "build ./tidegate first"
    return sorted(paths)


def needed():
    """The libraries that the binary itself names, and those that the image's packages hold."""
    read = subprocess.run(["readelf", "-d", ROOT / "tidegate"], capture_output=True, text=True, check=True).stdout
    packages = subprocess.run([ROOT / "tools/packages-of", ROOT / "tidegate"], capture_output=True, text=True)
    held = subprocess.run(["dpkg-query", "-L", *packages.stdout.split()], capture_output=True, text=True).stdout
    return set(re.findall(r"NEEDED.*\[(.*)\]", read)), {line.split("/")[-1] for line in held.splitlines()}


def image(root):
    """Findings in deploy/Dockerfile and .dockerignore."""
    text = (root / "deploy/Dockerfile").read_text()
    found = complaints(VENV / "hadolint", "--no-color", root / "deploy/Dockerfile")
    last = text[text.rindex("\nFROM"):]
    if re.findall(r"^USER (.*)$", last, re.M)[-1:] != ["65532:65532"]:
        found.append("the last stage does not end as USER 65532:65532, by number: Kubernetes cannot tell that a name is not root")
    for command in ("ENTRYPOINT", "CMD", "HEALTHCHECK"):
        if not re.search(rf"^{command}.*\[.*\]$", last, re.M):
            found.append(f"{command} in shell form: a shell would be process 1, and get the TERM that the server should drain at")
    rules = [line for line in (root / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    found += [f".dockerignore leaves out {path}, which the build reads" for path in context_wants(root) if not taken(rules, path)]
    found += [f".dockerignore takes {path}" for path in ("build/x", "web/client/node_modules/x", ".git/HEAD", "tests/deploy/image.py") if taken(rules, path)]
    return found
