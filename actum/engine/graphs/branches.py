"""The branches before a join that has what it waited for, and wants the rest of them cancelled. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actum.engine.graphs.beside import Beside, Renewal
from actum.engine.graphs.marking import Visit
from actum.engine.graphs.plan import StepPlan
from actum.engine.graphs.under_way import Open
from actum.engine.rules.calls import Raced

if TYPE_CHECKING:
    from actum.engine.graphs.frame import Frame

__all__ = ["cancel_branches"]


def cancel_branches(frame: Frame, visit: Visit, step: StepPlan) -> None:
    """The join has what it waited for: what is still under way in the branches that lead to it ends here."""
    steps = frame.plan.steps

    def leads_here(number: int) -> bool:
        join = steps[number].leads_to
        while join is not None and join != visit.step:
            join = steps[join].leads_to
        return join is not None

    losers: dict[Visit, None] = dict.fromkeys(frame.beside.cancel(leads_here))

    def lost(opened: Open) -> bool:
        while opened.frame is not frame:
            if opened.frame.owner is None:
                return False
            opened = opened.frame.owner
        if isinstance(opened.visit, Renewal):
            return not opened.visit.wanted
        if opened.left_behind or not leads_here(opened.visit.step):
            return False
        if not isinstance(opened.visit, Beside):
            losers[opened.visit] = None
        return True

    race = Raced(visit.occurrence, frame.scope, frame.last_ended, name=f"{step.id}.join")
    frame.driver.give_up(race, lost)
    for one in losers:
        frame.last.pop(one.step, None)
        frame.driver.next(frame, frame.marking.end(one, []))
