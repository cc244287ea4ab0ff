"""A worker that dies anywhere in a foreign workflow leaves what another one finishes."""

from __future__ import annotations

from typing import Any

import pytest

from actum.engine.foreign import Foreign, load_foreign
from actum.engine.rules.folding import fold
from actum.engine.rules.views import rows_after
from actum.errors import ExecutionFailed
from actum.events import NewEvent
from actum.eventstore import NO_STREAM, Append
from actum.eventstore.memory import MemoryStore
from tests.engine.foreign.test_foreign_fuzz import ASL, SERVERLESS
from tests.engine.world import engine_on, sound, virtually


async def values(given: Any) -> Any:
    return {"v": 1}


async def answer(given: Any) -> Any:
    return {"code": 0, "n": 1}


def state_machine() -> Foreign:
    return load_foreign(ASL, tasks={"x:y": values}, name="m")


def serverless() -> Foreign:
    tasks = [task for task in SERVERLESS["do"] if next(iter(task)) not in ("h", "j", "q")]
    return load_foreign({**SERVERLESS, "do": tasks}, tasks={"http": answer, "shell": answer})


async def ended(handle: Any) -> Any:
    try:
        return await handle.result()
    except ExecutionFailed as exc:
        return exc.error_type, exc.message


@pytest.mark.parametrize("make", [state_machine, serverless])
def test_any_beginning_of_the_record_comes_to_the_same_end(make: Any) -> None:
    """Cut off after any event, the execution is taken over, replayed without a difference, and ends as it did."""
    code = make()
    whole = MemoryStore()

    async def run() -> Any:
        async with engine_on(whole) as engine:
            return await ended(await engine.start(code, {"n": 1}, id="one"))

    wanted = virtually(run())
    sound(whole)
    events = whole.read_stream("execution/one")
    assert len(events) > 15
    for length in range(1, len(events)):
        store = MemoryStore()
        past = [NewEvent(e.type, e.facts, e.at, e.actor, e.id, e.payload) for e in events[:length]]
        rows, _ = rows_after(fold("one", events[:length]), None)
        store.append([Append("execution/one", NO_STREAM, past, rows)])

        async def finish(store: Any = store) -> Any:
            async with engine_on(store) as engine:
                engine.register(code)
                return await ended(await engine.resume("one"))

        assert virtually(finish()) == wanted, f"cut off after {events[length - 1].type}"
        sound(store)
