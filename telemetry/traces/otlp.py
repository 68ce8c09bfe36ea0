"""Spans in the wire format of OTLP: what the SDK's exporter sends, for a fifth of the CPU.

The SDK's encoder makes a protobuf object of each attribute, 50 µs a span, in a thread that takes its turns from
requests. Here a span's bytes are joined, and those of an attribute that comes again and again are kept. What is rare
(links, lists, a `tracestate`, what a limit dropped) is left to the SDK's encoder.
"""

from collections.abc import Sequence
from functools import lru_cache
from struct import Struct
from typing import Any, NamedTuple

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import StatusCode

_RESOURCE_SPANS, _SCOPE_SPANS, _SPANS, _NAME, _ATTRIBUTES = b"\x0a", b"\x12", b"\x12", b"\x2a", b"\x4a"
_EVENTS, _EVENT_NAME, _EVENT_ATTRIBUTES = b"\x5a", b"\x12", b"\x1a"
"""What stands before a field: its number in its message, and that a length and so many bytes follow."""
_HEAD, _PARENT = Struct("!2sQQ2sQ"), Struct("!2sQ")
"""The ids of trace and span, and of the span's parent."""
_TIMES, _EVENT_TIME = Struct("<BBBQBQ"), Struct("<BQ")
"""Kind, start and end."""
_STATUS = {code: bytes([0x7A, 2, 0x18, code.value]) if code.value else b"\x7a\x00" for code in StatusCode}
_LOCAL, _REMOTE = b"\x85\x01\x00\x01\x00\x00", b"\x85\x01\x00\x03\x00\x00"
"""Whether the parent is in another process."""
_PLAIN = {str, bool, int, float}
_LONGEST, _MOST = 200, 2048
"""Characters of a text whose bytes are kept, and how many attributes are."""


class Encoded(NamedTuple):
    """A request to a collector, with the method by which the SDK's exporter asks for its bytes."""

    body: bytes

    def SerializePartialToString(self) -> bytes:
        return self.body


def encoded(spans: Sequence[ReadableSpan]) -> Encoded:
    """The export request for `spans`: the message that the SDK's `encode_spans` makes, ready to be sent."""
    resources: dict[int, dict[int, list[ReadableSpan]]] = {}
    for span in spans:
        scopes = resources.setdefault(id(span.resource), {})
        scopes.setdefault(id(span.instrumentation_scope), []).append(span)
    body = []
    for scopes in resources.values():
        parts = []
        for group in scopes.values():
            resource, scope = _frames(group[0])
            parts.append(_field(_SCOPE_SPANS, scope + b"".join([_field(_SPANS, _span(span)) for span in group])))
        body.append(_field(_RESOURCE_SPANS, resource + b"".join(parts)))
    return Encoded(b"".join(body))


def _frames(span: ReadableSpan) -> tuple[bytes, bytes]:
    """The bytes of a span's resource and of its scope, without spans."""
    [resource] = encode_spans([span]).resource_spans
    [scope] = resource.scope_spans
    del scope.spans[:], resource.scope_spans[:]
    return resource.SerializeToString(), scope.SerializeToString()


def _span(span: ReadableSpan) -> bytes:
    context, parent, attributes, events = span.context, span.parent, span.attributes or {}, span.events
    if _is_rare(span) or not _is_plain(span) or not all(map(_is_plain, events)):
        [resource] = encode_spans([span]).resource_spans
        return bytes(resource.scope_spans[0].spans[0].SerializeToString())
    high, low = divmod(context.trace_id, 1 << 64)
    return b"".join(
        [
            _HEAD.pack(b"\x0a\x10", high, low, b"\x12\x08", context.span_id),
            _PARENT.pack(b"\x22\x08", parent.span_id) if parent else b"",
            _field(_NAME, span.name.encode()),
            _TIMES.pack(0x30, span.kind.value + 1, 0x39, span.start_time, 0x41, span.end_time),
            *[_attribute(_ATTRIBUTES, name, value) for name, value in attributes.items()],
            *[_field(_EVENTS, _event(event)) for event in events],
            _STATUS[span.status.status_code],
            _REMOTE if parent and parent.is_remote else _LOCAL,
        ]
    )


def _is_rare(span: ReadableSpan) -> bool:
    return bool(
        span.links
        or span.dropped_events
        or span.dropped_links
        or span.status.description
        or span.context.trace_state
        or not span.start_time
        or not span.end_time
    )


def _is_plain(said: ReadableSpan | Event) -> bool:
    """Whether nothing of its attributes is lost, and all are texts, numbers or truths."""
    return not said.dropped_attributes and _PLAIN.issuperset(map(type, (said.attributes or {}).values()))


def _event(event: Event) -> bytes:
    attributes = (event.attributes or {}).items()
    return b"".join(
        [
            _EVENT_TIME.pack(0x09, event.timestamp),
            _field(_EVENT_NAME, event.name.encode()),
            *[_attribute(_EVENT_ATTRIBUTES, name, value) for name, value in attributes],
        ]
    )


def _attribute(tag: bytes, name: str, value: Any) -> bytes:
    if type(value) is str and len(value) > _LONGEST:
        return _key_value(tag, name, value)
    return _kept(tag, name, value)


def _key_value(tag: bytes, name: str, value: Any) -> bytes:
    """The bytes of an attribute; none of one that the format cannot hold, which the SDK leaves out too."""
    kind = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value"}[type(value)]
    try:
        pair = KeyValue(key=name)
        setattr(pair.value, kind, value)
    except ValueError:  # a lone surrogate, a number of more than 64 bits
        return b""
    return _field(tag, pair.SerializeToString())


_kept = lru_cache(_MOST, typed=True)(_key_value)


def _field(tag: bytes, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return tag + bytes((size,)) + content
    length = bytearray(tag)
    while size >= 0x80:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return bytes(length) + content
