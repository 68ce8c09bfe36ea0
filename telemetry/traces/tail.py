"""Requests and tasks that failed or were slow, kept although the sampler had dropped their trace.

What is not sampled makes no span: what was asked and waited for is only listed, as long as its request or task runs.
If that fails or is slow, the list becomes spans below one of the whole. Spans that a developer opens are not among
them, and what the request called elsewhere was told that it is not sampled.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from telemetry.context import UNMATCHED, Observation
from telemetry.traces import Attributes
from telemetry.traces.finished import KINDS

SLOW = 2.0
"""Seconds, with the wait for a thread, from which a request is kept."""
SLOW_TASK = 60.0
MOST = 100
"""Steps that are listed of one request or task: the first ones."""
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class Step(NamedTuple):
    """Something that was done or waited for. Times are nanoseconds since the epoch; `error` is a class or ""."""

    name: str
    kind: str
    started: int
    ended: int
    attributes: Attributes
    error: str


class Tail:
    """Decides at the end. What it keeps goes to `processors`, which must be our own: nobody saw it begin."""

    def __init__(
        self, processors: Sequence[SpanProcessor], resource: Resource, scope: InstrumentationScope, ids: IdGenerator
    ) -> None:
        self._processors, self._resource, self._scope, self._ids = processors, resource, scope, ids

    def note(
        self, observation: Observation, name: str, seconds: float, kind: str, attributes: Attributes, error: str
    ) -> None:
        """List a step that has just ended."""
        if observation.steps is None:
            observation.steps = []
        if len(observation.steps) < MOST:
            now = time.time_ns()
            observation.steps.append(Step(name, kind, now - int(seconds * 1e9), now, attributes, error))

    def decide(self, observation: Observation, seconds: float, failed: bool, parent: SpanContext | None) -> bool:
        """Keep a request or task that is over and was not sampled, if it failed or was slow; whether it is kept."""
        slow = SLOW if observation.kind == "request" else SLOW_TASK
        if not observation.trace_id or not (failed or seconds + observation.queued >= slow):
            return False
        trace_id = int(observation.trace_id, 16)
        whole = SpanContext(trace_id, int(observation.span_id, 16), False, _SAMPLED)
        now = time.time_ns()
        for step in observation.steps or []:
            below = SpanContext(trace_id, self._ids.generate_span_id(), False, _SAMPLED)
            self._send(step, below, whole, KINDS[step.kind])
        error = type(observation.error).__qualname__ if observation.error is not None else ""
        said = Step(_name(observation), "", now - int(seconds * 1e9), now, _about(observation), error)
        kind = SpanKind.SERVER if observation.kind == "request" else SpanKind.CONSUMER
        self._send(said, whole, parent, kind, failed)
        return True

    def _send(
        self, step: Step, context: SpanContext, parent: SpanContext | None, kind: SpanKind, failed: bool = False
    ) -> None:
        span = ReadableSpan(
            step.name,
            context,
            parent,
            self._resource,
            {**step.attributes, "error.type": step.error} if step.error else step.attributes,
            kind=kind,
            status=Status(StatusCode.ERROR if step.error or failed else StatusCode.UNSET),
            start_time=step.started,
            end_time=step.ended,
            instrumentation_scope=self._scope,
        )
        for processor in self._processors:
            processor.on_end(span)


def _name(observation: Observation) -> str:
    if observation.kind != "request":
        return observation.route
    method = observation.method if observation.method != "other" else "HTTP"
    return method if observation.route == UNMATCHED else f"{method} {observation.route}"


def _about(observation: Observation) -> Attributes:
    about: dict[str, str | int | float | bool] = {"request.id": observation.request_id}
    if observation.kind == "request":
        about["http.request.method"] = observation.method if observation.method != "other" else "_OTHER"
        about["http.response.status_code"] = observation.status
        if observation.route != UNMATCHED:
            about["http.route"] = about["url.path"] = observation.route
    if observation.queued:
        about["http.server.request.queued_ms"] = round(observation.queued * 1000, 1)
    return about
