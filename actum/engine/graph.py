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

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson

from actum.engine.classes import Classes, classes_of_schemas, escaped
from actum.engine.conditions import Condition
from actum.engine.durations import seconds
from actum.engine.json_values import plain
from actum.engine.place import Place
from actum.engine.retry import ONCE, Retry
from actum.engine.templates import canonical
from actum.errors import BadInput

if TYPE_CHECKING:
    from actum.engine.graph_plan import Plan

__all__ = ["ABSENT", "END_MARKERS", "Absent", "Code", "Graph", "GraphStep", "Parameter", "Question", "Transition"]

END_MARKERS: Final = ("end", "end_with_success", "end_with_failure")
"""Targets that are no steps: the first two end their path, the last one fails the execution."""


class Absent(Enum):
    """There is no default; `None` would be one."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


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
    """One step: it runs `run`, or asks `question`, never both.

    - `on_error`: what a failed step means. `fail` and `compensate`: the execution fails, and what was completed
      is undone. `continue`: the step ends without output. `fallback`: that step runs in its place, and its
      output counts as this step's.
    - `join`: with several transitions into it, whether the step waits for `all` to be decided, or starts with
      the first (`any`) or the Nth one taken.
    - `max_visits`: how often it may start in one execution.
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
    join: str | int = "all"
    max_visits: int | None = None
    on_doubt: Literal["retry", "verify", "park"] = "retry"
    verify: Code | None = None
    tool: str | None = None
    where: str | None = field(default=None, compare=False, repr=False)
    """The JSON path it was read from, for messages."""


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
    source: str = field(default="", compare=False, repr=False)
    base: Path | None = field(default=None, compare=False, repr=False)
    """The folder in which the modules of its steps are looked for first."""
    modules: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Module prefixes of the definition, and the prefixes they go by here."""

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
        on_error: str | None = None,
        fallback: str | None = None,
        join: str | int = "all",
        max_visits: int | None = None,
        on_doubt: Literal["retry", "verify", "park"] = "retry",
        verify: Callable[..., Any] | str | None = None,
        tool: str | None = None,
        name: str = "",
        description: str = "",
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
        - `on_error`: `fail`, `continue`, `fallback` (then `fallback` names the step) or `compensate`.
        - `join`: waits for `"all"` transitions into it, starts with `"any"` first one, or with so many.
        - `max_visits`: how often it may start in one execution; a cycle needs one.
        - `on_doubt`, `verify`, `tool`: as for `step`.

        Raises `BadInput` (`DefinitionError` names the place) for what cannot be meant; what concerns several steps
        is found when the graph is first used.
        """
        place = self.place / "steps" / len(self.steps)
        try:
            tries = Retry.of(retry)
            timeout_s = None if timeout is None else seconds(timeout)
            code = Code.of(run)
        except BadInput as exc:
            raise place.error(str(exc)) from None
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
                on_error or ("fallback" if fallback else "fail"),
                fallback,
                join,
                max_visits,
                on_doubt,
                None if verify is None else Code.of(verify),
                tool,
            )
        )

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
        from actum.engine.graph_dialect import read_condition

        place = self.place / "flow" / "transitions" / len(self.transitions) / "condition"
        if isinstance(when, (Mapping, str)):
            when = read_condition(plain(when if isinstance(when, str) else dict(when), place), source, place)
        return replace(self, transitions=(*self.transitions, Transition(source, target, when)))

    def output(self, outputs: Any) -> Graph:
        """Returning this value, whose references are followed when the execution ends."""
        return replace(self, outputs=_templated(outputs, self.place / "outputs"))

    def start(self, id: str) -> Graph:
        """Starting at this step."""
        return replace(self, start_at=id)

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
        return Place(self.source or f"graph {self.name!r}")

    def to_json(self) -> dict[str, Any]:
        """The definition as plain JSON, in the canonical dialect. Loaded again it is an equal graph."""
        from actum.engine.graph_json import graph_to_json

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
        from actum.engine.graph_plan import make_plan

        return make_plan(self)


def _templated(value: Any, place: Place) -> Any:
    """The value as plain JSON, its references in their one spelling."""
    return canonical(plain(dict(value) if isinstance(value, Mapping) else value, place), place)
