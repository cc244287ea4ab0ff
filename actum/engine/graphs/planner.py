"""Runs a graph: from the outcomes of its steps, in the order of the log, to what is wanted next. Pure.

The rules:

- `marking` says which steps start and which are skipped. Everything that can start is wanted in one go.
- What a visit of a step returned is the step's output until its next visit ends or is skipped.
- A failed step means what its `on_error` says. When that is failure, or when a condition or a reference cannot
  be followed, nothing new starts; what runs is waited for; then the execution fails. Open questions to people
  are not waited for.
- A granted approval has the output `{"status": "approved", "by": …, "comment": …}`. One that is rejected or
  expires fails the execution, unless a transition out of it has a condition on its `status`; then only the
  transitions that have one can be taken, so that no step follows a "no" by default.
- A step whose output says `"status": "human_input_required"`, as in ia_modules, becomes such an approval when
  it ends: what it returned is what people are shown, and nothing follows before they have answered.
- A step that returns `Incomplete` runs again when more input has come.
- When nothing runs or waits, the execution is done. It returns `outputs`, or else the output of the step it
  ended with; of several such steps, an object with the output of each.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from actum.engine.graphs.frame import Frame
from actum.engine.graphs.graph import Graph
from actum.engine.graphs.inputs import prepare_input
from actum.engine.graphs.marking import Visit
from actum.engine.graphs.under_way import Open, Stop
from actum.engine.rules.calls import (
    Approve,
    Call,
    Child,
    Done,
    Failure,
    Give,
    Heard,
    Outcome,
    Past,
    Raced,
    Receive,
    Sleep,
    Wait,
    Wish,
)

__all__ = ["GraphPlanner", "prepare_input"]

_Asked = Call | Approve | Sleep | Wait | Child | Receive


class GraphPlanner:
    """One execution of a graph. The same outcomes in the same order always give the same wishes."""

    def __init__(self, graph: Graph, execution: str = "") -> None:
        self.execution = execution
        self.budget = graph.budget
        self.hold = graph.hold
        self.started_us = 0
        """When the execution was started."""
        self.now_us = 0
        self._frame = Frame(self, graph.plan, "", None, {})
        self._open: dict[str, Open] = {}
        self._visits: deque[tuple[Frame, Visit]] = deque()
        self._touched: dict[Frame, None] = {}
        self._said: list[Wish] = []
        self._asked: list[tuple[_Asked, Open]] = []
        self._signals: dict[str, deque[Any]] = {}
        """Name → values that nobody has read."""
        self._listening: dict[str, dict[str, None]] = {}
        """Signal → keys of those who wait for it, in order."""
        self._came: deque[tuple[Open, Any]] = deque()
        """Signals that were there when they were waited for."""

    def recall(self, past: Past) -> None:
        """Learn what the record holds beside outcomes; before `begin`."""
        self.started_us = self.now_us = past.started_us

    def begin(self, workflow_input: Any) -> list[Wish]:
        """What is wanted first; `workflow_input` is what `prepare_input` returned."""
        self._frame.begin(workflow_input or {})
        return self._run(self._frame)

    def settle(self, key: str, outcome: Outcome) -> list[Wish]:
        """What is wanted now that this has ended; nothing, when it was given up."""
        self.now_us = max(self.now_us, outcome.at_us)
        opened = self._open.pop(key, None)
        if opened is None:
            return []
        if opened.counted:
            opened.frame.count(-1)
        self._ended(opened, outcome)
        return self._run(opened.frame)

    def hear(self, heard: Heard) -> list[Wish]:
        """A signal goes to the first step that waits for it, or is kept. After a cancel nothing starts, and nothing is
        waited for."""
        self.now_us = max(self.now_us, heard.at_us)
        if heard.kind == "cancel":
            return self._cancel()
        listening = self._listening.get(heard.name)
        if not listening:
            self._signals.setdefault(heard.name, deque()).append(heard.value)
            return []
        key = next(iter(listening))
        del listening[key]
        opened = self._open.pop(key)
        self._ended(opened, Outcome("received", heard.value))
        return self._run(opened.frame)

    def _cancel(self) -> list[Wish]:
        if self._frame.over:
            return []
        for opened in self._open.values():
            if opened.counted:
                opened.frame.count(-1)
        self._open.clear()
        self._listening.clear()
        self._frame.fail(Failure("CancelledError", "the execution was cancelled"))
        return self._run(self._frame)

    # -- the driver that frames see ----------------------------------------------------------------------------------

    def open(self, wish: _Asked, opened: Open) -> None:
        self._asked.append((wish, opened))
        self._open[wish.key] = opened
        if type(wish) is Call:
            opened.counted = True
            opened.frame.count(1)
        elif type(wish) is Wait:
            unread = self._signals.get(wish.signal)
            if unread:
                del self._open[wish.key]
                self._came.append((opened, unread.popleft()))
            else:
                self._listening.setdefault(wish.signal, {})[wish.key] = None

    def give_up(self, race: Raced, lost: Callable[[Open], bool]) -> None:
        gone = [key for key, opened in self._open.items() if lost(opened)]
        for key in gone:
            opened = self._open.pop(key)
            opened.settled = True
            if opened.counted:
                opened.frame.count(-1)
            for listening in self._listening.values():
                listening.pop(key, None)
        fresh = {wish.key for wish, _ in self._asked}.intersection(gone)
        if fresh:  # asked for in this same breath: then it is not asked for at all
            self._asked = [(wish, opened) for wish, opened in self._asked if wish.key not in fresh]
        losers = tuple(key for key in gone if key not in fresh)
        if losers:
            self._said.append(race._replace(losers=losers))

    def say(self, wish: Wish) -> None:
        self._said.append(wish)

    def next(self, frame: Frame, visits: list[Visit]) -> None:
        for visit in visits:
            self._visits.append((frame, visit))
        self._touched[frame] = None

    # -- running -----------------------------------------------------------------------------------------------------

    def _ended(self, opened: Open, outcome: Outcome) -> None:
        if opened.settled or opened.left_behind or opened.frame.stopped:
            return
        opened.settled = True
        try:
            opened.frame.ended(opened, outcome)
        except Stop as stop:
            opened.frame.fail(stop.failure)

    def _run(self, frame: Frame) -> list[Wish]:
        """Go on until everything waits; a loop, so that depth costs no stack."""
        self._touched[frame] = None
        ends: list[Wish] = []
        while self._visits or self._touched or self._came:
            while self._came:
                opened, value = self._came.popleft()
                self._ended(opened, Outcome("received", value))
            while self._visits:
                frame, visit = self._visits.popleft()
                if visit.left_behind or not visit.wanted or frame.stopped:
                    continue
                try:
                    frame.visit(visit)
                except Stop as stop:
                    frame.fail(stop.failure)
            if self._came:
                continue
            frame, _ = self._touched.popitem()
            if self._asked and frame.stopped:
                self._take_back()
            ended = frame.end()
            if ended is None:
                continue
            if frame.owner is not None:
                self._ended(frame.owner, ended)
                self._touched[frame.owner.frame] = None
            elif ended.failure is not None:
                ends.append(Give(ended.failure))
            else:
                ends.append(Done(ended.value))
        wishes: list[Wish] = [*self._said, *(wish for wish, _ in self._asked), *ends]
        self._said, self._asked = [], []
        return wishes

    def _take_back(self) -> None:
        """A graph has stopped: what starts in it starts with all that could start at the same time, or not at all."""
        kept: list[tuple[_Asked, Open]] = []
        for wish, opened in self._asked:
            if not opened.frame.stopped:
                kept.append((wish, opened))
                continue
            self._open.pop(wish.key, None)
            if type(wish) is Wait:
                self._listening.get(wish.signal, {}).pop(wish.key, None)
            if opened.counted:
                opened.frame.count(-1)
                for frame in opened.frame.around():
                    self._touched[frame] = None
        self._asked = kept
