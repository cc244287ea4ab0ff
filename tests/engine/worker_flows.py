"""Workflows for real workers in processes of their own; what they do is written to the file that is their input."""

from __future__ import annotations

import os
import time
from typing import Any

from actum.engine import current_step, step, workflow


def note(journal: str) -> None:
    """A line for this attempt, in the order in which it was made."""
    me = current_step()
    assert me is not None
    line = f"{os.getpid()} {me.execution} {me.key} {me.attempt}\n"
    handle = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(handle, line.encode())
    os.close(handle)


@step
def work(journal: str) -> int:
    note(journal)
    time.sleep(0.02)
    return os.getpid()


@workflow
async def works(ctx: Any, journal: str) -> Any:
    return [await work(journal) for _ in range(4)]


@step
def deadly(how: str) -> None:
    match how:
        case "exit":
            os._exit(9)
        case "memory":
            raise MemoryError("no room")
        case "recursion":
            deadly.fn(how)


@workflow
async def dies(ctx: Any, how: str) -> None:
    await deadly(how)
