"""What moto and botocore work out anew for every call although the answer never changes, remembered.

Each function here is pure for the life of a process: its answer depends on its arguments and on installed files.
Without this a virtual year takes half as long again; what is answered is the same, byte for byte.
"""

import http.client
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from http.client import HTTPMessage
from io import BufferedIOBase, BytesIO
from typing import Any
from uuid import uuid4

import botocore.hooks
import botocore.session
import moto.backends
import moto.core.responses
import moto.sqs.models
from botocore.context import get_context
from botocore.loaders import create_loader
from botocore.regions import EndpointRulesetResolver
from botocore.useragent import UserAgentString
from moto.core.serialize import BaseJSONSerializer, XFormedAttributePicker
from moto.core.utils import camelcase_to_underscores, method_names_from_class
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.moto_server.werkzeug_app import DomainDispatcherApplication

from sandbox.aws_time import replaced

Value = Any  # moto's objects, botocore's shapes: neither is typed

_PLAIN = ("S", "N")
_one_loader = cache(create_loader)
"""One reader of botocore's models for every session: each world, and each process in it, begins with a new session."""

_PLAIN_HEADER = re.compile(rb"[A-Za-z0-9-]+:[\t\x20-\x7e]*\r\n")
_LONGEST_LINE, _MOST_HEADERS = 65537, 100


@contextmanager
def quickened() -> Iterator[None]:
    """Let moto and botocore remember until the block ends."""
    modules = tuple(moto.backends.list_of_moto_modules())
    agent = _remembered_agents(UserAgentString.to_string)
    endpoint = _remembered_endpoints(EndpointRulesetResolver.construct_endpoint)
    accepts = cache(botocore.hooks.accepts_kwargs)
    names = cache(method_names_from_class)
    underscored = cache(camelcase_to_underscores)
    keys = _remembered_keys(XFormedAttributePicker.get_possible_keys)
    structure = _plain_values_as_they_are(BaseJSONSerializer._serialize_type_structure)  # noqa: SLF001 - where moto writes a structure
    hosts = _remembered_hosts(DomainDispatcherApplication.get_backend_for_host)
    words = _remembered_words(ConditionExpressionParser._lex_condition_expression)  # noqa: SLF001 - where moto reads a condition
    with ExitStack() as stack:
        stack.enter_context(replaced(botocore.session, "create_loader", _one_loader))
        stack.enter_context(replaced(botocore.hooks, "accepts_kwargs", accepts))
        stack.enter_context(replaced(http.client, "parse_headers", _parsing_quickly(http.client.parse_headers)))
        stack.enter_context(replaced(moto.backends, "list_of_moto_modules", lambda: modules))
        stack.enter_context(replaced(UserAgentString, "to_string", agent))
        stack.enter_context(replaced(EndpointRulesetResolver, "construct_endpoint", endpoint))
        stack.enter_context(replaced(moto.core.responses, "method_names_from_class", names))
        stack.enter_context(replaced(moto.core.responses, "camelcase_to_underscores", underscored))
        stack.enter_context(replaced(moto.sqs.models, "camelcase_to_underscores", underscored))
        stack.enter_context(replaced(moto.core.responses, "gen_amzn_requestid_long", _make_request_id))
        stack.enter_context(replaced(XFormedAttributePicker, "get_possible_keys", keys))
        stack.enter_context(replaced(BaseJSONSerializer, "_serialize_type_structure", structure))
        stack.enter_context(replaced(DomainDispatcherApplication, "get_backend_for_host", hosts))
        stack.enter_context(replaced(ConditionExpressionParser, "_lex_condition_expression", words))
        yield


class _PlainHeaders(HTTPMessage):
    """Headers in ASCII, one line each: what the email package would decode is there as it came."""

    def items(self) -> list[tuple[str, str]]:
        """Every header, in the order of arrival."""
        return list(self.raw_items())


