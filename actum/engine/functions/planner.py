"""The planner of durable functions: drives the user's coroutine over recorded outcomes.

Only the engine's own awaitables may be awaited. Outcomes are delivered one at a time in the order of the log,
and the coroutine runs until it waits again before the next is delivered; so the order in which it asks for
things depends on nothing but its input and those outcomes, live and on replay alike. Every branch of a
`ctx.gather` or a `ctx.race` has a scope of its own, so branches cannot change each other's keys.
"""

from __future__ import annotations

import asyncio
import os
import traceback
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from hashlib import sha256
from random import Random
from typing import Any, Literal

import orjson

from actum.engine.functions.durable import Context, ContinueAsNew, Gather, Pending, Race, Won, Workflow, driving
from actum.engine.payloads.codec import encode, why
from actum.engine.rules.calls import (
    Approval,
    Approve,
    Call,
    Child,
    Continue,
    Done,
    Failure,
    Give,
    Heard,
    Mark,
    Outcome,
    Past,
    Raced,
    Receive,
    Sleep,
    StepSpec,
    Undo,
    Wait,
    Wish,
)
from actum.engine.rules.children import child_id
from actum.errors import ApprovalRejected, BadInput, ChildFailed, ForeignAwait, StepFailed

__all__ = ["FunctionPlanner", "failure_of"]

Resume = Callable[[Any, BaseException | None], None]

_ASYNCIO = os.path.dirname(asyncio.__file__)
_PATIENCE = 1_000
"""How often a coroutine may await something while it is being closed."""


def failure_of(exc: BaseException) -> Failure:
    """An exception as it is recorded: types by name, most specific first; the text; the traceback."""
    if isinstance(exc, StepFailed):  # a step's failure that ended its workflow: the cause is the step's
        return Failure(exc.error_type, f"step {exc.step!r}: {exc.message}", _traceback(exc))
    if isinstance(exc, ChildFailed):
        return Failure(exc.error_type, f"child {exc.child!r}: {exc.message}", _traceback(exc))
    names = [cls.__name__ for cls in type(exc).__mro__[:-1] if cls is not BaseException]
    try:
        message = str(exc)
    except Exception as broken:  # noqa: BLE001 - an error that cannot say what it is, is one all the same
        message = f"(its text cannot be had: {type(broken).__name__})"
    return Failure(names[0], message, _traceback(exc), tuple(names[1:]))


def _traceback(exc: BaseException) -> str:
    return "".join(traceback.format_exception(exc, limit=-20))[-16_000:]


class _Branch:
    """One coroutine of the workflow: the main one, or a branch of a gather or a race."""

    __slots__ = ("awaits", "coro", "finished", "gathers", "groups", "occurrences", "over", "races", "rng", "scope")

    def __init__(self, coro: Coroutine[Any, Any, Any], scope: str, finished: Resume) -> None:
        self.coro = coro
        self.scope = scope
        self.finished = finished
        self.occurrences: dict[str, int] = {}
        self.gathers = 0
        self.races = 0
        self.rng: Random | None = None
        self.over = False
        """It has finished, or was closed."""
        self.awaits = ""
        """Key of the last call that it awaited itself."""
        self.groups: dict[_Group, None] | None = None
        """Gathers and races of it that still have children which have not ended."""

    def occurrence(self, name: str) -> int:
        number = self.occurrences.get(name, 0)
        self.occurrences[name] = number + 1
        return number


