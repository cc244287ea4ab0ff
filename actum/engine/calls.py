"""The seam between a workflow and the engine: what a workflow asks for, and what it is told.

Both front ends, durable functions and graphs, are *planners*: deterministic machines that turn the outcomes
of earlier calls, delivered in the order of the log, into new calls. A planner has no clock, no chance and no
I/O, so giving the recorded outcomes to a new one brings it to the same place: that is all that replay is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from actum.engine.classes import Classes
from actum.engine.retry import ONCE, Retry

__all__ = [
    "Approval",
    "Approve",
    "Call",
    "Done",
    "Failure",
    "Give",
    "Outcome",
    "Planner",
    "Severity",
    "Skip",
    "Sleep",
    "StepSpec",
    "Take",
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
    `classes` is what is declared of its payloads, if anything is.
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
    """Wait, through restarts too."""

    seconds: float
    occurrence: int
    scope: str = ""
    name: str = "sleep"

    @property
    def key(self) -> str:
        return call_key(self.scope, self.name, self.occurrence)


class Take(NamedTuple):
    """A transition of a graph holds and is taken. Needs no answer."""

    source: str
    source_occurrence: int
    target: str
    condition: str | None = None
    value: Any = None


class Skip(NamedTuple):
    """A step of a graph will not run in this round, because no transition into it was taken. Needs no answer."""

    step: str
    occurrence: int


class Done(NamedTuple):
    """The workflow has returned."""

    output: Any


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


Wish = Call | Approve | Sleep | Take | Skip | Done | Give


# -- what a planner is told ------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """How a call ended. `value` is the result of a completed step; `failure` says why there is none."""

    kind: Literal["completed", "failed", "granted", "rejected", "expired", "fired"]
    value: Any = None
    failure: Failure | None = None
    by: str = ""
    comment: str = ""


class Planner(Protocol):
    """A workflow that can be asked what it wants next."""

    def begin(self, workflow_input: Any) -> list[Wish]:
        """What is wanted first. Called once."""

    def settle(self, key: str, outcome: Outcome) -> list[Wish]:
        """What is wanted now that the call of this key has ended this way.

        Called once per call, in the order of the log, on replay exactly as live.
        """
