"""What a graph is made of: steps and the code they run, parameters, questions, transitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from actum.engine.graphs.conditions import Condition
from actum.engine.graphs.kinds import (
    ABSENT,
    AskInput,
    AwaitSignal,
    Budget,
    Catch,
    Every,
    FailWith,
    Inner,
    Kind,
    Over,
    Pause,
    SucceedWith,
    Transform,
)
from actum.engine.resources.needs import Needs
from actum.engine.rules.retry import ONCE, Retry
from actum.errors import BadInput

__all__ = ["END_MARKERS", "Code", "GraphStep", "Parameter", "Question", "Transition"]

END_MARKERS: Final = ("end", "end_with_success", "end_with_failure")
"""Targets that are no steps: the first two end their path, the last one fails the execution."""


@dataclass(frozen=True, slots=True)
class Code:
    """Where a piece of user code is found: `module:name`. `thing` is the code itself, when Python gave it."""

    ref: str
    thing: Any = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, given: Code | Callable[..., Any] | str) -> Code:
        if isinstance(given, (Code, str)):
            return given if isinstance(given, Code) else cls(given)
        if not callable(given):
            raise BadInput(f"a step runs a function, a class or 'module:name', not {given!r}")
        named = given if hasattr(given, "__qualname__") else type(given)
        return cls(f"{named.__module__}:{named.__qualname__}", given)


@dataclass(frozen=True, slots=True)
class Parameter:
    """What the workflow's input may hold. A required one must be given, unless it has a default."""

    name: str
    schema: Mapping[str, Any] | None = None
    required: bool = False
    default: Any = ABSENT
    description: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What an approval step asks; `title` and `context` may hold references."""

    title: str
    context: Any = None
    severity: str = "medium"
    policy: str | None = None
    deadline_s: float | None = None


@dataclass(frozen=True, slots=True)
class GraphStep:
    """One step: it runs `run`, asks `question`, or does what `does` says; exactly one of them is there.

    - `on_error`: what a failed step means. `fail` and `compensate`: the execution fails, and what was completed
      is undone. `continue`: the step ends without output. `fallback`: that step runs in its place, and its
      output counts as this step's. `catches` come before it: the first one that names the error's type counts.
    - `join`: with several transitions into it, whether the step waits for `all` to be decided, or starts with
      the first (`any`) or the Nth one taken. `first_success` is `any` for which a failure in the branches that lead
      nowhere else does not count before all of them have failed. `cancel_rest`: what is still under way in these
      branches when the step starts is cancelled, and not left to end. Ids of steps: it waits for all to be
      decided, and starts when those from these steps were taken, whatever became of the others.
    - `max_visits`: how often it may start in one execution.
    - `over`: it is done for each item of a list.
    - `goto`: its result says what comes next, and transitions do not: see `Graph.step`.
    """

    id: str
    run: Code | None = None
    question: Question | None = None
    name: str = ""
    description: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    optional_inputs: tuple[str, ...] = ()
    """Inputs that are left out when what they refer to does not exist."""
    input_schema: Mapping[str, Any] | None = None
    output_schema: Mapping[str, Any] | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    retry: Retry = ONCE
    timeout_s: float | None = None
    compensate: Code | None = None
    on_error: str = "fail"
    fallback: str | None = None
    join: str | int | tuple[str, ...] = "all"
    max_visits: int | None = None
    on_doubt: Literal["retry", "verify", "park"] = "retry"
    verify: Code | None = None
    tool: str | None = None
    undo_group: str | None = None
    pivot: bool = False
    where: str | None = field(default=None, compare=False, repr=False)
    """The JSON path it was read from, for messages."""
    does: Kind | None = None
    over: Over | None = None
    goto: tuple[str, ...] = ()
    """Steps and end markers that may come next; `ANYWHERE` for all; empty when transitions say it."""
    catches: tuple[Catch, ...] = ()
    cancel_rest: bool = False
    budget: Budget | None = None
    """Checked, like the workflow's, before this step starts; what is given here counts."""
    services: tuple[str, ...] = ()
    """Parameters of the code that are given the engine's service of that name."""
    every: Every | None = None
    executor: str = ""
    """Where the code runs; "" is as its `@step` says, or else the event loop or a thread."""
    depends_on: Any = None
    """What it waits for, in JSON, as another way to write the transitions into it; none in a graph that was built."""
    needs: Needs | None = None
    """What of the engine's resources each attempt must have before it begins."""

    @property
    def kind(self) -> str:
        """What it is, in a definition's words: run, approval, wait, signal, input, workflow, pass, fail or succeed."""
        if self.does is None:
            return "run" if self.question is None else "approval"
        return _KINDS[type(self.does)]


_KINDS: Final[dict[type, str]] = {
    Pause: "wait",
    AwaitSignal: "signal",
    AskInput: "input",
    Inner: "workflow",
    Transform: "pass",
    FailWith: "fail",
    SucceedWith: "succeed",
}


@dataclass(frozen=True, slots=True)
class Transition:
    """From one step to the next, or to an end marker; without a condition it is always taken.

    With `expires_s`, what the source returned is good for so long. When the target would start on something older,
    the source runs again first (`rerun`), the target is skipped (`skip`), or the execution fails (`fail`).
    """

    source: str
    target: str
    when: Condition | None = None
    where: str | None = field(default=None, compare=False, repr=False)
    expires_s: float | None = None
    on_expired: str = "rerun"
