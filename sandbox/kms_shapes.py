"""Checks of a request's parameters against the service model that botocore ships, in AWS' words."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import cast

import botocore.session
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape

from sandbox.kms_errors import KmsError, invalid

Check = Callable[[object, str], Iterator[str]]
"""Gives the problems of a value at a path; nothing when it is well."""

_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "blob": (bytes, bytearray),
    "list": (list, tuple),
    "map": dict,
    "structure": dict,
}


@cache
def service_model() -> ServiceModel:
    """The description of KMS that the installed botocore carries."""
    return botocore.session.get_session().get_service_model("kms")


def validate(operation: str, body: Mapping[str, object]) -> None:
    """Refuse a request whose parameters break the service model; blobs are bytes here, not base64."""
    problems = list(_checks_of(operation)(body, ""))
    if problems:
        noun = "error" if len(problems) == 1 else "errors"
        raise invalid(f"{len(problems)} validation {noun} detected: {'; '.join(problems)}")


@cache
def _checks_of(operation: str) -> Check:
    shape = service_model().operation_model(operation).input_shape
    return _check_of(shape) if shape is not None else _nothing_to_check


def _nothing_to_check(_value: object, _path: str) -> Iterator[str]:
    return iter(())


@cache
def _check_of(shape: Shape) -> Check:
    inner = _inner_check(shape)
    expected = _TYPES.get(shape.type_name)

    def check(value: object, path: str) -> Iterator[str]:
        if expected is not None and not _is_a(value, expected):
            raise KmsError("SerializationException", f"{path or 'the request'} is not a {shape.type_name}")
        return inner(value, path)

    return check


def _is_a(value: object, expected: type | tuple[type, ...]) -> bool:
    return isinstance(value, expected) and not (expected is int and isinstance(value, bool))


def _inner_check(shape: Shape) -> Check:
    if isinstance(shape, StructureShape):
        return _structure_check(shape)
    if isinstance(shape, ListShape):
        return _list_check(shape)
    if isinstance(shape, MapShape):
        return _map_check(shape)
    return _scalar_check(shape)


def _structure_check(shape: StructureShape) -> Check:
    members = {name: (_check_of(member), _lower_first(name)) for name, member in shape.members.items()}
    required = tuple(shape.required_members)

    def check(value: object, path: str) -> Iterator[str]:
        given = cast("dict[str, object]", value)
        missing = (_lower_first(name) for name in required if given.get(name) is None)
        yield from (_problem("null", _join(path, name), "not be null") for name in missing)
        for name, item in given.items():
            if name not in members:
                raise KmsError("SerializationException", f"KMS knows no parameter {name} here")
            if item is not None:
                inner, lower = members[name]
                yield from inner(item, _join(path, lower))

    return check


def _list_check(shape: ListShape) -> Check:
    member, size = _check_of(shape.member), _size_check(shape)

    def check(value: object, path: str) -> Iterator[str]:
        yield from size(value, path)
        for number, item in enumerate(cast("list[object]", value), start=1):
            yield from member(item, f"{path}.{number}.member")

    return check


def _map_check(shape: MapShape) -> Check:
    member = _check_of(shape.value)

    def check(value: object, path: str) -> Iterator[str]:
        for item in cast("dict[str, object]", value).values():
            yield from member(item, path)

    return check


def _scalar_check(shape: Shape) -> Check:
    size, rule = _size_check(shape), shape.metadata
    words = rule.get("enum")
    pattern = re.compile(rule["pattern"]) if "pattern" in rule else None
    if words is None and pattern is None:
        return size

    def check(value: object, path: str) -> Iterator[str]:
        yield from size(value, path)
        if words is not None and value not in words:
            yield _problem(f"'{value}'", path, f"satisfy enum value set: [{', '.join(words)}]")
        if pattern is not None and pattern.fullmatch(str(value)) is None:
            yield _problem(f"'{value}'", path, f"satisfy regular expression pattern: {pattern.pattern}")

    return check


def _size_check(shape: Shape) -> Check:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is None and high is None:
        return _nothing_to_check
    noun = "have value" if shape.type_name == "integer" else "have length"
    hidden = shape.type_name == "blob" or bool(shape.metadata.get("sensitive"))

    def check(value: object, path: str) -> Iterator[str]:
        size = value if isinstance(value, int) else len(value)  # type: ignore[arg-type] # sized by its type
        shown = "" if hidden else f"'{value}'"
        if low is not None and size < low:
            yield _problem(shown, path, f"{noun} greater than or equal to {low}")
        if high is not None and size > high:
            yield _problem(shown, path, f"{noun} less than or equal to {high}")

    return check


def _problem(shown: str, path: str, rule: str) -> str:
    value = f"Value {shown}" if shown else "Value"
    return f"{value} at '{path}' failed to satisfy constraint: Member must {rule}"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _lower_first(name: str) -> str:
    return name[:1].lower() + name[1:]
