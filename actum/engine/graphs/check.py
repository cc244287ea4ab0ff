"""Whether a graph's definition is sound, before any of its code is looked at."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actum.engine.graphs import conditions
from actum.engine.graphs.check_kind import check_budget, check_kind
from actum.engine.graphs.checks import ON_ERROR, check_name, check_references, one_of
from actum.engine.graphs.kinds import ANYWHERE, Inner
from actum.engine.graphs.periods import check_every, check_expiry
from actum.engine.graphs.place import Place
from actum.engine.graphs.references import OTHERS, Known
from actum.engine.graphs.shape import Shape, unbounded_cycle, unreached
from actum.engine.graphs.templates import parse
from actum.engine.payloads.json_schema import check_schema, mismatch
from actum.errors import DefinitionError, near_miss

if TYPE_CHECKING:
    from actum.engine.graphs.graph import Code, Graph, GraphStep, Transition

__all__ = ["check", "place_of", "problems", "step_pairs", "targets_of"]

_MAX_SCOPE: Final = 200
_ROOM: Final = 16
"""For what stands beside a step's name in a scope: the visit, and the number of the item."""
_NOT_IN_IDS: Final = re.compile(r"[.{}\[\]|/#'\"\x00-\x1f]")
_RESERVED: Final = ("parameters", "steps")
_CODE: Final = re.compile(r"\w+(\.\w+)*:[^\s:]+")
_ON_DOUBT: Final = ("retry", "verify", "park")
_SEVERITIES: Final = ("low", "medium", "high", "critical")
_JOINS: Final = ("all", "any", "first_success")


def check(graph: Graph, others: tuple[str, ...] = OTHERS, scope: int = 0) -> None:
    """Raise `DefinitionError`, with the JSON path, for the first thing that keeps the graph from running.

    A graph inside another one is checked with it: `others` are the names that mean something around it, and `scope`
    is how many characters the names of the steps around it have.
    """
    for piece in _pieces(graph, others, scope):
        piece()


def problems(graph: Graph) -> list[DefinitionError]:
    """Everything that keeps the graph from running, the first problem of each piece of it.

    What concerns the flow as a whole is looked at only when its pieces are sound.
    """
    found: list[DefinitionError] = []
    for piece in _pieces(graph):
        if found and isinstance(piece, _Whole):
            break
        try:
            piece()
        except DefinitionError as exc:
            found.append(exc)
    return found


def _pieces(graph: Graph, others: tuple[str, ...] = OTHERS, scope: int = 0) -> Iterator[Callable[[], None]]:
    """What there is to check, in an order in which each check can rely on those before it."""
    yield partial(_check_workflow, graph)
    if not graph.steps:
        return
    ids: dict[str, int] = {}
    for index, step in enumerate(graph.steps):
        yield partial(_check_step_id, step, ids.get(step.id), place_of(graph, index))
        ids.setdefault(step.id, index)
    known = Known(ids, {parameter.name for parameter in graph.parameters}, others)
    yield partial(_check_parameters, graph)
    for index, step in enumerate(graph.steps):
        here = place_of(graph, index)
        yield partial(_check_step, step, ids, known, here)
        yield partial(check_kind, graph, step, ids, known, here)
        yield partial(check_every, graph, step, known, here / "every")
        if isinstance(step.does, Inner) and not isinstance(step.does.workflow, str):
            inside = others if step.over is None else (*others, step.over.as_, "index")
            yield partial(_check_inner, step.does.workflow, inside, scope + len(step.id) + _ROOM, here)
    yield partial(check_budget, graph.budget, graph.place / "budget")
    yield partial(_check_schemas, graph)
    yield partial(_check_start, graph, ids)
    for index, transition in enumerate(graph.transitions):
        yield partial(_check_transition, graph, index, transition, ids, known)
    yield partial(_check_outputs, graph, known)
    yield _Whole(_check_flow, graph, ids)


class _Whole(partial[None]):
    """A check that needs all pieces to be sound."""


def _check_workflow(graph: Graph) -> None:
    place = graph.place
    check_name(graph.name, place / "name", "a workflow")
    if "/" in graph.name:
        raise (place / "name").error(f"{graph.name!r} holds a '/', which no workflow's name may")
    if not graph.steps:
        raise (place / "steps").error("is empty; a workflow has at least one step")


def _check_inner(graph: Graph, others: tuple[str, ...], scope: int, place: Place) -> None:
    if scope > _MAX_SCOPE:
        raise (place / "id").error(
            f"the names of the steps around the inner graph are too long together: more than {_MAX_SCOPE}"
        )
    check(graph, others, scope)


def _check_step_id(step: GraphStep, first: int | None, place: Place) -> None:
    _check_id(step.id, place / "id")
    if first is not None:
        raise (place / "id").error(f"there are two steps {step.id!r}; the first is steps[{first}]")


