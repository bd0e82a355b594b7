"""The subset of JSON Schema that namespaces may use, against the public JSON-Schema-Test-Suite.

The suite comes in the source package of `jsonschema` (pip, pinned). Every case whose schema holds only keywords that
core/schema.h lists must be judged as the suite says; every other schema must be refused at load, naming a keyword.
"""
import json
import pathlib
import random
import re
import subprocess
import sys
import tarfile

ROOT = pathlib.Path(__file__).parents[2]
PACKAGE = "jsonschema==4.23.0"
SUPPORTED = {
    "$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "format", "contentEncoding",
    "contentMediaType", "contentSchema", "type", "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "minLength", "maxLength", "pattern", "properties", "patternProperties", "required", "additionalProperties", "minProperties", "maxProperties",
    "propertyNames", "dependentRequired", "dependentSchemas", "items", "prefixItems", "contains", "minContains", "maxContains", "minItems", "maxItems",
    "uniqueItems", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "$defs", "$ref"}
ONE = {"additionalProperties", "propertyNames", "items", "contains", "not", "if", "then", "else"}
MANY, NAMED = {"prefixItems", "allOf", "anyOf", "oneOf"}, {"properties", "patternProperties", "dependentSchemas", "$defs"}


def suite():
    folder = ROOT / "build" / "json-schema-test-suite"
    if not list(folder.glob("*.tar.gz")):
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-binary", "jsonschema", "--no-deps",
                        "--dest", str(folder), PACKAGE], check=True)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as package:
        for member in package.getmembers():
            optional = "/optional/" in member.name and not member.name.endswith(("ecmascript-regex.json", "non-bmp-regex.json"))
            if "/json/tests/draft2020-12/" in member.name and member.name.endswith(".json") and not optional:
                yield pathlib.Path(member.name).name, json.load(package.extractfile(member))


def subschemas(schema):
    """The schema and all that stand in it, where schemas do."""
    if not isinstance(schema, dict):
        return
    yield schema
    for keyword, value in schema.items():
        for one in [value] if keyword in ONE else value if keyword in MANY else value.values() if keyword in NAMED else []:
            yield from subschemas(one)


def unknown_keyword(schema):
    """A keyword that is to be refused by name; None: the schema is taken."""
    all_of_them = list(subschemas(schema))
    for one in all_of_them:
        for keyword, value in one.items():
            if keyword not in SUPPORTED or keyword == "$ref" and not re.fullmatch("#(/.*)?", value):
                return keyword
    refers, has_inner_id = any("$ref" in one for one in all_of_them), any("$id" in one for one in all_of_them[1:])
    return "$ref" if refers and has_inner_id else None


def judge(lines):
    subprocess.run(["make", "-s", "build/plain/tools/schema_fits"], cwd=ROOT, check=True)
    return subprocess.run([ROOT / "build/plain/tools/schema_fits"], input=lines, capture_output=True, text=True, check=True).stdout.splitlines()


def random_pattern(rng, depth=0):
    """Of what ECMA-262 and Python mean the same by."""
    if depth == 3 or rng.random() < 0.4:
        return rng.choice(["a", "b", "é", ".", "[ab]", "[^a]", "[a-cé-ü]", "\\d", "\\w", "\\S", "\\.", "^", "$", "\\b", "\\x61", "\\u0062", ""])
    kind = rng.random()
    if kind < 0.4:
        return "".join(random_pattern(rng, depth + 1) for _ in range(rng.randint(1, 3)))
    if kind < 0.6:
        return "(" + "|".join(random_pattern(rng, depth + 1) for _ in range(rng.randint(1, 3))) + ")"
    return "(?:" + random_pattern(rng, depth + 1) + ")" + rng.choice(["*", "+", "?", "{2}", "{1,2}", "{2,}", "*?", "+?", "{0}"])


def test_patterns_agree_with_pythons():
    rng = random.Random(20251)
    cases = []
    for _ in range(4000):
        pattern, text = random_pattern(rng), "".join(rng.choice("aabbcé7. ") for _ in range(rng.randint(0, 6)))
        cases.append((pattern, text, re.search(pattern, text, re.ASCII) is not None))
    judged = judge("".join(json.dumps({"schema": {"pattern": pattern}, "data": text}) + "\n" for pattern, text, _ in cases))
    wrong = [(case, verdict) for case, verdict in zip(cases, judged, strict=True) if verdict != ("fits" if case[2] else "misfit")]
    assert not wrong, wrong[:10]
    assert 500 < sum(case[2] for case in cases) < 3500


def test_the_subset_agrees_with_the_public_suite():
    cases = [(f"{name}: {group['description']}: {test['description']}", group["schema"], test) for name, groups in suite() for group in groups for test in group["tests"]
             if name != "vocabulary.json"]  # of other dialects than 2020-12's own
    lines = "".join(json.dumps({"schema": schema, "data": test["data"]}) + "\n" for _, schema, test in cases)
    judged = judge(lines)
    assert len(judged) == len(cases)
    wrong, agreed, refused = [], 0, 0
    for (name, schema, test), verdict in zip(cases, judged):
        if "regex.json" in name and re.match(r"refused: schema: pattern(Properties)?: .* not supported", verdict):
            refused += 1  # refused by name: \p{..}
        elif unknown_keyword(schema) is not None:
            refused += 1
            if not verdict.startswith("refused: "):
                wrong.append(f"{name}: taken though {unknown_keyword(schema)} is unknown")
        elif verdict != ("fits" if test["valid"] else "misfit"):
            wrong.append(f"{name}: {verdict}, should be {test['valid']}")
        else:
            agreed += 1
    print(f"{agreed} cases agree, {refused} are of schemas refused at load")
    assert not wrong, "\n".join(wrong)
    assert agreed > 900
