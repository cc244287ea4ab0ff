"""What people do to an execution, from any process: load, decide, append; whoever runs it sees it in the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson

from actum.engine.payloads.classes import file_payload
from actum.engine.payloads.codec import encode
from actum.engine.rules.commands import Cancel, Command, Pause, RetryByHand, SkipByHand, Unpause
from actum.engine.rules.control import last_failed, pick_step
from actum.engine.rules.decider import decide
from actum.engine.rules.folding import evolve, fold
from actum.engine.rules.state import Execution
from actum.engine.rules.views import execution_row, rows_after
from actum.engine.runtime.hearing import children_hear
from actum.engine.runtime.ports import World
from actum.errors import BadInput, UnknownExecution, VersionConflict, near_miss
from actum.events import Actor, NewEvent, RecordedEvent
from actum.eventstore import Append, EventStore

__all__ = ["Answered", "Control", "answer_to"]

Ask = Callable[[Execution, Sequence[RecordedEvent]], Command]


class Control:
    """One execution, as those see it who may stop it and set it going.

    Every method records what was asked, durably, or raises `UnknownExecution`, `ControlRefused` or `BadInput` and
    records nothing. Somebody else writing to the execution at the same moment is no obstacle: it is decided again.
    """

    def __init__(self, store: EventStore, world: World, execution: str) -> None:
        self._store = store
        self._world = world
        self._id = execution

    def pause(self, by: str, reason: str | None = None) -> None:
        if reason is not None and (len(reason) > 256 or not reason.isprintable()):
            raise BadInput("why it is paused is at most 256 printable characters; it stays in the log for ever")
        self._do(by, lambda state, past: Pause(self._world.now_us(), reason or None))

    def unpause(self, by: str) -> None:
        self._do(by, lambda state, past: Unpause(self._world.now_us()))

    def cancel(self, by: str, *, compensate: bool = True, force: bool = False, reason: str = "") -> Execution:
        """Returns the execution as it is after that."""
        said = encode({"reason": reason}, "the reason") if reason else None
        return self._do(by, lambda state, past: Cancel(self._world.now_us(), compensate, force, said))[0]

    def retry(self, by: str, reason: str = "") -> list[str]:
        """Returns the keys of the steps that are tried again."""
        encode({"reason": reason}, "the reason")
        _, events = self._do(by, lambda state, past: RetryByHand(self._world.now_us(), last_failed(past), reason))
        steps: list[str] = events[-1].facts["steps"]
        return steps

    def skip(self, by: str, step: str, reason: str, result: Any = None) -> str:
        """Returns the key of the step."""
        if not reason.strip():
            raise BadInput("a step is skipped for a reason; say which")
        encode({"reason": reason}, "the reason")
        recorded = encode(result, "the result", self._store.payload_limit_bytes)
        orjson.loads(recorded)

        def ask(state: Execution, past: Sequence[RecordedEvent]) -> Command:
            return SkipByHand(self._world.now_us(), pick_step(state, step), last_failed(past), reason, recorded)

        _, events = self._do(by, ask)
        skipped = events[-1].facts
        scope = f"{skipped['scope']}/" if "scope" in skipped else ""
        return f"{scope}{skipped['step']}#{skipped['occurrence']}"

    def _do(self, by: str, ask: Ask) -> tuple[Execution, list[NewEvent]]:
        if not by or not by.isprintable() or len(by) > 200:
            raise BadInput(f"who asks must be named by a reference of 1 to 200 printable characters, not {by!r}")
        actor = Actor("person", by)
        while True:
            answer = answer_to(self._store, self._world, self._id, actor, ask)
            try:
                self._store.append(answer.appends)
            except VersionConflict:
                continue
            return answer.state, answer.events


class Answered(NamedTuple):
    """What is to be appended for what was asked of an execution, with what its children hear of it."""

    state: Execution
    """As it is after that."""
    events: list[NewEvent]
    appends: list[Append]


def answer_to(store: EventStore, world: World, execution: str, actor: Actor, ask: Ask) -> Answered:
    """Ask something of an execution as it is now; nothing is written.

    Raises `UnknownExecution`, and whatever the rules refuse it with.
    """
    past = store.read_stream(f"execution/{execution}")
    state = fold(execution, past)
    if state.version == 0:
        rows = store.view("executions", order="started_at", descending=True, limit=500)
        raise UnknownExecution(execution, near_miss(execution, [row["id"] for row in rows]))
    before, version = execution_row(state), state.version
    events = decide(state, ask(state, past), actor)
    for event in events:
        event.id = world.new_id()
        file_payload(event, state.key, None)
        state = evolve(state, event)
    own = Append(state.stream, version, events, rows_after(state, before)[0])
    return Answered(state, events, [own, *children_hear(store, world, actor, events)])