def _check_outputs(graph: Graph, known: Known) -> None:
    for reference in parse(graph.outputs, graph.place / "outputs").references():
        reference.check(known, graph.place / "outputs")


def place_of(graph: Graph, index: int) -> Place:
    """Where a step stands in its source."""
    where = graph.steps[index].where
    return graph.place / "steps" / index if where is None else Place(graph.place.source, where)


def step_pairs(graph: Graph, ids: dict[str, int]) -> list[tuple[int, int]]:
    """The transitions between steps, as numbers, each pair once and in the order of the definition."""
    pairs = ((ids[t.source], ids[t.target]) for t in graph.transitions if t.target in ids)
    found = dict.fromkeys(pairs)
    for index, step in enumerate(graph.steps):
        found.update(dict.fromkeys((index, ids[name]) for name in targets_of(graph, step) if name in ids))
    return list(found)


def targets_of(graph: Graph, step: GraphStep) -> list[str]:
    """Where a step may go without a transition: what it may choose itself, and where its catches lead."""
    if step.goto == ANYWHERE:
        helpers = {one.fallback for one in graph.steps} | {one.compensate.ref for one in graph.steps if one.compensate}
        chosen = [one.id for one in graph.steps if one.id not in helpers]
    else:
        chosen = list(step.goto)
    return [*chosen, *(one.then for one in step.catches if one.then not in ON_ERROR)]


def _check_id(id_: Any, place: Place) -> None:
    from actum.engine.graphs.graph import END_MARKERS

    check_name(id_, place, "a step")
    if id_ != id_.strip() or _NOT_IN_IDS.search(id_):
        raise place.error(f"a step cannot be called {id_!r}: . {{ }} [ ] | / # and quotes have a meaning in references")
    if id_ in _RESERVED or id_ in END_MARKERS:
        raise place.error(f"a step cannot be called {id_!r}, which has a meaning of its own")


def _check_parameters(graph: Graph) -> None:
    from actum.engine.graphs.graph import ABSENT

    seen: set[str] = set()
    for index, parameter in enumerate(graph.parameters):
        here = graph.place / "parameters" / index
        check_name(parameter.name, here / "name", "a parameter")
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
        one_of(step.question.severity, _SEVERITIES, place / "severity")
        check_references(step.question.title, known, place / "title")
        check_references(step.question.context, known, place / "context")
        return
    if step.run is None and step.does is None:
        raise place.error("says nothing to run")
    if step.run is not None:
        _check_code(step.run, place / "run")
    inside = (
        known if step.over is None else Known(known.steps, known.parameters, (*known.others, step.over.as_, "index"))
    )
    check_references(step.inputs, inside, place / "inputs")
    check_references(step.config, inside, place / "config")
    for name in step.optional_inputs:
        if name not in step.inputs:
            hint = near_miss(name, step.inputs)
            raise (place / "optional_inputs").error(f"there is no input {name!r}{hint}")
    for schema, name in ((step.input_schema, "input_schema"), (step.output_schema, "output_schema")):
        if schema is not None:
            check_schema(schema, place / name)
    _check_errors(step, ids, place)
    if step.pivot and step.compensate is not None:
        raise (place / "pivot").error("is not undone, and compensate says how to undo it; keep one")
    if step.undo_group is not None:
        if step.compensate is None:
            raise (place / "undo_group").error("is for a step with compensate")
        if not step.undo_group or len(step.undo_group) > 200 or not step.undo_group.isprintable():
            raise (place / "undo_group").error(f"is 1 to 200 printable characters, not {step.undo_group!r}")
    if step.executor:
        check_name(step.executor, place / "executor", "an executor")
    one_of(step.on_doubt, _ON_DOUBT, place / "on_doubt")
    if step.verify is not None:
        _check_code(step.verify, place / "verify")
    if (step.on_doubt == "verify") is (step.verify is None):
        raise (place / "verify").error("goes with on_doubt: verify; give both or neither")


def _check_bounds(step: GraphStep, place: Place) -> None:
    if step.max_visits is not None and (type(step.max_visits) is not int or step.max_visits < 1):
        raise (place / "max_visits").error(f"is a whole number of at least 1, not {step.max_visits!r}")
    if isinstance(step.join, tuple):
        return  # its ids are looked at with the transitions
    if isinstance(step.join, int) and not isinstance(step.join, bool):
        if step.join < 1:
            raise (place / "join").error(f"is all, any, or how many transitions must be taken, not {step.join}")
    else:
        one_of(step.join, _JOINS, place / "join")


def _check_code(code: Code, place: Place) -> None:
    if not _CODE.fullmatch(code.ref):
        raise place.error(f"{code.ref!r} is not of the form module:name")


