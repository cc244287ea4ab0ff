"""Room for the next execution of a schedule: earlier ones are asked to cancel, or ended at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actum.engine.payloads.codec import encode
from actum.engine.rules.commands import Cancel
from actum.engine.runtime.control import answer_to
from actum.errors import ControlRefused
from actum.events import Actor, NewEvent, to_text
from actum.eventstore import Append

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actum.engine.runtime.engine import Engine
    from actum.engine.schedules.state import ScheduleState

__all__ = ["make_room"]


def make_room(
    engine: Engine,
    state: ScheduleState,
    due_us: int,
    executions: Sequence[str],
    *,
    force: bool,
    after: Sequence[NewEvent] = (),
) -> None:
    """Have these executions end for the one of this time, in one append with `after`, which the schedule says first.

    Without `force` they are asked to cancel, and those that were asked already are not asked again. Raises
    `VersionConflict` when the schedule or one of them has moved on; then nothing was written.
    """
    due, by = to_text(due_us), Actor("system", state.stream)
    why = encode({"reason": f"the execution of {due} is due"}, "the reason")
    now_us = engine.world.now_us()
    command = Cancel(now_us, compensate=not force, force=force, said=why, by="system")
    asked: list[str] = []
    appends: list[Append] = []
    for id_ in executions:
        try:
            answer = answer_to(engine.store, engine.world, id_, by, lambda _state, _past: command)
        except ControlRefused:  # it has ended just now, or is being cancelled already
            continue
        asked.append(id_)
        appends += answer.appends
    told = list(after)
    if asked:
        facts = {"schedule": state.name, "due": due, "executions": asked, "force": force}
        told.append(NewEvent("schedule.made_room", facts, to_text(now_us), engine.actor, engine.world.new_id()))
    if not told:
        return
    engine.store.append([Append(state.stream, state.version, told), *appends])
    for one in appends:
        engine.look_again(one.stream.removeprefix("execution/"))
