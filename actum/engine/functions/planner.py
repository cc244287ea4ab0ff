"""The planner of durable functions: drives the user's coroutine over recorded outcomes.

Only the engine's own awaitables may be awaited. Outcomes are delivered one at a time in the order of the log,
and the coroutine runs until it waits again before the next is delivered; so the order in which it asks for
things depends on nothing but its input and those outcomes, live and on replay alike. Every branch of a
`ctx.gather` or a `ctx.race` has a scope of its own, so branches cannot change each other's keys.
"""

from __future__ import annotations

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Coroutine
from typing import Any

import orjson

from actum.engine.functions.awaited import ChildHandle, ContinueAsNew, Gather, Pending, Race, driving
from actum.engine.functions.branches import Branch, BranchResume, First, Group, Resume, Together, await_group
from actum.engine.functions.context import Context
from actum.engine.functions.coroutines import no_loop, unwind, where_of
from actum.engine.functions.driver import BranchDriver
from actum.engine.functions.outcomes import failure_of, told_of
from actum.engine.functions.workflow import Workflow
from actum.engine.payloads.codec import encode, why
from actum.engine.rules.calls import (
    Continue,
    Done,
    Failure,
    Give,
    Heard,
    Outcome,
    Past,
    Raced,
    Wait,
    Wish,
)
from actum.errors import BadInput, ForeignAwait

__all__ = ["FunctionPlanner"]


