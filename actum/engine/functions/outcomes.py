"""Errors and results, as they are recorded and as a workflow is told of them."""

from __future__ import annotations

import traceback
from typing import Any

from actum.engine.functions.awaited import Pending
from actum.engine.rules.calls import (
    Approve,
    Call,
    Child,
    Failure,
    Outcome,
)
from actum.engine.rules.children import child_id
from actum.errors import ApprovalRejected, ChildFailed, StepFailed

__all__ = ["failure_of", "told_of"]


def failure_of(exc: BaseException) -> Failure:
    """An exception as it is recorded: types by name, most specific first; the text; the traceback."""
    if isinstance(exc, StepFailed):  # a step's failure that ended its workflow: the cause is the step's
        return Failure(exc.error_type, f"step {exc.step!r}: {exc.message}", _traceback(exc))
    if isinstance(exc, ChildFailed):
        return Failure(exc.error_type, f"child {exc.child!r}: {exc.message}", _traceback(exc))
    names = [cls.__name__ for cls in type(exc).__mro__[:-1] if cls is not BaseException]
    try:
        message = str(exc)
    except Exception as broken:  # noqa: BLE001 - an error that cannot say what it is, is one all the same
        message = f"(its text cannot be had: {type(broken).__name__})"
    return Failure(names[0], message, _traceback(exc), tuple(names[1:]))


def _traceback(exc: BaseException) -> str:
    return "".join(traceback.format_exception(exc, limit=-20))[-16_000:]


def told_of(execution: str, pending: Pending, outcome: Outcome) -> tuple[Any, BaseException | None]:
    """What the workflow receives for an outcome: a value, or an error to be raised where it awaits."""
    wish = pending.wish
    match outcome.kind:
        case "completed":
            if isinstance(wish, (Call, Child)) and wish.convert is not None:
                try:
                    return wish.convert(outcome.value), None
                except Exception as exc:  # noqa: BLE001 - the declared type's own, raised where the step is awaited
                    return None, exc
            return outcome.value, None
        case "failed":
            failure = outcome.failure
            assert failure is not None
            if isinstance(wish, Child):
                id_ = wish.id or child_id(execution, wish.key)
                return None, ChildFailed(wish.name, id_, failure.error_type, failure.message)
            name = wish.spec.name if isinstance(wish, Call) else wish.key
            return None, StepFailed(name, failure.error_type, failure.message)
        case "granted":
            return {"status": "approved", "by": outcome.by, "comment": outcome.comment}, None
        case "rejected" | "expired":
            assert isinstance(wish, Approve)
            return None, ApprovalRejected(wish.approval.name, outcome.kind, outcome.by, outcome.comment)
        case "received":
            return outcome.value, None
        case "fired":
            return None, None
