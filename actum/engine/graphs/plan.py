"""A graph made ready to run: names turned into numbers, templates read, conditions compiled, code found.

Made once for a graph and shared by all its executions, so nothing in it ever changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from actum.engine.graphs import conditions
from actum.engine.graphs.check import check, place_of, step_pairs, targets_of
from actum.engine.graphs.code import CodeFinder
from actum.engine.graphs.conditions import Condition, Test
from actum.engine.graphs.graph import ABSENT, END_MARKERS, Graph, GraphStep, Question
from actum.engine.graphs.kinds import (
    ANYWHERE,
    AskInput,
    Budget,
    FailWith,
    Inner,
    Kind,
    Over,
    Pause,
    SucceedWith,
    Transform,
)
from actum.engine.graphs.marking import Join
from actum.engine.graphs.place import Place
from actum.engine.graphs.references import Known
from actum.engine.graphs.shape import Edge, Shape
from actum.engine.graphs.steps import runnable
from actum.engine.graphs.templates import Template, parse
from actum.engine.rules.calls import StepSpec

__all__ = ["Need", "OverPlan", "Plan", "StepPlan", "Way", "make_plan"]


class Way:
    """A way out of a step: to another step (`edge`), or to an end marker."""

    __slots__ = ("about_status", "edge", "target", "tests")

    def __init__(self, target: str, edge: Edge | None) -> None:
        self.target = target
        self.edge = edge
        self.tests: list[tuple[Test, str] | None] = []
        """One for each transition that leads this way; None is "always"."""
        self.about_status = True
        """Every one of its conditions looks at the `status` of the step it leaves."""


class OverPlan:
    """The items of a map, and how it joins them."""

    __slots__ = ("as_", "cancel_rest", "concurrency", "items", "join")

    def __init__(self, over: Over, place: Place) -> None:
        self.items = parse(over.items, place / "items")
        self.as_ = over.as_
        self.concurrency = over.concurrency
        self.join = over.join
        self.cancel_rest = over.cancel_rest


class Need(NamedTuple):
    """A step depends on a result that is good for only so long."""

    source: int
    good_us: int
    on_expired: str
    way: Way

    @property
    def closes_loop(self) -> bool:
        return self.way.edge is not None and self.way.edge.back


class StepPlan:
    """One step. It has a `spec` when it runs code, a `question` when it asks people, else what it `does`."""

    __slots__ = (
        "budget",
        "by_name",
        "cancel_rest",
        "catches",
        "config",
        "context",
        "does",
        "every",
        "fallback",
        "goto",
        "id",
        "inner",
        "input_schema",
        "inputs",
        "join",
        "kind",
        "leads_to",
        "max_visits",
        "needs",
        "on_error",
        "over",
        "question",
        "routes_refusal",
        "said",
        "spec",
        "title",
        "until",
        "until_round",
        "ways",
    )

    def __init__(self, step: GraphStep, graph: Graph, numbers: dict[str, int], place: Place) -> None:
        self.id = step.id
        self.kind = step.kind
        self.spec: StepSpec | None = None
        self.by_name = True
        self.inputs: list[tuple[str, Template, bool]] = [
            (name, parse(value, place / "inputs"), name in step.optional_inputs) for name, value in step.inputs.items()
        ]
        """Name, value, and whether it may be left out."""
        self.input_schema = dict(step.input_schema) if step.input_schema else None
        self.config: Template | None = None
        """The config, when it holds references and so is given with each call."""
        self.question: Question | None = step.question
        self.title = parse(step.question.title if step.question else "", place / "title")
        self.context = parse(step.question.context if step.question else None, place / "context")
        self.does = step.does
        self.said = _template_of(step.does, place)
        """The one value that its kind has: a duration, a prompt, an output or a message."""
        self.until = isinstance(step.does, Pause) and step.does.until is not None
        self.inner: Plan | None = None
        """Of the graph that it runs in place."""
        self.over = None if step.over is None else OverPlan(step.over, place / "map")
        self.goto: dict[str, Edge | None] | None = None
        """The steps and end markers that its result may choose."""
        self.catches: list[tuple[tuple[str, ...], str, Edge | None]] = []
        """Error types, what to do (`ON_ERROR`, or where to go), and the edge to there."""
        self.on_error = step.on_error
        self.fallback = numbers[step.fallback] if step.fallback is not None else None
        self.join: Join = frozenset(numbers[id_] for id_ in step.join) if isinstance(step.join, tuple) else step.join
        self.cancel_rest = step.cancel_rest
        self.leads_to: int | None = None
        """The join that every path from here leads to, when it wants something of the branches before it."""
        self.max_visits = step.max_visits if step.max_visits is not None else graph.max_visits
        self.budget = _budget(step, graph)
        self.ways: list[Way] = []
        self.every = step.every
        self.until_round: tuple[Test, str] | None = None
        """The condition that ends the rounds of a periodic step."""
        self.needs: list[Need] = []
        """What it must not start on when that is too old."""
        self.routes_refusal = False
        """Whether the graph says where to go when people say no to this step."""


def _template_of(does: Kind | None, place: Place) -> Template:
    match does:
        case Pause(seconds, None):
            return parse(seconds, place / "seconds")
        case Pause(_, until):
            return parse(until, place / "until")
        case AskInput(prompt):
            return parse(prompt, place / "prompt")
        case FailWith(_, message):
            return parse(message, place / "message")
        case Transform(output) | SucceedWith(output):
            return parse(None if output is ABSENT else output, place / "output")
        case _:
            return parse(None, place)


def _budget(step: GraphStep, graph: Graph) -> Budget | None:
    """What is looked at before this step starts: of each limit, the nearest one."""
    return graph.budget if step.budget is None else step.budget.over(graph.budget)


class Plan:
    """All of it."""

    __slots__ = (
        "defaults",
        "graph",
        "joins",
        "name",
        "numbers",
        "output_schema",
        "outputs",
        "shape",
        "starts",
        "steps",
        "wants_data",
    )

    def __init__(self, graph: Graph) -> None:
        place = graph.place
        numbers = {step.id: index for index, step in enumerate(graph.steps)}
        self.graph = graph
        self.name = graph.name
        self.numbers = numbers
        """Steps by name."""
        self.defaults = {one.name: one.default for one in graph.parameters if one.default is not ABSENT}
        self.starts = [numbers[id_] for id_ in graph.starts]
        self.shape = Shape(len(numbers), self.starts, step_pairs(graph, numbers))
        self.steps = [StepPlan(step, graph, numbers, place_of(graph, i)) for i, step in enumerate(graph.steps)]
        self.joins = [step.join for step in self.steps]
        self._find_code(graph)
        self._lay_ways(graph, numbers)
        self._find_branches()
        self.wants_data = any(step.spec is not None and not step.by_name for step in self.steps)
        """Whether any step takes all data so far, so that it has to be kept."""
        self.outputs = None if graph.outputs is None else parse(graph.outputs, place / "outputs")
        self.output_schema = dict(graph.output_schema) if graph.output_schema else None

    def specs(self) -> Iterator[StepSpec]:
        """Of every step that runs code, in the graphs inside too."""
        for step in self.steps:
            if step.spec is not None:
                yield step.spec
            if step.inner is not None:
                yield from step.inner.specs()

    def services(self) -> dict[str, tuple[str, ...]]:
        """The services that its steps and their compensations ask for, each with the names of those that do."""
        found: dict[str, dict[str, None]] = {}
        for spec in self.specs():
            for one in (spec, spec.compensate):
                for service in () if one is None else one.services.values():
                    found.setdefault(service, {})[one.name if one is not None else ""] = None
        return {service: tuple(names) for service, names in sorted(found.items())}

    def _find_code(self, graph: Graph) -> None:
        finder = CodeFinder(graph.base, graph.modules)
        for index, (step, plan) in enumerate(zip(graph.steps, self.steps, strict=True)):
            if isinstance(step.does, Inner) and not isinstance(step.does.workflow, str):
                plan.inner = Plan(step.does.workflow.resolved)
            if step.run is None:
                continue
            found = runnable(graph, step, finder, place_of(graph, index))
            plan.spec = found.spec
            plan.by_name = found.by_name
            if found.takes_config:
                plan.config = parse(dict(step.config), place_of(graph, index) / "config")

    def _lay_ways(self, graph: Graph, numbers: dict[str, int]) -> None:
        edges = {(edge.source, edge.target): edge for edge in self.shape.edges}
        ways: dict[tuple[str, str], Way] = {}
        known = Known(numbers, {parameter.name for parameter in graph.parameters})
        for transition in graph.transitions:
            source = numbers[transition.source]
            way = ways.get((transition.source, transition.target))
            if way is None:
                edge = None if transition.target in END_MARKERS else edges[source, numbers[transition.target]]
                way = ways[transition.source, transition.target] = Way(transition.target, edge)
                self.steps[source].ways.append(way)
            when = transition.when
            way.tests.append(None if when is None else (conditions.compiled(when, known), conditions.describe(when)))
            way.about_status = way.about_status and _about_status(when, transition.source)
            if transition.expires_s is not None:
                good_us = round(transition.expires_s * 1_000_000)
                self.steps[numbers[transition.target]].needs.append(Need(source, good_us, transition.on_expired, way))
        for number, given in enumerate(graph.steps):
            plan = self.steps[number]
            plan.catches = [(one.types, one.then, self._edge(edges, number, one.then)) for one in given.catches]
            if given.goto:
                names = targets_of(graph, replace(given, catches=()))
                names += END_MARKERS if given.goto == ANYWHERE else ()
                plan.goto = {name: self._edge(edges, number, name) for name in names}
            if given.every is not None and given.every.until is not None:
                until = given.every.until
                plan.until_round = conditions.compiled(until, known), conditions.describe(until)
        for step in self.steps:
            step.routes_refusal = any(way.about_status for way in step.ways)

    def _edge(self, edges: dict[tuple[int, int], Edge], source: int, target: str) -> Edge | None:
        number = self.numbers.get(target)
        return None if number is None else edges.get((source, number))

    def _find_branches(self) -> None:
        """Which steps lead to nothing but one join, for the joins that want something of the branches before them."""
        order = sorted(range(len(self.steps)), key=lambda node: self.shape.order[node], reverse=True)
        wanting = [n for n in order if self.steps[n].join == "first_success" or self.steps[n].cancel_rest]
        for join in wanting:  # the nearest join comes last and counts
            inside = {join}
            for node in order:
                ways = self.shape.outgoing[node]
                ends = any(way.edge is None for way in self.steps[node].ways)
                if node != join and ways and not ends and all(e.target in inside and not e.back for e in ways):
                    inside.add(node)
                    self.steps[node].leads_to = join


def _about_status(condition: Condition | None, step: str) -> bool:
    if condition is None:
        return False
    read = conditions.references(condition, Place("", ""))
    return any(reference.step == step and reference.path[:1] == ("status",) for reference in read)


def make_plan(graph: Graph) -> Plan:
    """The plan of a graph. Raises `DefinitionError` when it cannot run."""
    check(graph)
    return Plan(graph)