def _check_errors(step: GraphStep, ids: dict[str, int], place: Place) -> None:
    one_of(step.on_error, ON_ERROR, place / "on_error")
    falls_back = step.on_error == "fallback" or any(one.then == "fallback" for one in step.catches)
    if falls_back is (step.fallback is None):
        raise (place / "fallback").error("goes with on_error: fallback; give the step that is to run in its place")
    _check_catches(step, ids, place / "on_error")
    if step.fallback is not None and step.fallback not in ids:
        raise (place / "fallback").error(f"there is no step {step.fallback!r}{near_miss(step.fallback, ids)}")
    if step.compensate is not None and ":" not in step.compensate.ref:
        if step.compensate.ref not in ids:
            hint = near_miss(step.compensate.ref, ids) or "; code is written module:name"
            raise (place / "compensate").error(f"there is no step {step.compensate.ref!r}{hint}")
    elif step.compensate is not None:
        _check_code(step.compensate, place / "compensate")


def _check_catches(step: GraphStep, ids: dict[str, int], place: Place) -> None:
    from actum.engine.graphs.graph import END_MARKERS

    for index, one in enumerate(step.catches):
        if not one.types or not all(one.types):
            raise (place / index / "types").error('is a list of error types, such as [ConnectionError]; ["*"] is all')
        if one.then not in ON_ERROR and one.then not in ids and one.then not in END_MARKERS:
            hint = near_miss(one.then, (*ids, *ON_ERROR, *END_MARKERS))
            raise (place / index / "then").error(
                f"is {one.then!r}, which is no step and none of {', '.join(ON_ERROR)}{hint}"
            )
        if "*" in one.types and index < len(step.catches) - 1:
            raise (place / (index + 1)).error("comes after one that catches everything, and would never be looked at")


# -- flow --------------------------------------------------------------------------------------------------------


def _check_start(graph: Graph, ids: dict[str, int]) -> None:
    flow = graph.place / "flow"
    if graph.max_visits is not None and graph.max_visits < 1:
        raise (flow / "max_visits").error(f"is a whole number of at least 1, not {graph.max_visits}")
    for start in graph.starts:
        if start not in ids:
            raise (flow / "start_at").error(f"there is no step {start!r}{near_miss(start, ids)}")
        if graph.starts.count(start) > 1:
            raise (flow / "start_at").error(f"names {start!r} twice")


def _check_transition(graph: Graph, index: int, transition: Transition, ids: dict[str, int], known: Known) -> None:
    from actum.engine.graphs.graph import END_MARKERS

    flow = graph.place / "flow"
    where = transition.where
    here = flow / "transitions" / index if where is None else Place(flow.source, where)
    if transition.source not in ids:
        raise here.error(f"comes from {transition.source!r}, which is no step{near_miss(transition.source, ids)}")
    if transition.target not in ids and transition.target not in END_MARKERS:
        hint = near_miss(transition.target, (*ids, *END_MARKERS))
        raise here.error(f"leads to {transition.target!r}, which is no step and no end marker{hint}")
    if transition.when is not None:
        conditions.check(transition.when, known, here / "condition")
    check_expiry(graph, transition, ids, here)


def _check_flow(graph: Graph, ids: dict[str, int]) -> None:
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
    flow = set(unreached(len(ids), [ids[id_] for id_ in graph.starts], pairs))
    helps: list[tuple[int, int]] = []
    for step in graph.steps:
        if step.fallback is not None:
            helps.append((ids[step.id], ids[step.fallback]))
        if step.compensate is not None and step.compensate.ref in ids:
            helps.append((ids[step.id], ids[step.compensate.ref]))
    lost = unreached(len(ids), [ids[id_] for id_ in graph.starts], pairs + helps)
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
    for index, step in enumerate(graph.steps):
        if ids[step.id] in flow and (step.goto or any(one.then not in ON_ERROR for one in step.catches)):
            raise place_of(graph, index).error(
                f"step {step.id!r} only stands in for another, so it cannot say which step comes next"
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
    for index, step in enumerate(graph.steps):
        for id_ in step.join if isinstance(step.join, tuple) else ():
            if (ids.get(id_, -1), index) not in pairs:
                sources = [graph.steps[source].id for source, target in pairs if target == index]
                raise (place_of(graph, index) / "join").error(
                    f"requires {id_!r}, from which no transition leads here{near_miss(id_, sources)}"
                )
    wanted = {index: step.join for index, step in enumerate(graph.steps) if isinstance(step.join, int)}
    if not wanted:
        return
    ways = Counter(
        edge.target for edge in Shape(len(ids), [ids[id_] for id_ in graph.starts], pairs).edges if not edge.back
    )
    for index, number in wanted.items():
        if number > ways[index]:
            raise (place_of(graph, index) / "join").error(
                f"waits for {number} transitions to be taken, and only {ways[index]} lead to the step"
            )
