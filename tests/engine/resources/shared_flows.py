"""A workflow for real workers in processes of their own; what they do is written to the file that is their input."""

from __future__ import annotations

import os
import time
from typing import Any

from actum.engine import step, workflow


def note(journal: str, what: str) -> None:
    handle = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(handle, f"{what} {os.getpid()}\n".encode())
    os.close(handle)


@step(needs={"gpu": 1})
def render(journal: str, hold_s: float) -> None:
    note(journal, "begin")
    time.sleep(hold_s)
    note(journal, "end")


@workflow
async def renders(ctx: Any, given: dict[str, Any]) -> None:
    for _ in range(2):
        await render(given["journal"], given["hold_s"])
