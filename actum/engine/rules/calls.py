"""The seam between a workflow and the engine: what a workflow asks for, and what it is told.

Both front ends, durable functions and graphs, are *planners*: deterministic machines that turn the outcomes
of earlier calls, delivered in the order of the log, into new calls. A planner has no clock, no chance and no
I/O, so giving the recorded outcomes to a new one brings it to the same place: that is all that replay is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

from actum.engine.payloads.classes import Classes
from actum.engine.resources.needs import Needs
from actum.engine.rules.budgets import Budget, Estimate
from actum.engine.rules.retry import ONCE, Retry

__all__ = [
    "Approval",
    "Approve",
    "Call",
    "CancelChild",
    "Child",
    "Continue",
    "Done",
    "Failure",
    "Give",
    "Heard",
    "Mark",
    "Outcome",
    "ParentClose",
    "Past",
    "Planner",
    "Raced",
    "Receive",
    "Severity",
    "SignalChild",
    "Skip",
    "Sleep",
    "Spawn",
    "StepSpec",
    "Take",
    "Undo",
    "Wait",
    "Wish",
    "call_key",
]


Severity = Literal["low", "medium", "high", "critical"]


def call_key(scope: str, name: str, occurrence: int) -> str:
    """What a recorded result is found by: scope path, name and occurrence, as in `g0.1/charge#0`."""
    return f"{scope}/{name}#{occurrence}" if scope else f"{name}#{occurrence}"


@dataclass(frozen=True, slots=True)
class StepSpec:
    """Everything the engine needs to run one step, whoever declared it.

    `run` is the function itself; it may be async (awaited) or plain (run in a thread).
    `on_doubt` says what happens to an attempt whose end was never recorded: run it again with the same
    idempotency key, ask `verify` whether it happened, or leave the execution to a person.
    `classes` is what is declared of its payloads, if anything is. `executor` names where it runs; without a name it is
    the event loop for an async function, and a thread for a plain one.
    """

    name: str
    run: Callable[..., Any]
    retry: Retry = ONCE
    timeout_s: float | None = None
    compensate: StepSpec | None = None
    on_doubt: Literal["retry", "verify", "park"] = "retry"
    verify: Callable[..., Any] | None = None
    tool: str | None = None
    classes: Classes | None = None
    executor: str = ""
    undo_group: str | None = None
    """Compensations of one group run side by side when their turn comes."""
    pivot: bool = False
    """Once it has completed, what completed before it is not undone any more."""
    services: Mapping[str, str] = field(default_factory=dict)
    """Parameter → the engine's service that it is given."""
    budget: Budget | None = None
    estimate: Estimate | None = None
    needs: Needs | None = None
    """What of the engine's resources an attempt must have before it begins."""


@dataclass(frozen=True, slots=True)
class Approval:
    """A question to people. `context` is what they are shown, together with the title, and bound to.

    `name` is what the answer is given for, as in `actum approvals approve ID NAME`. `severity` and `policy` are
    recorded for whoever decides; nothing depends on them yet. When the deadline passes, silence is no; it counts from
    the asking, in seconds or as text such as `"4h"`, which `ctx.approve` understands.
    """

    title: str
    context: Any = None
    name: str = "approval"
    severity: Severity = "medium"
    policy: str | None = None
    deadline_s: float | None = None


# -- what a planner asks for -----------------------------------------------------------------------------------


class Call(NamedTuple):
    """Run a step."""

    spec: StepSpec
    occurrence: int
    scope: str = ""
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] | None = None
    convert: Callable[[Any], Any] | None = None
    """Makes the recorded result, which is plain JSON, into what the step declares to return."""
    given: bytes | None = None
    """The arguments as they are recorded, when they were encoded already: they may be changed before it is decided."""

    @property
    def key(self) -> str:
        return call_key(self.scope, self.spec.name, self.occurrence)


class Approve(NamedTuple):
    """Put a question to people and wait for the answer."""

    approval: Approval
    occurrence: int
    scope: str = ""

    @property
    def key(self) -> str:
        return call_key(self.scope, self.approval.name, self.occurrence)


class Sleep(NamedTuple):
    """Wait, through restarts too: so many seconds from the asking, or until an instant."""

    seconds: float
    occurrence: int
    scope: str = ""
    name: str = "sleep"
    until_us: int | None = None
    """Microseconds since the epoch; then `seconds` says nothing."""

    @property
    def key(self) -> str:
        return call_key(self.scope, self.name, self.occurrence)


class Undo(NamedTuple):
    """Undo what has completed so far, but for what was among the first `since` outcomes; then say so."""

    since: int
    occurrence: int
    scope: str = ""
    name: str = "compensate"

    @property
    def key(self) -> str:
        return call_key(self.scope, self.name, self.occurrence)


class Wait(NamedTuple):
    """Wait for the next unread signal of that name. A planner hears of signals by `hear`, and gives them out itself:
    the first that came to the first that waits."""

    signal: str
    occurrence: int
    scope: str = ""

    @property
    def key(self) -> str:
        return call_key(self.scope, self.signal, self.occurrence)


