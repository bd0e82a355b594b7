"""What takes minutes to fetch, by hand and in `make soak`: Helm 3 beside Helm 4, kube-score's review, and the operators' own definitions of
the custom resources. Needs Go, for kube-score and the definitions come as Go modules. Run by `make deploy-full`."""

import functools
import json
import os
import shutil
import subprocess

import jsonschema
import pytest
import yaml
from chart import CUSTOM, VALUES, rendered
from tools import FETCHED, ROOT

GO = ROOT / "build/deploy/go"
KUBE_SCORE = "github.com/zegl/kube-score/cmd/kube-score@v1.20.0"
DEFINED = {
    "ScaledObject": ("github.com/kedacore/keda/v2@v2.17.2", "config/crd/bases/keda.sh_scaledobjects.yaml"),
    "ServiceMonitor": ("github.com/prometheus-operator/prometheus-operator@v0.85.0", "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"),
    "PrometheusRule": ("github.com/prometheus-operator/prometheus-operator@v0.85.0", "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"),
}
# What kube-score says and we do not do: an image's tag or digest is what is wanted, so it need not be pulled each time; a limit on CPU slows
# a process that could use an idle core; spreading is by topologySpreadConstraints.
NOT_DONE = ("container-image-pull-policy", "deployment-has-host-podantiaffinity", "statefulset-has-host-podantiaffinity")


def go(*arguments):
    """Go, with its modules in build/: nothing of the user's is touched."""
    assert shutil.which("go"), "make deploy-full needs Go 1.23 or later"
    env = {**os.environ, "GOPATH": str(GO), "GOFLAGS": "-modcacherw", "GOBIN": str(GO / "bin")}
    return subprocess.run(["go", *arguments], env=env, cwd=ROOT / "build", capture_output=True, text=True, check=True).stdout


@functools.cache
def kube_score():
    if not (GO / "bin/kube-score").exists():
        go("install", KUBE_SCORE)
    return GO / "bin/kube-score"


@functools.cache
def definition(kind):
    """The resource's schema, closed: an API server drops what it does not know, without a word."""
    module, path = DEFINED[kind]
    folder = json.loads(go("mod", "download", "-json", module))["Dir"]
    with open(os.path.join(folder, path), encoding="utf-8") as file:
        schema = yaml.safe_load(file)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]

    def close(value):
        if isinstance(value, dict):
            if "properties" in value and not value.get("x-kubernetes-preserve-unknown-fields"):
                value.setdefault("additionalProperties", False)
            if value.get("x-kubernetes-int-or-string"):
                value.clear()
            for below in value.values():
                close(below)
        for below in value if isinstance(value, list) else []:
            close(below)

    close(schema)
    schema["properties"]["metadata"] = {"type": "object"}
    return schema


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_helm_3_renders_what_helm_4_does(values):
    chart = ROOT / "deploy/helm/tidegate"
    subprocess.run([FETCHED / "helm3", "lint", "--strict", chart, "--values", values], check=True, capture_output=True)
    texts = [subprocess.run([FETCHED / name, "template", "trial", chart, "--values", values], check=True, capture_output=True, text=True).stdout for name in ("helm", "helm3")]
    documents = [sorted(map(json.dumps, filter(None, yaml.safe_load_all(text)))) for text in texts]
    assert documents[0] == documents[1]


@pytest.mark.parametrize("values", [path for path in VALUES if path.stem != "bare"], ids=lambda path: path.stem)
def test_kube_score_has_nothing_to_say(values):
    objects, said = rendered(ROOT, values)
    assert said == []
    ignored = [word for name in NOT_DONE for word in ("--ignore-test", name)]
    done = subprocess.run([kube_score(), "score", "--ignore-container-cpu-limit", "--exit-one-on-warning", "--output-format", "ci", *ignored, "-"],
                          input=yaml.safe_dump_all(objects), capture_output=True, text=True)
    assert done.returncode == 0, "\n".join(line for line in done.stdout.splitlines() if not line.startswith(("[OK]", "[SKIPPED]"))) + done.stderr


@pytest.mark.parametrize("kind", DEFINED)
def test_a_custom_resource_fits_its_operators_definition(kind):
    objects, _ = rendered(ROOT, next(path for path in VALUES if path.stem == "all"))
    mine = [one for one in objects if one["kind"] == kind]
    assert len(mine) == 1
    jsonschema.Draft202012Validator(definition(kind)).validate(mine[0])


@pytest.mark.parametrize("kind", DEFINED)
def test_the_short_schema_takes_nothing_that_the_definition_does_not_know(kind):
    """custom-kinds.schema.json, which `make deploy-test` uses, names members of the real thing only."""
    def compare(short, full, path):
        short = CUSTOM["$defs"][short["$ref"].split("/")[-1]] if "$ref" in short else short
        for name, below in short.get("properties", {}).items():
            if path == () and name in ("apiVersion", "kind", "metadata"):
                continue
            assert name in full["properties"], f"{kind}: {'.'.join((*path, name))} is unknown"
            compare(below, full["properties"][name], (*path, name))
        if "items" in short:
            compare(short["items"], full["items"], (*path, "[]"))

    compare(CUSTOM["properties"][kind], definition(kind), ())
