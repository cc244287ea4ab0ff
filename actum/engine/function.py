"""The planner of durable functions: drives the user's coroutine over recorded outcomes.

Only the engine's own awaitables may be awaited. Outcomes are delivered one at a time in the order of the log,
and the coroutine runs until it waits again before the next is delivered; so the order in which it asks for
things depends on nothing but its input and those outcomes, live and on replay alike. Every branch of a
`ctx.gather` has a scope of its own, so branches cannot change each other's keys.
"""

from __future__ import annotations

import asyncio
import os
import traceback
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from actum.engine.calls import (
    Approval,
    Approve,
    Call,
    Done,
    Failure,
    Give,
    Outcome,
    Sleep,
    StepSpec,
    Wish,
)
from actum.engine.durable import Context, Gather, Pending, Workflow, driving
from actum.errors import ApprovalRejected, ForeignAwait, StepFailed

__all__ = ["FunctionPlanner", "failure_of"]

Resume = Callable[[Any, BaseException | None], None]

_ASYNCIO = os.path.dirname(asyncio.__file__)
_PATIENCE = 1_000
"""How often a coroutine may await something while it is being closed."""


def failure_of(exc: BaseException) -> Failure:
    """An exception as it is recorded: types by name, most specific first; the text; the traceback."""
    if isinstance(exc, StepFailed):  # a step's failure that ended its workflow: the cause is the step's
        return Failure(exc.error_type, f"step {exc.step!r}: {exc.message}", _traceback(exc))
    names = [cls.__name__ for cls in type(exc).__mro__[:-1] if cls is not BaseException]
    try:
        message = str(exc)
    except Exception as broken:  # noqa: BLE001 - an error that cannot say what it is, is one all the same
        message = f"(its text cannot be had: {type(broken).__name__})"
    return Failure(names[0], message, _traceback(exc), tuple(names[1:]))


def _traceback(exc: BaseException) -> str:
    return "".join(traceback.format_exception(exc, limit=-20))[-16_000:]


class _Branch:
    """One coroutine of the workflow: the main one, or a branch of a gather."""

    __slots__ = ("coro", "finished", "gathers", "occurrences", "scope")

    def __init__(self, coro: Coroutine[Any, Any, Any], scope: str, finished: Resume) -> None:
        self.coro = coro
        self.scope = scope
        self.finished = finished
        self.occurrences: dict[str, int] = {}
        self.gathers = 0

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
        self._waiting: dict[str, tuple[Pending, Resume]] = {}
        self._wishes: list[Wish] = []
        self._ready: deque[tuple[_Branch, Any, BaseException | None]] = deque()
        self._open: set[_Branch] = set()
        """Branches that have not finished."""

    def begin(self, workflow_input: Any) -> list[Wish]:
        args, kwargs = self._workflow.bind(workflow_input)
        coro: Any = self._workflow.fn(Context(self, self._execution), *args, **kwargs)
        self._begin_branch(coro, "", self._end)
        return self._run()

    def settle(self, key: str, outcome: Outcome) -> list[Wish]:
        waiting = self._waiting.pop(key, None)
        if waiting is None:
            return []
        pending, resume = waiting
        value, error = _told(pending, outcome)
        resume(value, error)
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
                _unwind(branch.coro)
        finally:
            self._branch = running
            driving.now = before
        self._waiting.clear()
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

    def pending_sleep(self, seconds: float, name: str) -> Pending:
        branch = self._branch
        assert branch is not None
        return Pending(Sleep(seconds, branch.occurrence(name), branch.scope, name))

    # -- running -----------------------------------------------------------------------------------------------------

    def _run(self) -> list[Wish]:
        """Run every branch that can go on until all of them wait; a loop, so that depth costs no stack."""
        before = driving.now
        driving.now = self
        try:
            while self._ready:
                branch, value, error = self._ready.popleft()
                self._branch = branch
                self._advance(branch, value, error)
        finally:
            self._branch = None
            driving.now = before
        wishes, self._wishes = self._wishes, []
        return wishes

    def _advance(self, branch: _Branch, value: Any, error: BaseException | None) -> None:
        while True:
            try:
                asked = branch.coro.send(value) if error is None else branch.coro.throw(error)
            except StopIteration as stop:
                self._open.discard(branch)
                branch.finished(stop.value, None)
                return
            except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 - the workflow's own: it is recorded
                self._open.discard(branch)
                branch.finished(None, exc)
                return
            if isinstance(asked, Pending) and not asked.awaited:
                self._wait(asked, _BranchResume(self, branch))
                return
            if isinstance(asked, Gather):
                self._gather(branch, asked)
                return
            value, error = None, self._foreign(branch, asked)

    def _wait(self, pending: Pending, resume: Resume) -> None:
        pending.awaited = True
        self._wishes.append(pending.wish)
        self._waiting[pending.wish.key] = (pending, resume)

    def _gather(self, parent: _Branch, gather: Gather) -> None:
        number = parent.gathers
        parent.gathers += 1
        together = _Together(self, parent, len(gather.children), gather.return_exceptions)
        if not gather.children:
            self._ready.append((parent, [], None))
        for index, child in enumerate(gather.children):
            resume = together.child(index)
            if isinstance(child, Pending) and not child.awaited:
                self._wait(child, resume)
                continue
            scope = f"{parent.scope}/g{number}.{index}" if parent.scope else f"g{number}.{index}"
            if isinstance(child, Gather):
                child = _await_gather(child)
            if isinstance(child, Coroutine):
                self._begin_branch(child, scope, resume)
            else:
                resume(None, self._foreign(parent, child))

    def _begin_branch(self, coro: Coroutine[Any, Any, Any], scope: str, finished: Resume) -> None:
        branch = _Branch(coro, scope, finished)
        self._open.add(branch)
        self._ready.append((branch, None, None))

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
        self._wishes.append(Done(value) if error is None else Give(failure_of(error)))
        self.close()


