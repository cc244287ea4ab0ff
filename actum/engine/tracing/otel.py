"""Spans to OpenTelemetry, live or from the log. The only file that knows opentelemetry; it needs the extra `otel`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from actum.engine.tracing.spans import Span, SpanFold, caller_of
from actum.engine.tracing.traceparent import Caller
from actum.errors import BadInput
from actum.events import NewEvent, RecordedEvent

try:
    from opentelemetry import context
    from opentelemetry import trace as api
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
except ImportError as exc:
    raise BadInput(f"traces need the extra 'otel' ({exc}): pip install 'actum[otel]'") from exc

if TYPE_CHECKING:
    from actum.engine.runtime.attempt import StepInfo

__all__ = ["Tracing"]

log = logging.getLogger("actum.tracing")


class Tracing:
    """Gives the spans of executions to a span processor of OpenTelemetry, as `Engine(store, observer=Tracing(…))`.

    Each span is given once its end is durable, by the worker that recorded it, with times and ids from the log.
    While a step's code runs, the span of its attempt is the current one: what the code traces itself hangs below.
    An execution that is started while a span is current belongs to that trace, in every worker that runs it, as far
    as that trace is sampled.

    Nothing that goes wrong here reaches an execution: it is logged.
    """

    def __init__(self, processor: SpanProcessor, resource: Resource | None = None) -> None:
        self._processor = processor
        self._resource = resource or Resource.create()
        self._scope = InstrumentationScope("actum")
        self._folds: dict[str, SpanFold] = {}

    def export(self, spans: Iterable[Span]) -> int:
        """Give these spans to the processor, such as `spans_of(store.read())` has; returns how many were sampled.

        A span that was given before has the same ids now, so whoever keeps spans by their ids keeps it once.
        """
        count = 0
        for span in spans:
            if span.sampled:
                self._processor.on_end(self._readable(span))
                count += 1
        return count

    # -- what an engine tells ----------------------------------------------------------------------------------------

    def caller(self) -> str | None:
        """The span that is current where an execution is started, as a `traceparent`."""
        current = api.get_current_span().get_span_context()
        if not current.is_valid:
            return None
        return str(Caller(f"{current.trace_id:032x}", f"{current.span_id:016x}", current.trace_flags.sampled))

    def loaded(self, execution: str, past: Sequence[RecordedEvent]) -> None:
        """An execution was loaded. Of one that is new here, only what no worker has seen is given on."""
        known = self._folds.get(execution)
        fold = known or self._folds.setdefault(execution, SpanFold(execution))
        told = fold.version
        if known is None:
            told = 1 + max((n for n, event in enumerate(past) if event.actor.kind == "worker"), default=-1)
        try:
            for number, event in enumerate(past):
                if number >= fold.version:
                    ended = fold.add(event, event.position, caller_of(event, self._folds))
                    if number >= told:
                        self.export(ended)
        except Exception:
            log.exception("spans were lost", extra={"execution": execution})

    def recorded(self, execution: str, events: Sequence[NewEvent | RecordedEvent], first_position: int) -> None:
        """These events of an execution are durable, from this position on."""
        fold = self._folds.get(execution)
        if fold is None:
            fold = self._folds[execution] = SpanFold(execution)
        try:
            for number, event in enumerate(events):
                position = event.position if isinstance(event, RecordedEvent) else first_position + number
                self.export(fold.add(event, position, caller_of(event, self._folds)))
        except Exception:
            log.exception("spans were lost", extra={"execution": execution})

    def entered(self, info: StepInfo) -> None:
        """An attempt begins, in a context of its own: its span is the current one there."""
        fold = self._folds.get(info.execution)
        if fold is None or not fold.trace_id:
            return
        here = self._context(fold.trace_id, fold.attempt_id(info.key, info.attempt), fold.sampled, remote=False)
        context.attach(api.set_span_in_context(api.NonRecordingSpan(here)))

    def left(self, execution: str) -> None:
        """The engine has let go of an execution."""
        self._folds.pop(execution, None)

    # -- as OpenTelemetry has it -------------------------------------------------------------------------------------

    def _readable(self, span: Span) -> ReadableSpan:
        parent = None
        if span.parent_id is not None:
            parent = self._context(span.trace_id, span.parent_id, span.sampled, remote=span.remote)
        status = api.Status(api.StatusCode.UNSET)
        if span.error is not None:
            status = api.Status(api.StatusCode.ERROR, span.error)
        return ReadableSpan(
            span.name,
            self._context(span.trace_id, span.span_id, span.sampled, remote=False),
            parent,
            self._resource,
            span.attributes,
            [Event(name, about, at_us * 1000) for name, at_us, about in span.notes],
            kind=api.SpanKind.CLIENT if span.kind == "model" else api.SpanKind.INTERNAL,
            status=status,
            start_time=span.start_us * 1000,
            end_time=span.end_us * 1000,
            instrumentation_scope=self._scope,
        )

    def _context(self, trace_id: str, span_id: str, sampled: bool, *, remote: bool) -> api.SpanContext:
        flags = api.TraceFlags(api.TraceFlags.SAMPLED if sampled else api.TraceFlags.DEFAULT)
        return api.SpanContext(int(trace_id, 16), int(span_id, 16), remote, flags)