class FunctionPlanner(BranchDriver):
    """One execution of a durable function. See `Planner` for what `begin` and `settle` promise."""

    def __init__(self, workflow: Workflow, execution: str) -> None:
        self._workflow = workflow
        self.budget = workflow.budget
        self.hold = workflow.hold
        super().__init__(execution)
        self._signals: dict[str, deque[Any]] = {}
        """Name → values that nobody has read."""
        self._listening: dict[str, dict[str, None]] = {}
        """Signal → keys of those who wait for it, in order."""
        self._waiting: dict[str, tuple[Pending, Resume]] = {}
        self.ready: deque[tuple[Branch, Any, BaseException | None]] = deque()
        self._open: set[Branch] = set()
        """Branches that have not finished."""
        self.groups: set[Group] = set()
        """Gathers and races of which children have not ended."""

    def recall(self, past: Past) -> None:
        """Learn what the record holds beside outcomes; before `begin`."""
        self.now_us = past.started_us
        self._patches = dict(past.patches)
        self._asked_after = past.asked_after

    def where(self, key: str) -> str:
        """The line of the code that awaits this call; empty when none does."""
        resume = self._waiting[key][1] if key in self._waiting else None
        return where_of(resume.branch.coro) if isinstance(resume, BranchResume) else ""

    def begin(self, workflow_input: Any) -> list[Wish]:
        args, kwargs = self._workflow.bind(workflow_input)
        coro: Any = self._workflow.fn(Context(self, self._execution), *args, **kwargs)
        self._begin_branch(coro, "", self._end)
        return self._run()

    def settle(self, key: str, outcome: Outcome) -> list[Wish]:
        self._told += 1
        if outcome.at_us > self.now_us:
            self.now_us = outcome.at_us
        if key in self._handles:
            handle = self._handles[key]
            handle.outcome, handle.awaited = outcome, False
        waiting = self._waiting.pop(key, None)
        if waiting is None:
            return []
        pending, resume = waiting
        value, error = told_of(self._execution, pending, outcome)
        resume(value, error)
        return self._run()

    def hear(self, heard: Heard) -> list[Wish]:
        """A signal goes to the first who waits for it, or is kept; a cancel is raised wherever the workflow awaits.

        It is `asyncio.CancelledError`. A branch that awaits a gather or a race gets it when all branches of that have
        finished, as in asyncio.
        """
        self._told += 1
        self.now_us = max(self.now_us, heard.at_us)
        if heard.kind == "cancel":
            waiting, self._waiting = self._waiting, {}
            self._listening.clear()
            for group in self.groups:
                group.cancelled = True
            for pending, resume in waiting.values():
                if isinstance(pending, ChildHandle):
                    pending.awaited = False  # it goes on, and may be awaited again
                resume(None, asyncio.CancelledError())
            return self._run()
        listening = self._listening.get(heard.name)
        if not listening:
            self._signals.setdefault(heard.name, deque()).append(heard.value)
            return []
        key = next(iter(listening))
        del listening[key]
        self._waiting.pop(key)[1](heard.value, None)
        return self._run()

    def close(self) -> None:
        """Let go of coroutines that will not be finished. What they ask for while they unwind is not heard.

        That takes care: outside of a planner a step is the plain function, and a `finally: await refund()` that
        Python unwinds by itself, some time later, would run it for real.
        """
        before, driving.now = driving.now, self
        running, asked = self._branch, len(self._wishes)
        try:
            while self._open:
                branch = self._branch = self._open.pop()
                branch.over = True
                unwind(branch.coro)
        finally:
            self._branch = running
            driving.now = before
        del self._wishes[asked:]
        self._waiting.clear()
        self._listening.clear()
        self.ready.clear()

    # -- running -----------------------------------------------------------------------------------------------------

    def _run(self) -> list[Wish]:
        """Run every branch that can go on until all of them wait; a loop, so that depth costs no stack."""
        before = driving.now
        driving.now = self
        loop = events._get_running_loop()
        events._set_running_loop(
            None
        )  # what asks asyncio for its loop or task is told, where it asks, that there is none
        try:
            while self.ready:
                branch, value, error = self.ready.popleft()
                if not branch.over:
                    self._branch = branch
                    self._advance(branch, value, error)
        finally:
            events._set_running_loop(loop)
            self._branch = None
            driving.now = before
        wishes, self._wishes = self._wishes, []
        return wishes

    def _advance(self, branch: Branch, value: Any, error: BaseException | None) -> None:
        while True:
            try:
                asked = branch.coro.send(value) if error is None else branch.coro.throw(error)
            except StopIteration as stop:
                branch.over = True
                self._open.discard(branch)
                branch.finished(stop.value, None)
                return
            except ContinueAsNew as new:
                branch.over = True
                self._open.discard(branch)
                self._continue(new.input)
                return
            except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 - the workflow's own: it is recorded
                branch.over = True
                self._open.discard(branch)
                branch.finished(None, no_loop(self._execution, exc) or exc)
                return
            if isinstance(asked, Pending) and not asked.awaited:
                branch.awaits = asked.key
                self._wait(asked, BranchResume(self, branch))
                return
            if isinstance(asked, Gather):
                self._gather(branch, asked)
                return
            if isinstance(asked, Race):
                self._race(branch, asked)
                return
            value, error = None, self._foreign(branch, asked)

    def _wait(self, pending: Pending, resume: Resume) -> None:
        pending.awaited = True
        wish = pending.wish
        if isinstance(pending, ChildHandle):
            if pending.outcome is None:
                self._waiting[pending.key] = (pending, resume)
            else:
                pending.awaited = False
                resume(*told_of(self._execution, pending, pending.outcome))
            return
        self._wishes.append(wish)
        if type(wish) is Wait:
            unread = self._signals.get(wish.signal)
            if unread:
                resume(unread.popleft(), None)
                return
            self._listening.setdefault(wish.signal, {})[wish.key] = None
        self._waiting[pending.key] = (pending, resume)

    def _gather(self, parent: Branch, gather: Gather) -> None:
        number = parent.gathers
        parent.gathers += 1
        together = Together(self, parent, len(gather.children), gather.return_exceptions)
        if not gather.children:
            self.ready.append((parent, [], None))
        self._begin_children(parent, gather.children, f"g{number}", together)

    def _race(self, parent: Branch, race: Race) -> None:
        number = parent.races
        parent.races += 1
        self._begin_children(parent, race.children, f"r{number}", First(self, parent, number, race.names))

    def _begin_children(self, parent: Branch, children: tuple[Any, ...], name: str, group: Group) -> None:
        if parent.groups is None:
            parent.groups = {}
        for index, child in enumerate(children):
            if group.over:  # somebody has won already; who has not begun does not begin
                if isinstance(child, Coroutine):
                    child.close()
                continue
            resume = group.child(index)
            if isinstance(child, Pending) and not child.awaited:
                group.running[index] = child.wish.key
                self._wait(child, resume)
                continue
            scope = f"{parent.scope}/{name}.{index}" if parent.scope else f"{name}.{index}"
            if isinstance(child, (Gather, Race)):
                child = await_group(child)
            if isinstance(child, Coroutine):
                group.running[index] = self._begin_branch(child, scope, resume)
            else:
                resume(None, self._foreign(parent, child))
        if group.running:
            parent.groups[group] = None
            self.groups.add(group)

    def _begin_branch(self, coro: Coroutine[Any, Any, Any], scope: str, finished: Resume) -> Branch:
        branch = Branch(coro, scope, finished)
        self._open.add(branch)
        self.ready.append((branch, None, None))
        return branch

    def decided(self, race: First, winner: int) -> None:
        """Let go of all that lost, and say so."""
        lost: list[str] = []
        running: deque[str | Branch] = deque(race.running.values())
        race.running = {}
        self.groups.discard(race)
        while running:
            one = running.popleft()
            if isinstance(one, str):
                lost.append(one)
                continue
            if not one.over:
                one.over = True
                self._open.discard(one)
                lost.append(one.awaits)
                running_before, self._branch = self._branch, one
                asked_before = len(self._wishes)
                unwind(one.coro)
                del self._wishes[asked_before:]
                self._branch = running_before
            for group in one.groups or ():
                running.extend(group.running.values())
        gone: dict[str, None] = {}
        for key in lost:
            if key not in self._waiting:
                continue
            pending = self._waiting.pop(key)[0]
            if isinstance(pending, ChildHandle):
                pending.awaited = False  # only the wait for it is over
                continue
            gone[key] = None
            if isinstance(pending.wish, Wait):
                del self._listening[pending.wish.signal][key]
        asked = [wish for wish in self._wishes if getattr(wish, "key", None) not in gone]
        if len(asked) < len(self._wishes):  # asked for in this same breath: then it is not asked for at all
            for wish in self._wishes:
                gone.pop(getattr(wish, "key", ""), None)
            self._wishes = asked
        self._wishes.append(Raced(race.number, race.parent.scope, str(race.names[winner]), tuple(gone)))

    def _foreign(self, branch: Branch, asked: Any) -> ForeignAwait:
        if isinstance(asked, Pending):
            what = f"the call {asked.wish.key!r} a second time"
        elif asked is None:
            what = "a bare yield to another event loop (asyncio.sleep(0)?)"
        else:
            what = f"a {type(asked).__module__}.{type(asked).__qualname__}"
        if isinstance(asked, asyncio.Future):
            asked.cancel()  # or the tasks behind it would call steps as plain functions
        return ForeignAwait(self._execution, what, where_of(branch.coro))

    def _end(self, value: Any, error: BaseException | None) -> None:
        """The workflow is over, and with it every branch that is still open."""
        self._wishes.append(self._returned(value) if error is None else Give(failure_of(error)))
        self.close()

    def _returned(self, value: Any) -> Done | Give:
        """The end with this output, which must be what the workflow declares."""
        check = self._workflow.returns
        if check is not None:
            try:
                check(orjson.loads(encode(value, "the workflow's output")))
            except ValueError as exc:
                said = f"workflow {self._workflow.name!r}: its output does not fit what it declares: {why(exc)}"
                return Give(Failure("OutputMismatch", said))
            except BadInput:
                pass  # no JSON, or too much of it: whoever records it says so
        return Done(value)

    def _continue(self, workflow_input: Any) -> None:
        try:
            self._workflow.bind(orjson.loads(encode(workflow_input, "the input to go on with")))
        except BadInput as exc:
            self._wishes.append(Give(failure_of(exc)))
        else:
            self._wishes.append(Continue(workflow_input))
        self.close()
