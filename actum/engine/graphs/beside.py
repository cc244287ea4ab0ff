"""Runs of a step beside the flow: what has expired is renewed, and a periodic step has its rounds. Pure.

Neither hands on: the transitions out of the step were taken once, by its visit. A renewal replaces the step's output
before a dependent starts, which waits for it. Rounds replace it for whoever reads it later. What is due is reckoned
from the times that the log gives to outcomes, so a replay comes to the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from actum.engine.graphs.kinds import Every
from actum.engine.graphs.marking import Visit
from actum.engine.graphs.references import MISSING
from actum.engine.graphs.under_way import Open, Stop
from actum.engine.rules.calls import Failure, Raced, Skip, Sleep, Take

if TYPE_CHECKING:
    from actum.engine.graphs.frame import Frame
    from actum.engine.graphs.plan import Need, StepPlan

__all__ = ["Beside", "BesideFlow", "Renewal", "Round"]

MAX_RENEWALS: Final = 10
"""How often a visit has what it depends on renewed: results that are good for less time than others take to renew
would keep it from starting for ever."""


class Beside(Visit):
    """A run that no transition has led to."""


class Renewal(Beside):
    """Of a result that has expired."""

    __slots__ = ("waiting",)

    def __init__(self, step: int, occurrence: int) -> None:
        super().__init__(step, occurrence, False)
        self.waiting: dict[Visit, Need] = {}
        """Who starts when it has ended, and what they need of it."""

    @property
    def wanted(self) -> bool:
        return any(not visit.left_behind for visit in self.waiting)


class Round(Beside):
    """One further run of a periodic step; a timer runs before it begins."""


class _Period:
    __slots__ = ("begun_us", "round", "runs", "timer")

    def __init__(self, begun_us: int) -> None:
        self.begun_us = begun_us
        self.runs = 1
        self.round: Round | None = None
        self.timer = 0


class BesideFlow:
    """What goes on beside the flow of one frame."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._ended_us: dict[int, int] = {}
        """When each step's output was made."""
        self._renewals: dict[int, Renewal] = {}
        self._held: dict[Visit, int] = {}
        """Visits that wait for renewals, and how often they did."""
        self._begun_us: dict[int, int] = {}
        self._periods: dict[int, _Period] = {}
        self._timers: dict[int, int] = {}
        """How many timers each step has had."""

    @property
    def owed(self) -> bool:
        """Whether a periodic step has rounds to come that the graph stays open for."""
        steps = self._frame.plan.steps
        return any((every := steps[number].every) is not None and every.ends for number in self._periods)

    # -- what expires ------------------------------------------------------------------------------------------------

    def holds(self, visit: Visit, step: StepPlan) -> bool:
        """Whether the visit does not start now: it waits for what is renewed, or it is skipped. Raises `Stop`."""
        frame, now_us = self._frame, self._frame.driver.now_us
        waits = False
        for need in step.needs:
            if need.closes_loop and isinstance(visit, Beside):
                continue  # renewals that wait for each other would wait for ever
            ended_us = self._ended_us.get(need.source)
            if ended_us is None or now_us - ended_us <= need.good_us:
                continue
            source = frame.plan.steps[need.source]
            if need.on_expired == "skip":
                self._skip(visit, step)
                return True
            if need.on_expired == "fail" or self._held.get(visit, 0) >= MAX_RENEWALS:
                age = (now_us - ended_us) / 1_000_000
                again = "" if need.on_expired == "fail" else f", after {MAX_RENEWALS} renewals"
                raise Stop(
                    "DependencyExpired",
                    f"step {step.id!r} cannot start: what {source.id!r} returned is good for "
                    f"{need.good_us / 1_000_000:g} s, and is {age:g} s old{again}",
                )
            self._renewal(need.source).waiting[visit] = need
            waits = True
        if waits:
            self._held[visit] = self._held.get(visit, 0) + 1
        else:
            self._held.pop(visit, None)
        return waits

    def waits(self, visit: Visit) -> bool:
        """Whether it has waited before, so that all that comes before its start has been done."""
        return visit in self._held

    def _renewal(self, number: int) -> Renewal:
        found = self._renewals.get(number)
        if found is None or not found.wanted:
            found = self._renewals[number] = Renewal(number, self._frame.marking.occurrence(number))
            self._frame.driver.next(self._frame, [found])
        return found

    def _renewed(self, renewal: Renewal) -> None:
        """Whoever waits goes on, if the way to it would still be taken."""
        frame = self._frame
        self._renewals.pop(renewal.step, None)
        source = frame.plan.steps[renewal.step]
        for visit, need in renewal.waiting.items():
            if visit.left_behind:
                continue
            step = frame.plan.steps[visit.step]
            took = frame.way_held(need.way, source)
            if took is None:
                self._skip(visit, step)
                continue
            frame.driver.say(Take(source.id, renewal.occurrence, step.id, *took, frame.scope))
            frame.driver.next(frame, [visit])

    def _skip(self, visit: Visit, step: StepPlan) -> None:
        frame = self._frame
        self._held.pop(visit, None)
        if isinstance(visit, Beside):
            raise Stop("DependencyExpired", f"step {step.id!r} cannot run again: what it depends on has expired")
        visit.begun = True
        frame.put_out(visit.step, MISSING)
        frame.last.pop(visit.step, None)
        self.skipped(visit.step)
        frame.driver.say(Skip(step.id, visit.occurrence, frame.scope))
        frame.driver.next(frame, frame.marking.end(visit, []))

    # -- what is periodic --------------------------------------------------------------------------------------------

    def begins(self, visit: Visit, step: StepPlan) -> None:
        """A visit of the step begins; what an earlier one has set going beside the flow ends."""
        if step.every is not None and not isinstance(visit, Beside):
            self._end_period(visit.step)
            self._begun_us[visit.step] = self._frame.driver.now_us

    def ended(self, visit: Visit, step: StepPlan, output: Any) -> None:
        """The step has ended, in the flow or beside it. Raises `Stop` when what waits for it cannot go on."""
        if output is MISSING:
            self._ended_us.pop(visit.step, None)
        else:
            self._ended_us[visit.step] = self._frame.driver.now_us
        if isinstance(visit, Renewal):
            self._renewed(visit)
        elif isinstance(visit, Round):
            self._round_ended(visit, step)
        elif step.every is not None:
            period = self._periods[visit.step] = _Period(self._begun_us[visit.step])
            self._next_round(visit.step, step, period)

    def _round_ended(self, visit: Round, step: StepPlan) -> None:
        period = self._periods.get(visit.step)
        if period is not None and period.round is visit:
            period.runs += 1
            self._next_round(visit.step, step, period)

    def skipped(self, number: int) -> None:
        """The step has no output any more."""
        self._ended_us.pop(number, None)

    def _next_round(self, number: int, step: StepPlan, period: _Period) -> None:
        """Set the timer of the next round, at the next whole interval since the first; or come to the end."""
        frame, every = self._frame, step.every
        assert every is not None
        if (every.times is not None and period.runs >= every.times) or frame.until_held(step):
            del self._periods[number]
            return
        interval_us = _us(every)
        since = (frame.driver.now_us - period.begun_us) // interval_us
        due_us = period.begun_us + (since + 1) * interval_us
        round_ = period.round = Round(number, 0, False)
        period.timer = self._timers.get(number, 0)
        self._timers[number] = period.timer + 1
        timer = Sleep(0, period.timer, frame.scope, f"{step.id}.every", due_us)
        frame.driver.open(timer, Open(frame, round_, number, period.timer, frame.scope))

    def fired(self, opened: Open) -> bool:
        """Whether this was the timer of a round, which then comes next."""
        visit = opened.visit
        if not isinstance(visit, Round) or visit.begun:
            return False
        visit.occurrence = self._frame.marking.occurrence(visit.step)
        self._frame.driver.next(self._frame, [visit])
        return True

    def _end_period(self, number: int) -> None:
        period = self._periods.pop(number, None)
        if period is None or period.round is None:
            return
        frame, over = self._frame, period.round
        over.left_behind = True
        race = Raced(period.timer, frame.scope, "end", name=f"{frame.plan.steps[number].id}.every")
        frame.driver.give_up(race, lambda one: _stands_for(one, over))

    def end(self) -> None:
        """The graph is over, and no round comes any more."""
        for number in list(self._periods):
            self._end_period(number)

    # -- what goes wrong ---------------------------------------------------------------------------------------------

    def failed(self, opened: Open, step: StepPlan, then: str, failure: Failure) -> bool:
        """Whether the failure of a run beside the flow has been dealt with. Raises `Stop` when the graph fails.

        A round that fails and may is as if it had not been: what the step returned before stands.
        """
        visit = opened.visit
        if not isinstance(visit, Beside) or then == "fallback":
            return False
        if then != "continue":
            raise Stop(failure.error_type, f"step {step.id!r}: {failure.message}")
        if isinstance(visit, Round):
            self._round_ended(visit, self._frame.plan.steps[visit.step])
            return True
        return False

    def cancel(self, lost: Callable[[int], bool]) -> list[Visit]:
        """The visits of steps that are lost and wait for renewals: they will not start. Lost periods are over."""
        for number in [number for number in self._periods if lost(number)]:
            del self._periods[number]
        found = [visit for visit in self._held if not isinstance(visit, Beside) and lost(visit.step)]
        for visit in found:
            del self._held[visit]
            visit.begun = True
            for renewal in self._renewals.values():
                renewal.waiting.pop(visit, None)
        return found


def _us(every: Every) -> int:
    return max(1, round(every.interval_s * 1_000_000))


def _stands_for(opened: Open, visit: Visit) -> bool:
    """Whether this is open for that visit, directly or in a graph that runs for it."""
    while opened.visit is not visit:
        if opened.frame.owner is None:
            return False
        opened = opened.frame.owner
    return True
