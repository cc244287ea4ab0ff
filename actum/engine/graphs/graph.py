"""A graph: a workflow as data. Steps, transitions with conditions, joins, bounded loops.

    order = (
        Graph("order")
        .parameter("order", schema={"type": "object"}, required=True)
        .step("reserve", reserve, retry=3, compensate=release, inputs={"order": "{{ parameters.order }}"})
        .step("charge", charge, inputs={"amount": "{{ reserve.amount }}"})
        .edge("reserve", "charge", when={"source": "reserve.ok", "operator": "eq", "value": True})
        .build()
    )

The same class is what `load_graph` makes of a JSON or YAML file. A graph never changes: each of the methods
above gives a larger one back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson

from actum.engine.durations import seconds
from actum.engine.durations import seconds as _seconds
from actum.engine.graphs.conditions import Condition
from actum.engine.graphs.kinds import (
    ABSENT,
    ANYWHERE,
    Absent,
    AskInput,
    AwaitSignal,
    Budget,
    Catch,
    FailWith,
    Inner,
    Kind,
    Over,
    Pause,
    SucceedWith,
    Transform,
)
from actum.engine.graphs.place import Place
from actum.engine.graphs.templates import canonical
from actum.engine.payloads.classes import Classes, classes_of_schemas, escaped
from actum.engine.payloads.json_values import plain
from actum.engine.rules.retry import ONCE, Retry
from actum.errors import BadInput

if TYPE_CHECKING:
    from actum.engine.graphs.plan import Plan

__all__ = [
    "ABSENT",
    "END_MARKERS",
    "Absent",
    "Budget",
    "Catch",
    "Code",
    "Graph",
    "GraphStep",
    "Over",
    "Parameter",
    "Question",
    "Transition",
]

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
    """From one step to the next, or to an end marker; without a condition it is always taken."""

    source: str
    target: str
    when: Condition | None = None
    where: str | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Graph:
    """A workflow as data. `==` compares what it does, not where it was read from."""

    name: str
    version: str = ""
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    steps: tuple[GraphStep, ...] = ()
    start_at: str = ""
    transitions: tuple[Transition, ...] = ()
    outputs: Any = None
    """What the execution returns, with references; None: the output of the step it ends with."""
    max_visits: int | None = None
    """How often any step may start, where the step does not say so itself."""
    input_schema: Mapping[str, Any] | None = None
    output_schema: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float | None = None
    """How long an execution may take; then it is cancelled from inside, and fails."""
    source: str = field(default="", compare=False, repr=False)
    base: Path | None = field(default=None, compare=False, repr=False)
    """The folder in which the modules of its steps are looked for first."""
    modules: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Module prefixes of the definition, and the prefixes they go by here."""
    budget: Budget | None = None
    at: str = field(default="$", compare=False, repr=False)
    """The JSON path of a graph that stands inside another definition."""
    settings: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """What `defaults` has said for the steps that are added from then on."""
    also_start: tuple[str, ...] = ()
    """Steps that start together with the one at `start_at`."""

    # -- building ------------------------------------------------------------------------------------------------

    def parameter(
        self,
        name: str,
        *,
        schema: Mapping[str, Any] | None = None,
        required: bool = False,
        default: Any = ABSENT,
        description: str = "",
    ) -> Graph:
        """With one more parameter."""
        place = self.place / "parameters" / len(self.parameters)
        if default is not ABSENT:
            default = plain(default, place / "default")
        schema = None if schema is None else plain(dict(schema), place / "schema")
        added = Parameter(name, schema, required, default, description)
        return replace(self, parameters=(*self.parameters, added))

    def step(
        self,
        id: str,
        run: Callable[..., Any] | str,
        *,
        inputs: Mapping[str, Any] | None = None,
        optional_inputs: tuple[str, ...] = (),
        input_schema: Mapping[str, Any] | None = None,
        output_schema: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        retry: Retry | int | Mapping[str, Any] | None = None,
        timeout: str | float | None = None,
        compensate: Callable[..., Any] | str | None = None,
        on_error: str | Sequence[Catch] | None = None,
        fallback: str | None = None,
        join: str | int = "all",
        max_visits: int | None = None,
        on_doubt: Literal["retry", "verify", "park"] = "retry",
        verify: Callable[..., Any] | str | None = None,
        tool: str | None = None,
        undo_group: str | None = None,
        pivot: bool = False,
        name: str = "",
        description: str = "",
        over: Over | str | None = None,
        goto: Sequence[str] | Literal["any"] = (),
        cancel_rest: bool = False,
        budget: Budget | None = None,
        services: Sequence[str] = (),
    ) -> Graph:
        """With one more step; the first one added is where the graph starts.

        - `run`, `compensate`, `verify`: a function, a class, or `"module:name"`. A function gets the inputs by name
          when it has parameters of these names, else the data as one dict; a class is made with `name` and `config`,
          and its `execute` or `run` gets the data. Data is the workflow's input, overlaid by the outputs so far and
          by this step's inputs. Compensating code gets the output of the step it undoes.
        - `inputs`: plain values or references such as `"{{ fetch.rows }}"`; those named in `optional_inputs` are left
          out when what they refer to does not exist.
        - `input_schema`, `output_schema`: JSON Schema; what does not fit fails the step.
        - `retry`: attempts after the first, or a `Retry`; `timeout` is of one attempt: seconds, or `"30s"`.
        - `on_error`: `fail`, `continue`, `fallback` (then `fallback` names the step) or `compensate`; or a list of
          `Catch`, of which the first that names the error's type counts.
        - `join`: waits for `"all"` transitions into it, starts with `"any"` first one, or with so many;
          `"first_success"` is `"any"` for which failures in the branches before it do not count until all have failed.
          With `cancel_rest`, what is still under way in these branches then is cancelled.
        - `over`: a list, as a reference, or an `Over`: the step runs for each item.
        - `goto`: the steps and end markers that may come next, or `"any"`: the step says which, and has no transitions.
          It returns `{"goto": …, "output": …}` (or `{"goto": …}` with the output beside it, or no more than the
          target) where the target is a name, a list of names that start side by side, or None for none.
        - `budget`: what may be spent before it starts. `services`: parameters that the engine's services are given to.
        - `max_visits`: how often it may start in one execution; a cycle needs one.
        - `on_doubt`, `verify`, `tool`, `undo_group`, `pivot`: as for `step`.

        Raises `BadInput` (`DefinitionError` names the place) for what cannot be meant; what concerns several steps
        is found when the graph is first used.
        """
        place = self.place / "steps" / len(self.steps)
        retry = self.settings.get("retry") if retry is None else retry
        timeout = self.settings.get("timeout") if timeout is None else timeout
        on_error = self.settings.get("on_error") if on_error is None and fallback is None else on_error
        try:
            tries = Retry.of(retry)
            timeout_s = None if timeout is None else seconds(timeout)
            code = Code.of(run)
        except BadInput as exc:
            raise place.error(str(exc)) from None
        stated, catches = _on_error(on_error, fallback)
        return self._with_step(
            GraphStep(
                id,
                code,
                None,
                name,
                description,
                _templated(inputs or {}, place / "inputs"),
                tuple(optional_inputs),
                None if input_schema is None else plain(dict(input_schema), place / "input_schema"),
                None if output_schema is None else plain(dict(output_schema), place / "output_schema"),
                _templated(config or {}, place / "config"),
                tries,
                timeout_s,
                None if compensate is None else Code.of(compensate),
                stated,
                fallback,
                join,
                max_visits,
                on_doubt,
                None if verify is None else Code.of(verify),
                tool,
                undo_group=undo_group,
                pivot=pivot,
                over=_over(over, place / "map"),
                goto=ANYWHERE if goto == "any" else tuple(goto),
                catches=catches,
                cancel_rest=cancel_rest,
                budget=budget,
                services=tuple(services),
            )
        )

    def defaults(
        self,
        *,
        retry: Retry | int | Mapping[str, Any] | None = None,
        timeout: str | float | None = None,
        on_error: str | None = None,
        budget: Budget | None = None,
    ) -> Graph:
        """What holds for every step that runs code and is added from now on, where the step does not say so itself.

        The `budget` is of the whole execution.
        """
        given = {"retry": retry, "timeout": timeout, "on_error": on_error}
        settings = {**self.settings, **{name: value for name, value in given.items() if value is not None}}
        return replace(self, settings=settings, budget=self.budget if budget is None else budget)

    def wait(self, id: str, seconds: Any = None, *, until: Any = None, **common: Any) -> Graph:
        """With one more step that waits: so many seconds (or `"2h"`), or until a time such as `"{{ a.due }}"`.

        `common`, here and for the kinds below: `name`, `description`, `join`, `max_visits`, `cancel_rest`.
        """
        place = self.place / "steps" / len(self.steps)
        pause = Pause(_templated(seconds, place / "seconds"), _templated(until, place / "until"))
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
        stated, catches = _on_error(on_error, fallback)
        does = AwaitSignal(id if signal is None else signal, timeout_s, default)
        return self._with_step(GraphStep(id, does=does, on_error=stated, fallback=fallback, catches=catches, **common))

    def wait_input(self, id: str, prompt: Any = None, **common: Any) -> Graph:
        """With one more step that waits for more input, which is its output. Until then the execution is incomplete,
        and says `prompt`."""
        place = self.place / "steps" / len(self.steps)
        return self._with_step(GraphStep(id, does=AskInput(_templated(prompt, place / "prompt")), **common))

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
        **common: Any,
    ) -> Graph:
        """With one more step that runs a graph in place, or, by its name, a published workflow as an execution of its
        own. `inputs` are its input; its output is the step's; `over`: it does so for each item of a list."""
        place = self.place / "steps" / len(self.steps)
        stated, catches = _on_error(on_error, fallback)
        return self._with_step(
            GraphStep(
                id,
                inputs=_templated(inputs or {}, place / "inputs"),
                optional_inputs=tuple(optional_inputs),
                does=Inner(workflow, on_parent_close),
                over=_over(over, place / "map"),
                on_error=stated,
                fallback=fallback,
                catches=catches,
                budget=budget,
                **common,
            )
        )

    def transform(self, id: str, output: Any, **common: Any) -> Graph:
        """With one more step that returns this value, whose references are followed, and calls nothing."""
        place = self.place / "steps" / len(self.steps)
        return self._with_step(GraphStep(id, does=Transform(_templated(output, place / "output")), **common))

    def fail(self, id: str, error: str = "Failed", message: Any = "", **common: Any) -> Graph:
        """With one more step that fails the execution with an error of this type."""
        place = self.place / "steps" / len(self.steps)
        return self._with_step(
            GraphStep(
                id, does=FailWith(error, _templated("" if message is None else message, place / "message")), **common
            )
        )

    def succeed(self, id: str, output: Any = ABSENT, **common: Any) -> Graph:
        """With one more step that ends the execution: nothing more starts, and what runs is waited for. It returns
        `output`, or else what it would return at its end."""
        place = self.place / "steps" / len(self.steps)
        output = output if output is ABSENT else _templated(output, place / "output")
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
    ) -> Graph:
        """With one more step that asks people and waits for the answer.

        Granted, its output is `{"status": "approved", "by": …, "comment": …}`. Rejected or expired, the
        execution fails, unless a transition out of the step has a condition on its `status`.
        """
        place = self.place / "steps" / len(self.steps)
        try:
            deadline_s = None if deadline is None else seconds(deadline)
        except BadInput as exc:
            raise (place / "deadline").error(str(exc)) from None
        question = Question(
            _templated(title, place / "title"), _templated(context, place / "context"), severity, policy, deadline_s
        )
        return self._with_step(
            GraphStep(id, None, question, name, description, join=join, max_visits=max_visits),
        )

    def edge(self, source: str, target: str, *, when: Condition | Mapping[str, Any] | str | None = None) -> Graph:
        """With one more transition. `when` is a condition as JSON; the target may be one of `END_MARKERS`."""
        from actum.engine.graphs.dialect import read_condition

        place = self.place / "flow" / "transitions" / len(self.transitions) / "condition"
        if isinstance(when, (Mapping, str)):
            when = read_condition(plain(when if isinstance(when, str) else dict(when), place), source, place)
        return replace(self, transitions=(*self.transitions, Transition(source, target, when)))

    def output(self, outputs: Any) -> Graph:
        """Returning this value, whose references are followed when the execution ends."""
        return replace(self, outputs=_templated(outputs, self.place / "outputs"))

    def timeout(self, duration: str | float) -> Graph:
        """Cancelled from inside, and failed, when an execution takes longer; seconds, or text such as `"1h"`."""
        try:
            return replace(self, timeout_s=seconds(duration))
        except BadInput as exc:
            raise (self.place / "timeout").error(str(exc)) from None

    def start(self, id: str, *more: str) -> Graph:
        """Starting at this step, or at several at once."""
        return replace(self, start_at=id, also_start=more)

    def build(self) -> Graph:
        """The same graph, now known to be able to run. Raises `DefinitionError`, saying what is wrong and where."""
        _ = self.plan
        return self

    def _with_step(self, step: GraphStep) -> Graph:
        return replace(self, steps=(*self.steps, step), start_at=self.start_at or step.id)

    # -- what it is ----------------------------------------------------------------------------------------------

    @property
    def place(self) -> Place:
        """Where it was read from, for messages."""
        return Place(self.source or f"graph {self.name!r}", self.at)

    @property
    def starts(self) -> tuple[str, ...]:
        """The steps that start at once."""
        return (self.start_at, *self.also_start)

    def to_json(self) -> dict[str, Any]:
        """The definition as plain JSON, in the canonical dialect. Loaded again it is an equal graph."""
        from actum.engine.graphs.to_json import graph_to_json

        return graph_to_json(self)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON, as `sha256:<hex>`: equal definitions have equal digests."""
        return "sha256:" + sha256(orjson.dumps(self.to_json(), option=orjson.OPT_SORT_KEYS)).hexdigest()

    @cached_property
    def classes(self) -> Classes | None:
        """What its schemas declare, with `x-actum-class`, of its input and its output."""
        given = [("/input", self.input_schema)]
        given += [(f"/input/{escaped(one.name)}", one.schema) for one in self.parameters]
        return classes_of_schemas(given, [("/output", self.output_schema)])

    @cached_property
    def plan(self) -> Plan:
        """What a planner runs: checked, its code imported. Made once and shared by all executions of this graph.

        Raises `DefinitionError`, saying what is wrong and where.
        """
        from actum.engine.graphs.plan import make_plan

        return make_plan(self)


def _on_error(given: str | Sequence[Catch] | None, fallback: str | None) -> tuple[str, tuple[Catch, ...]]:
    if given is None or isinstance(given, str):
        return given or ("fallback" if fallback else "fail"), ()
    return "fail", tuple(given)


def _over(given: Over | str | None, place: Place) -> Over | None:
    if given is None:
        return None
    over = given if isinstance(given, Over) else Over(given)
    return replace(over, items=_templated(over.items, place / "items"))


def _templated(value: Any, place: Place) -> Any:
    """The value as plain JSON, its references in their one spelling."""
    return canonical(plain(dict(value) if isinstance(value, Mapping) else value, place), place)
