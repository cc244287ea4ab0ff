"""What a step of a graph can be, beside code that runs and a question to people; and what can stand around it.

| in a file | here | it does |
| --- | --- | --- |
| `run` | `GraphStep.run` | runs code |
| `type: approval` (`human_input`) | `GraphStep.question` | asks people for yes or no |
| `type: wait`, `seconds` or `until` | `Pause` | waits for a time, through restarts too |
| `type: signal`, `signal`, `timeout`, `default` | `AwaitSignal` | waits for the next signal of a name |
| `type: input`, `prompt` | `AskInput` | waits for more input; the execution is incomplete until it is there |
| `type: workflow`, `workflow` | `Inner` | runs another workflow: in place, or as an execution of its own |
| `type: pass`, `output` | `Transform` | returns a value, and calls nothing |
| `type: fail`, `error`, `message` | `FailWith` | fails the execution |
| `type: succeed`, `output` | `SucceedWith` | ends the execution, which has then completed |

A step with `run` or `workflow` may have a `map` (`Over`): it does so for each item of a list.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal

from actum.engine.rules.budgets import Budget

if TYPE_CHECKING:
    from actum.engine.graphs.conditions import Condition
    from actum.engine.graphs.graph import Graph

__all__ = [
    "ABSENT",
    "ANYWHERE",
    "Absent",
    "AskInput",
    "AwaitSignal",
    "Budget",
    "Catch",
    "Every",
    "FailWith",
    "Inner",
    "Kind",
    "Over",
    "Pause",
    "SucceedWith",
    "Transform",
]


class Absent(Enum):
    """There is no default; `None` would be one."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
ANYWHERE: Final = ("any",)
"""For `GraphStep.goto`: every step of the flow, and every end marker."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Either a number of seconds (or text such as `"2h"`), or a time with an offset, in ISO 8601; both may be
    references. One that lies in the past is over at once."""

    seconds: Any = None
    until: Any = None


@dataclass(frozen=True, slots=True)
class AwaitSignal:
    """The output is the signal's value. When the time is up it is the default; without one, `SignalTimeout`."""

    signal: str
    timeout_s: float | None = None
    default: Any = ABSENT


@dataclass(frozen=True, slots=True)
class AskInput:
    """The output is the input that was given; `prompt`, a template, is what the execution has to say until then."""

    prompt: Any = None


@dataclass(frozen=True, slots=True)
class Inner:
    """A graph runs in place: its steps are recorded in this execution, under a scope named after the step.

    A name is a published workflow, function or graph: it runs as an execution of its own, and what becomes of it
    when this one ends first is said by `on_parent_close`. The step's inputs are its input; its output is the step's.
    """

    workflow: Graph | str
    on_parent_close: Literal["cancel", "abandon"] = "cancel"


@dataclass(frozen=True, slots=True)
class Transform:
    """`output` is a template."""

    output: Any = None


@dataclass(frozen=True, slots=True)
class FailWith:
    """`error` is an error type; `message` is a template."""

    error: str = "Failed"
    message: Any = ""


@dataclass(frozen=True, slots=True)
class SucceedWith:
    """`output`, a template, is what the execution returns; absent: what it returns at its end."""

    output: Any = ABSENT


Kind = Pause | AwaitSignal | AskInput | Inner | Transform | FailWith | SucceedWith


@dataclass(frozen=True, slots=True)
class Over:
    """The step is done for each item of a list, and returns the results in the order of the items.

    - `items`: the list, a template. In the step's inputs, and inside a graph that it runs, `{{ item }}` (or the
      name in `as_`) is the item, and `{{ index }}` its number, from 0.
    - `concurrency`: how many are under way at the same time; None is all of them.
    - `join`: `all`: every item. A number: the step ends when so many have completed. `any`: when the first has ended;
      `first_success`: when the first has completed, and failures do not count before all have failed; these two
      return that item's result and no list.
    - `cancel_rest`: what is still under way then is cancelled, and not left to end.

    An item that fails fails the step, whose `on_error` says what that means; with `continue`, its result is null.
    The scope of an item is `<step>.<index>`; of the n-th further visit of the step, `<step>#<n>.<index>`.
    """

    items: Any
    as_: str = "item"
    concurrency: int | None = None
    join: str | int = "all"
    cancel_rest: bool = False


@dataclass(frozen=True, slots=True)
class Every:
    """The step is periodic: it runs again each interval, and its output is that of its newest run.

    The transitions out of it are taken once, after its first run. Rounds begin whole intervals after the first run
    did; one that is due while another still runs is left out. They end after so many runs (`times`, the first one
    included), or when a condition holds after one (`until`); the graph stays open for them. With neither, the step runs
    on for as long as anything else of the graph is under way.
    """

    interval_s: float
    times: int | None = None
    until: Condition | None = None

    @property
    def ends(self) -> bool:
        """Whether it says itself when it ends."""
        return self.times is not None or self.until is not None


@dataclass(frozen=True, slots=True)
class Catch:
    """What a failure of these types means: `fail`, `continue`, `fallback`, `compensate`, or the step to go to.

    A type is an error's class name, or that of a built-in class it derives from; `*` is every one. Behind it,
    `{{ error.type }}` and `{{ error.message }}` are what was caught last.
    """

    types: tuple[str, ...] = ("*",)
    then: str = "fail"
