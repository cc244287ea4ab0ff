"""A graph made ready to run: names turned into numbers, templates read, conditions compiled, code found.

Made once for a graph and shared by all its executions, so nothing in it ever changes.
"""

from __future__ import annotations

from actum.engine import conditions
from actum.engine.calls import StepSpec
from actum.engine.conditions import Condition, Test
from actum.engine.graph import ABSENT, END_MARKERS, Graph, GraphStep, Question
from actum.engine.graph_check import check, place_of, step_pairs
from actum.engine.graph_code import CodeFinder
from actum.engine.graph_shape import Edge, Shape
from actum.engine.graph_steps import runnable
from actum.engine.place import Place
from actum.engine.templates import Template, parse

__all__ = ["Plan", "StepPlan", "Way", "make_plan"]


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


class StepPlan:
    """One step. Of `spec` and `question`, one is there."""

    __slots__ = (
        "by_name",
        "config",
        "context",
        "deadline_s",
        "fallback",
        "id",
        "input_schema",
        "inputs",
        "join",
        "max_visits",
        "on_error",
        "question",
        "routes_refusal",
        "spec",
        "title",
        "ways",
    )

    def __init__(self, step: GraphStep, graph: Graph, numbers: dict[str, int], place: Place) -> None:
        self.id = step.id
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
        self.on_error = step.on_error
        self.fallback = numbers[step.fallback] if step.fallback is not None else None
        self.join = step.join
        self.max_visits = step.max_visits if step.max_visits is not None else graph.max_visits
        self.ways: list[Way] = []
        self.routes_refusal = False
        """Whether the graph says where to go when people say no to this step."""


class Plan:
    """All of it."""

    __slots__ = ("defaults", "name", "output_schema", "outputs", "shape", "start", "steps", "wants_data")

    def __init__(self, graph: Graph) -> None:
        check(graph)
        place = graph.place
        numbers = {step.id: index for index, step in enumerate(graph.steps)}
        self.name = graph.name
        self.defaults = {one.name: one.default for one in graph.parameters if one.default is not ABSENT}
        self.start = numbers[graph.start_at]
        self.shape = Shape(len(numbers), self.start, step_pairs(graph, numbers))
        self.steps = [StepPlan(step, graph, numbers, place_of(graph, i)) for i, step in enumerate(graph.steps)]
        self._find_code(graph)
        self._lay_ways(graph, numbers)
        self.wants_data = any(step.spec is not None and not step.by_name for step in self.steps)
        """Whether any step takes all data so far, so that it has to be kept."""
        self.outputs = None if graph.outputs is None else parse(graph.outputs, place / "outputs")
        self.output_schema = dict(graph.output_schema) if graph.output_schema else None

    def _find_code(self, graph: Graph) -> None:
        finder = CodeFinder(graph.base, graph.modules)
        for index, (step, plan) in enumerate(zip(graph.steps, self.steps, strict=True)):
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
        for transition in graph.transitions:
            source = numbers[transition.source]
            way = ways.get((transition.source, transition.target))
            if way is None:
                edge = None if transition.target in END_MARKERS else edges[source, numbers[transition.target]]
                way = ways[transition.source, transition.target] = Way(transition.target, edge)
                self.steps[source].ways.append(way)
            when = transition.when
            way.tests.append(None if when is None else (conditions.compiled(when), conditions.describe(when)))
            way.about_status = way.about_status and _about_status(when, transition.source)
        for step in self.steps:
            step.routes_refusal = any(way.about_status for way in step.ways)


def _about_status(condition: Condition | None, step: str) -> bool:
    if condition is None:
        return False
    read = conditions.references(condition, Place("", ""))
    return any(reference.step == step and reference.path[:1] == ("status",) for reference in read)


def make_plan(graph: Graph) -> Plan:
    """The plan of a graph. Raises `DefinitionError` when it cannot run."""
    return Plan(graph)
