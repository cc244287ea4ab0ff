"""Given a past, when a command, then these events: the way to say a rule of the engine.

    given(ev("step.started", "charge#0")).when(RecordSuccess(at(1), "charge#0", 1, b"7", 5)).then(
        ev("step.completed", "charge#0", outcome="success", duration_us=5)
    )

Facts are compared exactly; payloads and times where the expected event gives them. Whatever is decided must also be
in the catalogue's form.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson
import pytest

from actum.engine.rules.calls import Approval, Approve, Call, Failure, Sleep, StepSpec
from actum.engine.rules.commands import Command
from actum.engine.rules.decider import decide
from actum.engine.rules.folding import evolve
from actum.engine.rules.retry import ONCE, Retry
from actum.engine.rules.state import Execution
from actum.events import Actor, NewEvent, RecordedEvent, seal, to_text, to_us
from actum.events.catalog import validate_facts
from actum.testing.clock import NOON_US

WORKER = Actor("worker", "w-1")
DIGEST = "sha256:" + "0" * 64
BOOM = Failure("ValueError", "boom", "", ("Exception",))


def at(seconds: float) -> int:
    """An instant, so many seconds after noon."""
    return NOON_US + round(seconds * 1_000_000)


def instant(seconds: float) -> str:
    return to_text(at(seconds))


class Ev(NamedTuple):
    """An event by what matters of it."""

    type: str
    facts: dict[str, Any]
    at_s: float | None = None
    payload: Any = None
    actor: Actor | None = None

    def new(self) -> NewEvent:
        said = None if self.payload is None else orjson.dumps(self.payload)
        return NewEvent(self.type, self.facts, instant(self.at_s or 0), self.actor or WORKER, payload=said)


def ev(
    type_: str,
    key: str | None = None,
    *,
    at_s: float | None = None,
    payload: Any = None,
    by: Actor | None = None,
    **facts: Any,
) -> Ev:
    """An event of this type about what this key names; a step's or compensation's attempt is the first unless said."""
    noun = type_.partition(".")[0]
    if key is not None:
        path, _, occurrence = key.rpartition("#")
        scope, _, name = path.rpartition("/")
        about = {{"compensation": "step"}.get(noun, noun): name, "occurrence": int(occurrence)}
        if scope:
            about["scope"] = scope
        if noun in ("step", "compensation"):
            about["attempt"] = 1
        facts = about | facts
    return Ev(type_, facts, at_s, payload, by)


BEGUN = ev("execution.started", workflow="w", kind="function", definition=DIGEST, at_s=0)


class Given:
    """An execution with this past."""

    def __init__(self, *past: Ev) -> None:
        self.state = Execution("one")
        self.past = past
        for event in past:
            evolve(self.state, event.new())

    def when(self, command: Command, by: Actor = WORKER) -> Answer:
        return Answer(self, command, by)


class Answer:
    """What a command was answered with."""

    def __init__(self, given: Given, command: Command, by: Actor) -> None:
        self._given = given
        self._command = command
        self._by = by

    def then(self, *expected: Ev) -> Given:
        """Exactly these events follow; returns the execution as it is after them."""
        decided = decide(self._given.state, self._command, self._by)
        for event in decided:
            validate_facts(event.type, event.facts)
        got, wish = [(e.type, e.facts) for e in decided], [(e.type, e.facts) for e in expected]
        assert got == wish, f"decided {got}, not {wish}"
        for event, wanted in zip(decided, expected, strict=True):
            if wanted.payload is not None:
                assert event.payload is not None, f"{event.type} has no payload"
                assert orjson.loads(event.payload) == wanted.payload, event.payload
            if wanted.at_s is not None:
                assert event.at == instant(wanted.at_s), f"{event.type} at {event.at}"
            if wanted.actor is not None:
                assert event.actor == wanted.actor, f"{event.type} by {event.actor}"
        return Given(*self._given.past, *(_as_ev(event) for event in decided))

    def nothing(self) -> None:
        """Nothing follows."""
        self.then()

    def refused(self, error: type[Exception], match: str) -> None:
        """It raises, and so nothing is recorded."""
        with pytest.raises(error, match=match):
            decide(self._given.state, self._command, self._by)


def _as_ev(event: NewEvent) -> Ev:
    seconds = (to_us(event.at) - NOON_US) / 1_000_000
    said = None if event.payload is None else orjson.loads(event.payload)
    return Ev(event.type, event.facts, seconds, said, event.actor)


def given(*past: Ev) -> Given:
    """A begun execution, and what has happened in it since."""
    return Given(BEGUN, *past)


def recorded(event: Ev, version: int = 0) -> RecordedEvent:
    """The event as a store hands it out."""
    new = event.new()
    new.id = "018f0000-0000-7000-8000-000000000000"
    salt = b"s" * 32 if new.payload is not None else None
    header, _, _ = seal(new, "default", "execution/one", version, None, new.at, salt)
    return RecordedEvent(version, header, new.payload, salt)


# -- wishes ------------------------------------------------------------------------------------------------------------


def nothing(*_: Any, **__: Any) -> None: ...


UNDO = StepSpec("undo", nothing)


def spec(name: str, retry: Retry = ONCE, *, undo: bool = False, tool: str | None = None) -> StepSpec:
    return StepSpec(name, nothing, retry, compensate=UNDO if undo else None, tool=tool)


def call(key: str, *args: Any, undo: bool = False, tool: str | None = None, **kwargs: Any) -> Call:
    path, _, occurrence = key.rpartition("#")
    scope, _, name = path.rpartition("/")
    return Call(spec(name, undo=undo, tool=tool), int(occurrence), scope, args, kwargs or None)


def ask(name: str = "ok", occurrence: int = 0, **fields: Any) -> Approve:
    return Approve(Approval("Really?", name=name, **fields), occurrence)


def sleep(seconds: float, name: str = "nap", occurrence: int = 0) -> Sleep:
    return Sleep(seconds, occurrence, name=name)
