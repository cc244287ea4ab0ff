"""A step that blocks the event loop is named; one that waits as it should is not."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

import pytest

from actum.engine import Engine, step, workflow
from actum.eventstore.memory import MemoryStore
from tests.engine.world import really

GO_ON = threading.Event()


@step
async def hog() -> None:
    """Blocks the loop until somebody has complained."""
    GO_ON.wait(20)


@step
async def polite() -> None:
    await asyncio.sleep(0.3)


@workflow
async def hogging(ctx: Any) -> None:
    await hog()


@workflow
async def waiting(ctx: Any) -> None:
    await polite()


class Complaints(logging.Handler):
    """Lets the step go on as soon as its name is known."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record)


AFTER_S = 0.1


def complaints_about(flow: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Any], float]:
    """What was said while it ran, and for how long the loop did not turn at the worst."""
    from actum.engine.runtime.watchdog import Watchdog

    seen = Watchdog._who

    def who(self: Watchdog) -> dict[str, str]:
        said = seen(self)
        GO_ON.set()
        return said

    monkeypatch.setattr(Watchdog, "_who", who)
    GO_ON.clear()
    handler = Complaints()
    logger = logging.getLogger("actum.engine")
    logger.addHandler(handler)

    worst_s = 0.0

    async def turn() -> None:
        nonlocal worst_s
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            worst_s = max(worst_s, time.monotonic() - began)

    async def main() -> None:
        turning = asyncio.create_task(turn())
        async with Engine(MemoryStore(), blocked_after_s=AFTER_S) as engine:
            await (await engine.start(flow, id="one")).result()
            while flow is hogging and not handler.heard:
                await asyncio.sleep(0.01)
        turning.cancel()

    try:
        really(main())
    finally:
        logger.removeHandler(handler)
    return [record for record in handler.heard if record.msg == "the event loop stood still"], worst_s


def test_a_step_that_blocks_the_loop_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The warning says which execution, which step and which line."""
    complaints, _ = complaints_about(hogging, monkeypatch)

    (said,) = [one for one in complaints if hasattr(one, "step")]
    assert (said.execution, said.step) == ("one", "hog#0")
    assert "threading.py:" in said.at or __file__ in said.at


def test_a_step_that_waits_without_blocking_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes: only where the whole process had to wait for its turn, something else is named."""
    complaints, worst_s = complaints_about(waiting, monkeypatch)

    assert complaints == [] or (worst_s > AFTER_S and not any(hasattr(one, "step") for one in complaints))
