"""Holds answers of the API against docs/openapi.json, more strictly than its readers should: no field is unknown."""

import copy
import json
import re
from pathlib import Path

from jsonschema import Draft202012Validator

OPENAPI = Path(__file__).resolve().parent.parent / "docs" / "openapi.json"


class Contract:
    """The document, and what it says of one answer."""

    def __init__(self):
        self.document = json.loads(OPENAPI.read_text(encoding="utf-8"))
        self._components = _closed(self.document["components"])

    def operations(self):
        """Every operation as (method, path, what is said of it)."""
        for path, methods in self.document["paths"].items():
            for method, operation in methods.items():
                yield method.upper(), path, operation

    def complaints(self, method, path, answer):
        """What an answer to an operation has that the document does not say, or lacks that it says."""
        described = self.document["paths"][path][method.lower()]["responses"].get(str(answer.status))
        if described is None:
            return [f"{method} {path} answered {answer.status}, which is not described: {answer.body}"]
        described = self.look_up(described)
        said = {name.lower(): value for name, value in answer.headers.items()}
        missing = [
            f"the header {name} is missing"
            for name, header in described.get("headers", {}).items()
            if self.look_up(header).get("required") and name not in said
        ]
        return missing + self._body_complaints(described["content"], said["content-type"], answer.body)

    def _body_complaints(self, content, content_type, body):
        media_type = content_type.partition(";")[0]
        if media_type not in content:
            return [f"the media type {media_type} is not described"]
        value = json.loads(body) if media_type.endswith("json") else body
        schema = content[media_type]["schema"] | {"components": self._components}
        found = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).iter_errors(value)
        return [f"{error.json_path}: {error.message}" for error in found]

    def look_up(self, shape):
        """What a reference points to; the thing itself when it is none."""
        if "$ref" not in shape:
            return shape
        found = self.document
        for part in shape["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return found

    def parameters(self, operation):
        """An operation's parameters, looked up."""
        return [self.look_up(parameter) for parameter in operation["parameters"]]


def _closed(components):
    """Components whose objects have no fields but those that are named."""
    closed = copy.deepcopy(components)
    for schema in closed["schemas"].values():
        if schema.get("type") == "object":
            schema["additionalProperties"] = False
    return closed


def filled(path, names):
    """A path with its names filled in."""
    return re.sub(r"\{(\w+)\}", lambda found: names[found[1]], path)
