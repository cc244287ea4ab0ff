"""`ctx`: what a workflow may do beside calling steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NoReturn, get_args
from uuid import UUID

from actum.engine.durations import seconds
from actum.engine.functions.awaited import ChildHandle, ContinueAsNew, Driver, Gather, Pending, Race, Savepoint, named
from actum.engine.functions.step import Step, hints_of, short, spec_of
from actum.engine.functions.workflow import Workflow
from actum.engine.payloads.classes import classes_of_function
from actum.engine.payloads.codec import Checked, checker_for, decoder_for, encode, encode_question, why
from actum.engine.rules.calls import Approval, ParentClose, Severity
from actum.errors import BadInput, Mismatch, SignalTimeout

__all__ = ["Context"]

_RAISE: Any = object()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Context:
    """What a workflow may do beside calling steps. Everything here is recorded and comes out the same on replay.

    `execution` is the id of the execution that runs.
    """

    __slots__ = ("_driver", "execution")

    def __init__(self, driver: Driver, execution: str) -> None:
        self._driver = driver
        self.execution = execution

    def step(self, name: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Pending:
        """Call any function as a step of this name, without a decorator: `await ctx.step("fetch", fetch, url)`."""
        if isinstance(fn, Step):
            spec = replace(fn.full_spec, name=named("step", name))
            return self._driver.pending_step(spec, args, kwargs, fn.convert)
        spec = spec_of(fn, name, None, None, None, "retry", None, None)
        classes = classes_of_function(fn, None, 0, "args", "")
        spec = spec if classes is None else replace(spec, classes=classes)
        return self._driver.pending_step(spec, args, kwargs, decoder_for(hints_of(fn).get("return")))

    def gather(self, *children: Any, return_exceptions: bool = False) -> Gather:
        """Run calls and coroutines side by side and wait for all; the results come in the order given.

        The first failure is raised at once while the others go on, as with `asyncio.gather`; with
        `return_exceptions` failures stand among the results instead. When the workflow ends while others still go
        on, attempts that are running are waited for and recorded; such a branch asks for nothing more, and a step
        that waits for its next attempt is given up.
        """
        return Gather(children, return_exceptions)

    def approve(self, approval: Approval | str) -> Pending:
        """Ask people, and wait without holding anything. Raises `ApprovalRejected` on no, or when the deadline passes.

        The result is `{"status": "approved", "by": …, "comment": …}`.
        """
        asked = Approval(approval) if isinstance(approval, str) else approval
        named("approval", asked.name)
        if asked.severity not in get_args(Severity):
            raise BadInput(f"an approval's severity is {', '.join(get_args(Severity))}, not {asked.severity!r}")
        if asked.deadline_s is not None:
            asked = replace(asked, deadline_s=seconds(asked.deadline_s))
        encode_question(asked)  # what cannot be shown is an error here, where it was written
        return self._driver.pending_approval(asked)

    def sleep(self, duration: float | str, name: str = "sleep") -> Pending:
        """Wait, through restarts too; seconds, or text such as `"2h"`."""
        return self._driver.pending_sleep(seconds(duration), named("timer", name))

    def savepoint(self) -> Savepoint:
        """Remember this place, so that `ctx.compensate(to=…)` undoes only what completes after it."""
        return Savepoint(self._driver.told())

    def compensate(self, to: Savepoint | None = None) -> Pending:
        """Undo now what has completed so far, or since a savepoint, in reverse order; then the workflow goes on.

        What a pivot has settled stays. Raises `StepFailed` with the error type `CompensationFailed`, naming the steps,
        when something could not be undone. Raises `BadInput` when `to` is no savepoint.
        """
        if to is not None and not isinstance(to, Savepoint):
            raise BadInput(f"ctx.compensate(to=…) takes what ctx.savepoint() gave, not {short(to)}")
        return self._driver.pending_undo(0 if to is None else to.told, "compensate")

    def receive(self, prompt: Any = None, name: str = "input") -> Pending:
        """Say how far the workflow has come, and wait for more input, which is the result.

        Until it is there the execution is incomplete: `handle.result()` raises `Incomplete` with this prompt, and
        `engine.continue_` gives the input. Raises `BadInput` for a prompt that is not JSON.
        """
        encode({"prompt": prompt}, "what the workflow asks for")
        return self._driver.pending_input(prompt, named("input", name))

    def sleep_until(self, when: datetime, name: str = "sleep") -> Pending:
        """Wait until an instant, through restarts too; one that has passed already ends at once.

        Raises `BadInput` for a time without a time zone.
        """
        if when.tzinfo is None:
            raise BadInput(f"{when!r} has no time zone, so it is no instant; write datetime(…, tzinfo=UTC)")
        until_us = (when - _EPOCH) // timedelta(microseconds=1)
        return self._driver.pending_sleep(0, named("timer", name), until_us)

    def race(self, *children: Any, **named: Any) -> Race:
        """Run calls and coroutines side by side; the first to end wins, and the others are given up.

        The result is a `Won`: `which`, the index or the name of the first, and its `value`. When the first ends with a
        failure, that is raised. What the others wait for is given up: an attempt under way is cancelled and recorded
        as `step.cancelled` (its effect may have happened), questions are withdrawn, timers do not fire any more,
        children are asked to stop. Their coroutines are closed where they stand, and calls in their `finally` are not
        heard; steps of theirs that have completed are undone as any other when the execution fails.
        """
        if not children and not named:
            raise BadInput("a race needs somebody who runs")
        return Race((*range(len(children)), *named), (*children, *named.values()))

    def wait_signal(
        self, name: str, type: Any = None, *, timeout: float | str | None = None, default: Any = _RAISE
    ) -> Awaitable[Any]:
        """Wait for the next signal of this name that was not read yet, whether it came before or comes later.

        Its value is made into `type`, if one is given; raises `Mismatch` when it does not fit. When none comes within
        `timeout` (seconds, or text such as `"2h"`): raises `SignalTimeout`, or gives `default` if there is one.
        """
        named("signal", name)
        convert = None if type is None else checker_for(type)
        if timeout is None and convert is None:
            return self._driver.pending_wait(name)
        return self._wait_signal(name, convert, None if timeout is None else seconds(timeout), default)

    async def _wait_signal(self, name: str, convert: Checked | None, timeout_s: float | None, default: Any) -> Any:
        if timeout_s is None:
            value = await self._driver.pending_wait(name)
        else:
            timer = self._driver.pending_sleep(timeout_s, f"{name} timeout"[:200])
            won = await self.race(signal=self._driver.pending_wait(name), timeout=timer)
            if won.which == "timeout":
                if default is _RAISE:
                    raise SignalTimeout(name)
                return default
            value = won.value
        if convert is None:
            return value
        try:
            return convert(value)
        except ValueError as exc:
            raise Mismatch(f"signal {name!r}", why(exc)) from None

    def child(
        self,
        workflow: Any,
        workflow_input: Any = None,
        *,
        id: str | None = None,
        on_parent_close: ParentClose = "cancel",
    ) -> Pending:
        """Run another workflow as an execution of its own and wait for its output.

        `workflow` is a `@workflow`, a graph, or the name of a published workflow. It may be run by any worker, and
        goes on when this one is down. Raises `ChildFailed` when it ends without success or cannot be started. Its id
        is derived from this execution's unless given. When this execution ends first, the child is asked to stop, or
        left alone with `on_parent_close="abandon"`; with `"wait"` the end waits for it, as for `ctx.start_child`.
        """
        return self._driver.pending_child(*_child(workflow, workflow_input, id, on_parent_close))

    def start_child(
        self,
        workflow: Any,
        workflow_input: Any = None,
        *,
        id: str | None = None,
        on_parent_close: ParentClose = "abandon",
    ) -> ChildHandle:
        """Start another workflow as an execution of its own, and go on at once, whether anybody awaits it or not.

        What comes back can be awaited at any time, in a `ctx.gather` or a `ctx.race` too, and be sent signals and
        cancelled; for the rest it is as `ctx.child`, so that one that cannot be started raises `ChildFailed` where it
        is awaited. When this execution ends first, the child goes on alone. With `on_parent_close="cancel"` it is asked
        to stop. With `"wait"` this execution ends only when the child has: when it fails or is cancelled, the child is
        asked to stop, and has stopped before anything is undone here.
        """
        return self._driver.start_child(*_child(workflow, workflow_input, id, on_parent_close))

    def now(self) -> datetime:
        """The time, as far as the workflow has heard: that of the last event it was told of. The same on replay."""
        return _EPOCH + timedelta(microseconds=self._driver.now_us)

    def random(self) -> float:
        """A number from [0, 1), the same on replay. It follows from the execution's id: not for secrets."""
        return int.from_bytes(self._driver.draw("random")[:8], "big") / 2**64

    @property
    def rng(self) -> Random:
        """A generator of chance, one for each branch, the same on replay. Not for secrets."""
        return self._driver.rng

    def uuid(self) -> UUID:
        """An id that nobody has, the same on replay. Not for secrets."""
        return UUID(bytes=self._driver.draw("uuid")[:16], version=4)

    def patched(self, patch: str) -> bool:
        """Whether this execution takes the new way at a change of the code that goes by this name.

        True in executions that came here under the changed code, and for ever after in them, which is recorded as
        `patch.marked`; false in those whose record was made by the code before: they go on as they have begun.
        """
        if not patch or not patch.isprintable() or len(patch) > 200:
            raise BadInput(f"the name of a patch is 1 to 200 printable characters, not {patch!r}")
        return self._driver.patched(patch)

    def continue_as_new(self, workflow_input: Any = None) -> NoReturn:
        """End this execution here, and go on as a new one of this workflow with this input: for what never ends.

        The next starts in the same append, its id follows from this one's (`poll`, `poll~1`, …), signals that were not
        read go with it, and whoever waits for the result gets the last one's. What has completed is not undone any
        more; children go on alone, and nobody hears of their end.
        """
        raise ContinueAsNew(workflow_input)


def _child(
    workflow: Any, workflow_input: Any, id_: str | None, on_parent_close: ParentClose
) -> tuple[str, Any, Any, str | None, ParentClose, Checked | None]:
    """What a driver is given to start a child with; raises `BadInput` for what can be none."""
    name = workflow if isinstance(workflow, str) else getattr(workflow, "name", None)
    if not isinstance(name, str):
        raise BadInput(f"a child is a workflow, a graph or the name of a published one, not {short(workflow)}")
    if on_parent_close not in get_args(ParentClose):
        raise BadInput(f"on_parent_close is cancel, abandon or wait, not {on_parent_close!r}")
    convert = workflow.returns if isinstance(workflow, Workflow) else None
    return named("child", name), workflow, workflow_input, id_, on_parent_close, convert
