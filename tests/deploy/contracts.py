"""The published contracts: schemas/asyncapi.yaml, schemas/openapi.yaml, and the schemas that both refer to."""

import json
import re

import jsonschema
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012
from tools import HERE, ROOT, complaints


def registry(root):
    """Every file of schemas/ under its own address: what a reference from one to another is resolved with."""
    found = {path.as_uri(): DRAFT202012.create_resource(json.loads(path.read_text())) for path in (root / "schemas").glob("**/*.schema.json")}
    for name in ("openapi.yaml", "asyncapi.yaml"):
        path = root / "schemas" / name
        found[path.as_uri()] = Resource(contents=yaml.safe_load(path.read_text()), specification=DRAFT202012)
    return Registry().with_resources(found.items())


def parts(value, path=()):
    yield path, value
    for key, below in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []:
        yield from parts(below, (*path, key))


def openapi(root):
    """Findings in schemas/openapi.yaml."""
    path = root / "schemas/openapi.yaml"
    document = yaml.safe_load(path.read_text())
    found = []
    resolver, seen = registry(root).resolver(base_uri=path.as_uri()), set()
    for where, value in parts(document):
        reference = value.get("$ref") if isinstance(value, dict) else None
        if isinstance(reference, str):
            seen.add(reference)
            try:
                resolver.lookup(reference)
            except Unresolvable:
                found.append(f"openapi.yaml: {'/'.join(map(str, where))}: {reference} leads nowhere")
        if where and where[-1] == "schema" or where[:2] == ("components", "schemas") and len(where) == 3:
            try:
                jsonschema.Draft202012Validator.check_schema(value)
            except jsonschema.SchemaError as error:
                found.append(f"openapi.yaml: {'/'.join(map(str, where))}: {error.message}")
    for kind, named in document["components"].items():
        if kind != "securitySchemes":
            found += [f"openapi.yaml: nobody refers to {kind}/{name}" for name in named if f"#/components/{kind}/{name}" not in seen]
    if found:  # the validator below ends at a reference that leads nowhere, and calls it by no name
        return found
    return [f"openapi.yaml: {'/'.join(map(str, error.absolute_path))}: {error.message}" for error in OpenAPIV31SpecValidator(document, base_uri=path.as_uri()).iter_errors()]


def topics_made():
    """{topic: its settings}, read from the table that `tidegate topics` works by."""
    text = (ROOT / "backends/kafka/kafka_topics_admin.c").read_text()
    names = dict(zip(("META", "CHANGES", "UPDATES", "STATE", "DEAD"), ("tidegate", "changes", "updates", "state", "dead-letter")))
    rows = re.findall(r"\[KAFKA_(\w+)\] = \{(.*?)\}\}[,}]", text, re.S)
    assert len(rows) == len(names), "the table of topics' settings has another shape"
    return {names[row]: dict(re.findall(r'\{"([a-z.]+)", "([^"]+)"\}?', settings + "}")) for row, settings in rows}


def topics(root):
    """What asyncapi.yaml says of a topic, and what is made."""
    document = yaml.safe_load((root / "schemas/asyncapi.yaml").read_text())
    described = {channel["address"]: channel["bindings"]["kafka"]["topicConfiguration"] for channel in document["channels"].values() if "kafka" in channel.get("bindings", {})}
    made = topics_made()
    found = [f"asyncapi.yaml: the topic {name} is not both made and described" for name in set(described) ^ set(made)]
    for name in set(described) & set(made):
        for setting, value in described[name].items():
            text = ",".join(value) if isinstance(value, list) else str(value)
            if made[name].get(setting) != text:
                found.append(f"asyncapi.yaml: {name}: {setting} is {made[name].get(setting)}, not {text}")
    return found


def asyncapi(root):
    """Findings in schemas/asyncapi.yaml, and in the schemas themselves."""
    return topics(root) or complaints("node", HERE / "contracts.mjs", root / "schemas", cwd=HERE)
