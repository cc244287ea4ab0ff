"""The rows of the views, as functions of the state alone: dropped and rebuilt from the log they come out equal."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from actum.engine.rules.dues import next_due
from actum.engine.rules.folding import evolve
from actum.engine.rules.state import ApprovalState, Execution, HoldState, StepState, waits
from actum.events import RecordedEvent, to_text
from actum.eventstore import ViewRow
from actum.eventstore.spilled import Spilled

__all__ = ["approval_row", "execution_row", "label_of", "labels_text", "rebuild", "rows_after"]


def label_of(name: str, value: str | int | bool) -> str:
    """An attribute as it is looked for."""
    return f"{name}={str(value).lower() if isinstance(value, bool) else value}"


def labels_text(tags: Collection[str], attributes: Mapping[str, str | int | bool]) -> str | None:
    """Tags and attributes, one a line, between line breaks, so that each can be looked for as a whole."""
    if not tags and not attributes:
        return None
    lines = sorted({*tags, *(label_of(name, value) for name, value in attributes.items())})
    return "\n".join(("", *lines, ""))


def execution_row(state: Execution) -> dict[str, Any]:
    """The row of an execution in `executions list`."""
    status: str = state.status
    waiting_for: str | None = None
    wake_us: int | None = None
    if not state.ended and not state.paused and status != "parked":
        dues = [next_due(state), state.deadline_us if state.may_time_out else None]
        wake_us = min((due for due in dues if due is not None), default=None)
        others = waits(state) and len(state.active) == len(state.retrying)
        if status == "running" and state.busy == 0 and (state.waiting or others):
            status = "waiting"
            waiting_for = _what_for(state)[:_NAME]
    return {
        "workflow": state.workflow,
        "definition": state.definition,
        "kind": state.kind,
        "status": status,
        "waiting_for": waiting_for,
        "owner": state.owner or None,
        "started_at": state.started_at,
        "ended_at": state.ended_at,
        "wake_us": wake_us,
        "error_type": state.error_type,
        "priority": state.priority or None,
        "labels": labels_text(state.tags, state.attributes),
    }


_NAME = 256
"""Characters of a key that a row has room for."""


def _what_for(state: Execution) -> str:
    """The key of what has been open longest, and `children` for several children."""
    if state.hold is not None and state.held_up:  # whatever else it waits for, it cannot go on without that
        return _what(state.hold.key, state.hold)
    if state.waiting:
        return _what(*next(iter(state.waiting.items())))
    return state.child_shown or next(iter(state.retrying))


def _what(key: str, open_: object) -> str:
    """What is waited for: a key, or what a scheduled step needs, as in `pool gpu`."""
    if not isinstance(open_, (StepState, HoldState)) or open_.needs is None:
        return key
    needs = open_.needs
    named = [f"{'limit' if name in needs.limits else 'pool'} {name}" for name in needs.units]
    if needs.breaker:
        named.append(f"breaker {needs.breaker}")
    return ", ".join(named)[:256]


def approval_row(state: Execution, approval: ApprovalState) -> dict[str, Any]:
    """The row of a question in the approvals inbox."""
    status = approval.status
    return {
        "workflow": state.workflow,
        "status": "withdrawn" if status == "waiting" and state.ended else status,
        "severity": approval.severity,
        "requested_at": to_text(approval.requested_us),
        "deadline": None if approval.deadline_us is None else to_text(approval.deadline_us),
        "version": approval.version,
    }


def rows_after(state: Execution, before: dict[str, Any] | None) -> tuple[list[ViewRow], dict[str, Any]]:
    """What must be written when the state has moved on from the row `before`; and the row as it is now.

    What it gives of questions it gives once: whoever has folded what is recorded already clears `state.decided`, or
    has their rows written again as they are.
    """
    row = execution_row(state)
    rows: list[ViewRow] = []
    if row != before:
        rows.append(ViewRow("executions", (state.id,), row))
    if state.decided:
        decided, state.decided = state.decided, {}
        rows += [ViewRow("approvals", (state.id, key), approval_row(state, one)) for key, one in decided.items()]
    return rows, row


def rebuild(events: Iterable[RecordedEvent], room: int = 4_096) -> Iterator[ViewRow]:
    """Every row of every view from the log alone: each as soon as it cannot change any more, the others at the end.

    Memory is flat: of the executions that may still change their rows, at most `room` are in memory.
    """
    open_ = Spilled[Execution](room)
    near = open_.recent
    for event in events:
        stream = event.stream
        if not stream.startswith("execution/"):
            continue
        id_ = stream.removeprefix("execution/")
        state = near.get(id_) or open_.get(id_)
        if state is None:
            if event.version:
                continue  # ended before: what comes after an end changes no row
            state = open_[id_] = Execution(id_)
        evolve(state, event)
        if state.ended and not state.can_reopen:
            yield from _rows(state)
            open_.remove(id_)
    for _, state in open_.items():
        yield from _rows(state)


def _rows(state: Execution) -> Iterator[ViewRow]:
    yield ViewRow("executions", (state.id,), execution_row(state))
    for key, approval in state.approvals.items():
        yield ViewRow("approvals", (state.id, key), approval_row(state, approval))
