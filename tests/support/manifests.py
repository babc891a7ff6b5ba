"""Reads manifests from standard input, as `helm template` writes them.

Usage: manifests.py FOLDER-OF-DEFINITIONS
Out:   {"documents": [...], "wrong": [what breaks the definition of its own kind, ...], "judged": [kinds]}
"""

import json
import pathlib
import sys

import jsonschema
import yaml


def strict(schema):
    """As an API server would have it that refuses fields it does not know."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: strict(value) for key, value in schema.items()}
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and not open_ended:
        schema["additionalProperties"] = False
    return schema


def definitions(folder):
    for file in folder.glob("*.yaml"):
        spec = yaml.safe_load(file.read_text())["spec"]
        for version in spec["versions"]:
            at = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
            yield at, strict(version["schema"]["openAPIV3Schema"])


documents = [document for document in yaml.safe_load_all(sys.stdin) if document]
known = dict(definitions(pathlib.Path(sys.argv[1])))
wrong, judged = [], []
for document in documents:
    schema = known.get((document["apiVersion"], document["kind"]))
    if schema is None:
        continue
    judged.append(document["kind"])
    # What every object has is not described there.
    body = {key: value for key, value in document.items() if key != "metadata"} | {"metadata": {}}
    for error in jsonschema.Draft7Validator(schema).iter_errors(body):
        wrong.append(f"{document['kind']}: {error.json_path}: {error.message}")
print(json.dumps({"documents": documents, "wrong": wrong, "judged": judged}))
