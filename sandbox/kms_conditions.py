"""Conditions of policy statements: whether they hold for a request.

An operator that is not known here holds for nothing: an Allow under it does not apply, a Deny does.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from ipaddress import ip_address, ip_network

Context = Mapping[str, "str | tuple[str, ...]"]
"""The request's condition keys, in lower case, each with one value or several."""

_NEVER_SENT = frozenset({"aws:sourceip"})
"""While the request carries none of these, it counts as coming from where the condition names."""


class UnknownOperator(Exception):
    """The policy uses an operator that the sandbox cannot judge."""


@cache
def like(pattern: str) -> re.Pattern[str]:
    """The pattern that IAM's `*` and `?` stand for."""
    parts = (".*" if part == "*" else "." if part == "?" else re.escape(part) for part in pattern)
    return re.compile("".join(parts), re.DOTALL)


def all_hold(conditions: Mapping[str, Mapping[str, object]], context: Context) -> bool:
    """Whether every condition holds; raises UnknownOperator where that cannot be said."""
    return all(
        _holds(operator, key.lower(), wanted, context)
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _holds(written: str, key: str, wanted: object, context: Context) -> bool:
    quantifier, _, operator = written.rpartition(":")
    lenient = operator.endswith("IfExists")
    operator = operator.removesuffix("IfExists")
    texts = _texts(wanted)
    if operator == "Null":
        return (key not in context) == (texts[0].lower() == "true")
    test, positive = _test_of(operator)
    if key not in context:
        held = lenient or not positive or quantifier == "ForAllValues"
        return positive if key in _NEVER_SENT else held
    values = _texts(context[key])
    matches = (any(test(value, text) for text in texts) for value in values)
    found = all(matches) if quantifier == "ForAllValues" else any(matches)
    return found == positive


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, bool):
        return (str(value).lower(),)
    if isinstance(value, (list, tuple)):
        return tuple(text for item in value for text in _texts(item))
    return (str(value),)


def _same(value: str, text: str) -> bool:
    return value == text


def _same_letters(value: str, text: str) -> bool:
    return value.lower() == text.lower()


def _alike(value: str, text: str) -> bool:
    return like(text).fullmatch(value) is not None


def _inside(value: str, text: str) -> bool:
    return ip_address(value) in ip_network(text, strict=False)


def _number(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    return lambda value, text: compare(float(value), float(text))


_TESTS: dict[str, tuple[Callable[[str, str], bool], bool]] = {
    "StringEquals": (_same, True),
    "StringNotEquals": (_same, False),
    "StringEqualsIgnoreCase": (_same_letters, True),
    "StringNotEqualsIgnoreCase": (_same_letters, False),
    "StringLike": (_alike, True),
    "StringNotLike": (_alike, False),
    "ArnEquals": (_alike, True),
    "ArnNotEquals": (_alike, False),
    "ArnLike": (_alike, True),
    "ArnNotLike": (_alike, False),
    "Bool": (_same_letters, True),
    "IpAddress": (_inside, True),
    "NotIpAddress": (_inside, False),
    "NumericEquals": (_number(lambda a, b: a == b), True),
    "NumericNotEquals": (_number(lambda a, b: a == b), False),
    "NumericLessThan": (_number(lambda a, b: a < b), True),
    "NumericLessThanEquals": (_number(lambda a, b: a <= b), True),
    "NumericGreaterThan": (_number(lambda a, b: a > b), True),
    "NumericGreaterThanEquals": (_number(lambda a, b: a >= b), True),
}


def _test_of(operator: str) -> tuple[Callable[[str, str], bool], bool]:
    if operator not in _TESTS:
        raise UnknownOperator(operator)
    return _TESTS[operator]


def as_texts(value: object) -> Iterable[str]:
    """One text or a list of them, as policies write both."""
    return _texts(value)