class FunctionPlanner:
    """One execution of a durable function. See `Planner` for what `begin` and `settle` promise."""

    def __init__(self, workflow: Workflow, execution: str) -> None:
        self._workflow = workflow
        self._execution = execution
        self._branch: _Branch | None = None
        self.now_us = 0
        self._patches: dict[str, int] = {}
        self._asked_after = -1
        self._told = 0
        self._signals: dict[str, deque[Any]] = {}
        """Name → values that nobody has read."""
        self._listening: dict[str, dict[str, None]] = {}
        """Signal → keys of those who wait for it, in order."""
        self._waiting: dict[str, tuple[Pending, Resume]] = {}
        self._wishes: list[Wish] = []
        self._ready: deque[tuple[_Branch, Any, BaseException | None]] = deque()
        self._open: set[_Branch] = set()
        """Branches that have not finished."""
        self._groups: set[_Group] = set()
        """Gathers and races of which children have not ended."""

    def recall(self, past: Past) -> None:
        """Learn what the record holds beside outcomes; before `begin`."""
        self.now_us = past.started_us
        self._patches = dict(past.patches)
        self._asked_after = past.asked_after

    def where(self, key: str) -> str:
        """The line of the code that awaits this call; empty when none does."""
        resume = self._waiting[key][1] if key in self._waiting else None
        return _where(resume.branch.coro) if isinstance(resume, _BranchResume) else ""

    def begin(self, workflow_input: Any) -> list[Wish]:
        args, kwargs = self._workflow.bind(workflow_input)
        coro: Any = self._workflow.fn(Context(self, self._execution), *args, **kwargs)
        self._begin_branch(coro, "", self._end)
        return self._run()

    def settle(self, key: str, outcome: Outcome) -> list[Wish]:
        self._told += 1
        if outcome.at_us > self.now_us:
            self.now_us = outcome.at_us
        waiting = self._waiting.pop(key, None)
        if waiting is None:
            return []
        pending, resume = waiting
        value, error = _told(self._execution, pending, outcome)
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
            for group in self._groups:
                group.cancelled = True
            for _, resume in waiting.values():
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
        running = self._branch
        try:
            while self._open:
                branch = self._branch = self._open.pop()
                branch.over = True
                _unwind(branch.coro)
        finally:
            self._branch = running
            driving.now = before
        self._waiting.clear()
        self._listening.clear()
        self._ready.clear()

    # -- the driver that `Context` and `Step` see ------------------------------------------------------------------

    def pending_step(
        self, spec: StepSpec, args: tuple[Any, ...], kwargs: dict[str, Any], convert: Callable[[Any], Any] | None
    ) -> Pending:
        branch = self._branch
        assert branch is not None
        return Pending(Call(spec, branch.occurrence(spec.name), branch.scope, args, kwargs or None, convert))

    def pending_approval(self, approval: Approval) -> Pending:
        branch = self._branch
        assert branch is not None
        return Pending(Approve(approval, branch.occurrence(approval.name), branch.scope))

    def pending_sleep(self, seconds: float, name: str, until_us: int | None = None) -> Pending:
        branch = self._branch
        assert branch is not None
        return Pending(Sleep(seconds, branch.occurrence(name), branch.scope, name, until_us))

    def pending_wait(self, signal: str) -> Pending:
        branch = self._branch
        assert branch is not None
        return Pending(Wait(signal, branch.occurrence(signal), branch.scope))

    def pending_child(
        self,
        name: str,
        workflow: Any,
        workflow_input: Any,
        id_: str | None,
        on_parent_close: Literal["cancel", "abandon"],
        convert: Callable[[Any], Any] | None,
    ) -> Pending:
        branch = self._branch
        assert branch is not None
        occurrence = branch.occurrence(name)
        return Pending(Child(name, workflow, workflow_input, occurrence, branch.scope, id_, on_parent_close, convert))

    def draw(self, what: str) -> bytes:
        """32 bytes of chance: of the execution's id, the branch, and how often this branch has drawn."""
        branch = self._branch
        assert branch is not None
        number = branch.occurrence(f"#{what}")
        return sha256(f"{self._execution}\n{branch.scope}\n{what}\n{number}".encode()).digest()

    @property
    def rng(self) -> Random:
        branch = self._branch
        assert branch is not None
        if branch.rng is None:
            branch.rng = Random(self.draw("rng"))
        return branch.rng

    def patched(self, patch: str) -> bool:
        after = self._patches.get(patch)
        if after is not None:
            return after <= self._told
        if self._told <= self._asked_after:
            return False  # the code that made this record came past here and did not know of the patch
        self._patches[patch] = self._told
        self._wishes.append(Mark(patch, self._told))
        return True

    def pending_undo(self, since: int, name: str) -> Pending:
        branch = self._branch
        assert branch is not None
        return Pending(Undo(since, branch.occurrence(name), branch.scope, name))

    def told(self) -> int:
        return self._told

    def pending_input(self, prompt: Any, name: str) -> Pending:
        branch = self._branch
        assert branch is not None
        return Pending(Receive(name, prompt, branch.occurrence(name), branch.scope))

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
            while self._ready:
                branch, value, error = self._ready.popleft()
                if not branch.over:
                    self._branch = branch
                    self._advance(branch, value, error)
        finally:
            events._set_running_loop(loop)
            self._branch = None
            driving.now = before
        wishes, self._wishes = self._wishes, []
        return wishes

    def _advance(self, branch: _Branch, value: Any, error: BaseException | None) -> None:
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
                branch.finished(None, _no_loop(self._execution, exc) or exc)
                return
            if isinstance(asked, Pending) and not asked.awaited:
                branch.awaits = asked.wish.key
                self._wait(asked, _BranchResume(self, branch))
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
        self._wishes.append(wish)
        if type(wish) is Wait:
            unread = self._signals.get(wish.signal)
            if unread:
                resume(unread.popleft(), None)
                return
            self._listening.setdefault(wish.signal, {})[wish.key] = None
        self._waiting[wish.key] = (pending, resume)

    def _gather(self, parent: _Branch, gather: Gather) -> None:
        number = parent.gathers
        parent.gathers += 1
        together = _Together(self, parent, len(gather.children), gather.return_exceptions)
        if not gather.children:
            self._ready.append((parent, [], None))
        self._begin_children(parent, gather.children, f"g{number}", together)

    def _race(self, parent: _Branch, race: Race) -> None:
        number = parent.races
        parent.races += 1
        self._begin_children(parent, race.children, f"r{number}", _First(self, parent, number, race.names))

    def _begin_children(self, parent: _Branch, children: tuple[Any, ...], name: str, group: _Group) -> None:
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
                child = _await_group(child)
            if isinstance(child, Coroutine):
                group.running[index] = self._begin_branch(child, scope, resume)
            else:
                resume(None, self._foreign(parent, child))
        if group.running:
            parent.groups[group] = None
            self._groups.add(group)

    def _begin_branch(self, coro: Coroutine[Any, Any, Any], scope: str, finished: Resume) -> _Branch:
        branch = _Branch(coro, scope, finished)
        self._open.add(branch)
        self._ready.append((branch, None, None))
        return branch

    def _decided(self, race: _First, winner: int) -> None:
        """Let go of all that lost, and say so."""
        lost: list[str] = []
        running: deque[str | _Branch] = deque(race.running.values())
        race.running = {}
        self._groups.discard(race)
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
                _unwind(one.coro)
                self._branch = running_before
            for group in one.groups or ():
                running.extend(group.running.values())
        gone = dict.fromkeys(key for key in lost if key in self._waiting)
        for key in gone:
            waited = self._waiting.pop(key)[0].wish
            if isinstance(waited, Wait):
                del self._listening[waited.signal][key]
        asked = [wish for wish in self._wishes if getattr(wish, "key", None) not in gone]
        if len(asked) < len(self._wishes):  # asked for in this same breath: then it is not asked for at all
            for wish in self._wishes:
                gone.pop(getattr(wish, "key", ""), None)
            self._wishes = asked
        self._wishes.append(Raced(race.number, race.parent.scope, str(race.names[winner]), tuple(gone)))

    def _foreign(self, branch: _Branch, asked: Any) -> ForeignAwait:
        if isinstance(asked, Pending):
            what = f"the call {asked.wish.key!r} a second time"
        elif asked is None:
            what = "a bare yield to another event loop (asyncio.sleep(0)?)"
        else:
            what = f"a {type(asked).__module__}.{type(asked).__qualname__}"
        if isinstance(asked, asyncio.Future):
            asked.cancel()  # or the tasks behind it would call steps as plain functions
        return ForeignAwait(self._execution, what, _where(branch.coro))

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


