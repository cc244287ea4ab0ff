"""What an execution has come to, read from its record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from actum.engine.rules.folding import fold
from actum.errors import ExecutionFailed, UnknownExecution
from actum.events import RecordedEvent
from actum.eventstore import EventStore

__all__ = ["Ended"]


@dataclass(frozen=True)
class Ended:
    """What an execution has come to. `output` is that of its end; one that has not ended says what it `waits_for`.

    One that went on as another (`ctx.continue_as_new`) is shown as the last of them.
    """

    id: str
    status: str
    """running, waiting, paused, parked, completed, failed or cancelled."""
    output: Any = None
    error_type: str | None = None
    message: str = ""
    waits_for: tuple[str, ...] = ()
    """Keys of questions, timers, signals and inputs that are open: `ok#0`."""
    uncompensated: tuple[str, ...] = ()
    """Keys of steps that were to be undone and could not be."""
    events: list[RecordedEvent] = field(default_factory=list, repr=False)

    @classmethod
    def of(cls, store: EventStore, id_: str) -> Ended:
        """What the log says of it now. Raises `UnknownExecution`."""
        events = store.read_stream(f"execution/{id_}")
        state = fold(id_, events)
        if state.version == 0:
            raise UnknownExecution(id_)
        if state.next is not None:
            return cls.of(store, state.next)
        said = {} if state.end_payload is None else orjson.loads(state.end_payload)
        status: str = state.status
        if status == "running" and state.waiting and not state.active:
            status = "waiting"
        return cls(
            id_,
            status,
            said.get("output"),
            state.error_type,
            (said.get("error") or {}).get("message", ""),
            () if state.ended else tuple(state.waiting),
            tuple(state.uncompensated),
            events,
        )

    def result(self) -> Any:
        """The output. Raises `ExecutionFailed`, as `handle.result()` does, when it ended otherwise or has not ended."""
        if self.status != "completed":
            waits = f"it waits for {', '.join(self.waits_for)}" if self.waits_for else self.message
            raise ExecutionFailed(self.id, self.status, self.error_type or "NotEnded", waits)
        return self.output
