"""The Helm chart: Helm's own checks, the Kubernetes schemas on what it renders, and that what it renders fits together."""

import functools
import json
import logging
import re
import subprocess
import tempfile

import jsonschema
import kubernetes_validate
import yaml
from product import misuse
from tools import FETCHED, HERE, complaints

VALUES = sorted((HERE / "values").glob("*.yaml"))
KUBERNETES = ("1.30", "1.37")
CUSTOM = json.loads((HERE / "custom-kinds.schema.json").read_text())
logging.getLogger("kubernetes_validate").setLevel(logging.ERROR)


def helm(*arguments):
    """Helm, with a home of its own: nobody's settings or plugins."""
    with tempfile.TemporaryDirectory() as home:
        env = {"PATH": "/usr/bin:/bin", "HOME": home, "HELM_CACHE_HOME": home, "HELM_CONFIG_HOME": home, "HELM_DATA_HOME": home}
        return subprocess.run([FETCHED / "helm", *map(str, arguments)], env=env, capture_output=True, text=True)


def rendered(root, values, *more):
    """(objects, complaints)"""
    done = helm("template", "trial", root / "deploy/helm/tidegate", "--namespace", "shop", "--values", values, *more)
    if done.returncode != 0:
        return [], done.stderr.splitlines()
    return [one for one in yaml.safe_load_all(done.stdout) if one], []


def validated(one):
    if "." in one["apiVersion"].split("/")[0] and one["kind"] in CUSTOM["properties"]:
        try:
            jsonschema.Draft202012Validator({**CUSTOM["properties"][one["kind"]], "$defs": CUSTOM["$defs"]}).validate(one)
        except jsonschema.ValidationError as error:
            yield f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
        return
    for version in KUBERNETES:
        try:
            kubernetes_validate.validate(one, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{version}: {'/'.join(map(str, error.path))}: {error.message}"
        except kubernetes_validate.SchemaNotFoundError as error:
            yield f"{version}: {error.message}"


def pod_of(one):
    """(labels, spec) of the pods that an object makes."""
    if one["kind"] == "Pod":
        return one["metadata"]["labels"], one["spec"]
    template = one["spec"].get("template") if one["kind"] in ("Deployment", "StatefulSet", "Job") else None
    return (template["metadata"]["labels"], template["spec"]) if template else (None, None)


def hardened(name, spec):
    if spec.get("automountServiceAccountToken") is not False:
        yield f"{name}: its pod is given a token for the API that it has no use for"
    for container in spec["containers"]:
        security = container.get("securityContext", {})
        if not (security.get("readOnlyRootFilesystem") and security.get("runAsNonRoot") and security.get("capabilities") == {"drop": ["ALL"]}
                and security.get("allowPrivilegeEscalation") is False and spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}):
            yield f"{name}: its container keeps privileges"
        if "memory" not in container["resources"].get("limits", {}) or "ephemeral-storage" not in container["resources"].get("requests", {}):
            yield f"{name}: no limits"
        if "lifecycle" in container:
            yield f"{name}: a hook, though the binary drains by itself at TERM"


def joined(name, spec):
    """Mounts, variables and options."""
    for container in spec["containers"]:
        volumes = {volume["name"] for volume in spec.get("volumes", [])} | ({"data"} if name.startswith("StatefulSet") else set())
        mounts = {mount["mountPath"]: mount["name"] for mount in container.get("volumeMounts", [])}
        yield from (f"{name}: {path} mounts {volume}, which is no volume" for path, volume in mounts.items() if volume not in volumes)
        yield from (f"{name}: the volume {volume} is mounted nowhere" for volume in volumes if volume not in mounts.values())
        environment = {entry["name"]: entry.get("value", "") for entry in container.get("env", [])}
        if len(environment) < len(container.get("env", [])):
            yield f"{name}: a variable is set twice"
        for variable, value in environment.items():
            yield from (f"{name}: {variable} names {other}, which is not set before it" for other in re.findall(r"\$\((\w+)\)", value)
                        if other not in list(environment)[:list(environment).index(variable)])
            if value.startswith("/etc/") and not any(value.startswith(path + "/") for path in mounts):
                yield f"{name}: {variable} is {value}, where nothing is mounted"
        yield from misuse(name, container["args"], environment)


def fitting(objects):
    """Selectors, ports and targets: what Kubernetes takes without a word though it selects nothing."""
    pods = {f"{one['kind']}/{one['metadata']['name']}": pod_of(one) for one in objects if pod_of(one)[0]}
    for one in objects:
        name, spec = f"{one['kind']}/{one['metadata']['name']}", one.get("spec", {})
        selector = spec.get("selector") or spec.get("podSelector") or {}
        wanted = selector.get("matchLabels", selector if one["kind"] == "Service" else None)
        if wanted:
            hit = [pod for pod, (labels, _) in pods.items() if wanted.items() <= labels.items()]
            if len(hit) != 1:
                yield f"{name} selects {hit or 'no pod'}"
            ports = {port["name"] for pod in hit for container in pods[pod][1]["containers"] for port in container.get("ports", [])}
            named = [port["targetPort"] for port in spec.get("ports", [])] if one["kind"] == "Service" else \
                [port["port"] for rule in spec.get("ingress", []) for port in rule.get("ports", [])] if one["kind"] == "NetworkPolicy" else []
            yield from (f"{name}: {port} is no port of {hit}" for port in named if isinstance(port, str) and port not in ports)
        target = spec.get("scaleTargetRef")
        if target and f"{target['kind']}/{target['name']}" not in pods:
            yield f"{name} scales {target['name']}, which is not there"
        scaled = [other for other in objects if other.get("spec", {}).get("scaleTargetRef", {}).get("name") == one["metadata"]["name"] and one["kind"] in ("Deployment", "StatefulSet")]
        if scaled and "replicas" in spec:
            yield f"{name} has replicas of its own, though it is scaled: each upgrade would undo the scaling"
        if one["kind"] in ("Deployment", "StatefulSet") and not all(probe in spec["template"]["spec"]["containers"][0] for probe in ("startupProbe", "livenessProbe", "readinessProbe")):
            yield f"{name}: a probe is missing"


def with_values(root, values):
    done = helm("lint", "--strict", root / "deploy/helm/tidegate", "--values", values)
    if done.returncode != 0:
        return (done.stdout + done.stderr).splitlines()
    objects, found = rendered(root, values)
    for one in objects:
        name = f"{one['kind']}/{one['metadata']['name']}"
        if one["metadata"].get("namespace") not in (None, "shop"):
            found.append(f"{name} is in a namespace of its own")
        found += [f"{name}: {finding}" for finding in validated(one)]
        spec = pod_of(one)[1]
        if spec:
            found += [*hardened(name, spec), *joined(name, spec)]
    return found + list(fitting(objects))


def chart(root):
    """Findings in the chart, with the first values that bring any."""
    for values in VALUES:
        found = with_values(root, values)
        if found:
            return [f"chart, {values.name}: {finding}" for finding in found]
    return []
