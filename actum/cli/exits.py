"""From an error to an exit code: one table. 0 done, 1 the answer is no, 2 wrong use, 3 the store cannot be used."""

from __future__ import annotations

from actum.errors import ActumError, BadInput, Fenced, StoreError, WorkflowError

__all__ = ["DONE", "NO", "UNREACHABLE", "WRONG", "exit_code"]

DONE, NO, WRONG, UNREACHABLE = 0, 1, 2, 3

_TABLE: tuple[tuple[type[ActumError], int], ...] = (
    (BadInput, WRONG),
    (StoreError, UNREACHABLE),
    (WorkflowError, NO),
    (Fenced, NO),
)


def exit_code(error: ActumError) -> int:
    """The exit code for an error raised on purpose."""
    return next((code for kind, code in _TABLE if isinstance(error, kind)), NO)
