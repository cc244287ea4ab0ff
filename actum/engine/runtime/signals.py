"""Sending a signal from outside the execution: load, decide, append; whoever runs it sees it in the log."""

from __future__ import annotations

from typing import Any

from actum.engine.payloads.classes import file_payload
from actum.engine.payloads.codec import encode
from actum.engine.rules.commands import SendSignal
from actum.engine.rules.decider import decide
from actum.engine.rules.folding import evolve
from actum.engine.rules.views import execution_row, rows_after
from actum.engine.runtime.known import Known
from actum.engine.runtime.ports import World
from actum.errors import BadInput, UnknownExecution, VersionConflict, near_miss
from actum.events import Actor
from actum.eventstore import Append, EventStore

__all__ = ["send_signal"]


def send_signal(
    store: EventStore,
    world: World,
    execution: str,
    name: str,
    value: Any = None,
    *,
    signal_id: str | None = None,
    by: Actor,
    known: Known | None = None,
) -> str:
    """Record a signal and return the id of the execution that got it: the one that is meant, or what it goes on as.

    The same `signal_id` again records nothing. Somebody else writing to the execution at the same moment is no
    obstacle. With `known`, only what is new of an execution is read. Raises `UnknownExecution`, `ExecutionEnded` or
    `BadInput`; then nothing was written.
    """
    if not name or "/" in name or "#" in name or not name.isprintable() or len(name) > 200:
        raise BadInput(f"the name of a signal is 1 to 200 printable characters without '/' and '#', not {name!r}")
    if signal_id is not None and not (signal_id and signal_id.isprintable() and len(signal_id) <= 200):
        raise BadInput(f"a signal's id is 1 to 200 printable characters, not {signal_id!r}")
    payload = encode({"value": value}, f"the value of signal {name!r}", store.payload_limit_bytes)
    known = known or Known(store)
    while True:
        state = known.take(execution)
        if state.version == 0:
            ids = [row["id"] for row in store.view("executions", order="started_at", descending=True, limit=500)]
            raise UnknownExecution(execution, near_miss(execution, ids))
        if state.next is not None and signal_id not in state.signal_ids:
            execution = state.next
            continue
        before, version = execution_row(state), state.version
        events = decide(state, SendSignal(world.now_us(), name, payload, signal_id), by)
        if not events:
            known.keep(state)
            return execution
        for event in events:
            event.id = world.new_id()
            file_payload(event, state.key, None)
            evolve(state, event)
        rows, _ = rows_after(state, before)
        try:
            store.append([Append(state.stream, version, events, rows)])
        except VersionConflict:
            continue
        known.keep(state)
        return execution
