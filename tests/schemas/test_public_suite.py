"""The subset of JSON Schema that namespaces may use, against the public JSON-Schema-Test-Suite.

The suite comes in the source package of `jsonschema` (pip, pinned). Every case whose schema holds only keywords that
core/schema.h lists must be judged as the suite says; every other schema must be refused at load, naming a keyword.
"""
import json
import pathlib
import subprocess
import sys
import tarfile

ROOT = pathlib.Path(__file__).parents[2]
PACKAGE = "jsonschema==4.23.0"
SUPPORTED = {
    "$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated", "type", "enum", "const", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "properties", "required", "additionalProperties",
    "minProperties", "maxProperties", "propertyNames", "items", "prefixItems", "minItems", "maxItems", "uniqueItems", "allOf", "anyOf", "oneOf", "not"}
ONE, MANY, NAMED = {"additionalProperties", "propertyNames", "items", "not"}, {"prefixItems", "allOf", "anyOf", "oneOf"}, {"properties"}


def suite():
    folder = ROOT / "build" / "json-schema-test-suite"
    if not list(folder.glob("*.tar.gz")):
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-binary", "jsonschema", "--no-deps",
                        "--dest", str(folder), PACKAGE], check=True)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as package:
        for member in package.getmembers():
            if "/json/tests/draft2020-12/" in member.name and member.name.endswith(".json") and "/optional/" not in member.name:
                yield pathlib.Path(member.name).name, json.load(package.extractfile(member))


def unknown_keyword(schema):
    if not isinstance(schema, dict):
        return None
    for keyword, value in schema.items():
        if keyword not in SUPPORTED:
            return keyword
        below = [value] if keyword in ONE else value if keyword in MANY else value.values() if keyword in NAMED else []
        for one in below:
            if found := unknown_keyword(one):
                return found
    return None


def test_the_subset_agrees_with_the_public_suite():
    cases = [(f"{name}: {group['description']}: {test['description']}", group["schema"], test) for name, groups in suite() for group in groups for test in group["tests"]
             if name != "vocabulary.json"]  # of other dialects than 2020-12's own
    lines = "".join(json.dumps({"schema": schema, "data": test["data"]}) + "\n" for _, schema, test in cases)
    subprocess.run(["make", "-s", "build/plain/tools/schema_fits"], cwd=ROOT, check=True)
    judged = subprocess.run([ROOT / "build/plain/tools/schema_fits"], input=lines, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(judged) == len(cases)
    wrong, agreed, refused = [], 0, 0
    for (name, schema, test), verdict in zip(cases, judged):
        if unknown_keyword(schema) is not None:
            refused += 1
            if not verdict.startswith("refused: "):
                wrong.append(f"{name}: taken though {unknown_keyword(schema)} is unknown")
        elif verdict != ("fits" if test["valid"] else "misfit"):
            wrong.append(f"{name}: {verdict}, should be {test['valid']}")
        else:
            agreed += 1
    print(f"{agreed} cases agree, {refused} are of schemas refused at load")
    assert not wrong, "\n".join(wrong)
    assert agreed > 400
