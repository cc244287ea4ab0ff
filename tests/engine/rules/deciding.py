"""Commands to a decider, and the events that answer them."""

from __future__ import annotations

from typing import Any

from actum.engine.rules.commands import Proceed, RecordSuccess
from actum.engine.rules.retry import Retry
from tests.engine.spec import Ev, at, ev

STARTED = ev("step.started", "a#0", at_s=1)
COMPLETED = ev("step.completed", "a#0", outcome="success", duration_us=5, at_s=2, payload=7)
UNDOABLE = ev("step.started", "a#0", compensation="undo")
OTHER = "sha256:" + "1" * 64
AGAIN = Retry(attempts=3, first_delay_s=2, factor=3)


def proceed(*wishes: Any, at_s: float = 1) -> Proceed:
    return Proceed(at(at_s), wishes)


def success(key: str = "a#0", attempt: int = 1, at_s: float = 2) -> RecordSuccess:
    return RecordSuccess(at(at_s), key, attempt, b"7", 5)


def failed(key: str = "a#0", *, final: bool, attempt: int = 1, error: str = "ValueError", **more: Any) -> Ev:
    facts = {"attempt": attempt, "outcome": "failure", "error_type": error, "final": final, "duration_us": 5, **more}
    return ev("step.failed", key, **facts)
