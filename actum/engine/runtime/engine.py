"""The engine: starts executions, owns them while they run, and finishes what other processes left behind."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal
from weakref import WeakValueDictionary

import orjson

from actum.engine.definitions import (
    KINDS,
    Code,
    find_code,
    planner_for,
    steps_of,
)
from actum.engine.foreign.code import Foreign
from actum.engine.functions.durable import Workflow
from actum.engine.graphs.graph import Graph
from actum.engine.graphs.planner import prepare_input
from actum.engine.labels import Options
from actum.engine.payloads.classes import file_payload
from actum.engine.payloads.codec import encode
from actum.engine.publishing import digest_of, kind_of, newest, publish
from actum.engine.resources.declared import Resources
from actum.engine.resources.desk import Desk
from actum.engine.rules.calls import Planner
from actum.engine.rules.commands import Begin, ParkDiverged, ParkErased
from actum.engine.rules.decider import decide
from actum.engine.rules.folding import evolve, fold
from actum.engine.rules.state import Execution, nothing_under_way
from actum.engine.rules.views import rows_after
from actum.engine.runtime.approvals import answer_approval
from actum.engine.runtime.around import Middleware, check_services
from actum.engine.runtime.control import Control
from actum.engine.runtime.executors import Executor, Executors
from actum.engine.runtime.inputs import give_input
from actum.engine.runtime.ports import Observer, Owners, World, owners_of
from actum.engine.runtime.resting import Awaited, Resting
from actum.engine.runtime.run import Run
from actum.engine.runtime.signals import send_signal
from actum.engine.runtime.watchdog import Watchdog
from actum.errors import (
    BadInput,
    ExecutionFailed,
    ExecutionPaused,
    Fenced,
    IdTaken,
    Incomplete,
    OwnedElsewhere,
    PayloadErased,
    ReplayDiverged,
    StoreError,
    UnknownExecution,
    VersionConflict,
    near_miss,
)
from actum.events import Actor, NewEvent, to_text
from actum.eventstore import NO_STREAM, Append, Appended, EventStore

__all__ = ["Engine", "Handle"]

log = logging.getLogger("actum.engine")

_POLL_S = 0.05
_FROM_OUTSIDE = (
    "approval.granted",
    "approval.rejected",
    "child.ended",
    "execution.cancel_requested",
    "execution.cancelled",
    "execution.claimed",
    "execution.paused",
    "execution.resumed",
    "input.received",
    "signal.received",
    "step.skipped",
)


class Handle:
    """An execution that was started or resumed; `id` is its id."""

    def __init__(self, id_: str, awaited: Awaited) -> None:
        self.id = id_
        self._awaited = awaited

    async def result(self) -> Any:
        """Wait for the output.

        Raises `Incomplete` while nothing but more input can move it on, with what it has said so far; then
        `engine.continue_` goes on.

        Raises `ExecutionFailed` when it fails, `ExecutionParked` when a person must look at it, `Fenced` when another
        worker has taken it over, and a `StoreError` when the store could not be reached for half a minute.
        """
        awaited = self._awaited
        if not awaited.ended.done():
            more = asyncio.ensure_future(awaited.incomplete.event.wait())
            try:
                await asyncio.wait({more, awaited.ended}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                more.cancel()
            if not awaited.ended.done() and awaited.incomplete.said is not None:
                raise awaited.incomplete.said
        return await asyncio.shield(awaited.ended)

    async def wait_asking(self) -> bool:
        """Wait until the execution has ended (False), or nothing but the answer of a person can move it on (True)."""
        awaited = self._awaited
        asking = [asyncio.ensure_future(event.wait()) for event in (awaited.asking, awaited.incomplete.event)]
        try:
            await asyncio.wait({*asking, awaited.ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in asking:
                one.cancel()
        return not awaited.ended.done()

    @property
    def incomplete(self) -> Incomplete | None:
        """What it has said so far and which input it waits for, while nothing but that can move it on."""
        return None if self._awaited.ended.done() else self._awaited.incomplete.said

    @property
    def done(self) -> bool:
        """Whether `result()` would answer at once."""
        return self._awaited.ended.done()


class Engine:
    """Runs durable executions on a store. An object like any other: several may live in one process.

    Use it from one event loop, as `async with Engine(store) as engine:`. Leaving lets go of what still runs; it is
    finished by the next `recover()` or `resume()`, here or in another process.

    - `worker`: the name under which it owns executions; by default one that nobody has.
    - `world`: clock, chance and ids, for tests that bring their own.
    - `owners`: who says whether another worker is alive; by default leases in a store that has
      them, lock files beside a store that is a file.
    - `max_threads`: how many steps that are plain functions run at the same time.
    - `executors`: where steps run that name an executor, beside `asyncio`, `threads`, `process` and `ray`. They are
      closed with the engine.
    - `idle_after_s`: how long an execution that only waits stays in memory; it is brought back when it is due, or when
      something has come for it. None keeps all.
    - `max_recoveries`: an execution that was taken over from a dead worker so often, and nothing of it came to an end
      in between, is parked at the next time, naming the step that ran. None begins it again for ever.
    - `blocked_after_s`: when the event loop has not turned for so long, a warning names the step, or the line, that
      holds it up. None: nobody looks.
    - `observer`: who is told what executions do, such as `Tracing`; by default nobody.
    - `services`: objects that steps ask for by name, such as clients and pools: `@step(services=["db"])` gives the
      step's parameter `db` the service of that name, as does `services: [db]` in a graph, and any step finds all of
      them in `current_step().services`. They are never recorded.
    - `resources`: pools, rate limits and circuit breakers that steps may need; a step that needs another can never
      begin. On a store that several processes share, they are of all of them together.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        worker: str | None = None,
        world: World | None = None,
        owners: Owners | None = None,
        max_threads: int = 32,
        executors: Mapping[str, Executor] | None = None,
        idle_after_s: float | None = 60.0,
        max_recoveries: int | None = 5,
        blocked_after_s: float | None = 10.0,
        observer: Observer | None = None,
        services: Mapping[str, Any] | None = None,
        resources: Resources | None = None,
    ) -> None:
        self.store = store
        self.services: Mapping[str, Any] = MappingProxyType(dict(services or {}))
        self.middleware: tuple[Middleware, ...] = ()
        self.world = world or World()
        self.observer = observer
        self.worker = worker or f"w-{self.world.new_id()[-12:]}"
        self.actor = Actor("worker", self.worker)
        self.executors = Executors(executors or {}, max_threads)
        self.owners = owners or owners_of(store)
        self.owners.hold(self.worker)
        self.desk = Desk(resources or Resources(), store, self.owners, self.world, self.worker, self._told)
        self._code: dict[str, Code] = {}
        self._checked: set[str] = set()
        self._published: set[str] = set()
        self._runs: dict[str, Run] = {}
        self.max_recoveries = max_recoveries
        self.draining = False
        """Nothing new is begun; what is under way comes to its end and is recorded."""
        self._awaited: WeakValueDictionary[str, Awaited] = WeakValueDictionary()
        self.moved = asyncio.Event()
        """Set when the log has grown, as far as this process looks."""
        self._watch_always = False
        self.when_left: Callable[[str, BaseException | None], None] | None = None
        """Called when an execution has ended here, or was let go of by an error."""
        self._resting: Resting | None = None
        self._idle_after_s = idle_after_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answers: deque[tuple[Run, Appended | Exception]] = deque()
        self._posted = False
        self._post_lock = threading.Lock()
        self._blocked_after_s = blocked_after_s
        self._watchdog: Watchdog | None = None
        self._following: set[asyncio.Task[None]] = set()
        self._watch: asyncio.Task[None] | None = None
        self._seen = 0
        self._head = 0
        self._versions: dict[str, int] = {}
        self._closed = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    @property
    def resting(self) -> Resting:
        if self._resting is None:
            self._resting = Resting(self.loop, self._runs, self._bring_back, self.world.now_us, self._idle_after_s)
        return self._resting

    def awaited(self, id_: str) -> Awaited:
        """What whoever waits for this execution waits for; the same as long as anybody does."""
        awaited = self._awaited.get(id_)
        if awaited is None or awaited.ended.done():
            awaited = self._awaited[id_] = Awaited(self.loop)
        return awaited

    def register(self, *code: Code) -> None:
        """Say where the code of executions is that other processes have started; needed for code in a script."""
        for one in code:
            self._code[one.name] = one

    def use(self, *middleware: Middleware) -> None:
        """Stand these around every attempt of a step, and of a compensation, that this engine starts from now on.

        The first one given is the outermost: its code before `await call()` runs first, and that behind it last. All of
        it is inside the step's time-out and runs in the event loop, around plain functions too.
        """
        self.middleware = (*self.middleware, *middleware)

    async def start(
        self,
        code: Code,
        workflow_input: Any = None,
        *,
        id: str | None = None,
        subject: str | None = None,
        timeout: float | str | None = None,
        deadline: datetime | None = None,
        priority: int | None = None,
        tags: Sequence[str] | None = None,
        attributes: Mapping[str, str | int | bool] | None = None,
        trace: str | None = None,
    ) -> Handle:
        """Start an execution; when this returns, its start is on its way to the log and its first steps follow.

        With an `id` that is there already, nothing is started: the handle is that execution's, resumed if it has
        been left. Raises `BadInput` when the input does not fit the workflow, `MissingService`, which is one too, when
        a step of a graph asks for a service that is not there, `IdTaken` when the id names an execution of another
        workflow or with another input, and `WorkflowDeprecated` when the definition is not to be started any more; then
        nothing is written.

        `subject` is the person that the execution is about, by any name: what it records of them lies under their data
        key and can be erased. The name itself is not in the log.

        - `timeout`: how long it may take, seconds or text such as `"1h"`; `deadline`: when it must have ended, with an
          offset from UTC. The earlier one counts; then it is cancelled from inside and fails as timed out.
        - `priority`: what is higher is taken up first where several executions wait; 0 unless said.
        - `tags` (names) and `attributes` (names and text, whole numbers, true or false) are what it can be found by.
          They are in the log for ever: nothing personal belongs there.
        `trace` is the `traceparent` of whoever asks for it, and is recorded; with an `observer`, by default what is
        current here.
        """
        id_ = self._id(id)
        self._code[code.name] = code
        options = Options(timeout, deadline, priority, tags, attributes)
        if id_ in self._runs:
            self._check_same(self._runs[id_].state, code, workflow_input)
            return _handle(self._runs[id_])
        if id is not None and self.store.stream_version(f"execution/{id_}"):
            self._check_same(fold(id_, self.store.read_stream(f"execution/{id_}", 0, 1)), code, workflow_input)
            return await self.resume(id_)
        if isinstance(code, Graph):
            check_services(code.plan.specs(), self.services)
        command, given = self._begin(code, workflow_input, subject, options, trace, here=True)
        run = Run(self, id_, planner_for(code, id_), code.classes)
        run.plan(given, command.at)  # before anything is written: it may refuse the input
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
        self,
        code: Code,
        workflow_input: Any = None,
        *,
        id: str | None = None,
        subject: str | None = None,
        timeout: float | str | None = None,
        deadline: datetime | None = None,
        priority: int | None = None,
        tags: Sequence[str] | None = None,
        attributes: Mapping[str, str | int | bool] | None = None,
        trace: str | None = None,
        together_with: Sequence[Append] = (),
        causation: str | None = None,
    ) -> str:
        """Record the start of an execution, durably, and run none of it: it is for whoever recovers or resumes it.

        Returns its id, also when it is there already. Takes what `start` takes, and raises `BadInput` and `IdTaken` as
        that does. `together_with` is recorded in the same append, so that it is there exactly when the start is;
        `causation` is the id of the event that the start follows from.
        """
        id_ = self._id(id)
        if id is not None and not together_with and self.store.stream_version(f"execution/{id_}"):
            self._check_same(fold(id_, self.store.read_stream(f"execution/{id_}", 0, 1)), code, workflow_input)
            return id_
        options = Options(timeout, deadline, priority, tags, attributes)
        command, given = self._begin(code, workflow_input, subject, options, trace)
        self._try(code, id_, given)
        self._publish(code, command)
        state = Execution(id_)
        events = decide(state, command, Actor("service", self.worker))  # no worker: whoever comes first may have it
        for event, new_id in zip(events, self.world.new_ids(len(events)), strict=True):
            event.id = new_id
            event.causation = causation
            file_payload(event, command.key, code.classes)
            state = evolve(state, event)
        rows, _ = rows_after(state, None)
        self.store.append([*together_with, Append(state.stream, NO_STREAM, events, rows)])
        return id_

    def _try(self, code: Code, id_: str, given: Any) -> None:
        """See that an execution could begin with this input, before anything is written: it may be refused."""
        planner = planner_for(code, id_)
        planner.begin(given)
        close = getattr(planner, "close", None)
        if close is not None:
            close()

    async def schedule(
        self,
        name: str,
        code: Code | str,
        workflow_input: Any = None,
        *,
        cron: str | None = None,
        every: float | str | None = None,
        on: str | None = None,
        on_facts: dict[str, Any] | None = None,
        zone: str = "UTC",
        start: datetime | str | None = None,
        end: datetime | str | None = None,
        jitter: float | str | None = None,
        missed: Literal["skip", "one", "all"] | None = None,
        catch_up: float | str = "24h",
        overlap: Literal["skip", "buffer_one", "allow"] | None = None,
        max_running: int | None = None,
        by: str | None = None,
    ) -> bool:
        """Have executions of a workflow begin by themselves; whoever runs `run_schedules` begins them, each one once.

        The time comes from `cron` (five fields, on the clocks of `zone`), from `every` (an interval, from `start`), or
        from each event of the type `on` whose facts are `on_facts`: then the workflow's input is
        `{"event": …, "input": …}`. `code` is a workflow, or the name of one that was published; its newest definition
        runs.

        Of executions that nobody began in time, `missed` says how many are begun later, if it is not more than
        `catch_up` later: none, one, or all. The others are recorded as missed. When one is due while
        `max_running` (1, or any number for `allow`) of the schedule's executions run, `overlap` says what becomes of
        it: left out, kept until there is room, or begun beside them.

        The same definition again changes nothing, and gives False. Another one holds from now on. Raises `BadInput`
        for what cannot be meant, and when the input does not fit; `NoCode` for a name that nothing was published under.
        """
        from actum.engine.schedules.control import Schedules
        from actum.engine.schedules.definition import schedule_of

        if isinstance(code, str):
            code = self.code_named(code)
        else:
            self._code[code.name] = code
        wanted = schedule_of(
            name,
            code.name,
            workflow_input,
            cron=cron,
            every=every,
            on=on,
            on_facts=on_facts,
            zone=zone,
            start=start,
            end=end,
            jitter=jitter,
            missed=missed,
            catch_up=catch_up,
            overlap=overlap,
            max_running=max_running,
        )
        command, given = self._begin(code, workflow_input, None, Options(), None)
        if on is None:
            self._try(code, name, given)
        self._publish(code, command)
        return Schedules(self.store, self.world, self.actor if by is None else Actor("person", by)).define(wanted)

    async def run_schedules(self) -> None:
        """Begin, and see through, what schedules say, until this is cancelled. Any number of processes may do it."""
        from actum.engine.schedules.scheduler import Scheduler

        await Scheduler(self).run()

    def code_named(self, workflow: str) -> Code:
        """The workflow's code as it was registered here, or as it was published last. Raises `BadInput` or `NoCode`."""
        return self._code_of(workflow)

    def _id(self, wanted: str | None) -> str:
        id_ = wanted or self.world.new_id()
        if not id_.isprintable() or "/" in id_ or len(id_) > 200:
            raise BadInput(f"an execution's id is 1 to 200 printable characters without '/', not {id_!r}")
        return id_

    def _begin(
        self,
        code: Code,
        workflow_input: Any,
        subject: str | None,
        options: Options,
        trace: str | None,
        *,
        here: bool = False,
    ) -> tuple[Begin, Any]:
        """What records the start, and the input as the workflow will see it, now and on every replay."""
        if trace is not None:
            from actum.engine.tracing.traceparent import check_traceparent

            check_traceparent(trace)
        elif self.observer is not None:
            trace = self.observer.caller()
        definition = digest_of(code)
        if definition not in self._checked:
            for spec in steps_of(code):
                self.executors.check(spec)
                if here:
                    self.desk.rules.check(spec.name, spec.needs)
            self._checked.add(definition)
        recorded, given = self._input_of(code, workflow_input)
        now = self.world.now_us()
        deadline_us, labels = options.deadline_us(now, getattr(code, "timeout_s", None)), options.labels(code)
        key = None if subject is None else self.store.key_for(subject)
        begin = Begin(now, code.name, kind_of(code), definition, recorded, key, deadline_us, *labels, trace=trace)
        return begin, given

    def _input_of(self, code: Code, workflow_input: Any) -> tuple[bytes, Any]:
        """The input as it is recorded, and as the workflow will see it."""
        limit_bytes = self.store.payload_limit_bytes
        recorded = encode({"input": workflow_input}, "the workflow's input", limit_bytes)
        given = orjson.loads(recorded)["input"]
        if isinstance(code, Graph):
            given = prepare_input(code, given)
            recorded = encode({"input": given}, "the workflow's input", limit_bytes)
        elif isinstance(code, Foreign):
            given = code.build().prepare(given)
            recorded = encode({"input": given}, "the workflow's input", limit_bytes)
        return recorded, given

    def _check_same(self, state: Execution, code: Code, workflow_input: Any) -> None:
        """The id was given before: it must be for the same. An input that was erased is not compared."""
        if state.workflow != code.name:
            raise IdTaken(state.id, "workflow", state.workflow, code.name)
        if state.input is not None:
            _, given = self._input_of(code, workflow_input)
            if orjson.loads(state.input).get("input") != given:
                raise IdTaken(state.id, "input")

    def _publish(self, code: Code, command: Begin) -> None:
        if command.definition not in self._published:
            publish(self.store, code, to_text(command.at), self.actor)
            self._published.add(command.definition)

    async def resume(self, id_: str) -> Handle:
        """Finish an execution that a dead process left, or that is parked. One that has ended gives its result.

        One that goes on as another is followed there.

        Raises `UnknownExecution`, `OwnedElsewhere`, `NoCode`, `ExecutionPaused`, or `BadInput` for an imported one,
        which ran elsewhere; then it is left as it is. Raises `ReplayDiverged` when today's code asks for something else
        than was recorded: then it is parked, which the log says once; resume it with code that fits. Raises
        `PayloadErased` when what it needs, or its result, was erased; one that had not ended is parked then.
        """
        return _handle(self._resume(id_))

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
        run = Run(self, id_, _NOTHING, None) if code is None else Run(self, id_, planner_for(code, id_), code.classes)
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
        if state.owner == self.worker and nothing_under_way(state) and digest == state.definition:
            run.go_on()
        else:
            run.claim(digest)
        return run

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
        give_input(self.store, self.world, id_, name, value, self.actor)
        run = self._runs.get(id_)
        if run is None:
            return await self.resume(id_)
        run.catch_up()
        return _handle(run)

    async def signal(self, id_: str, name: str, value: Any = None, *, signal_id: str | None = None) -> None:
        """Send an execution a signal, whether or not it waits for one; it stands in the log when this returns.

        The same `signal_id` again sends nothing. An execution that goes on as another is followed there. Raises
        `UnknownExecution`, `ExecutionEnded`, or `BadInput` for a name or a value that cannot be recorded; then nothing
        is written.
        """
        at = send_signal(self.store, self.world, id_, name, value, signal_id=signal_id, by=self.actor)
        self.look_again(at)

    def _answer(self, id_: str, approval: str, granted: bool, by: str, comment: str) -> None:
        answer_approval(self.store, self.world, id_, approval, granted=granted, by=by, comment=comment)
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
        new. Attempts that run are stopped, open questions are withdrawn. Then what has completed is undone, unless
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

    def _heard(self, id_: str) -> None:
        run = self._runs.get(id_)
        if run is not None:
            run.catch_up()
        else:
            self.resting.wake(id_)

    async def drain(self, timeout_s: float) -> int:
        """Begin nothing new, let attempts that are under way end and be recorded, then close.

        What is under way still after so long is cut off, as by a crash: it is in doubt for whoever goes on. Returns how
        many executions that were. All others have nothing under way then, and another worker may go on with them at
        once.
        """
        self.draining = True
        self.desk.stop_asking()
        if self._resting is not None:
            self._resting.stop_waking()
        deadline = self.loop.time() + timeout_s
        while (busy := sum(not run.at_rest for run in self._runs.values())) and self.loop.time() < deadline:
            await asyncio.sleep(0.01)
        await self.close()
        return busy

    async def close(self) -> None:
        """Let go of everything that still runs. The store stays open: it is the caller's."""
        if self._closed:
            return
        self._closed = True
        if self._watchdog is not None:
            self._watchdog.stop()
        if self._watch is not None:
            self._watch.cancel()
        for task in self._following:
            task.cancel()
        asleep: list[str] = []
        if self._resting is not None:
            asleep = list(self._resting.asleep)
            self._resting.close()
        for run in list(self._runs.values()):
            run.drop(_left(run.id))
        for id_ in asleep:
            awaited = self._awaited.get(id_)
            if awaited is not None:
                awaited.fail(_left(id_))
        self.executors.close()
        self.desk.close()
        self.owners.release(self.worker)

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

    @property
    def runs(self) -> Iterable[Run]:
        """What is in memory."""
        return self._runs.values()

    def bring(self, id_: str) -> Run:
        """As `resume`, for who goes on with the execution itself."""
        return self._resume(id_)

    def watch_always(self) -> None:
        """Look for what others append though nothing runs here, and set `moved` when there is something."""
        self._watch_always = True
        self._watch_over()

    def take_up(self, id_: str, code: Code, events: Sequence[NewEvent]) -> None:
        """Run an execution that was started in the append of another."""
        if self._closed or id_ in self._runs:
            return
        run = Run(self, id_, planner_for(code, id_), code.classes)
        self._runs[id_] = run
        try:
            run.take_up(events)
        except Exception as exc:
            log.exception("an execution was let go", extra={"execution": id_})
            run.drop(exc)

    def _told(self, ask: str) -> None:
        """What a step needs was granted, or refused."""
        id_, _, key = ask.partition("/")
        run = self._runs.get(id_)
        if run is not None:
            run.work.answered(key)
        else:
            self.resting.wake(id_)

    def look_again(self, id_: str) -> None:
        """Somebody has appended to an execution that may be run here."""
        self._heard(id_)

    def follow(self, run: Run) -> None:
        """Whoever waits for the result of an execution that goes on as another gets that one's."""
        assert run.state.next is not None
        next_id = run.state.next
        self._awaited[next_id] = run.awaited
        after = self._runs.get(next_id)
        if after is not None:
            after.awaited = run.awaited
            return

        async def resumed() -> None:
            try:
                await self.resume(next_id)
            except Exception as exc:  # noqa: BLE001 - told to whoever waits
                run.awaited.fail(exc)

        self._following.add(task := self.loop.create_task(resumed()))
        task.add_done_callback(self._following.discard)

    def forget(self, run: Run) -> None:
        if self.observer is not None:
            self.observer.left(run.id)
        if self._runs.get(run.id) is run:
            del self._runs[run.id]
            self.resting.left()

    # -- watching for what others append -----------------------------------------------------------------------------

    def _watch_over(self) -> None:
        if self._watchdog is None and self._blocked_after_s is not None:
            self._watchdog = Watchdog(self.loop, self._blocked_after_s)
        if self._watch is None or self._watch.done():
            self._seen = self._head = self.store.head()
            self._watch = self.loop.create_task(self._watching())

    async def _watching(self) -> None:
        """While something runs or waits: look for what other processes have appended to it."""
        while self._runs or self.resting.asleep or self._watch_always:
            await asyncio.sleep(_POLL_S)
            try:
                self._look_around()
            except StoreError as exc:  # then the next look sees it
                log.warning("the store could not be read", extra={"error": str(exc)})

    def _look_around(self) -> None:
        """Read what is new, if any execution stands still; one that goes on finds out when it appends.

        Who stood still since the last look may have been written to since its own last append, which is before that
        look and after the one before: so far back is what is new.
        """
        head = self.store.head()
        if head == self._seen:
            return
        self.moved.set()
        before = self._versions
        self._versions = {run.id: run.state.version for run in self._runs.values()}
        still = any(
            run.state.waiting or run.state.open_children or run.state.parent or before.get(run.id) == run.state.version
            for run in self._runs.values()
        )
        if still or self.resting.asleep:
            fresh = self.store.read(self._seen - 1, types=_FROM_OUTSIDE, payloads=False)
            for id_ in {event.stream.removeprefix("execution/") for event in fresh}:
                self._heard(id_)
            self._seen = head
        else:
            self._seen = self._head
        self._head = head

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


def _handle(run: Run) -> Handle:
    return Handle(run.id, run.awaited)


def _left(id_: str) -> ExecutionFailed:
    return ExecutionFailed(id_, "left", "EngineClosed", "the engine was closed; resume it to go on")


class _Nothing:
    """The planner of an execution that has ended."""

    def begin(self, workflow_input: Any) -> list[Any]:
        return []

    def settle(self, key: str, outcome: Any) -> list[Any]:
        return []

    def hear(self, heard: Any) -> list[Any]:
        return []


_NOTHING = _Nothing()
