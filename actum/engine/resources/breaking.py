"""The rules of a circuit breaker: from its events what it is, from answers what it becomes. Pure.

An answer counts only for the state in which its attempt was begun: what was asked while it was closed says nothing
once it is half open, and a probe that comes back late says nothing once it has opened again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from actum.engine.resources.book import Counted
from actum.engine.resources.declared import Breaker
from actum.events import NewEvent, RecordedEvent, to_us

__all__ = ["CLOSED", "Answer", "Gate", "count", "fold_gate"]


class Gate(NamedTuple):
    """A breaker as of some version of its stream: its state, and since when."""

    status: Literal["closed", "open", "half_open"] = "closed"
    since_us: int = 0
    version: int = 0


CLOSED = Gate()


class Answer(NamedTuple):
    """How an attempt behind a breaker ended; `counts` is whether a failure speaks against the other side."""

    breaker: str
    granted_us: int
    at_us: int
    failed: bool
    counts: bool = True
    error_type: str = ""


def fold_gate(gate: Gate, events: Iterable[RecordedEvent | NewEvent]) -> Gate:
    """The state after these events, which follow on those that the gate was folded from."""
    for event in events:
        at_us, version = to_us(event.at), gate.version + 1
        match event.type:
            case "breaker.opened":
                gate = Gate("open", at_us, version)
            case "breaker.half_opened":
                gate = Gate("half_open", at_us, version)
            case "breaker.closed":
                gate = Gate("closed", at_us, version)
            case _:
                gate = gate._replace(version=version)
    return gate


def count(breaker: Breaker, gate: Gate, counted: Counted, answer: Answer) -> str:
    """Count an answer; the event that follows from it, or nothing."""
    if counted.version != gate.version:  # it has changed its state since
        counted.version, counted.failures, counted.successes = gate.version, [], 0
    if answer.granted_us < gate.since_us or gate.status == "open":
        return ""
    if gate.status == "half_open":
        if not answer.failed:
            counted.successes += 1
            return "breaker.closed" if counted.successes >= breaker.successes else ""
        return "breaker.opened" if answer.counts else ""
    if answer.failed and answer.counts:
        recent = [at for at in counted.failures if at > answer.at_us - breaker.within_us]
        counted.failures = [*recent, answer.at_us][-breaker.failures :]
        if len(counted.failures) >= breaker.failures:
            return "breaker.opened"
    return ""
