"""From the JSON values of a definition to a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from actum.engine.graph import Graph, Parameter, Transition
from actum.engine.graph_dialect import read_condition
from actum.engine.graph_load_step import read_step
from actum.engine.graph_model import ErrorHandlingModel, GraphModel, read_model
from actum.engine.place import Place
from actum.engine.templates import canonical

__all__ = ["graph_of"]


def graph_of(raw: Any, source: str, base: Path | None, modules: dict[str, str]) -> Graph:
    """The graph that these JSON values define. Raises `DefinitionError` for the first thing that is none of it."""
    model = read_model(raw, source)
    place = Place(source)
    ids = [step.id or step.name or "" for step in model.steps]
    defaults = model.error_handling or ErrorHandlingModel()
    steps = tuple(read_step(step, defaults, place / "steps" / index) for index, step in enumerate(model.steps))
    transitions: list[Transition] = []
    for key, several in (("transitions", model.flow.transitions), ("paths", model.flow.paths)):
        for index, one in enumerate(several):
            here = place / "flow" / key / index
            when = read_condition(one.condition, one.source, here / "condition", ids)
            transitions.append(Transition(one.source, one.target, when, here.path))
    return Graph(
        model.name,
        model.version,
        model.description,
        _parameters(model.parameters),
        steps,
        model.flow.start_at if model.flow.start_at is not None else ids[0] if ids else "",
        tuple(transitions),
        canonical(model.outputs, place / "outputs"),
        _max_visits(model, place),
        model.input_schema,
        model.output_schema,
        model.metadata,
        source,
        base,
        modules,
    )


def _parameters(given: Any) -> tuple[Parameter, ...]:
    if isinstance(given, dict):
        return tuple(Parameter(name, default=default) for name, default in given.items())
    return tuple(Parameter(one.name, one.schema_, one.required, one.default, one.description) for one in given)


def _max_visits(model: GraphModel, place: Place) -> int | None:
    loop = model.loop_config
    if loop is None:
        return model.flow.max_visits
    place = place / "loop_config"
    if loop.max_loop_time_seconds:
        raise (place / "max_loop_time_seconds").error(
            "cannot be kept: a graph decides from what is recorded, without a clock. "
            "Bound the loop with max_iterations, and each step with timeout"
        )
    if loop.iteration_delay_seconds:
        raise (place / "iteration_delay_seconds").error(
            "cannot be kept: a transition takes no time. Make the wait a step of the loop"
        )
    if loop.max_iterations is not None and model.flow.max_visits is not None:
        raise (place / "max_iterations").error("and flow.max_visits say the same thing; keep one")
    return loop.max_iterations if loop.max_iterations is not None else model.flow.max_visits
