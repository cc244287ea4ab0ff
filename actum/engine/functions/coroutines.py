"""The workflow's own coroutines: where they stand, what they did wrong, how they are let go of."""

from __future__ import annotations

import asyncio
import os
import traceback
from collections.abc import Coroutine
from typing import Any

from actum.engine.functions.awaited import ContinueAsNew
from actum.errors import ForeignAwait

__all__ = ["no_loop", "unwind", "where_of"]

_ASYNCIO = os.path.dirname(asyncio.__file__)
_PATIENCE = 1_000
"""How often a coroutine may await something while it is being closed."""


def no_loop(execution: str, exc: BaseException) -> ForeignAwait | None:
    """What asyncio says to who asks it for a loop or a task while a workflow runs, as what it means."""
    if not isinstance(exc, (RuntimeError, AttributeError)):
        return None
    where, inside = "", False
    for frame, line in traceback.walk_tb(exc.__traceback__):
        name = frame.f_code.co_filename
        inside = name.startswith(_ASYNCIO)
        if not inside:
            where = f"{name}:{line}"
    asks_for_loop = "no running event loop" in str(exc) or "no current event loop" in str(exc)
    return ForeignAwait(execution, "something of asyncio", where) if inside or asks_for_loop else None


def where_of(coro: Any) -> str:
    """The line of the workflow's own code, or of a helper of it, that a branch stands at."""
    where = "the workflow"
    while (frame := getattr(coro, "cr_frame", None)) is not None:
        if not frame.f_code.co_filename.startswith(_ASYNCIO):
            where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        coro = coro.cr_await
    return where


def unwind(coro: Coroutine[Any, Any, Any]) -> None:
    for _ in range(_PATIENCE):
        try:
            coro.close()
            return
        except RuntimeError:
            continue  # it awaited something on its way out
        except (Exception, ContinueAsNew):  # noqa: BLE001 - its own last words, and nobody is left to hear them
            return