def _parsing_quickly(parse: Callable[..., HTTPMessage]) -> Callable[..., HTTPMessage]:
    """Read plain headers without the machinery for mail; whatever is not plain goes the long way."""

    def parse_headers(stream: BufferedIOBase, _class: type[HTTPMessage] = HTTPMessage) -> HTTPMessage:
        lines: list[bytes] = []
        while _PLAIN_HEADER.fullmatch(line := stream.readline(_LONGEST_LINE)) and len(lines) < _MOST_HEADERS:
            lines.append(line)
        if line != b"\r\n" or _class is not HTTPMessage:
            return parse(_Rest(b"".join(lines) + line, stream), _class)
        headers = _PlainHeaders()
        for plain in lines:
            name, _, value = plain.decode("ascii").partition(":")
            headers.set_raw(name, value.strip(" \t\r\n"))
        return headers

    return parse_headers


class _Rest:
    """A stream with what was read of it put back."""

    def __init__(self, read: bytes, stream: BufferedIOBase) -> None:
        self._read = BytesIO(read)
        self._stream = stream

    def readline(self, limit: int) -> bytes:
        """Give the next line: first of what was put back."""
        return self._read.readline(limit) or self._stream.readline(limit)


def _make_request_id(headers: dict[str, Any]) -> str:
    """Name a request in one draw; moto draws each of 52 letters."""
    headers["x-amzn-requestid"] = str(uuid4())
    return str(headers["x-amzn-requestid"])


def _remembered_agents(to_string: Callable[[Value], str]) -> Callable[[Value], str]:
    """How a client names itself depends on the client and on the features that a call used."""
    known: dict[tuple[Value, frozenset[str]], str] = {}

    def name_of(agent: Value) -> str:
        context = get_context()
        features = frozenset() if context is None else frozenset(context.features)
        if (agent, features) not in known:
            known[agent, features] = to_string(agent)
        return known[agent, features]

    return name_of


def _remembered_endpoints(construct: Callable[..., Value]) -> Callable[..., Value]:
    """Where a client was given its address, that is the endpoint of every call, whatever the arguments are."""
    known: dict[tuple[Value, str], Value] = {}

    def endpoint_of(resolver: Value, operation_model: Value, call_args: Value, request_context: Value) -> Value:
        if not vars(resolver)["_builtins"].get("SDK::Endpoint"):
            return construct(resolver, operation_model, call_args, request_context)
        name = (resolver, operation_model.name)
        if name not in known:
            known[name] = construct(resolver, operation_model, call_args, request_context)
        return known[name]

    return endpoint_of


def _remembered_hosts(find: Callable[..., object]) -> Callable[..., object]:
    found: dict[str | None, object] = {}

    def backend_of(dispatcher: object, host: str | None) -> object:
        if host not in found:
            found[host] = find(dispatcher, host)
        return found[host]

    return backend_of


def _remembered_words(lex: Callable[[Value], deque[Value]]) -> Callable[[Value], deque[Value]]:
    """The words of a condition depend on its text; what names and values mean in it is looked up afterwards."""
    known: dict[str, tuple[Value, ...]] = {}

    def words_of(parser: Value) -> deque[Value]:
        text = parser.condition_expression
        if text not in known:
            known[text] = tuple(lex(parser))
        return deque(known[text])

    return words_of


def _remembered_keys(possible_keys: Callable[..., Iterator[str]]) -> Callable[..., Iterator[str]]:
    """The names under which a member may be found depend on the member and on the class of the object."""
    known: dict[tuple[type, str, int], tuple[Value, tuple[str, ...]]] = {}

    def keys_of(picker: Value, context: Value) -> Iterator[str]:
        kind = type(context.obj)
        if kind is not dict:
            return possible_keys(picker, context)
        name = (kind, context.key, id(context.shape))
        if name not in known:
            known[name] = (context.shape, tuple(possible_keys(picker, context)))  # holds the shape: ids come again
        return iter(known[name][1])

    return keys_of


def _plain_values_as_they_are(serialize: Callable[..., None]) -> Callable[..., None]:
    """Text and numbers of DynamoDB are on the wire what they are in memory: `{"S": "text"}`."""

    def serialize_unless_plain(serializer: Value, serialized: Value, value: Value, shape: Value, key: str) -> None:
        if key and shape.name == "AttributeValue" and _is_plain(value):
            serialized[serializer.get_serialized_name(shape, key)] = value
        else:
            serialize(serializer, serialized, value, shape, key)

    return serialize_unless_plain


def _is_plain(value: Value) -> bool:
    if type(value) is not dict or len(value) != 1:
        return False
    ((name, content),) = value.items()
    return name in _PLAIN and type(content) is str
