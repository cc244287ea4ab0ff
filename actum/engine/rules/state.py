"""The state of one execution: what its events have come to, as `folding.py` makes it."""

from __future__ import annotations

from typing import Any, Final, Literal

import orjson

from actum.engine.rules.calls import Failure, Heard, Outcome, Past
from actum.engine.rules.dues import Due
from actum.engine.rules.parts import (
    ApprovalState,
    ChildState,
    Event,
    HoldState,
    InputState,
    Rollback,
    StepState,
    TimerState,
    WaitState,
)
from actum.engine.rules.usage import Spent
from actum.events import to_us

__all__ = [
    "ENDED",
    "ApprovalState",
    "ChildState",
    "Event",
    "Execution",
    "HoldState",
    "InputState",
    "Rollback",
    "Status",
    "StepState",
    "TimerState",
    "WaitState",
    "is_recovery",
    "nothing_under_way",
    "waits",
]

Status = Literal[
    "running", "waiting", "compensating", "paused", "parked", "completed", "failed", "cancelled", "continued"
]
ENDED: Final = frozenset({"completed", "failed", "cancelled", "continued"})


class Execution:
    """One execution as of some event. `evolve` changes it in place and hands it back: keep only what it returns."""

    __slots__ = (
        "active",
        "active_us",
        "approvals",
        "asked_after",
        "attributes",
        "awaited",
        "busy",
        "busy_since_us",
        "cancel_by",
        "cancel_cause",
        "cancel_compensate",
        "cancel_requested",
        "child_shown",
        "children",
        "compensating",
        "deadline_us",
        "decided",
        "definition",
        "due_count",
        "dues",
        "end_payload",
        "ended_at",
        "error_type",
        "first",
        "first_at",
        "first_end",
        "heard",
        "hold",
        "id",
        "input",
        "inputs",
        "key",
        "kind",
        "next",
        "open_children",
        "owner",
        "parent",
        "parent_key",
        "parked",
        "parked_step",
        "patches",
        "paused",
        "previous",
        "priority",
        "races",
        "recoveries",
        "retrying",
        "rollbacks",
        "rolling",
        "settled",
        "signal_ids",
        "signals",
        "spent",
        "started_at",
        "status",
        "steps",
        "tags",
        "taken",
        "timers",
        "uncompensated",
        "undo_stack",
        "undoing",
        "version",
        "waiting",
        "waits",
        "workflow",
    )

    def __init__(self, id_: str) -> None:
        self.id = id_
        self.version = 0
        self.workflow = ""
        self.kind = ""
        self.definition: str | None = None
        self.input: bytes | None = None
        self.key: str | None = None
        """The data key of the person that it is about."""
        self.status: Status = "running"
        self.owner = ""
        self.started_at = ""
        self.ended_at: str | None = None
        self.end_payload: bytes | None = None
        """`{"output": …}` or `{"error": …}`."""
        self.error_type: str | None = None
        self.parked = ""
        """Why it was parked last, and below at which step."""
        self.parked_step = ""
        self.paused = False
        self.recoveries = 0
        """How often it was taken over, with something under way, since anything of it last came to an end."""
        self.priority = 0
        self.tags: list[str] = []
        self.attributes: dict[str, str | int | bool] = {}
        self.deadline_us: int | None = None
        self.hold: HoldState | None = None
        """What it holds throughout, or waits for; None when it never was to hold anything."""
        self.cancel_requested = False
        self.cancel_by: Literal["user", "system"] = "user"
        self.cancel_compensate = True
        self.cancel_cause: str | None = None
        self.first_end: tuple[int, str] | None = None
        """Version and outcome of the first end; the execution may have been reopened after it."""
        self.steps: dict[str, StepState] = {}
        self.active: dict[str, StepState] = {}
        """Steps that are neither finished nor given up."""
        self.retrying: dict[str, StepState] = {}
        """Those of them that wait for another attempt."""
        self.dues: list[Due] = []
        """A heap: the times of all that is open, and of some that is not any more."""
        self.due_count = 0
        self.approvals: dict[str, ApprovalState] = {}
        self.decided: dict[str, ApprovalState] = {}
        """Questions whose rows may not be written yet: put, or come to an end, since somebody cleared this."""
        self.timers: dict[str, TimerState] = {}
        self.inputs: dict[str, InputState] = {}
        self.waiting: dict[str, ApprovalState | TimerState | WaitState | InputState | StepState | HoldState] = {}
        """Approvals, timers, waits for signals, requests for input, scheduled steps and the hold: all that is open."""
        self.heard: dict[str, Heard] = {}
        """What came without being asked for, by `!` and the version of its event."""
        self.signals: dict[str, list[str]] = {}
        """Name → keys in `heard`, in the order in which they came."""
        self.signal_ids: set[str] = set()
        self.awaited: dict[str, WaitState] = {}
        """Every wait for a signal."""
        self.waits: dict[str, list[str]] = {}
        """Signal → waits for it that were not given up, in their order: the first gets the first signal, and so on."""
        self.children: dict[str, ChildState] = {}
        self.open_children: dict[str, ChildState] = {}
        """Children that have not ended."""
        self.child_shown = ""
        """What the row says of open children: the key of the one, or `children`. The end of a child does not change it,
        for that is recorded by whoever runs the child; the next event of the execution itself does."""
        self.races: dict[str, str] = {}
        """Race → its winner."""
        self.patches: dict[str, int] = {}
        """Patch → after how many outcomes it was first taken."""
        self.asked_after = -1
        """How many outcomes there were when the workflow last asked for something."""
        self.parent: str | None = None
        self.parent_key: str | None = None
        self.previous: str | None = None
        self.first: str | None = None
        self.first_at: str | None = None
        self.next: str | None = None
        """The execution that goes on where this one has ended."""
        self.settled: list[str] = []
        """Keys of everything that has ended, in the order of the log: what a planner is told, in this order."""
        self.taken: set[tuple[str, int, str]] = set()
        """Transitions taken: source (behind its scope), its occurrence, target."""
        self.undo_stack: list[str] = []
        """Completed steps that have a compensation, in order of completion."""
        self.undoing: list[str] = []
        """Steps whose compensation has begun and not ended: one, or several of one group."""
        self.compensating = False
        """The execution has failed or is cancelled, and undoes what it has done."""
        self.rollbacks: dict[str, Rollback] = {}
        self.rolling: list[str] = []
        """Those rollbacks that have not ended."""
        self.uncompensated: list[str] = []
        self.spent: Spent | None = None
        """What it has used, once it has used or reserved anything."""
        self.busy = 0
        self.busy_since_us = 0
        self.active_us = 0
        """Microseconds in which at least one attempt was running."""

    @property
    def stream(self) -> str:
        return f"execution/{self.id}"

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def held_up(self) -> bool:
        """Whether it waits for what it is to hold throughout: nothing of it begins meanwhile."""
        return self.hold is not None and not self.hold.held

    @property
    def undoes(self) -> bool:
        """Whether it is on its way back: what it waits for then goes before all new work."""
        return self.cancel_requested or self.compensating or bool(self.rolling)

    @property
    def may_time_out(self) -> bool:
        """Whether its deadline still counts: it does not once it is on its way to the end."""
        return not (self.ended or self.cancel_requested or self.compensating)

    @property
    def can_reopen(self) -> bool:
        """Whether the end may be taken back: it failed, not of a time-out, and nothing was undone for it."""
        return self.status == "failed" and not self.cancel_requested and not self.compensating

    @property
    def past(self) -> Past:
        """What the workflow's code may know of the record before it runs over it again."""
        return Past(to_us(self.started_at), self.patches, self.asked_after)

    def unread(self, signal: str) -> list[str]:
        """Keys in `heard` of the signals of that name that no wait has got."""
        return self.signals.get(signal, [])[len(self.waits.get(signal, ())) :]

    def outcome(self, key: str) -> Outcome:
        """How a settled call ended. The payload of an erased result reads as None."""
        step = self.steps.get(key)
        if step is not None:
            at_us = step.ended_us
            if step.status in ("completed", "skipped"):
                value = None if step.payload is None else orjson.loads(step.payload)
                return Outcome("completed", value, None, "", "", at_us)
            said = {} if step.payload is None else orjson.loads(step.payload)
            failure = Failure(step.error, said.get("message", ""), said.get("traceback", ""))
            return Outcome("failed", None, failure, at_us=at_us)
        approval = self.approvals.get(key)
        if approval is not None:
            kind: Any = approval.status
            return Outcome(kind, by=approval.by, comment=approval.comment, at_us=to_us(approval.decided_at))
        child = self.children.get(key)
        if child is not None:
            return _of_child(child)
        given = self.inputs.get(key)
        if given is not None:
            value = None if given.payload is None else orjson.loads(given.payload).get("value")
            return Outcome("received", value, at_us=to_us(given.received_at))
        rollback = self.rollbacks.get(key)
        if rollback is not None:
            if rollback.uncompensated:
                left = ", ".join(rollback.uncompensated)
                return Outcome("failed", None, Failure("CompensationFailed", f"not undone: {left}"))
            return Outcome("completed")
        return Outcome("fired", at_us=to_us(self.timers[key].fired_at))


def waits(state: Execution) -> bool:
    """Whether something of it is open that is not its own work: a time, a person, another attempt, a child."""
    return bool(state.waiting or state.retrying or state.child_shown)


def is_recovery(state: Execution) -> bool:
    """Whether taking it over now follows a death: somebody had it, and it was not only waiting."""
    return state.owner != "" and (state.busy > 0 or not waits(state))


def nothing_under_way(state: Execution) -> bool:
    """Whether no attempt can be running anywhere: it waits, so whoever owns it need not take it over to go on."""
    if state.status == "parked" or any(state.steps[key].undo == "started" for key in state.undoing):
        return False
    return all(step.status not in ("started", "in_doubt") for step in state.active.values())


def _of_child(child: ChildState) -> Outcome:
    said = {} if child.payload is None else orjson.loads(child.payload)
    at_us = to_us(child.ended_at)
    if child.outcome == "success":
        return Outcome("completed", said.get("output"), at_us=at_us)
    error = said.get("error") or {}
    kind = child.error or error.get("type", "") or ("Cancelled" if child.outcome == "cancelled" else child.outcome)
    return Outcome("failed", None, Failure(kind, error.get("message", ""), error.get("traceback", "")), at_us=at_us)
