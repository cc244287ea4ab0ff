"""From an error to an exit code: one table, and what each code says."""

from __future__ import annotations

from typing import Final

from actum.errors import ActumError, BadInput, Fenced, StoreError, TargetUnavailable, WorkflowError

__all__ = ["DONE", "INTERRUPTED", "MEANING", "NO", "UNREACHABLE", "WRONG", "exit_code"]

DONE, NO, WRONG, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130

MEANING: Final[dict[int, str]] = {
    DONE: "Done; or all is done that can be before a person answers.",
    NO: "The answer is no: an execution failed or cannot go on, verification failed, the schema does not fit.",
    WRONG: "Wrong use or bad input. Nothing was written.",
    UNREACHABLE: "The store (locked, full, read-only, damaged, of another schema) or a relay's target cannot be used.",
    INTERRUPTED: "Interrupted from the keyboard. What was recorded is safe, and `actum resume` goes on from there.",
}
"""What scripts may rely on."""

_TABLE: tuple[tuple[type[ActumError], int], ...] = (
    (BadInput, WRONG),
    (StoreError, UNREACHABLE),
    (TargetUnavailable, UNREACHABLE),
    (WorkflowError, NO),
    (Fenced, NO),
)


def exit_code(error: ActumError) -> int:
    """The exit code for an error raised on purpose."""
    return next((code for kind, code in _TABLE if isinstance(error, kind)), NO)
