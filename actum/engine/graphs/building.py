"""The part of a graph's builder that adds steps which run no code of the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from actum.engine.durations import seconds as _seconds
from actum.engine.graphs.definition import GraphStep, Question
from actum.engine.graphs.kinds import (
    ABSENT,
    AskInput,
    AwaitSignal,
    Budget,
    Catch,
    Every,
    FailWith,
    Inner,
    Over,
    Pause,
    SucceedWith,
    Transform,
)
from actum.engine.graphs.place import Place
from actum.engine.graphs.templates import canonical
from actum.engine.payloads.json_values import plain
from actum.errors import BadInput

if TYPE_CHECKING:
    from actum.engine.graphs.graph import Graph

__all__ = ["OtherSteps", "stated_every", "stated_on_error", "stated_over", "templated"]


class OtherSteps:
    """For `Graph`, which has the rest. Each method gives a larger graph back."""

    steps: tuple[GraphStep, ...] = ()

    @property
    def place(self) -> Place:
        """Where it was read from, for messages."""
        raise NotImplementedError

    def _with_step(self, step: GraphStep) -> Graph:
        raise NotImplementedError

    def wait(self, id: str, seconds: Any = None, *, until: Any = None, **common: Any) -> Graph:
        """With one more step that waits: so many seconds (or `"2h"`), or until a time such as `"{{ a.due }}"`.

        `common`, here and for the kinds below: `name`, `description`, `join`, `max_visits`, `cancel_rest`,
        `depends_on`.
        """
        place = self.place / "steps" / len(self.steps)
        pause = Pause(templated(seconds, place / "seconds"), templated(until, place / "until"))
        return self._with_step(GraphStep(id, does=pause, **common))

    def wait_signal(
        self,
        id: str,
        signal: str | None = None,
        *,
        timeout: str | float | None = None,
        default: Any = ABSENT,
        on_error: str | Sequence[Catch] | None = None,
        fallback: str | None = None,
        **common: Any,
    ) -> Graph:
        """With one more step that waits for the next signal of a name, by default the step's own; its output is the
        signal's value. After `timeout` it is `default`, or the step fails with `SignalTimeout`."""
        place = self.place / "steps" / len(self.steps)
        try:
            timeout_s = None if timeout is None else _seconds(timeout)
        except BadInput as exc:
            raise (place / "timeout").error(str(exc)) from None
        default = default if default is ABSENT else plain(default, place / "default")
        stated, catches = stated_on_error(on_error, fallback)
        does = AwaitSignal(id if signal is None else signal, timeout_s, default)
        return self._with_step(GraphStep(id, does=does, on_error=stated, fallback=fallback, catches=catches, **common))

    def wait_input(self, id: str, prompt: Any = None, **common: Any) -> Graph:
        """With one more step that waits for more input, which is its output. Until then the execution is incomplete,
        and says `prompt`."""
        place = self.place / "steps" / len(self.steps)
        return self._with_step(GraphStep(id, does=AskInput(templated(prompt, place / "prompt")), **common))

    def workflow(
        self,
        id: str,
        workflow: Graph | str,
        *,
        inputs: Mapping[str, Any] | None = None,
        optional_inputs: tuple[str, ...] = (),
        on_parent_close: Literal["cancel", "abandon"] = "cancel",
        over: Over | str | None = None,
        on_error: str | Sequence[Catch] | None = None,
        fallback: str | None = None,
        budget: Budget | None = None,
        every: Every | str | float | None = None,
        **common: Any,
    ) -> Graph:
        """With one more step that runs a graph in place, or, by its name, a published workflow as an execution of its
        own. `inputs` are its input; its output is the step's; `over`: it does so for each item of a list."""
        place = self.place / "steps" / len(self.steps)
        stated, catches = stated_on_error(on_error, fallback)
        return self._with_step(
            GraphStep(
                id,
                inputs=templated(inputs or {}, place / "inputs"),
                optional_inputs=tuple(optional_inputs),
                does=Inner(workflow if isinstance(workflow, str) else workflow.resolved, on_parent_close),
                over=stated_over(over, place / "map"),
                on_error=stated,
                fallback=fallback,
                catches=catches,
                budget=budget,
                every=stated_every(every, id, place / "every"),
                **common,
            )
        )

    def transform(self, id: str, output: Any, **common: Any) -> Graph:
        """With one more step that returns this value, whose references are followed, and calls nothing."""
        place = self.place / "steps" / len(self.steps)
        return self._with_step(GraphStep(id, does=Transform(templated(output, place / "output")), **common))

    def fail(self, id: str, error: str = "Failed", message: Any = "", **common: Any) -> Graph:
        """With one more step that fails the execution with an error of this type."""
        place = self.place / "steps" / len(self.steps)
        return self._with_step(
            GraphStep(
                id, does=FailWith(error, templated("" if message is None else message, place / "message")), **common
            )
        )

    def succeed(self, id: str, output: Any = ABSENT, **common: Any) -> Graph:
        """With one more step that ends the execution: nothing more starts, and what runs is waited for. It returns
        `output`, or else what it would return at its end."""
        place = self.place / "steps" / len(self.steps)
        output = output if output is ABSENT else templated(output, place / "output")
        return self._with_step(GraphStep(id, does=SucceedWith(output), **common))

    def approval(
        self,
        id: str,
        title: str,
        *,
        context: Any = None,
        severity: str = "medium",
        policy: str | None = None,
        deadline: str | float | None = None,
        join: str | int = "all",
        max_visits: int | None = None,
        name: str = "",
        description: str = "",
        depends_on: Any = None,
    ) -> Graph:
        """With one more step that asks people and waits for the answer.

        Granted, its output is `{"status": "approved", "by": …, "comment": …}`. Rejected or expired, the
        execution fails, unless a transition out of the step has a condition on its `status`.
        """
        place = self.place / "steps" / len(self.steps)
        try:
            deadline_s = None if deadline is None else _seconds(deadline)
        except BadInput as exc:
            raise (place / "deadline").error(str(exc)) from None
        question = Question(
            templated(title, place / "title"), templated(context, place / "context"), severity, policy, deadline_s
        )
        return self._with_step(
            GraphStep(id, None, question, name, description, join=join, max_visits=max_visits, depends_on=depends_on),
        )


def stated_on_error(given: str | Sequence[Catch] | None, fallback: str | None) -> tuple[str, tuple[Catch, ...]]:
    if given is None or isinstance(given, str):
        return given or ("fallback" if fallback else "fail"), ()
    return "fail", tuple(given)


def stated_every(given: Every | str | float | None, id_: str, place: Place) -> Every | None:
    """How a step is periodic."""
    from actum.engine.graphs.periods import read_every

    return given if given is None or isinstance(given, Every) else read_every(given, id_, place)


def stated_over(given: Over | str | None, place: Place) -> Over | None:
    if given is None:
        return None
    over = given if isinstance(given, Over) else Over(given)
    return replace(over, items=templated(over.items, place / "items"))


def templated(value: Any, place: Place) -> Any:
    """The value as plain JSON, its references in their one spelling."""
    return canonical(plain(dict(value) if isinstance(value, Mapping) else value, place), place)
