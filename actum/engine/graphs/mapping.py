"""A step that is done for each item of a list. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actum.engine.graphs.asking import do, scope_of
from actum.engine.graphs.items import Items
from actum.engine.graphs.plan import StepPlan
from actum.engine.graphs.references import MISSING
from actum.engine.graphs.routing import short
from actum.engine.graphs.templates import MissingValue
from actum.engine.graphs.under_way import Open, Stop
from actum.engine.rules.calls import Failure, Raced

if TYPE_CHECKING:
    from actum.engine.graphs.frame import Frame

__all__ = ["do_item", "item_ended", "start_map"]


def start_map(frame: Frame, step: StepPlan, opened: Open) -> None:
    """Begin with the first items of the list."""
    over = step.over
    assert over is not None
    found = over.items.render(frame.values)
    if not isinstance(found, list):
        raise Stop("NotAList", f"step {step.id!r} goes over the items of a list, and was given {short(found)}")
    opened.items = Items(
        found, over.join, over.concurrency, scope_of(frame, step, opened.occurrence), opened.occurrence
    )
    if found:
        _start_items(frame, step, opened)
    else:
        item_ended(frame, opened)


def _start_items(frame: Frame, step: StepPlan, opened: Open) -> None:
    """As many as may be under way."""
    items = opened.items
    assert items is not None
    while (index := items.take()) is not None:
        scope = f"{items.around}.{index}"
        do_item(frame, step, Open(frame, opened.visit, opened.acting, items.occurrence, scope, items, index))


def do_item(frame: Frame, step: StepPlan, opened: Open) -> None:
    """The values see the item only while it starts."""
    items, over, others = opened.items, step.over, frame.values.others
    assert items is not None
    assert over is not None
    kept = {name: others[name] for name in (over.as_, "index") if name in others}
    others[over.as_], others["index"] = items.items[opened.index], opened.index
    try:
        do(frame, step, opened)
    finally:
        del others[over.as_], others["index"]
        others.update(kept)


def item_ended(frame: Frame, opened: Open) -> None:
    """One item has ended: the next one starts, or the whole map is over."""
    items = opened.items
    assert items is not None
    step = frame.plan.steps[opened.acting]
    result = items.result()
    if result is MISSING:
        try:
            _start_items(frame, step, opened)
        except MissingValue as exc:
            raise Stop("MissingValue", f"step {step.id!r} cannot start: {exc}") from None
        return
    if step.over is not None and step.over.cancel_rest and items.running:
        race = Raced(items.occurrence, frame.scope, str(opened.index), name=f"{step.id}.map")
        frame.driver.give_up(race, lambda one: _belongs(one, items))
    whole = Open(frame, opened.visit, opened.acting, opened.occurrence, frame.scope)
    if isinstance(result, Failure):
        frame.failed(whole, step, result)
    else:
        frame.go_on(whole, result)


def _belongs(opened: Open, items: Items) -> bool:
    """Whether this is open for an item of the map, directly or in a graph that runs for one."""
    while opened.items is not items:
        if opened.frame.owner is None:
            return False
        opened = opened.frame.owner
    return True
