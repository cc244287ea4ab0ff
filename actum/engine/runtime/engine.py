"""The engine: starts executions, owns them while they run, and finishes what other processes left behind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from weakref import WeakValueDictionary

from actum.engine.definitions import Code, planner_for
from actum.engine.resources.declared import Resources
from actum.engine.resources.desk import Desk
from actum.engine.rules.calls import Planner
from actum.engine.rules.commands import Release
from actum.engine.rules.folding import fold
from actum.engine.runtime.answers import Answers
from actum.engine.runtime.around import Middleware
from actum.engine.runtime.asking import Asking
from actum.engine.runtime.executors import Executor, Executors
from actum.engine.runtime.handle import left_open
from actum.engine.runtime.known import Known
from actum.engine.runtime.ports import Observer, Owners, World, owners_of
from actum.engine.runtime.resting import Awaited, Resting
from actum.engine.runtime.run import Run
from actum.engine.runtime.scheduling import Scheduling
from actum.engine.runtime.watchdog import Watchdog
from actum.engine.runtime.watching import Watching
from actum.events import Actor, NewEvent
from actum.eventstore import Appended, EventStore

__all__ = ["Engine"]

log = logging.getLogger("actum.engine")

_RELEASE_S = 2.0
"""How long the store may take to record what is let go of."""


class Engine(Scheduling, Asking):
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
        self._known = Known(store)
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
        self.when_left: Callable[[str, BaseException | None], None] | None = None
        """Called when an execution has ended here, or was let go of by an error."""
        self._resting: Resting | None = None
        self._idle_after_s = idle_after_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answers = Answers(lambda: self.loop)
        self._blocked_after_s = blocked_after_s
        self._watchdog: Watchdog | None = None
        self._following: set[asyncio.Task[None]] = set()
        self._watch = Watching(self)
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

    def use(self, *middleware: Middleware) -> None:
        """Stand these around every attempt of a step, and of a compensation, that this engine starts from now on.

        The first one given is the outermost: its code before `await call()` runs first, and that behind it last. All of
        it is inside the step's time-out and runs in the event loop, around plain functions too.
        """
        self.middleware = (*self.middleware, *middleware)

    async def run_schedules(self) -> None:
        """Begin, and see through, what schedules say, until this is cancelled. Any number of processes may do it."""
        from actum.engine.schedules.scheduler import Scheduler

        await Scheduler(self).run()

    async def drain(self, timeout_s: float) -> int:
        """Begin nothing new, let attempts that are under way end and be recorded, then close.

        What is under way still after so long is cut off: it is in doubt for whoever goes on, and the log says that the
        execution was let go of, so that this is no step towards its being parked as poison. Returns how many
        executions that were. All others have nothing under way then, and another worker may go on with them at
        once.
        """
        self.draining = True
        self.desk.stop_asking()
        if self._resting is not None:
            self._resting.stop_waking()
        deadline = self.loop.time() + timeout_s
        while (busy := sum(not run.at_rest for run in self._runs.values())) and self.loop.time() < deadline:
            await asyncio.sleep(0.01)
        await self._release()
        await self.close()
        return busy

    async def _release(self) -> None:
        """Record of what is still under way that it is let go of; a store that does not answer is not waited for."""
        cut_off = [run for run in self._runs.values() if not run.at_rest]
        for run in cut_off:
            run.give(Release(self.world.now_us(), self.worker))
        deadline = self.loop.time() + _RELEASE_S
        while any(run.committing for run in cut_off) and self.loop.time() < deadline:
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Let go of everything that still runs. The store stays open: it is the caller's."""
        if self._closed:
            return
        self._closed = True
        if self._watchdog is not None:
            self._watchdog.stop()
        self._watch.stop()
        for task in self._following:
            task.cancel()
        asleep: list[str] = []
        if self._resting is not None:
            asleep = list(self._resting.asleep)
            self._resting.close()
        for run in list(self._runs.values()):
            run.drop(left_open(run.id))
        for id_ in asleep:
            awaited = self._awaited.get(id_)
            if awaited is not None:
                awaited.fail(left_open(id_))
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
        """Bring the store's answer into the event loop; called from the writer's thread."""
        self._answers.post(run, answer)

    @property
    def runs(self) -> Iterable[Run]:
        """What is in memory."""
        return self._runs.values()

    def run(self, id_: str) -> Run | None:
        """What is in memory of this execution."""
        return self._runs.get(id_)

    def bring(self, id_: str) -> Run:
        """As `resume`, for who goes on with the execution itself."""
        return self._resume(id_)

    def watch_always(self) -> None:
        """Look for what others append though nothing runs here, and set `moved` when there is something."""
        self._watch.always = True
        self._watch_over()

    def take_up(self, id_: str, code: Code, events: Sequence[NewEvent]) -> None:
        """Run an execution that was started in the append of another."""
        if self._closed or id_ in self._runs:
            return
        run = self._runs[id_] = self._run_of(id_, code)
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

    @property
    def has_any(self) -> bool:
        """Whether anything runs or waits here."""
        return bool(self._runs or self.resting.asleep)

    def _run_of(self, id_: str, code: Code | None) -> Run:
        if code is None:
            return Run(self, id_, _NOTHING, None)
        return Run(self, id_, planner_for(code, id_), code.classes)

    def _watch_over(self) -> None:
        if self._watchdog is None and self._blocked_after_s is not None:
            self._watchdog = Watchdog(self.loop, self._blocked_after_s)
        self._watch.start()


class _Nothing:
    """The planner of an execution that has ended."""

    def begin(self, workflow_input: Any) -> list[Any]:
        return []

    def settle(self, key: str, outcome: Any) -> list[Any]:
        return []

    def hear(self, heard: Any) -> list[Any]:
        return []


_NOTHING = _Nothing()