class _BranchResume:
    """Puts a branch back on the list of those that can go on."""

    __slots__ = ("_planner", "branch")

    def __init__(self, planner: FunctionPlanner, branch: _Branch) -> None:
        self._planner = planner
        self.branch = branch

    def __call__(self, value: Any, error: BaseException | None) -> None:
        self._planner._ready.append((self.branch, value, error))


class _Group:
    """Children that a branch awaits together."""

    __slots__ = ("cancelled", "over", "parent", "planner", "running")

    def __init__(self, planner: FunctionPlanner, parent: _Branch) -> None:
        self.planner = planner
        self.parent = parent
        self.running: dict[int, str | _Branch] = {}
        """Index → the call or the branch of a child that has not ended."""
        self.over = False
        """Nobody waits for the rest any more."""
        self.cancelled = False
        """The execution is to end; the parent hears of it when all children have ended."""

    def child(self, index: int) -> Resume:
        raise NotImplementedError

    def ended(self, index: int) -> None:
        self.running.pop(index, None)
        if not self.running:
            self.planner._groups.discard(self)
            if self.parent.groups is not None:
                self.parent.groups.pop(self, None)

    def was_cancelled(self) -> bool:
        """Whether what a child ends with no longer matters; the last of them brings the parent its error."""
        if self.cancelled and not self.running and not self.over:
            self.over = True
            self.planner._ready.append((self.parent, None, asyncio.CancelledError()))
        return self.cancelled


