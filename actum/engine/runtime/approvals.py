"""Answering a question from outside the execution: load, decide, append; whoever runs it sees it in the log."""

from __future__ import annotations

from actum.engine.payloads.classes import file_payload
from actum.engine.payloads.codec import encode
from actum.engine.rules.commands import DecideApproval
from actum.engine.rules.decider import decide
from actum.engine.rules.folding import evolve
from actum.engine.rules.state import Execution
from actum.engine.rules.views import execution_row, rows_after
from actum.engine.runtime.known import Known
from actum.engine.runtime.ports import World
from actum.errors import BadInput, NotWaiting, UnknownExecution, VersionConflict, near_miss
from actum.events import Actor
from actum.eventstore import Append, EventStore

__all__ = ["answer_approval", "pick_approval"]


def answer_approval(
    store: EventStore,
    world: World,
    execution: str,
    approval: str | None,
    *,
    granted: bool,
    by: str,
    comment: str = "",
    shown: str | None = None,
    known: Known | None = None,
) -> str:
    """Record a person's answer and return the approval's key.

    `approval` is its key or its name; None means the only one that waits. `shown` is the payload digest of the
    request that the person saw; without it the one now in the log counts as seen. Somebody else writing to the
    execution at the same moment is no obstacle: it is loaded and decided again. With `known`, only what is new of an
    execution is read. Raises `UnknownExecution`, `NotWaiting` or `BadInput`; then nothing was written.
    """
    if not by or not by.isprintable() or len(by) > 200:
        raise BadInput(f"who decides must be named by a reference of 1 to 200 printable characters, not {by!r}")
    known = known or Known(store)
    while True:
        state = known.take(execution)
        if state.version == 0:
            ids = [row["id"] for row in store.view("executions", order="started_at", descending=True, limit=500)]
            raise UnknownExecution(execution, near_miss(execution, ids))
        key = pick_approval(state, approval)
        seen = shown or state.approvals[key].shown or ""
        said = encode({"comment": comment}, "the comment") if comment else None
        command = DecideApproval(world.now_us(), key, granted, by, seen, said)
        before = execution_row(state)
        version = state.version
        events = decide(state, command, Actor("person", by))
        for event in events:
            event.id = world.new_id()
            file_payload(event, state.key, None)
            state = evolve(state, event)
        rows, _ = rows_after(state, before)
        try:
            store.append([Append(state.stream, version, events, rows)])
        except VersionConflict:
            continue
        known.keep(state)
        return key


def pick_approval(state: Execution, wanted: str | None) -> str:
    """The key of the question that is meant: by key, by name while it waits, or, for None, the only one that waits.

    Raises `NotWaiting` when there is none, `BadInput` when several wait and none was named.
    """
    waiting = [key for key, approval in state.approvals.items() if approval.status == "waiting"]
    if wanted is None:
        if len(waiting) == 1:
            return waiting[0]
        if not waiting:
            raise NotWaiting(state.id, "(any)", "not there: nothing waits for an answer")
        raise BadInput(f"execution {state.id!r} waits for several answers; name one of {', '.join(waiting)}")
    if wanted in state.approvals:
        return wanted
    named = [key for key in waiting if key.rpartition("/")[2].partition("#")[0] == wanted]
    if len(named) == 1:
        return named[0]
    raise NotWaiting(state.id, wanted, f"unknown{near_miss(wanted, state.approvals)}")
