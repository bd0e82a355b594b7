"""Every YAML file by yamllint; what the chart renders, too."""

import subprocess

from chart import VALUES, helm
from tools import HERE, ROOT, VENV, complaints


def files(root):
    found = [root / "docker-compose.yml", *root.glob("deploy/**/*.y*ml"), *root.glob("schemas/*.yaml"), *HERE.glob("*.yaml"), *HERE.glob("values/*.yaml")]
    return sorted(path for path in found if "templates" not in path.parts)


def layout(root):
    found = complaints(VENV / "yamllint", "--strict", "--format", "parsable", "--config-file", HERE / "yamllint.yaml", *files(root))
    for values in VALUES:
        text = helm("template", "trial", root / "deploy/helm/tidegate", "--values", values).stdout
        rules = "{extends: default, rules: {document-start: disable, line-length: disable, comments: disable, comments-indentation: disable, empty-lines: disable, " \
                "braces: disable, brackets: disable, commas: disable, indentation: disable, trailing-spaces: enable}}"
        done = subprocess.run([VENV / "yamllint", "--strict", "--format", "parsable", "--config-data", rules, "-"], input=text, capture_output=True, text=True, cwd=ROOT)
        found += [f"rendered with {values.name}: {line}" for line in done.stdout.splitlines()]
    return found
