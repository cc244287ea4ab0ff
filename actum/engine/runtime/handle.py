"""An execution in the hands of whoever started or resumed it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from actum.errors import ExecutionFailed, Incomplete

if TYPE_CHECKING:
    from actum.engine.rules.state import Execution
    from actum.engine.runtime.resting import Awaited
    from actum.engine.runtime.run import Run

__all__ = ["Handle", "handle_of", "left_open", "why_parked"]


class Handle:
    """An execution that was started or resumed; `id` is its id."""

    def __init__(self, id_: str, awaited: Awaited) -> None:
        self.id = id_
        self._awaited = awaited

    async def result(self) -> Any:
        """Wait for the output.

        Raises `Incomplete` while nothing but more input can move it on, with what it has said so far; then
        `engine.continue_` goes on.

        Raises `ExecutionFailed` when it fails, `ExecutionParked` when a person must look at it, `Fenced` when another
        worker has taken it over, and a `StoreError` when the store could not be reached for half a minute.
        """
        awaited = self._awaited
        if not awaited.ended.done():
            more = asyncio.ensure_future(awaited.incomplete.event.wait())
            try:
                await asyncio.wait({more, awaited.ended}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                more.cancel()
            if not awaited.ended.done() and awaited.incomplete.said is not None:
                raise awaited.incomplete.said
        return await asyncio.shield(awaited.ended)

    async def wait_asking(self) -> bool:
        """Wait until the execution has ended (False), or nothing but the answer of a person can move it on (True)."""
        awaited = self._awaited
        asking = [asyncio.ensure_future(event.wait()) for event in (awaited.asking, awaited.incomplete.event)]
        try:
            await asyncio.wait({*asking, awaited.ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in asking:
                one.cancel()
        return not awaited.ended.done()

    @property
    def incomplete(self) -> Incomplete | None:
        """What it has said so far and which input it waits for, while nothing but that can move it on."""
        return None if self._awaited.ended.done() else self._awaited.incomplete.said

    @property
    def done(self) -> bool:
        """Whether `result()` would answer at once."""
        return self._awaited.ended.done()


def handle_of(run: Run) -> Handle:
    return Handle(run.id, run.awaited)


def left_open(id_: str) -> ExecutionFailed:
    """What whoever waits for a result hears when the engine closes before it is there."""
    return ExecutionFailed(id_, "left", "EngineClosed", "the engine was closed; resume it to go on")


def why_parked(state: Execution) -> str:
    """What whoever waits for its result hears."""
    match state.parked:
        case "poison":
            step = f"step {state.parked_step!r}" if state.parked_step else "the workflow's own code"
            return f"{step} took down every worker that ran it"
        case "in_doubt":
            return f"step {state.parked_step!r} is in doubt: its effect may have happened"
        case reason:
            return reason
