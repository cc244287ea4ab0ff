"""Periodic steps and results that expire: how a definition says it, and whether it can be meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from actum.engine.graphs import conditions
from actum.engine.graphs.checks import ON_ERROR, one_of
from actum.engine.graphs.dialect import read_condition, read_duration
from actum.engine.graphs.kinds import Every
from actum.engine.graphs.place import Place
from actum.engine.graphs.references import Known
from actum.engine.payloads.json_values import kind
from actum.errors import near_miss

if TYPE_CHECKING:
    from actum.engine.graphs.graph import Graph, GraphStep, Transition

__all__ = ["ON_EXPIRED", "check_every", "check_expiry", "read_every"]

ON_EXPIRED: Final = ("rerun", "skip", "fail")
"""What is done with a step that would start on a result that is too old."""
_FIELDS: Final = ("interval", "times", "until")
_RENEWED: Final = ("run", "approval", "signal", "input", "workflow", "pass")


def read_every(raw: Any, id_: str, place: Place) -> Every:
    """How a step is periodic: a duration, or an object with `interval`, and with `times` or `until` for its end."""
    if not isinstance(raw, Mapping):
        return Every(read_duration(raw, place))
    for name in raw:
        if name not in _FIELDS:
            raise (place / name).error(f"there is no such field{near_miss(name, _FIELDS)}")
    if "interval" not in raw:
        raise (place / "interval").error("is missing: how much time lies between two runs?")
    times, until = raw.get("times"), raw.get("until")
    if times is not None and type(times) is not int:
        raise (place / "times").error(f"must be a whole number, not {kind(times)}")
    ends = None if until is None else read_condition(until, id_, place / "until", (id_,))
    if until is not None and ends is None:
        raise (place / "until").error("holds at once; leave every out")
    return Every(read_duration(raw["interval"], place / "interval"), times, ends)


def check_every(graph: Graph, step: GraphStep, known: Known, place: Place) -> None:
    """Raise `DefinitionError` for a step that cannot be periodic, or not in this way."""
    every = step.every
    if every is None:
        return
    if every.interval_s <= 0:
        raise place.error(f"is a time between two runs, more than 0, not {every.interval_s:g}")
    if every.times is not None and every.times < 2:
        raise (place / "times").error(f"counts all runs, so it is at least 2, not {every.times}")
    if every.until is not None:
        conditions.check(every.until, known, place / "until")
    if step.goto:
        raise place.error("runs the step again, and goto chooses once what comes next; keep one of them")
    for one in step.catches:
        if one.then not in ON_ERROR:
            raise place.error(f"runs the step again beside the flow, from where no error leads to {one.then!r}")
    for other in graph.steps:
        if step.id in (other.fallback, other.compensate.ref if other.compensate is not None else None):
            raise place.error(f"has no meaning for a step that only stands in for {other.id!r}")


def check_expiry(graph: Graph, transition: Transition, ids: Mapping[str, int], place: Place) -> None:
    """Raise `DefinitionError` for a result that cannot expire, or not in this way."""
    one_of(transition.on_expired, ON_EXPIRED, place / "on_expired")
    if transition.expires_s is None:
        return
    if transition.expires_s <= 0:
        raise (place / "expires").error(f"is for how long a result is good, more than 0, not {transition.expires_s:g}")
    if transition.target not in ids or transition.target == transition.source:
        raise (place / "expires").error("is for a transition to another step, which would start on an old result")
    source = graph.steps[ids[transition.source]]
    if transition.on_expired == "rerun" and (source.kind not in _RENEWED or source.goto):
        why = "it chooses once what comes next" if source.goto else f"it is of type {source.kind}"
        raise (place / "on_expired").error(f"cannot be rerun for {source.id!r}: {why}; use skip or fail")
