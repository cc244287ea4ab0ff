"""Executions as spans, from their events alone. Pure: the same events give the same spans, with the same ids.

    execution                        from its start to its end; its parent is who started it
    ├── step                         from the first attempt to the outcome
    │   └── attempt                  one for each; what the step's code traces itself hangs here
    │       └── tool call, model call
    ├── compensation                 one for each attempt to undo a step
    ├── question, timer              from asking to the answer
    └── child                        and below it the execution of the child

A span's id follows from what it is a span of, so every worker that has to do with an execution names it alike, and
sending it again sends the same span. Nothing personal is in a span: facts are names and numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Final, NamedTuple

from actum.engine.tracing.traceparent import Caller, parse_traceparent
from actum.events import NewEvent, RecordedEvent, to_us

__all__ = ["Span", "SpanFold", "spans_of"]


class Span(NamedTuple):
    """Something that began and ended. Ids are hexadecimal, times microseconds since the epoch."""

    kind: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str | None
    start_us: int
    end_us: int
    attributes: dict[str, Any]
    error: str | None
    """The type of the error that it ended with."""
    notes: tuple[tuple[str, int, dict[str, Any]], ...] = ()
    """What happened to it on the way: name, time, attributes."""
    sampled: bool = True
    remote: bool = False
    """The parent is a span of whoever started the execution."""


class _Open:
    """A span that has begun."""

    __slots__ = ("attributes", "kind", "name", "notes", "parent_id", "span_id", "start_us")

    def __init__(
        self, kind: str, name: str, span_id: str, parent_id: str | None, start_us: int, attributes: dict[str, Any]
    ) -> None:
        self.kind = kind
        self.name = name
        self.span_id = span_id
        self.parent_id = parent_id
        self.start_us = start_us
        self.attributes = attributes
        self.notes: list[tuple[str, int, dict[str, Any]]] = []


_ENDINGS: Final = {
    "execution.completed": "completed",
    "execution.failed": "failed",
    "execution.cancelled": "cancelled",
    "execution.continued": "continued",
}
_ASKED: Final = {"approval.requested": "approval", "timer.set": "timer", "child.started": "child"}
_ANSWERED: Final = {
    "approval.granted": "approval",
    "approval.rejected": "approval",
    "approval.expired": "approval",
    "approval.withdrawn": "approval",
    "timer.fired": "timer",
    "child.ended": "child",
}
_NOTED: Final = frozenset({"execution.claimed", "execution.paused", "execution.resumed", "signal.received"})
_NAMES: Final = {
    "attempt": "actum.attempt",
    "compensation": "actum.compensation",
    "cost_nanousd": "actum.cost_nanousd",
    "definition": "actum.definition",
    "execution": "actum.child.execution",
    "input_tokens": "gen_ai.usage.input_tokens",
    "model": "gen_ai.request.model",
    "not_before": "actum.not_before",
    "occurrence": "actum.occurrence",
    "outcome": "actum.outcome",
    "output_tokens": "gen_ai.usage.output_tokens",
    "reason": "actum.reason",
    "scope": "actum.scope",
    "signal": "actum.signal",
    "step": "actum.step",
    "tool": "gen_ai.tool.name",
    "worker": "actum.worker",
    "workflow": "actum.workflow",
}
"""Facts that become attributes. Those of models and tools have the names that OpenTelemetry gives them."""


class SpanFold:
    """The spans of one execution, event by event."""

    def __init__(self, execution: str) -> None:
        self.execution = execution
        self.version = 0
        self.trace_id = ""
        self.sampled = True
        self._caller: Caller | None = None
        self._open: dict[tuple[str, str], _Open] = {}
        self._scheduled: dict[str, int] = {}
        """Steps that wait for what they need, and since when."""
        self._rounds = 0

    # -- which span is which -----------------------------------------------------------------------------------------

    def attempt_id(self, key: str, attempt: int) -> str:
        """The span of an attempt of a step; of its compensation, for a key that ends with `/undo`."""
        return self._id("attempt", key, attempt)

    def child_of(self, key: str) -> Caller:
        """What the execution of a child has for its caller: the span of the call in this one."""
        return Caller(self.trace_id, self._id("child", key, 0), self.sampled)

    def _id(self, kind: str, key: str, number: int) -> str:
        return sha256(f"{self.trace_id}\n{self.execution}\n{kind}\n{key}\n{number}".encode()).hexdigest()[:16]

    # -- events ------------------------------------------------------------------------------------------------------

    def add(self, event: NewEvent | RecordedEvent, position: int | None, caller: Caller | None = None) -> list[Span]:
        """The spans that end with this event, at its position. `caller` counts when the event itself names none."""
        self.version += 1
        facts, type_ = event.facts, event.type
        noun, _, verb = type_.partition(".")
        if type_ == "execution.started":
            self._begin_execution(event, position, caller)
        elif type_ in _ENDINGS:
            return self._end_execution(event, position)
        elif noun == "step":
            return self._step(event, position, verb)
        elif noun == "compensation":
            key = f"{_key(facts, 'step')}/undo"
            if verb == "started":
                self._begin("attempt", key, event, position, facts["compensation"], "compensation")
            else:
                return self._end("attempt", key, event, position)
        elif type_ in _ASKED:
            self._begin(noun, _key(facts, noun), event, position, facts[noun], number=0)
        elif type_ in _ANSWERED:
            return self._end(noun, _key(facts, noun), event, position)
        elif noun in ("tool", "model") and verb == "called":
            self._begin_call(noun, event, position)
        elif noun in ("tool", "model") and verb == "returned":
            return self._end(noun, facts["call"], event, position) or self._whole(noun, event, position, facts[noun])
        elif type_ in _NOTED:
            self._note("execution", "", event)
        return []

    def _begin_execution(self, event: NewEvent | RecordedEvent, position: int | None, caller: Caller | None) -> None:
        said = event.head.get("trace") if isinstance(event, RecordedEvent) else event.trace
        self._caller = parse_traceparent(said) or caller
        if self._caller is not None:
            self.trace_id, self.sampled = self._caller.trace_id, self._caller.sampled
        else:
            self.trace_id = sha256(f"trace\n{event.id}".encode()).hexdigest()[:32]
        self._begin("execution", "", event, position, event.facts["workflow"], number=self._rounds)

    def _end_execution(self, event: NewEvent | RecordedEvent, position: int | None) -> list[Span]:
        ended: list[Span] = []
        for kind, key in reversed(list(self._open)):
            if kind != "execution":  # it was let go of: there will be no other end
                self._open[kind, key].attributes["actum.unfinished"] = True
                ended += self._end(kind, key, event, position)
        open_ = self._open.get(("execution", ""))
        if open_ is not None:
            open_.attributes["actum.status"] = _ENDINGS[event.type]
        self._rounds += 1
        return ended + self._end("execution", "", event, position)

    def _step(self, event: NewEvent | RecordedEvent, position: int | None, verb: str) -> list[Span]:
        facts = event.facts
        key = _key(facts, "step")
        if verb in ("scheduled", "started") and ("step", key) not in self._open:
            self._begin("step", key, event, position, facts["step"])
        if verb == "scheduled":
            self._scheduled[key] = to_us(event.at)
            return []
        if verb == "started":
            self._begin("attempt", key, event, position, facts["step"], "attempt")
            since_us = self._scheduled.pop(key, None)
            if since_us is not None:
                self._open["attempt", key].attributes["actum.waited_us"] = to_us(event.at) - since_us
            return []
        if verb == "retry_scheduled":
            self._note("step", key, event)
            return []
        ended = self._end("attempt", key, event, position)
        final = verb in ("completed", "cancelled", "skipped") or facts.get("final", False)
        if not final:
            return ended
        if ("step", key) in self._open:
            return ended + self._end("step", key, event, position)
        return [] if verb == "skipped" else self._whole("step", event, position, facts["step"])

    def _begin_call(self, noun: str, event: NewEvent | RecordedEvent, position: int | None) -> None:
        facts = event.facts
        self._begin(noun, facts["call"], event, position, facts[noun], number=0)
        attempts = [
            open_
            for (kind, key), open_ in self._open.items()
            if kind == "attempt" and key.rpartition("/")[2].partition("#")[0] == facts.get("step")
        ]
        if len(attempts) == 1:
            self._open[noun, facts["call"]].parent_id = attempts[0].span_id

    def _begin(
        self,
        kind: str,
        key: str,
        event: NewEvent | RecordedEvent,
        position: int | None,
        name: str,
        shown: str = "",
        number: int | None = None,
    ) -> None:
        span_id = self._id(kind, key, event.facts.get("attempt", 1) if number is None else number)
        attributes = {
            "actum.kind": shown or kind,
            "actum.execution.id": self.execution,
            "actum.event.id": event.id,
            **_attributes(event),
        }
        if position is not None:
            attributes["actum.position"] = position
        parent_id = self._parent(kind, key)
        self._open[kind, key] = _Open(shown or kind, name, span_id, parent_id, to_us(event.at), attributes)

    def _parent(self, kind: str, key: str) -> str | None:
        if kind == "execution":
            return None if self._caller is None else self._caller.span_id
        above = self._open.get(("step", key)) if kind == "attempt" else None
        above = above or self._open.get(("execution", ""))
        return None if above is None else above.span_id

    def _end(self, kind: str, key: str, event: NewEvent | RecordedEvent, position: int | None) -> list[Span]:
        open_ = self._open.pop((kind, key), None)
        if open_ is None:
            return []
        attributes = open_.attributes | {"actum.end.event.id": event.id}
        attributes |= {name: value for name, value in _attributes(event).items() if name not in attributes}
        if position is not None:
            attributes["actum.end.position"] = position
        error = None if "actum.unfinished" in attributes else _error(event)
        if error is not None:
            attributes["error.type"] = error
        return [
            Span(
                open_.kind,
                open_.name,
                self.trace_id,
                open_.span_id,
                open_.parent_id,
                open_.start_us,
                max(open_.start_us, to_us(event.at)),
                attributes,
                error,
                tuple(open_.notes),
                self.sampled,
                kind == "execution" and self._caller is not None,
            )
        ]

    def _whole(self, kind: str, event: NewEvent | RecordedEvent, position: int | None, name: str) -> list[Span]:
        """The span of something whose beginning was not recorded: it began as long ago as it took."""
        key = event.facts.get("call") or _key(event.facts, kind)
        self._begin(kind, key, event, position, name)
        self._open[kind, key].start_us -= event.facts.get("duration_us") or 0
        return self._end(kind, key, event, position)

    def _note(self, kind: str, key: str, event: NewEvent | RecordedEvent) -> None:
        open_ = self._open.get((kind, key))
        if open_ is not None:
            about = {"actum.event.id": event.id, **_attributes(event)}
            open_.notes.append((event.type, to_us(event.at), about))


def spans_of(events: Iterable[RecordedEvent]) -> list[Span]:
    """The spans of everything in these events that has ended, in the order of their ends.

    Of each execution all events must be there from its beginning, in the order of the log; other streams are passed
    over. A child that names no caller hangs under its parent, when that one's events are here too.
    """
    folds: dict[str, SpanFold] = {}
    spans: list[Span] = []
    for event in events:
        if not event.stream.startswith("execution/"):
            continue
        id_ = event.stream.removeprefix("execution/")
        fold = folds.get(id_)
        if fold is None:
            fold = folds[id_] = SpanFold(id_)
        spans += fold.add(event, event.position, caller_of(event, folds))
    return spans


def caller_of(event: NewEvent | RecordedEvent, folds: dict[str, SpanFold]) -> Caller | None:
    """The call in the parent that a child's beginning follows from; None when it is not among these."""
    parent = folds.get(event.facts.get("parent", "")) if event.type == "execution.started" else None
    return None if parent is None or not parent.trace_id else parent.child_of(event.facts["parent_key"])


def _attributes(event: NewEvent | RecordedEvent) -> dict[str, Any]:
    return {_NAMES[fact]: value for fact, value in event.facts.items() if fact in _NAMES}


def _error(event: NewEvent | RecordedEvent) -> str | None:
    """What an event says went wrong, if it is about something that did."""
    facts = event.facts
    if "error_type" in facts:
        return str(facts["error_type"])
    if event.type == "step.in_doubt":
        return "InDoubt"
    if event.type == "step.timed_out":
        return "TimeoutError"
    if event.type.endswith(".cancelled"):
        return "Cancelled"
    return "Failed" if facts.get("outcome") in ("failure", "timeout", "failed") else None


def _key(facts: dict[str, Any], name: str) -> str:
    scope = facts.get("scope")
    key = f"{facts[name]}#{facts.get('occurrence', 0)}"
    return f"{scope}/{key}" if scope else key
