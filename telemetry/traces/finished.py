"""Spans of what is over when it is reported: a query, a wait for the pool, a COMMIT.

The SDK's tracer asks the sampler, copies the attributes, locks, starts and ends a span, 30 µs each, and a page has up
to twenty. A span that only our own processors will see needs none of that. Where somebody else looks (a
processor of the project, a sampler that judges each span, limits) the tracer makes it.
"""

import time
from collections.abc import Sequence

from opentelemetry.sdk.trace import (
    ReadableSpan,
    SpanLimits,
    SpanProcessor,
    SynchronousMultiSpanProcessor,
    TracerProvider,
    sampling,
)
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Span, SpanContext, SpanKind, Status, StatusCode, Tracer

from telemetry.traces import Attributes

KINDS = {kind.name.lower(): kind for kind in SpanKind}
_STATUS = {True: Status(StatusCode.ERROR), False: Status(StatusCode.UNSET)}
_ATTRIBUTES = 32
"""More than any span has that is made here; a lower limit of the SDK's would have to be kept."""


class Processors(SynchronousMultiSpanProcessor):
    """The processors of a provider, which knows whether all of them are ours."""

    def __init__(self, own: Sequence[SpanProcessor]) -> None:
        super().__init__()
        for each in own:
            super().add_span_processor(each)
        self.only_own = True

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        self.only_own = False
        super().add_span_processor(span_processor)


class Finished:
    """Makes spans that have just ended."""

    def __init__(
        self, provider: TracerProvider, processors: Processors, tracer: Tracer, scope: InstrumentationScope
    ) -> None:
        self._processors, self._tracer = processors, tracer
        self._resource, self._scope, self._new_id = provider.resource, scope, provider.id_generator.generate_span_id
        limits = SpanLimits()
        most, longest = limits.max_span_attributes, limits.max_span_attribute_length
        # The SDK's own parent-based samplers sample whatever happens below a sampled span.
        follows = isinstance(provider.sampler, sampling.ParentBased) and type(provider.sampler).__module__ == (
            sampling.__name__
        )
        self._as_is = follows and longest is None and (most is None or most >= _ATTRIBUTES)

    def add(
        self,
        parent: Span,
        name: str,
        seconds: float,
        kind: str,
        attributes: Attributes,
        error: BaseException | str | None,
    ) -> None:
        """A span below `parent`, which records, that took `seconds` until now."""
        ended = time.time_ns()
        started = ended - int(seconds * 1e9)
        if error is not None:  # the class alone: an exception's text may name a customer
            of = error if isinstance(error, str) else type(error).__qualname__
            attributes = {**attributes, "error.type": of}
        if not (self._as_is and self._processors.only_own):
            span = self._tracer.start_span(name, kind=KINDS[kind], attributes=attributes, start_time=started)
            if error is not None:
                span.set_status(_STATUS[True])
            span.end(ended)
            return
        above = parent.get_span_context()
        finished = ReadableSpan(
            name,
            SpanContext(above.trace_id, self._new_id(), False, above.trace_flags, above.trace_state),
            above,
            self._resource,
            attributes,
            kind=KINDS[kind],
            status=_STATUS[error is not None],
            start_time=started,
            end_time=ended,
            instrumentation_scope=self._scope,
        )
        self._processors.on_end(finished)
