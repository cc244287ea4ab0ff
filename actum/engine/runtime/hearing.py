"""What children hear of the execution that started them: its signals, and that it needs them no more.

Whoever writes that into the parent's stream writes it into theirs in the same append: the worker that runs the parent,
and anybody who cancels it from another process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actum.engine.payloads.classes import file_payload
from actum.engine.rules.children import cancel_children
from actum.engine.rules.folding import evolve, fold
from actum.engine.rules.state import Execution
from actum.engine.rules.views import execution_row, rows_after
from actum.events import Actor, NewEvent
from actum.eventstore import Append, EventStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from actum.engine.runtime.ports import World

__all__ = ["child_hears", "children_hear", "newest", "told_by_child"]


def told_by_child(events: Iterable[NewEvent]) -> dict[str, list[NewEvent]]:
    """Of these events of an execution those that its children hear, by the child's id and in order."""
    told: dict[str, list[NewEvent]] = {}
    for event in events:
        if event.type in ("child.signalled", "child.cancel_requested"):
            told.setdefault(event.facts["execution"], []).append(event)
    return told


def children_hear(store: EventStore, world: World, actor: Actor, events: Iterable[NewEvent]) -> list[Append]:
    """What these events mean for the streams of children as they are now, and of their children in turn."""
    appends: list[Append] = []
    for id_, told in told_by_child(events).items():
        child = newest(store, id_)
        if child.ended or child.version == 0:
            continue
        before, version = execution_row(child), child.version
        heard = child_hears(child, told, world, actor)
        if heard:
            appends.append(Append(child.stream, version, heard, rows_after(child, before)[0]))
            appends += children_hear(store, world, actor, heard)
    return appends


def child_hears(child: Execution, told: Sequence[NewEvent], world: World, actor: Actor) -> list[NewEvent]:
    """What these events of its parent are in the stream of a child that has not ended; its state goes along.

    One that is asked to stop asks its own children in the same moment.
    """
    heard: list[NewEvent] = []
    for event in told:
        if event.type == "child.signalled":
            facts = {"signal": event.facts["signal"]}
            now = [NewEvent("signal.received", facts, event.at, actor, payload=event.payload)]
        elif child.cancel_requested:
            continue
        else:
            now = [NewEvent("execution.cancel_requested", {"by": "system"}, event.at, actor)]
            now += cancel_children(child, child.open_children, event.at, actor)
        for said in now:
            said.id = world.new_id()
            file_payload(said, child.key, None)
            evolve(child, said)
        heard += now
    return heard


def newest(store: EventStore, id_: str) -> Execution:
    """An execution, or what it has gone on as."""
    while True:
        state = fold(id_, store.read_stream(f"execution/{id_}"))
        if state.next is None:
            return state
        id_ = state.next
