"""From the JSON values of a definition to a graph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from actum.engine.graphs.conditions import Condition
from actum.engine.graphs.dependencies import without_dependencies
from actum.engine.graphs.dialect import read_condition, read_duration
from actum.engine.graphs.graph import Code, Graph, GraphStep, Parameter, Transition
from actum.engine.graphs.load_step import read_budget, read_step
from actum.engine.graphs.model import ErrorHandlingModel, GraphModel, read_model
from actum.engine.graphs.place import Place
from actum.engine.graphs.source import read_file
from actum.engine.graphs.templates import canonical
from actum.engine.resources.needs import Hold, hold_of
from actum.errors import BadInput, DefinitionError, near_miss

__all__ = ["graph_of"]


_SUFFIXES: Final = (".json", ".yaml", ".yml")


def graph_of(
    raw: Any,
    place: Place,
    base: Path | None,
    modules: dict[str, str],
    folder: Path | None = None,
    within: tuple[Path, ...] = (),
    problems: list[DefinitionError] | None = None,
) -> Graph:
    """The graph that these JSON values define. Raises `DefinitionError` for the first thing that is none of it.

    Files that it names as inner workflows are looked for in `folder`; `within` are the files that are being read. With
    `problems`, what is wrong with single steps and transitions is put there instead, and something stands in for them,
    so that everything else can be looked at too. Such a graph cannot run.
    """

    def inner(given: Any, where: Place) -> Graph | str:
        if isinstance(given, str) and not given.endswith(_SUFFIXES):
            return given
        if not isinstance(given, str):
            return graph_of(given, where, base, modules, folder, within)
        path = ((folder or Path.cwd()) / given).resolve()
        if path in within:
            raise where.error(f"runs the file it stands in: {' → '.join(one.name for one in (*within, path))}")
        if not path.exists():
            near = near_miss(given, [one.name for one in path.parent.glob("*") if one.suffix in _SUFFIXES])
            raise where.error(f"there is no file {given!r} in {path.parent}{near}")
        return graph_of(read_file(path), Place(str(path)), base, modules, path.parent, (*within, path))

    source = place.source
    model = read_model(without_dependencies(raw, place), place, problems)
    ids = [step.id or step.name or "" for step in model.steps]
    defaults = model.error_handling or ErrorHandlingModel()
    steps: list[GraphStep] = []
    for index, step in enumerate(model.steps):
        with _collected(problems):
            steps.append(read_step(step, defaults, inner, place / "steps" / index))
        if len(steps) == index:
            steps.append(GraphStep(ids[index], Code("missing:missing"), join="any"))
    transitions: list[Transition] = []
    for key, several in (("transitions", model.flow.transitions), ("paths", model.flow.paths)):
        for index, one in enumerate(several):
            here = place / "flow" / key / index
            when: Condition | None = None
            with _collected(problems):
                when = read_condition(one.condition, one.source, here / "condition", ids)
            expires_s: float | None = None
            with _collected(problems):
                expires_s = None if one.expires is None else read_duration(one.expires, here / "expires")
            on_expired = one.on_expired or "rerun"
            if one.on_expired is not None and one.expires is None:
                with _collected(problems):
                    raise (here / "on_expired").error("goes with expires, which says for how long a result is good")
            transitions.append(Transition(one.source, one.target, when, here.path, expires_s, on_expired))
    said = model.flow.start_at
    starts = (said,) if isinstance(said, str) else tuple(ids[:1] if said is None else said)
    return Graph(
        model.name,
        model.version,
        model.description,
        _parameters(model.parameters),
        tuple(steps),
        starts[0] if starts else "",
        tuple(transitions),
        canonical(model.outputs, place / "outputs"),
        _max_visits(model, place),
        model.input_schema,
        model.output_schema,
        model.metadata,
        None if model.timeout is None else read_duration(model.timeout, place / "timeout"),
        source,
        base,
        modules,
        budget=read_budget(model.budget, place / "budget"),
        hold=_hold(model, place),
        at=place.path,
        also_start=starts[1:],
    )


@contextmanager
def _collected(problems: list[DefinitionError] | None) -> Iterator[None]:
    try:
        yield
    except DefinitionError as exc:
        if problems is None:
            raise
        problems.append(exc)


def _parameters(given: Any) -> tuple[Parameter, ...]:
    if isinstance(given, dict):
        return tuple(Parameter(name, default=default) for name, default in given.items())
    return tuple(Parameter(one.name, one.schema_, one.required, one.default, one.description) for one in given)


def _hold(model: GraphModel, place: Place) -> Hold | None:
    try:
        return hold_of(model.needs, model.preemptible)
    except BadInput as exc:
        raise place.error(str(exc)) from None


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
