"""More input for an execution that waits for it: giving it from outside, and telling who waits for the result."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from actum.engine.payloads.classes import file_payload
from actum.engine.payloads.codec import encode
from actum.engine.rules.commands import GiveInput
from actum.engine.rules.decider import decide
from actum.engine.rules.folding import evolve
from actum.engine.rules.state import Execution, InputState
from actum.engine.rules.views import execution_row, rows_after
from actum.engine.runtime.known import Known
from actum.engine.runtime.ports import World
from actum.errors import BadInput, Incomplete, NotWaiting, UnknownExecution, VersionConflict, near_miss
from actum.events import Actor
from actum.eventstore import Append, EventStore

__all__ = ["Wanting", "give_input"]


class Wanting:
    """Whether an execution waits for more input and for nothing else; and what it has said so far."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.said: Incomplete | None = None

    def see(self, state: Execution, *, committing: bool) -> None:
        """Look at the execution again."""
        asked = next((one for one in state.waiting.values() if isinstance(one, InputState)), None)
        others = state.active or state.undoing or any(not isinstance(w, InputState) for w in state.waiting.values())
        if asked is None or others or committing:
            self.event.clear()
            self.said = None
            return
        prompt = None if asked.prompt is None else orjson.loads(asked.prompt).get("prompt")
        self.said = Incomplete(prompt, state.id, asked.key)
        self.event.set()


def give_input(
    store: EventStore,
    world: World,
    execution: str,
    name: str | None,
    value: Any,
    actor: Actor,
    known: Known | None = None,
) -> str:
    """Record the input that an execution has asked for, and return the key of the request.

    `name` is that key or the request's name; None means the only one that waits. With `known`, only what is new
    of an execution is read. Raises `UnknownExecution`, `NotWaiting` or `BadInput`; then nothing was written.
    """
    payload = encode({"value": value}, "the input", store.payload_limit_bytes)
    known = known or Known(store)
    while True:
        state = known.take(execution)
        if state.version == 0:
            ids = [row["id"] for row in store.view("executions", order="started_at", descending=True, limit=500)]
            raise UnknownExecution(execution, near_miss(execution, ids))
        command = GiveInput(world.now_us(), _pick(state, name), payload)
        before = execution_row(state)
        version = state.version
        events = decide(state, command, actor)
        for event in events:
            event.id = world.new_id()
            file_payload(event, state.key, None)
            state = evolve(state, event)
        rows, _ = rows_after(state, before)
        try:
            store.append([Append(state.stream, version, events, rows)])
        except VersionConflict:
            continue
        known.keep(state)
        return command.key


def _pick(state: Execution, wanted: str | None) -> str:
    waiting = [key for key, asked in state.inputs.items() if not asked.received_at]
    if wanted is not None:
        named = [key for key in waiting if wanted in (key, key.rpartition("/")[2].partition("#")[0])]
        if len(named) == 1:
            return named[0]
        if wanted in state.inputs:
            return wanted
        raise NotWaiting(state.id, wanted, f"unknown{near_miss(wanted, state.inputs)}")
    if len(waiting) > 1:
        raise BadInput(f"execution {state.id!r} waits for several inputs; name one of {', '.join(waiting)}")
    if not waiting:
        why = f"over: the execution has {state.status}" if state.ended else "not there: nothing waits for input"
        raise NotWaiting(state.id, "(any)", why)
    return waiting[0]
