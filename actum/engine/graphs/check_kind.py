"""Whether a step of a further kind, a map, a budget or a choice of ways is sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actum.engine.durations import seconds
from actum.engine.graphs.checks import check_name, check_references, one_of
from actum.engine.graphs.kinds import (
    ABSENT,
    ANYWHERE,
    AskInput,
    AwaitSignal,
    Budget,
    FailWith,
    Inner,
    Over,
    Pause,
    SucceedWith,
    Transform,
)
from actum.engine.graphs.place import Place
from actum.engine.graphs.references import Known, Values
from actum.engine.graphs.templates import parse
from actum.engine.graphs.times import instant_us
from actum.engine.resources.needs import why_twice
from actum.errors import BadInput, near_miss

if TYPE_CHECKING:
    from actum.engine.graphs.graph import Graph, GraphStep

__all__ = ["check_budget", "check_kind"]

_NOT_IN_NAMES: Final = frozenset("/#")
_JOINS: Final = ("all", "any", "first_success")


def check_kind(graph: Graph, step: GraphStep, ids: dict[str, int], known: Known, place: Place) -> None:
    """Raise `DefinitionError`, with the JSON path, for the first thing that cannot be meant."""
    match step.does:
        case None:
            pass
        case Pause(seconds=duration, until=until):
            _check_pause(duration, until, known, place)
        case AwaitSignal(signal, timeout_s, default):
            check_name(signal, place / "signal", "a signal")
            if not _NOT_IN_NAMES.isdisjoint(signal):
                raise (place / "signal").error(f"a signal cannot be called {signal!r}: / and # have a meaning in keys")
            if signal in ids and signal != step.id:
                raise (place / "signal").error(f"a signal cannot be called {signal!r} like another step")
            if timeout_s is None and default is not ABSENT:
                raise (place / "default").error("goes with a timeout: it counts when the time is up")
        case AskInput(prompt):
            check_references(prompt, known, place / "prompt")
        case Inner(workflow, on_parent_close):
            one_of(on_parent_close, ("cancel", "abandon"), place / "on_parent_close")
            if isinstance(workflow, str):
                check_name(workflow, place / "workflow", "a workflow")
        case Transform(output) | SucceedWith(output):
            if isinstance(output, (str, list, dict)):
                check_references(output, known, place / "output")
        case FailWith(error, message):
            check_name(error, place / "error", "an error type")
            check_references(message, known, place / "message")
    if step.over is not None:
        _check_over(step, step.over, known, place / "map")
    if step.goto:
        _check_goto(graph, step, ids, place / "goto")
    check_budget(step.budget, place / "budget")
    if isinstance(step.does, Inner):
        inner = None if isinstance(step.does.workflow, str) else step.does.workflow
        _check_nothing_inside(step.budget, place / "budget")
        _check_nothing_inside(None if inner is None else inner.budget, place / "workflow" / "budget")
        if inner is not None and inner.hold is not None:
            raise (place / "workflow" / "needs").error(
                "is of a whole execution, and a workflow inside is none; say it of the outer one, or of the steps "
                "inside, or publish the inner one and run it by name"
            )
    twice = why_twice(step.needs, graph.hold)
    if twice:
        raise (place / "needs").error(f"can never be given: {twice}")
    for index, name in enumerate(step.services):
        check_name(name, place / "services" / index, "a service")
        if name in step.inputs:
            raise (place / "services" / index).error(f"{name!r} is an input of the step too; keep one")


def _check_pause(duration: Any, until: Any, known: Known, place: Place) -> None:
    if (duration is None) is (until is None):
        raise place.error("waits for nothing, or for two things: give it either seconds or until")
    key, value = ("seconds", duration) if until is None else ("until", until)
    here = place / key
    check_references(value, known, here)
    template = parse(value, here)
    if not template.constant:
        return
    try:
        if until is None:
            seconds(value)
        else:
            instant_us(template.render(Values({})))
    except BadInput as exc:
        raise here.error(str(exc)) from None


def _check_over(step: GraphStep, over: Over, known: Known, place: Place) -> None:
    check_references(over.items, known, place / "items")
    if parse(over.items, place / "items").constant and not isinstance(over.items, list):
        raise (place / "items").error("is a list, or a reference to one")
    if not over.as_.isidentifier():
        raise (place / "as").error(f"is the name of the item in references, not {over.as_!r}")
    if over.as_ in (*known.steps, "parameters", "steps", "index"):
        raise (place / "as").error(f"cannot be {over.as_!r}, which has a meaning already")
    if over.concurrency is not None and over.concurrency < 1:
        raise (place / "concurrency").error(f"is a whole number of at least 1, not {over.concurrency}")
    if isinstance(over.join, int) and not isinstance(over.join, bool):
        if over.join < 1:
            raise (place / "join").error(
                f"is all, any, first_success, or how many items must complete, not {over.join}"
            )
    else:
        one_of(over.join, _JOINS, place / "join")
    if over.cancel_rest and over.join == "all":
        raise (place / "cancel_rest").error("goes with a join that leaves a rest: any, a number, or first_success")
    if step.goto:
        raise (place / "items").error("gives many results, and goto looks at one; keep one of them")
    if isinstance(step.does, Inner) and isinstance(step.does.workflow, str):
        return
    if step.run is None and step.does is None:
        raise place.error("has nothing to do for an item: give the step code to run, or a workflow")


def _check_goto(graph: Graph, step: GraphStep, ids: dict[str, int], place: Place) -> None:
    from actum.engine.graphs.graph import END_MARKERS

    if step.goto != ANYWHERE or "any" in ids:
        for index, name in enumerate(step.goto):
            if name not in ids and name not in END_MARKERS:
                hint = near_miss(name, (*ids, *END_MARKERS))
                raise (place / index).error(f"names {name!r}, which is no step and no end marker{hint}")
    leads = next((one for one in graph.transitions if one.source == step.id), None)
    if leads is not None:
        raise place.error(
            f"lets the step {step.id!r} say what comes next, and there is a transition from it to {leads.target!r}; "
            "keep one of them"
        )


def _check_nothing_inside(budget: Budget | None, place: Place) -> None:
    if budget is not None and (budget.tokens is not None or budget.cost_usd is not None):
        raise place.error(
            "limits tokens or cost_usd, which are not counted apart for a workflow inside; give the limit to the whole "
            "workflow or to the steps inside, or publish the inner one with its budget and run it by name"
        )


def check_budget(budget: Budget | None, place: Place) -> None:
    """Raise `DefinitionError` for a budget that holds nothing, or less than one step."""
    if budget is None:
        return
    problem = budget.problem()
    if problem is not None:
        limit, why = problem
        raise (place / limit if limit else place).error(why)
