"""What people and programs ask of an execution from outside: answers, input, signals, and to stop or go on."""

from __future__ import annotations

from typing import Any

from actum.engine.runtime.approvals import answer_approval
from actum.engine.runtime.control import Control
from actum.engine.runtime.handle import Handle, handle_of
from actum.engine.runtime.inputs import give_input
from actum.engine.runtime.signals import send_signal
from actum.engine.runtime.taking import Taking

__all__ = ["Asking"]


class Asking(Taking):
    """Each of these records what is asked; whoever runs the execution, here or elsewhere, sees it in the log."""

    async def approve(self, id_: str, approval: str, *, by: str, comment: str = "") -> None:
        """Grant a question of an execution, as the person `by`.

        Raises `UnknownExecution`, `NotWaiting`, or `BadInput` for a name or a comment that cannot be recorded; then
        nothing is written.
        """
        self._answer(id_, approval, True, by, comment)

    async def reject(self, id_: str, approval: str, *, by: str, comment: str = "") -> None:
        """Answer no: the workflow gets `ApprovalRejected` where it asked. Raises like `approve`."""
        self._answer(id_, approval, False, by, comment)

    async def continue_(self, id_: str, value: Any = None, *, name: str | None = None) -> Handle:
        """Give an execution the input it has asked for, and go on with it here.

        `name` says which request is meant, by name or key, when there are several. Raises `UnknownExecution`,
        `NotWaiting`, or `BadInput` for what cannot be recorded; then nothing is written. Raises like `resume`
        afterwards: the input is recorded then, and whoever runs the execution goes on with it.
        """
        give_input(self.store, self.world, id_, name, value, self.actor, self._known)
        run = self._runs.get(id_)
        if run is None:
            return await self.resume(id_)
        run.catch_up()
        return handle_of(run)

    async def signal(self, id_: str, name: str, value: Any = None, *, signal_id: str | None = None) -> None:
        """Send an execution a signal, whether or not it waits for one; it stands in the log when this returns.

        The same `signal_id` again sends nothing. An execution that goes on as another is followed there. Raises
        `UnknownExecution`, `ExecutionEnded`, or `BadInput` for a name or a value that cannot be recorded; then nothing
        is written.
        """
        at = send_signal(
            self.store, self.world, id_, name, value, signal_id=signal_id, by=self.actor, known=self._known
        )
        self._heard(at)

    def _answer(self, id_: str, approval: str, granted: bool, by: str, comment: str) -> None:
        answer_approval(
            self.store, self.world, id_, approval, granted=granted, by=by, comment=comment, known=self._known
        )
        self._heard(id_)

    async def pause(self, id_: str, *, by: str, reason: str | None = None) -> None:
        """Start nothing new of an execution until `unpause`; attempts that run end and are recorded.

        That holds through restarts. What falls due meanwhile happens afterwards. Raises `UnknownExecution`, or
        `ControlRefused` when it has ended, is parked, or is being cancelled; then nothing is written.
        """
        self._control(id_).pause(by, reason)
        self._heard(id_)

    async def unpause(self, id_: str, *, by: str) -> None:
        """Go on after a pause. A worker that still has the execution does; else `recover` or `resume` take it up.

        Raises `UnknownExecution`, or `ControlRefused` when it is not paused.
        """
        self._control(id_).unpause(by)
        self._heard(id_)

    async def cancel(
        self, id_: str, *, by: str, compensate: bool = True, force: bool = False, reason: str = ""
    ) -> None:
        """Ask an execution to end; it ends as cancelled, whatever its workflow then returns.

        A durable function gets `asyncio.CancelledError` wherever it awaits and may clean up; a graph starts nothing
        new. Attempts that run are stopped, open questions are withdrawn, children that do not go on alone are asked to
        cancel in the same moment, and theirs. Then what has completed is undone, unless
        `compensate` says no. `force` ends it at once, as it is. Raises `UnknownExecution`, or `ControlRefused` when it
        has ended or is being cancelled already, which only `force` ends.
        """
        self._control(id_).cancel(by, compensate=compensate, force=force, reason=reason)
        self._heard(id_)

    async def retry(self, id_: str, *, by: str, reason: str = "") -> list[str]:
        """Have the step tried again that an execution failed of, or that is in doubt; returns the keys of such steps.

        The end of a failed execution is taken back; `resume` or `recover` goes on with it. Raises `UnknownExecution`,
        or `ControlRefused`, saying why, when compensation ran or the workflow had gone on after the failure.
        """
        return self._control(id_).retry(by, reason)

    async def skip(self, id_: str, step: str, *, by: str, reason: str, result: Any = None) -> str:
        """Let `result` stand in the place of a step that failed, is in doubt, or waits for another attempt.

        `step` is its key, or its name where that is clear; returns the key. Raises `UnknownExecution`,
        `ControlRefused`, or `BadInput` for a result that cannot be recorded and a reason that is missing.
        """
        key = self._control(id_).skip(by, step, reason, result)
        self._heard(id_)
        return key

    def _control(self, id_: str) -> Control:
        return Control(self.store, self.world, id_)
