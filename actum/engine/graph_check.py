"""Whether a graph's definition is sound, before any of its code is looked at."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from actum.engine import conditions
from actum.engine.graph_shape import Shape, unbounded_cycle, unreached
from actum.engine.json_schema import check_schema, mismatch
from actum.engine.place import Place
from actum.engine.references import Known
from actum.engine.templates import parse
from actum.errors import near_miss

if TYPE_CHECKING:
    from actum.engine.graph import Code, Graph, GraphStep

__all__ = ["check", "step_pairs"]

_MAX_NAME: Final = 256
_NOT_IN_IDS: Final = re.compile(r"[.{}\[\]|/#'\"\x00-\x1f]")
_RESERVED: Final = ("parameters", "steps")
_CODE: Final = re.compile(r"\w+(\.\w+)*:[^\s:]+")
_ON_ERROR: Final = ("fail", "continue", "fallback", "compensate")
_ON_DOUBT: Final = ("retry", "verify", "park")
_SEVERITIES: Final = ("low", "medium", "high", "critical")
_JOINS: Final = ("all", "any")


def check(graph: Graph) -> None:
    """Raise `DefinitionError`, with the JSON path, for the first thing that keeps the graph from running."""
    place = graph.place
    _check_name(graph.name, place / "name", "a workflow")
    if "/" in graph.name:
        raise (place / "name").error(f"{graph.name!r} holds a '/', which no workflow's name may")
    _check_parameters(graph)
    if not graph.steps:
        raise (place / "steps").error("is empty; a workflow has at least one step")
    ids: dict[str, int] = {}
    for index, step in enumerate(graph.steps):
        here = place_of(graph, index)
        _check_id(step.id, here / "id")
        if step.id in ids:
            raise (here / "id").error(f"there are two steps {step.id!r}; the first is steps[{ids[step.id]}]")
        ids[step.id] = index
    known = Known(ids, {parameter.name for parameter in graph.parameters})
    for index, step in enumerate(graph.steps):
        _check_step(step, ids, known, place_of(graph, index))
    _check_schemas(graph)
    _check_flow(graph, ids, known)
    for reference in parse(graph.outputs, place / "outputs").references():
        reference.check(known, place / "outputs")


def place_of(graph: Graph, index: int) -> Place:
    """Where a step stands in its source."""
    where = graph.steps[index].where
    return graph.place / "steps" / index if where is None else Place(graph.place.source, where)


def step_pairs(graph: Graph, ids: dict[str, int]) -> list[tuple[int, int]]:
    """The transitions between steps, as numbers, each pair once and in the order of the definition."""
    pairs = ((ids[t.source], ids[t.target]) for t in graph.transitions if t.target in ids)
    return list(dict.fromkeys(pairs))


def _check_name(name: Any, place: Place, what: str) -> None:
    if not isinstance(name, str) or not name.strip() or len(name) > _MAX_NAME or not name.isprintable():
        raise place.error(f"{what} needs a name of 1 to {_MAX_NAME} printable characters, not {name!r}")


def _check_id(id_: Any, place: Place) -> None:
    from actum.engine.graph import END_MARKERS

    _check_name(id_, place, "a step")
    if id_ != id_.strip() or _NOT_IN_IDS.search(id_):
        raise place.error(f"a step cannot be called {id_!r}: . {{ }} [ ] | / # and quotes have a meaning in references")
    if id_ in _RESERVED or id_ in END_MARKERS:
        raise place.error(f"a step cannot be called {id_!r}, which has a meaning of its own")


def _one_of(value: Any, allowed: Iterable[str], place: Place) -> None:
    allowed = tuple(allowed)
    if value not in allowed:
        hint = near_miss(str(value), allowed) or f"; known: {', '.join(allowed)}"
        raise place.error(f"cannot be {value!r}{hint}")


def _check_parameters(graph: Graph) -> None:
    from actum.engine.graph import ABSENT

    seen: set[str] = set()
    for index, parameter in enumerate(graph.parameters):
        here = graph.place / "parameters" / index
        _check_name(parameter.name, here / "name", "a parameter")
        if "." in parameter.name or parameter.name in seen:
            why = (
                "is given twice" if parameter.name in seen else "holds a dot, which separates the parts of a reference"
            )
            raise (here / "name").error(f"the parameter {parameter.name!r} {why}")
        seen.add(parameter.name)
        if parameter.schema is not None:
            check_schema(parameter.schema, here / "schema")
            if parameter.default is not ABSENT:
                wrong = mismatch(dict(parameter.schema), parameter.default, "the default")
                if wrong:
                    raise (here / "default").error(wrong)


def _check_schemas(graph: Graph) -> None:
    for schema, name in ((graph.input_schema, "input_schema"), (graph.output_schema, "output_schema")):
        if schema is not None:
            check_schema(schema, graph.place / name)


# -- steps -------------------------------------------------------------------------------------------------------


def _check_step(step: GraphStep, ids: dict[str, int], known: Known, place: Place) -> None:
    _check_bounds(step, place)
    if step.question is not None:
        _one_of(step.question.severity, _SEVERITIES, place / "severity")
        _check_references(step.question.title, known, place / "title")
        _check_references(step.question.context, known, place / "context")
        return
    if step.run is None:
        raise place.error("says nothing to run")
    _check_code(step.run, place / "run")
    _check_references(step.inputs, known, place / "inputs")
    _check_references(step.config, known, place / "config")
    for name in step.optional_inputs:
        if name not in step.inputs:
            hint = near_miss(name, step.inputs)
            raise (place / "optional_inputs").error(f"there is no input {name!r}{hint}")
    for schema, name in ((step.input_schema, "input_schema"), (step.output_schema, "output_schema")):
        if schema is not None:
            check_schema(schema, place / name)
    _check_errors(step, ids, place)
    _one_of(step.on_doubt, _ON_DOUBT, place / "on_doubt")
    if step.verify is not None:
        _check_code(step.verify, place / "verify")
    if (step.on_doubt == "verify") is (step.verify is None):
        raise (place / "verify").error("goes with on_doubt: verify; give both or neither")


def _check_bounds(step: GraphStep, place: Place) -> None:
    if step.max_visits is not None and (type(step.max_visits) is not int or step.max_visits < 1):
        raise (place / "max_visits").error(f"is a whole number of at least 1, not {step.max_visits!r}")
    if isinstance(step.join, int) and not isinstance(step.join, bool):
        if step.join < 1:
            raise (place / "join").error(f"is all, any, or how many transitions must be taken, not {step.join}")
    else:
        _one_of(step.join, _JOINS, place / "join")


def _check_code(code: Code, place: Place) -> None:
    if not _CODE.fullmatch(code.ref):
        raise place.error(f"{code.ref!r} is not of the form module:name")


def _check_references(value: Any, known: Known, place: Place) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            for reference in parse(item, place / key).references():
                reference.check(known, place / key)
    else:
        for reference in parse(value, place).references():
            reference.check(known, place)


def _check_errors(step: GraphStep, ids: dict[str, int], place: Place) -> None:
    _one_of(step.on_error, _ON_ERROR, place / "on_error")
    if (step.on_error == "fallback") is (step.fallback is None):
        raise (place / "fallback").error("goes with on_error: fallback; give the step that is to run in its place")
    if step.fallback is not None and step.fallback not in ids:
        raise (place / "fallback").error(f"there is no step {step.fallback!r}{near_miss(step.fallback, ids)}")
    if step.compensate is not None and ":" not in step.compensate.ref:
        if step.compensate.ref not in ids:
            hint = near_miss(step.compensate.ref, ids) or "; code is written module:name"
            raise (place / "compensate").error(f"there is no step {step.compensate.ref!r}{hint}")
    elif step.compensate is not None:
        _check_code(step.compensate, place / "compensate")


# -- flow --------------------------------------------------------------------------------------------------------


def _check_flow(graph: Graph, ids: dict[str, int], known: Known) -> None:
    from actum.engine.graph import END_MARKERS

    flow = graph.place / "flow"
    if graph.max_visits is not None and graph.max_visits < 1:
        raise (flow / "max_visits").error(f"is a whole number of at least 1, not {graph.max_visits}")
    if graph.start_at not in ids:
        raise (flow / "start_at").error(f"there is no step {graph.start_at!r}{near_miss(graph.start_at, ids)}")
    for index, transition in enumerate(graph.transitions):
        where = transition.where
        here = flow / "transitions" / index if where is None else Place(flow.source, where)
        if transition.source not in ids:
            raise here.error(f"comes from {transition.source!r}, which is no step{near_miss(transition.source, ids)}")
        if transition.target not in ids and transition.target not in END_MARKERS:
            hint = near_miss(transition.target, (*ids, *END_MARKERS))
            raise here.error(f"leads to {transition.target!r}, which is no step and no end marker{hint}")
        if transition.when is not None:
            for reference in conditions.references(transition.when, here / "condition"):
                reference.check(known, here / "condition")
    pairs = step_pairs(graph, ids)
    _check_helpers(graph, ids)
    _check_reached(graph, ids, pairs)
    _check_cycles(graph, pairs)
    _check_joins(graph, ids, pairs)


def _check_helpers(graph: Graph, ids: dict[str, int]) -> None:
    """Steps that only stand in for others, or undo them, are not part of the flow."""
    for index, step in enumerate(graph.steps):
        here = place_of(graph, index)
        seen = [step.id]
        while (fallback := graph.steps[ids[seen[-1]]].fallback) is not None:
            if fallback in seen:
                raise (here / "fallback").error(f"goes round: {' → '.join([*seen, fallback])}")
            seen.append(fallback)
        if step.compensate is not None and step.compensate.ref in ids:
            undo = graph.steps[ids[step.compensate.ref]]
            if undo.run is None or undo.inputs or undo.compensate is not None:
                raise (here / "compensate").error(
                    f"step {undo.id!r} cannot undo another: it must run code, and take no inputs but what it undoes"
                )


def _check_reached(graph: Graph, ids: dict[str, int], pairs: list[tuple[int, int]]) -> None:
    flow = set(unreached(len(ids), ids[graph.start_at], pairs))
    helps: list[tuple[int, int]] = []
    for step in graph.steps:
        if step.fallback is not None:
            helps.append((ids[step.id], ids[step.fallback]))
        if step.compensate is not None and step.compensate.ref in ids:
            helps.append((ids[step.id], ids[step.compensate.ref]))
    lost = unreached(len(ids), ids[graph.start_at], pairs + helps)
    if lost:
        step = graph.steps[lost[0]]
        raise place_of(graph, lost[0]).error(
            f"no path from {graph.start_at!r} leads to step {step.id!r}, so it would never run; add a transition to it"
        )
    for transition in graph.transitions:
        if ids[transition.source] in flow:
            raise place_of(graph, ids[transition.source]).error(
                f"step {transition.source!r} only stands in for another, so its transition to "
                f"{transition.target!r} would never be taken"
            )


def _check_cycles(graph: Graph, pairs: list[tuple[int, int]]) -> None:
    if graph.max_visits is not None:
        return
    bounded = [step.max_visits is not None for step in graph.steps]
    cycle = unbounded_cycle(len(bounded), pairs, bounded)
    if cycle:
        names = [graph.steps[node].id for node in (*cycle, cycle[0])]
        shown = names if len(names) <= 8 else [*names[:4], "…", *names[-3:]]
        raise (graph.place / "flow").error(
            f"goes round without a bound: {' → '.join(shown)}. Give one of these steps max_visits, or the flow"
        )


def _check_joins(graph: Graph, ids: dict[str, int], pairs: list[tuple[int, int]]) -> None:
    wanted = {index: step.join for index, step in enumerate(graph.steps) if isinstance(step.join, int)}
    if not wanted:
        return
    ways = Counter(edge.target for edge in Shape(len(ids), ids[graph.start_at], pairs).edges if not edge.back)
    for index, number in wanted.items():
        if number > ways[index]:
            raise (place_of(graph, index) / "join").error(
                f"waits for {number} transitions to be taken, and only {ways[index]} lead to the step"
            )
