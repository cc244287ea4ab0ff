"""The engine: starts executions, owns them while they run, and finishes what other processes left behind."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Literal

import orjson

from actum.engine.approvals import answer_approval
from actum.engine.calls import Planner
from actum.engine.classes import file_payload
from actum.engine.codec import encode
from actum.engine.commands import Begin, ParkErased
from actum.engine.decider import decide
from actum.engine.definitions import Code, digest_of, find_code, planner_for, publish
from actum.engine.durable import Workflow
from actum.engine.graph import Graph
from actum.engine.graph_planner import prepare_input
from actum.engine.ports import Alone, Owners, World
from actum.engine.run import Run
from actum.engine.state import Execution, evolve, fold
from actum.engine.views import rows_after
from actum.errors import (
    BadInput,
    ExecutionFailed,
    OwnedElsewhere,
    PayloadErased,
    StoreError,
    UnknownExecution,
    VersionConflict,
    near_miss,
)
from actum.events import Actor, to_text
from actum.eventstore import NO_STREAM, Append, Appended, EventStore

__all__ = ["Engine", "Handle"]

log = logging.getLogger("actum.engine")

_POLL_S = 0.05
_DECISIONS = ("approval.granted", "approval.rejected", "execution.claimed")


class Handle:
    """An execution that was started or resumed; `id` is its id."""

    def __init__(self, id_: str, ended: asyncio.Future[Any], asking: asyncio.Event) -> None:
        self.id = id_
        self._ended = ended
        self._asking = asking

    async def result(self) -> Any:
        """Wait for the output.

        Raises `ExecutionFailed` when it fails, `ExecutionParked` when a person must look at it, `Fenced` when another
        worker has taken it over, and a `StoreError` when the store could not be reached for half a minute.
        """
        return await asyncio.shield(self._ended)

    async def wait_asking(self) -> bool:
        """Wait until the execution has ended (False), or nothing but the answer of a person can move it on (True)."""
        asking = asyncio.ensure_future(self._asking.wait())
        try:
            await asyncio.wait({asking, self._ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asking.cancel()
        return not self._ended.done()

    @property
    def done(self) -> bool:
        """Whether `result()` would answer at once."""
        return self._ended.done()


class Engine:
    """Runs durable executions on a store. An object like any other: several may live in one process.

    Use it from one event loop, as `async with Engine(store) as engine:`. Leaving lets go of what still runs; it is
    finished by the next `recover()` or `resume()`, here or in another process.

    - `worker`: the name under which it owns executions; by default one that nobody has.
    - `world`: clock, chance and ids, for tests that bring their own.
    - `owners`: who says whether another worker is alive; by default leases in a store that has
      them, lock files beside a store that is a file.
    - `max_threads`: how many steps that are plain functions run at the same time.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        worker: str | None = None,
        world: World | None = None,
        owners: Owners | None = None,
        max_threads: int = 32,
    ) -> None:
        self.store = store
        self.world = world or World()
        self.worker = worker or f"w-{self.world.new_id()[-12:]}"
        self.actor = Actor("worker", self.worker)
        self.threads = ThreadPoolExecutor(max_threads, thread_name_prefix="actum-step")
        self._owners = owners or _owners_of(store)
        self._owners.hold(self.worker)
        self._code: dict[str, Code] = {}
        self._published: set[str] = set()
        self._runs: dict[str, Run] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answers: deque[tuple[Run, Appended | Exception]] = deque()
        self._posted = False
        self._post_lock = threading.Lock()
        self._watch: asyncio.Task[None] | None = None
        self._seen = 0
        self._closed = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    def register(self, *code: Code) -> None:
        """Say where the code of executions is that other processes have started; needed for code in a script."""
        for one in code:
            self._code[one.name] = one

    async def start(
        self, code: Code, workflow_input: Any = None, *, id: str | None = None, subject: str | None = None
    ) -> Handle:
        """Start an execution; when this returns, its start is on its way to the log and its first steps follow.

        With an `id` that is there already, nothing is started: the handle is that execution's, resumed if it has
        been left. Raises `BadInput` when the input does not fit the workflow; then nothing is written.

        `subject` is the person that the execution is about, by any name: what it records of them lies under their data
        key and can be erased. The name itself is not in the log.
        """
        id_ = self._id(id)
        self._code[code.name] = code
        if id_ in self._runs:
            return _handle(self._runs[id_])
        if id is not None and self.store.stream_version(f"execution/{id_}"):
            return await self.resume(id_)
        command, given = self._begin(code, workflow_input, subject)
        run = Run(self, id_, planner_for(code, id_), code.classes)
        run.plan(given)  # before anything is written: it may refuse the input
        try:
            self._publish(code, command)
        except BaseException as exc:
            run.drop(exc)
            raise
        self._runs[id_] = run
        run.give(command)
        self._watch_over()
        return _handle(run)

    async def submit(
        self, code: Code, workflow_input: Any = None, *, id: str | None = None, subject: str | None = None
    ) -> str:
        """Record the start of an execution, durably, and run none of it: it is for whoever recovers or resumes it.

        Returns its id. Raises `BadInput` as `start` does, and `VersionConflict` for an id that is there already.
        """
        id_ = self._id(id)
        command, given = self._begin(code, workflow_input, subject)
        planner = planner_for(code, id_)
        planner.begin(given)  # before anything is written: it may refuse the input
        close = getattr(planner, "close", None)
        if close is not None:
            close()
        self._publish(code, command)
        state = Execution(id_)
        events = decide(state, command, self.actor)
        for event, new_id in zip(events, self.world.new_ids(len(events)), strict=True):
            event.id = new_id
            file_payload(event, command.key, code.classes)
            state = evolve(state, event)
        rows, _ = rows_after(state, None)
        self.store.append([Append(state.stream, NO_STREAM, events, rows)])
        return id_

    def _id(self, wanted: str | None) -> str:
        id_ = wanted or self.world.new_id()
        if not id_.isprintable() or "/" in id_ or len(id_) > 200:
            raise BadInput(f"an execution's id is 1 to 200 printable characters without '/', not {id_!r}")
        return id_

    def _begin(self, code: Code, workflow_input: Any, subject: str | None) -> tuple[Begin, Any]:
        """What records the start, and the input as the workflow will see it, now and on every replay."""
        limit_bytes = self.store.payload_limit_bytes
        recorded = encode({"input": workflow_input}, "the workflow's input", limit_bytes)
        given = orjson.loads(recorded)["input"]
        if isinstance(code, Graph):
            given = prepare_input(code, given)
            recorded = encode({"input": given}, "the workflow's input", limit_bytes)
        kind: Literal["function", "graph"] = "function" if isinstance(code, Workflow) else "graph"
        key = None if subject is None else self.store.key_for(subject)
        return Begin(self.world.now_us(), code.name, kind, digest_of(code), recorded, key), given

    def _publish(self, code: Code, command: Begin) -> None:
        if command.definition not in self._published:
            publish(self.store, code, to_text(command.at), self.actor)
            self._published.add(command.definition)

    async def resume(self, id_: str) -> Handle:
        """Finish an execution that a dead process left, or that is parked. One that has ended gives its result.

        Raises `UnknownExecution`, `OwnedElsewhere`, `NoCode`, `ReplayDiverged`, or `BadInput` for an imported one,
        which ran elsewhere; then it is left as it is. Raises `PayloadErased` when what it needs, or its result, was
        erased; one that had not ended is parked then.
        """
        if id_ in self._runs:
            return _handle(self._runs[id_])
        state = fold(id_, self.store.read_stream(f"execution/{id_}"))
        if state.version == 0:
            known = [row["id"] for row in self.store.view("executions", order="started_at", descending=True, limit=500)]
            raise UnknownExecution(id_, near_miss(id_, known))
        if state.kind == "import":
            raise BadInput(f"execution {id_!r} was imported: it ran elsewhere, and cannot be resumed here")
        at_rest = state.ended or state.status == "parked"
        if not at_rest and state.owner != self.worker and self._owners.alive(state.owner):
            raise OwnedElsewhere(id_, state.owner)
        code = None if state.ended else self._find(state.workflow, state.definition)
        run = Run(self, id_, _NOTHING, None) if code is None else Run(self, id_, planner_for(code, id_), code.classes)
        try:
            run.load()
        except BaseException as exc:
            run.drop(exc)
            if isinstance(exc, PayloadErased):
                self._park(state, exc)
            raise
        if run.state.ended:
            run._finish()
            return _handle(run)
        self._runs[id_] = run
        run.claim(None if code is None else digest_of(code))
        self._watch_over()
        return _handle(run)

    def _park(self, state: Execution, erased: PayloadErased) -> None:
        """Leave an execution that cannot go on to a person, so that it is not tried again and again."""
        version = state.version
        events = decide(state, ParkErased(self.world.now_us(), erased.version, erased.what), self.actor)
        if events:
            for event, id_ in zip(events, self.world.new_ids(len(events)), strict=True):
                event.id = id_
                state = evolve(state, event)
            rows, _ = rows_after(state, None)
            with suppress(VersionConflict):  # somebody else has it
                self.store.append([Append(state.stream, version, events, rows)])

    async def recover(self) -> tuple[list[Handle], dict[str, Exception]]:
        """Resume every execution that a dead worker left; the oldest first.

        Returns the handles, and by id the reason for each one that could not be resumed: one never stops the others.
        """
        handles: list[Handle] = []
        refused: dict[str, Exception] = {}
        alive: dict[str, bool] = {}
        left = {"status": ("running", "waiting", "compensating"), "kind": ("function", "graph")}
        for row in self.store.view("executions", left, order="started_at"):
            owner = row["owner"] or ""
            if row["id"] in self._runs:
                continue
            if owner not in alive:
                alive[owner] = self._owners.alive(owner)
            if alive[owner] and owner != self.worker:  # its own are those that it had to let go of
                continue
            try:
                handles.append(await self.resume(row["id"]))
            except Exception as exc:  # noqa: BLE001 - whatever is wrong with one, the others go on
                refused[row["id"]] = exc
        return handles, refused

    async def approve(self, id_: str, approval: str, *, by: str, comment: str = "") -> None:
        """Grant a question of an execution, as the person `by`.

        Raises `UnknownExecution`, `NotWaiting`, or `BadInput` for a name or a comment that cannot be recorded; then
        nothing is written.
        """
        self._answer(id_, approval, True, by, comment)

    async def reject(self, id_: str, approval: str, *, by: str, comment: str = "") -> None:
        """Answer no: the workflow gets `ApprovalRejected` where it asked. Raises like `approve`."""
        self._answer(id_, approval, False, by, comment)

    def _answer(self, id_: str, approval: str, granted: bool, by: str, comment: str) -> None:
        answer_approval(self.store, self.world, id_, approval, granted=granted, by=by, comment=comment)
        run = self._runs.get(id_)
        if run is not None:
            run.catch_up()

    async def close(self) -> None:
        """Let go of everything that still runs. The store stays open: it is the caller's."""
        if self._closed:
            return
        self._closed = True
        if self._watch is not None:
            self._watch.cancel()
        for run in list(self._runs.values()):
            run.drop(ExecutionFailed(run.id, "left", "EngineClosed", "the engine was closed; resume it to go on"))
        self.threads.shutdown(wait=False, cancel_futures=True)
        self._owners.release(self.worker)

    async def __aenter__(self) -> Engine:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # -- for `Run` ---------------------------------------------------------------------------------------------------

    def planner_again(self, id_: str) -> Planner:
        """A new planner for an execution that is being loaded again."""
        state = fold(id_, self.store.read_stream(f"execution/{id_}"))
        return planner_for(self._find(state.workflow, state.definition), id_)

    def post(self, run: Run, answer: Appended | Exception) -> None:
        """Bring the store's answer into the event loop; called from the writer's thread. One wake-up serves many."""
        with self._post_lock:
            self._answers.append((run, answer))
            if self._posted:
                return
            self._posted = True
        try:
            self.loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:  # the loop is gone: the log has it, nobody here is left to be told
            return

    def _deliver(self) -> None:
        with self._post_lock:
            answers = list(self._answers)
            self._answers.clear()
            self._posted = False
        for run, answer in answers:
            try:
                run.recorded(answer)
            except Exception as exc:
                log.exception("an execution was let go", extra={"execution": run.id})
                run.drop(exc)  # whatever is wrong with one, the others get their answers

    def forget(self, run: Run) -> None:
        if self._runs.get(run.id) is run:
            del self._runs[run.id]

    # -- watching for what others append -----------------------------------------------------------------------------

    def _watch_over(self) -> None:
        if self._watch is None or self._watch.done():
            self._seen = self.store.head()
            self._watch = self.loop.create_task(self._watching())

    async def _watching(self) -> None:
        """While something waits: look for decisions and take-overs that other processes have appended."""
        while self._runs:
            await asyncio.sleep(_POLL_S)
            try:
                self._look_around()
            except StoreError as exc:  # then the next look sees it
                log.warning("the store could not be read", extra={"error": str(exc)})

    def _look_around(self) -> None:
        head = self.store.head()
        if head == self._seen:
            return
        if any(run.state.waiting for run in self._runs.values()):
            fresh = self.store.read(self._seen - 1, types=_DECISIONS, payloads=False)
            for id_ in {event.stream.removeprefix("execution/") for event in fresh}:
                run = self._runs.get(id_)
                if run is not None:
                    run.catch_up()
        self._seen = head

    def _find(self, workflow: str, digest: str | None) -> Code:
        code = self._code.get(workflow)
        if code is not None and (isinstance(code, Workflow) or code.digest == digest):
            return code
        found = find_code(self.store, workflow, digest)
        if isinstance(found, Workflow):
            self._code[workflow] = found
        return found


def _handle(run: Run) -> Handle:
    return Handle(run.id, run.ended, run.asking)


class _Nothing:
    """The planner of an execution that has ended."""

    def begin(self, workflow_input: Any) -> list[Any]:
        return []

    def settle(self, key: str, outcome: Any) -> list[Any]:
        return []


_NOTHING = _Nothing()


def _owners_of(store: EventStore) -> Owners:
    if hasattr(store, "owners"):
        of_store: Owners = store.owners()
        return of_store
    path = getattr(store, "path", None)
    if path is None:
        return Alone()
    from actum.engine.ports import FileOwners

    return FileOwners(path)
