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
from typing import TYPE_CHECKING, Any, Literal

import orjson

from actum.engine.durations import seconds
from actum.engine.graphs.building import OtherSteps, stated_every, stated_on_error, stated_over, templated
from actum.engine.graphs.conditions import Condition
from actum.engine.graphs.definition import END_MARKERS, Code, GraphStep, Parameter, Question, Transition
from actum.engine.graphs.kinds import (
    ABSENT,
    ANYWHERE,
    Absent,
    Budget,
    Catch,
    Every,
    Over,
)
from actum.engine.graphs.place import Place
from actum.engine.payloads.classes import Classes, classes_of_schemas, escaped
from actum.engine.payloads.json_values import plain
from actum.engine.resources.needs import Hold, hold_of, needs_of
from actum.engine.rules.retry import Retry
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


@dataclass(frozen=True)
class Graph(OtherSteps):
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
    hold: Hold | None = None
    """What an execution holds from before its first step until its end."""

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
        every: Every | str | float | None = None,
        executor: str = "",
        depends_on: Sequence[str | Mapping[str, Any]] | Mapping[str, Any] | None = None,
        needs: Mapping[str, int] | None = None,
        breaker: str | None = None,
        priority: int | None = None,
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
        - `every`: an `Every`, or an interval: the step is periodic. `executor`: where it runs, as for `step`.
        - `depends_on`: ids of steps, or objects with `step`, `kind` (`required`, `optional`, `sequential`, `parallel`),
          `when`, `expires`, `on_expired` and `every`: another way to write the transitions into this step and its
          `join`, as in files. `build` makes transitions of them.
        - `max_visits`: how often it may start in one execution; a cycle needs one.
        - `on_doubt`, `verify`, `tool`, `undo_group`, `pivot`, `needs`, `breaker`, `priority`: as for `step`.

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
            required = needs_of(needs, breaker, priority)
        except BadInput as exc:
            raise place.error(str(exc)) from None
        stated, catches = stated_on_error(on_error, fallback)
        return self._with_step(
            GraphStep(
                id,
                code,
                None,
                name,
                description,
                templated(inputs or {}, place / "inputs"),
                tuple(optional_inputs),
                None if input_schema is None else plain(dict(input_schema), place / "input_schema"),
                None if output_schema is None else plain(dict(output_schema), place / "output_schema"),
                templated(config or {}, place / "config"),
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
                over=stated_over(over, place / "map"),
                goto=ANYWHERE if goto == "any" else tuple(goto),
                catches=catches,
                cancel_rest=cancel_rest,
                budget=budget,
                services=tuple(services),
                every=stated_every(every, id, place / "every"),
                executor=executor,
                depends_on=depends_on,
                needs=required,
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

    def edge(
        self,
        source: str,
        target: str,
        *,
        when: Condition | Mapping[str, Any] | str | None = None,
        expires: str | float | None = None,
        on_expired: Literal["rerun", "skip", "fail"] = "rerun",
    ) -> Graph:
        """With one more transition. `when` is a condition as JSON; the target may be one of `END_MARKERS`.

        With `expires`, what the source returned is good for so long: when the target would start on something older,
        the source runs again first, or the target is skipped, or the execution fails.
        """
        from actum.engine.graphs.dialect import read_condition, read_duration

        place = self.place / "flow" / "transitions" / len(self.transitions) / "condition"
        if isinstance(when, (Mapping, str)):
            when = read_condition(plain(when if isinstance(when, str) else dict(when), place), source, place)
        place = self.place / "flow" / "transitions" / len(self.transitions)
        expires_s = None if expires is None else read_duration(expires, place / "expires")
        added = Transition(source, target, when, expires_s=expires_s, on_expired=on_expired)
        return replace(self, transitions=(*self.transitions, added))

    def output(self, outputs: Any) -> Graph:
        """Returning this value, whose references are followed when the execution ends."""
        return replace(self, outputs=templated(outputs, self.place / "outputs"))

    def timeout(self, duration: str | float) -> Graph:
        """Cancelled from inside, and failed, when an execution takes longer; seconds, or text such as `"1h"`."""
        try:
            return replace(self, timeout_s=seconds(duration))
        except BadInput as exc:
            raise (self.place / "timeout").error(str(exc)) from None

    def holding(self, needs: Mapping[str, int], *, preemptible: bool = False) -> Graph:
        """Holding this of the engine's pools from before the first step until the end: `needs` and `preemptible` of
        `workflow`."""
        try:
            return replace(self, hold=hold_of(needs, preemptible))
        except BadInput as exc:
            raise (self.place / "needs").error(str(exc)) from None

    def start(self, id: str, *more: str) -> Graph:
        """Starting at this step, or at several at once."""
        return replace(self, start_at=id, also_start=more)

    def build(self) -> Graph:
        """The same graph, now known to be able to run. Raises `DefinitionError`, saying what is wrong and where."""
        _ = self.plan
        return self.resolved

    def _with_step(self, step: GraphStep) -> Graph:
        return replace(self, steps=(*self.steps, step), start_at=self.start_at or step.id)

    # -- what it is ----------------------------------------------------------------------------------------------

    @property
    def place(self) -> Place:
        """Where it was read from, for messages."""
        return Place(self.source or f"graph {self.name!r}", self.at)

    @cached_property
    def resolved(self) -> Graph:
        """The same graph with transitions and joins in place of `depends_on`. Raises `DefinitionError`."""
        from actum.engine.graphs.dependencies import resolved

        return resolved(self)

    @property
    def starts(self) -> tuple[str, ...]:
        """The steps that start at once."""
        return (self.start_at, *self.also_start)

    def to_json(self) -> dict[str, Any]:
        """The definition as plain JSON, in the canonical dialect. Loaded again it is an equal graph."""
        from actum.engine.graphs.to_json import graph_to_json

        return graph_to_json(self.resolved)

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

        return make_plan(self.resolved)
