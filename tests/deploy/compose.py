"""docker-compose.yml: the specification's schema, and that everything it names is there."""

import re

import yaml
from product import misuse
from tools import FETCHED, VENV, complaints

CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}


def names(value):
    """Of a list or a mapping: its names."""
    return list(value or [])


def environment_of(service):
    value = service.get("environment") or {}
    return value if isinstance(value, dict) else dict(item.split("=", 1) for item in value)


def calls_tidegate(service):
    return "tidegate" in service["image"] and service.get("entrypoint", ["tidegate"])[0] == "tidegate"


def inside(root, file, service, name):
    """One service's references."""
    for other, how in (service.get("depends_on") or {}).items() if isinstance(service.get("depends_on"), dict) else [(n, {}) for n in names(service.get("depends_on"))]:
        there = file["services"].get(other)
        if there is None:
            yield f"{name} depends on {other}, which is no service"
            continue
        condition = how.get("condition", "service_started")
        healthcheck = there.get("healthcheck", {"test": "the image's"} if "tidegate" in there["image"] else None)
        if condition not in CONDITIONS:
            yield f"{name}: {condition} is no condition"
        if condition == "service_healthy" and (healthcheck is None or healthcheck.get("disable")):
            yield f"{name} waits for {other} to be healthy, which nothing tells"
        if condition == "service_completed_successfully" and there.get("restart", "no") != "no":
            yield f"{name} waits for {other} to end, which is begun anew each time it ends"
    for kind in ("volumes", "networks"):
        for item in names(service.get(kind)):
            source = item.split(":")[0]
            if source.startswith("./"):
                if not (root / source).exists():
                    yield f"{name} mounts {source}, which is not there"
            elif source not in file.get(kind, {}):
                yield f"{name}: {source} is not among the file's {kind}"
    for variable, value in environment_of(service).items():
        for host in re.findall(r"(?:^|,)([a-z][a-z0-9-]*):\d+", str(value)):
            other = file["services"].get(host)
            if other is None:
                yield f"{name}: {variable} names {host}, which is no service"
            elif host != name and not set(names(service.get("networks"))) & set(names(other.get("networks"))):
                yield f"{name} shares no network with {host}, which {variable} names"
    if "no-new-privileges:true" not in service.get("security_opt", []) or service.get("cap_drop") != ["ALL"]:
        yield f"{name} keeps privileges: cap_drop: [ALL] and no-new-privileges:true"


def compose(root):
    """Findings in docker-compose.yml."""
    path = root / "docker-compose.yml"
    found = complaints(VENV / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", path)
    if found:
        return found
    file = yaml.safe_load(path.read_text())
    for name, service in file["services"].items():
        found += inside(root, file, service, name)
        if calls_tidegate(service):
            words = [str(word) for word in service.get("entrypoint", ["tidegate"])[1:] + service.get("command", [])]
            found += misuse(name, words, environment_of(service))
    used = {item.split(":")[0] for service in file["services"].values() for kind in ("volumes", "networks") for item in names(service.get(kind))}
    found += [f"{name} is used by nobody" for kind in ("volumes", "networks") for name in file[kind] if name not in used]
    for name in ("worker-1", "worker-2"):
        if sum(f"{name}:" in item for service in file["services"].values() for item in names(service.get("volumes"))) != 1:
            found.append(f"the volume {name} is not one worker's own")
    return found


def balancer(root):
    """Findings in the balancer's configuration: HAProxy's own, with the file's own environment."""
    service = yaml.safe_load((root / "docker-compose.yml").read_text())["services"]["balancer"]
    environment = {name: re.sub(r"^[a-z0-9-]+:", "127.0.0.1:", str(value)) for name, value in environment_of(service).items()}
    said = complaints(FETCHED / "haproxy", "-c", "-f", root / "deploy/compose/haproxy.cfg", env={**environment, "PATH": "/usr/bin:/bin"})
    return said
