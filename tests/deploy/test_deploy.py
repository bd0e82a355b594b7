"""What runs Tidegate in earnest is right, and each check would say so if it were not: a mistake of each kind is planted, and found."""

import shutil

import pytest
from image import image
from tools import ROOT

CHECKS = {"image": image}
SOURCES = ("deploy", "docker-compose.yml", ".dockerignore", "schemas")

# check, file, what stands there, what shall stand there instead, a word of the finding
PLANTED = [
    ("image", "deploy/Dockerfile", "USER 65532:65532", "USER tidegate", "by number"),
    ("image", "deploy/Dockerfile", "USER 65532:65532\n", "", "by number"),
    ("image", "deploy/Dockerfile", 'ENTRYPOINT ["tidegate"]', "ENTRYPOINT tidegate", "ENTRYPOINT"),
    ("image", "deploy/Dockerfile", "FROM debian:${DEBIAN} AS build", "FROM debian AS build", "DL3006"),
    ("image", "deploy/Dockerfile", "COPY . .", "ADD . .", "DL3020"),
    ("image", "deploy/Dockerfile", "RUN make", "RUNN make", "missing whitespace"),
    ("image", ".dockerignore", "!core\n", "", "core/"),
    ("image", ".dockerignore", "!web/demo", "!web", "node_modules"),
    ("image", ".dockerignore", "*\n!Makefile", "!Makefile", "takes build/x"),
]


@pytest.mark.parametrize("check", CHECKS)
def test_it_is_right(check):
    assert CHECKS[check](ROOT) == []


@pytest.mark.parametrize("check,file,old,new,word", PLANTED, ids=[f"{check}: {old.strip()} -> {new.strip()}"[:90] for check, _, old, new, _ in PLANTED])
def test_a_planted_mistake_is_found(tmp_path, check, file, old, new, word):
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name)
        elif source.exists():
            shutil.copy(source, tmp_path / name)
    text = (tmp_path / file).read_text()
    assert old in text, f"{file} does not have {old!r} any more: plant another"
    (tmp_path / file).write_text(text.replace(old, new, 1))
    found = "\n".join(CHECKS[check](tmp_path))
    assert word in found, found
