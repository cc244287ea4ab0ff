"""Taking executions up: those that other processes have left behind, those that are asleep, those that are parked."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from actum.engine.definitions import KINDS, Code, find_code, steps_of
from actum.engine.functions.workflow import Workflow
from actum.engine.publishing import digest_of, newest
from actum.engine.rules.commands import ParkDiverged, ParkErased
from actum.engine.rules.decider import decide
from actum.engine.rules.folding import evolve, fold
from actum.engine.rules.state import Execution, nothing_under_way
from actum.engine.rules.views import rows_after
from actum.engine.runtime.around import check_services
from actum.engine.runtime.handle import Handle, handle_of
from actum.engine.runtime.parts import Parts
from actum.engine.runtime.work import HOLD
from actum.errors import (
    BadInput,
    ExecutionPaused,
    Fenced,
    OwnedElsewhere,
    PayloadErased,
    ReplayDiverged,
    StoreError,
    UnknownExecution,
    VersionConflict,
    near_miss,
)
from actum.eventstore import Append

if TYPE_CHECKING:
    from collections.abc import Collection

    from actum.engine.runtime.run import Run

__all__ = ["Taking"]

log = logging.getLogger("actum.engine")


class Taking(Parts):
    """Executions that are in the log already come to run here."""

    async def resume(self, id_: str) -> Handle:
        """Finish an execution that a dead process left, or that is parked. One that has ended gives its result.

        One that goes on as another is followed there.

        Raises `UnknownExecution`, `OwnedElsewhere`, `NoCode`, `ExecutionPaused`, `MissingService`, or `BadInput` for an
        imported one, which ran elsewhere; then it is left as it is. Raises `ReplayDiverged` when today's code asks for
        something else than was recorded: then it is parked, which the log says once; resume it with code that fits.
        Raises `PayloadErased` when what it needs, or its result, was erased; one that had not ended is parked then.
        """
        return handle_of(self._resume(id_))

    def _resume(self, id_: str, *, own: bool = False) -> Run:
        """As `resume`. With `own`, one that has another owner is not taken over: raises `Fenced`."""
        if id_ in self._runs:
            return self._runs[id_]
        past = self.store.read_stream(f"execution/{id_}")
        state = fold(id_, past)
        if own and state.owner != self.worker:
            raise Fenced(id_, state.owner)
        if state.version == 0:
            known = [row["id"] for row in self.store.view("executions", order="started_at", descending=True, limit=500)]
            raise UnknownExecution(id_, near_miss(id_, known))
        if state.kind == "import":
            raise BadInput(f"execution {id_!r} was imported: it ran elsewhere, and cannot be resumed here")
        if state.next is not None:
            return self._resume(state.next)
        if state.paused:
            raise ExecutionPaused(id_)
        at_rest = state.ended or state.status == "parked"
        if not at_rest and state.owner != self.worker and self.owners.alive(state.owner):
            raise OwnedElsewhere(id_, state.owner)
        code = None if state.ended else self._find(state.workflow, state.definition)
        if code is not None:
            check_services(steps_of(code), self.services)
        run = self._run_of(id_, code)
        try:
            run.load(past)
        except BaseException as exc:
            run.drop(exc)
            now = self.world.now_us()
            if isinstance(exc, PayloadErased):
                self._park(state, ParkErased(now, exc.version, exc.what))
            elif isinstance(exc, ReplayDiverged):
                definition = None if code is None else digest_of(code)
                self._park(state, ParkDiverged(now, exc.recorded, exc.asked, exc.where, definition))
            raise
        if run.state.ended:
            run._finish()
            return run
        self._runs[id_] = run
        self.resting.forget(id_)
        self._watch_over()
        digest = None if code is None else digest_of(code)
        if state.owner == self.worker and self._goes_on(state) and digest == state.definition:
            run.go_on()
        else:
            run.claim(digest)
        return run

    def _goes_on(self, state: Execution) -> bool:
        """Whether nothing of it has to be begun again: nothing was under way, and what it holds it has."""
        has = state.hold is None or state.held_up or self.desk.holds(f"{state.id}/{HOLD}")
        return has and nothing_under_way(state)

    def _bring_back(self, id_: str) -> None:
        """Wake an execution that was let go of while it waited; what stands against it is heard by whoever waits."""
        try:
            self._resume(id_, own=True)
        except StoreError:
            raise
        except Exception as exc:  # noqa: BLE001 - it is its waiter's, and the others go on
            log.warning("an execution was let go", extra={"execution": id_, "error": str(exc)})
            self.resting.forget(id_)
            self.desk.forget(id_)
            if self.when_left is not None:
                self.when_left(id_, exc)
            awaited = self._awaited.get(id_)
            if awaited is not None:
                awaited.fail(exc)

    def _park(self, state: Execution, command: ParkErased | ParkDiverged) -> None:
        """Leave an execution that cannot go on to a person, so that it is not tried again and again."""
        version = state.version
        events = decide(state, command, self.actor)
        if events:
            for event, id_ in zip(events, self.world.new_ids(len(events)), strict=True):
                event.id = id_
                state = evolve(state, event)
            rows, _ = rows_after(state, None)
            with suppress(VersionConflict):  # somebody else has it
                self.store.append([Append(state.stream, version, events, rows)])

    async def recover(self) -> tuple[list[Handle], dict[str, Exception]]:
        """Resume every execution that a dead worker left; by priority, then the oldest first.

        Returns the handles, and by id the reason for each one that could not be resumed: one never stops the others.
        """
        handles: list[Handle] = []
        refused: dict[str, Exception] = {}
        alive: dict[str, bool] = {}
        left = {"status": ("running", "waiting", "compensating"), "kind": KINDS}
        rows = self.store.view("executions", left, order="started_at")
        for row in sorted(rows, key=lambda row: -(row["priority"] or 0)):
            owner = row["owner"] or ""
            if row["id"] in self._runs or row["id"] in self.resting.asleep:
                continue
            if owner not in alive:
                alive[owner] = self.owners.alive(owner)
            if alive[owner] and owner != self.worker:  # its own are those that it had to let go of
                continue
            try:
                handles.append(await self.resume(row["id"]))
            except Exception as exc:  # noqa: BLE001 - whatever is wrong with one, the others go on
                refused[row["id"]] = exc
        return handles, refused

    def _heard(self, id_: str) -> None:
        """Somebody has appended to an execution that may be run here."""
        run = self._runs.get(id_)
        if run is not None:
            run.catch_up()
        else:
            self.resting.wake(id_)

    # -- which code --------------------------------------------------------------------------------------------------

    def register(self, *code: Code) -> None:
        """Say where the code of executions is that other processes have started; needed for code in a script."""
        for one in code:
            self._code[one.name] = one

    def check_services(self, workflows: Collection[str] | None = None) -> None:
        """Raise `MissingService` when registered code, of these workflows only, asks for what is not there."""
        for code in self._code.values():
            if workflows is None or code.name in workflows:
                check_services(steps_of(code), self.services)

    def code_named(self, workflow: str) -> Code:
        """The workflow's code as it was registered here, or as it was published last. Raises `BadInput` or `NoCode`."""
        return self._code_of(workflow)

    def _code_of(self, workflow: Code | str) -> Code:
        """The code that a child runs: itself, or what is known here, or was published last, under that name."""
        if not isinstance(workflow, str):
            self._code.setdefault(workflow.name, workflow)
            return workflow
        known = self._code.get(workflow)
        return self._find(workflow, newest(self.store, workflow).definition) if known is None else known

    def _find(self, workflow: str, digest: str | None) -> Code:
        code = self._code.get(workflow)
        if code is not None and (isinstance(code, Workflow) or code.digest == digest):
            return code
        found = find_code(self.store, workflow, digest)
        if isinstance(found, Workflow):
            self._code[workflow] = found
        return found