class _First(_Group):
    """Hears which child of a race ends first."""

    __slots__ = ("names", "number")

    def __init__(self, planner: FunctionPlanner, parent: _Branch, number: int, names: tuple[int | str, ...]) -> None:
        super().__init__(planner, parent)
        self.number = number
        self.names = names

    def child(self, index: int) -> Resume:
        def resume(value: Any, error: BaseException | None) -> None:
            self.ended(index)
            if self.over or self.was_cancelled():
                return
            self.over = True
            self.planner._decided(self, index)
            won = None if error is not None else Won(self.names[index], value)
            self.planner._ready.append((self.parent, won, error))

        return resume


class _Together(_Group):
    """Collects what the children of one gather end with."""

    __slots__ = ("_answered", "_keep_errors", "_left", "_results")

    def __init__(self, planner: FunctionPlanner, parent: _Branch, count: int, keep_errors: bool) -> None:
        super().__init__(planner, parent)
        self._left = count
        self._results: list[Any] = [None] * count
        self._keep_errors = keep_errors
        self._answered = False

    def child(self, index: int) -> Resume:
        def resume(value: Any, error: BaseException | None) -> None:
            self._left -= 1
            self.ended(index)
            if self._answered or self.was_cancelled():
                return
            if error is not None and not self._keep_errors:
                self._answered = True
                self.planner._ready.append((self.parent, None, error))
                return
            self._results[index] = value if error is None else error
            if self._left == 0:
                self._answered = True
                self.planner._ready.append((self.parent, self._results, None))

        return resume


async def _await_group(group: Gather | Race) -> Any:
    return await group


def _no_loop(execution: str, exc: BaseException) -> ForeignAwait | None:
    """What asyncio says to who asks it for a loop or a task while a workflow runs, as what it means."""
    if not isinstance(exc, (RuntimeError, AttributeError)):
        return None
    where, inside = "", False
    for frame, line in traceback.walk_tb(exc.__traceback__):
        name = frame.f_code.co_filename
        inside = name.startswith(_ASYNCIO)
        if not inside:
            where = f"{name}:{line}"
    asks_for_loop = "no running event loop" in str(exc) or "no current event loop" in str(exc)
    return ForeignAwait(execution, "something of asyncio", where) if inside or asks_for_loop else None


def _where(coro: Any) -> str:
    """The line of the workflow's own code, or of a helper of it, that a branch stands at."""
    where = "the workflow"
    while (frame := getattr(coro, "cr_frame", None)) is not None:
        if not frame.f_code.co_filename.startswith(_ASYNCIO):
            where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        coro = coro.cr_await
    return where


def _unwind(coro: Coroutine[Any, Any, Any]) -> None:
    for _ in range(_PATIENCE):
        try:
            coro.close()
            return
        except RuntimeError:
            continue  # it awaited something on its way out
        except (Exception, ContinueAsNew):  # noqa: BLE001 - its own last words, and nobody is left to hear them
            return


def _told(execution: str, pending: Pending, outcome: Outcome) -> tuple[Any, BaseException | None]:
    """What the workflow receives for an outcome: a value, or an error to be raised where it awaits."""
    wish = pending.wish
    match outcome.kind:
        case "completed":
            if isinstance(wish, (Call, Child)) and wish.convert is not None:
                try:
                    return wish.convert(outcome.value), None
                except Exception as exc:  # noqa: BLE001 - the declared type's own, raised where the step is awaited
                    return None, exc
            return outcome.value, None
        case "failed":
            failure = outcome.failure
            assert failure is not None
            if isinstance(wish, Child):
                id_ = wish.id or child_id(execution, wish.key)
                return None, ChildFailed(wish.name, id_, failure.error_type, failure.message)
            name = wish.spec.name if isinstance(wish, Call) else wish.key
            return None, StepFailed(name, failure.error_type, failure.message)
        case "granted":
            return {"status": "approved", "by": outcome.by, "comment": outcome.comment}, None
        case "rejected" | "expired":
            assert isinstance(wish, Approve)
            return None, ApprovalRejected(wish.approval.name, outcome.kind, outcome.by, outcome.comment)
        case "received":
            return outcome.value, None
        case "fired":
            return None, None