ParentClose = Literal["cancel", "abandon", "wait"]
"""What becomes of a child when its parent ends first: it is asked to stop, it goes on alone, or the parent waits."""


class Child(NamedTuple):
    """Start another execution, and wait for its end. `workflow` is its code, or the name of a published workflow."""

    name: str
    workflow: Any
    input: Any
    occurrence: int
    scope: str = ""
    id: str | None = None
    on_parent_close: ParentClose = "cancel"
    convert: Callable[[Any], Any] | None = None
    detached: bool = False
    """Nobody need wait for it: it is started even when the workflow ends in the same breath."""

    @property
    def key(self) -> str:
        return call_key(self.scope, self.name, self.occurrence)


class SignalChild(NamedTuple):
    """Send a signal to a child: the one of this number, of those that were sent to it. Needs no answer."""

    child: str
    """Its key."""
    execution: str
    number: int
    signal: str
    value: Any

    @property
    def key(self) -> str:
        return f"{self.child}!{self.number}"


class CancelChild(NamedTuple):
    """Ask a child to stop, whatever its policy. Needs no answer."""

    child: str
    """Its key."""
    execution: str


class Spawn(NamedTuple):
    """A `Child` as the runtime has prepared it: under which id, of which definition; or why it cannot be started."""

    child: Child
    execution: str
    workflow: str
    definition: str | None = None
    failure: Failure | None = None
    estimate: Estimate | None = None
    """What it may spend by its own budget."""


class Raced(NamedTuple):
    """A race is decided: `losers` are the keys of all that its other branches still wait for. Needs no answer."""

    occurrence: int
    scope: str
    winner: str
    losers: tuple[str, ...] = ()
    name: str = "race"

    @property
    def key(self) -> str:
        return call_key(self.scope, f"{self.name}#", self.occurrence)  # no name has a # in it


class Receive(NamedTuple):
    """Say how far the execution has come, and wait for more input."""

    name: str
    prompt: Any
    occurrence: int
    scope: str = ""

    @property
    def key(self) -> str:
        return call_key(self.scope, self.name, self.occurrence)


class Mark(NamedTuple):
    """The code has asked for a patch, after so many outcomes, and takes the new way. Needs no answer."""

    patch: str
    after: int


class Take(NamedTuple):
    """A transition of a graph holds and is taken. Needs no answer."""

    source: str
    source_occurrence: int
    target: str
    condition: str | None = None
    value: Any = None
    scope: str = ""


class Skip(NamedTuple):
    """A step of a graph will not run in this round, because no transition into it was taken. Needs no answer."""

    step: str
    occurrence: int
    scope: str = ""

    @property
    def key(self) -> str:
        return call_key(self.scope, self.step, self.occurrence)


class Done(NamedTuple):
    """The workflow has returned."""

    output: Any


class Continue(NamedTuple):
    """The workflow goes on as a new execution with this input."""

    input: Any


class Give(NamedTuple):
    """The workflow has failed: completed steps are compensated, then the execution ends."""

    error: Failure


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it is recorded: the class name and its bases (most specific first), and the text."""

    error_type: str
    message: str
    traceback: str = ""
    bases: tuple[str, ...] = ()


Wish = (
    Call
    | Approve
    | Sleep
    | Wait
    | Child
    | Spawn
    | SignalChild
    | CancelChild
    | Raced
    | Mark
    | Receive
    | Undo
    | Take
    | Skip
    | Done
    | Continue
    | Give
)


# -- what a planner is told ------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """How a call ended. `value` is the result of a completed step; `failure` says why there is none."""

    kind: Literal["completed", "failed", "granted", "rejected", "expired", "fired", "received"]
    value: Any = None
    failure: Failure | None = None
    by: str = ""
    comment: str = ""
    at_us: int = 0
    """When, by the event that says so."""


class Heard(NamedTuple):
    """What reached an execution without being asked for."""

    kind: Literal["signal", "cancel"]
    name: str
    value: Any
    at_us: int


class Past(NamedTuple):
    """What a planner may know of the record beside outcomes, before it begins."""

    started_us: int
    patches: Mapping[str, int] = MappingProxyType({})
    """Patch → after how many outcomes it was first taken."""
    asked_after: int = -1
    """How many outcomes stood in the record when it last says that something was asked for; -1 when nothing was."""


class Planner(Protocol):
    """A workflow that can be asked what it wants next."""

    def begin(self, workflow_input: Any) -> list[Wish]:
        """What is wanted first. Called once."""

    def settle(self, key: str, outcome: Outcome) -> list[Wish]:
        """What is wanted now that the call of this key has ended this way.

        Called once per call, in the order of the log, on replay exactly as live.
        """

    def hear(self, heard: Heard) -> list[Wish]:
        """What is wanted now that this has come; in the same order of the log as what settles.

        After a cancel nothing counts that was asked for before and has not begun.
        """