class _BranchResume:
    """Puts a branch back on the list of those that can go on."""

    __slots__ = ("_planner", "branch")

    def __init__(self, planner: FunctionPlanner, branch: _Branch) -> None:
        self._planner = planner
        self.branch = branch

    def __call__(self, value: Any, error: BaseException | None) -> None:
        self._planner._ready.append((self.branch, value, error))


class _Together:
    """Collects what the children of one gather end with."""

    __slots__ = ("_answered", "_keep_errors", "_left", "_parent", "_planner", "_results")

    def __init__(self, planner: FunctionPlanner, parent: _Branch, count: int, keep_errors: bool) -> None:
        self._planner = planner
        self._parent = parent
        self._left = count
        self._results: list[Any] = [None] * count
        self._keep_errors = keep_errors
        self._answered = False

    def child(self, index: int) -> Resume:
        def resume(value: Any, error: BaseException | None) -> None:
            self._left -= 1
            if self._answered:
                return
            if error is not None and not self._keep_errors:
                self._answered = True
                self._planner._ready.append((self._parent, None, error))
                return
            self._results[index] = value if error is None else error
            if self._left == 0:
                self._answered = True
                self._planner._ready.append((self._parent, self._results, None))

        return resume


async def _await_gather(gather: Gather) -> Any:
    return await gather


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
        except Exception:  # noqa: BLE001 - its own last words, and nobody is left to hear them
            return


def _told(pending: Pending, outcome: Outcome) -> tuple[Any, BaseException | None]:
    """What the workflow receives for an outcome: a value, or an error to be raised where it awaits."""
    wish = pending.wish
    match outcome.kind:
        case "completed":
            if isinstance(wish, Call) and wish.convert is not None:
                try:
                    return wish.convert(outcome.value), None
                except Exception as exc:  # noqa: BLE001 - the declared type's own, raised where the step is awaited
                    return None, exc
            return outcome.value, None
        case "failed":
            failure = outcome.failure
            assert failure is not None
            name = wish.spec.name if isinstance(wish, Call) else wish.key
            return None, StepFailed(name, failure.error_type, failure.message)
        case "granted":
            return {"status": "approved", "by": outcome.by, "comment": outcome.comment}, None
        case "rejected" | "expired":
            assert isinstance(wish, Approve)
            return None, ApprovalRejected(wish.approval.name, outcome.kind, outcome.by, outcome.comment)
        case "fired":
            return None, None
