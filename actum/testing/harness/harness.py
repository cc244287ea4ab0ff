"""Running a workflow in a test: steps answer as the test says, and time passes when it says."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar, cast

from actum.engine import Engine
from actum.engine.definitions import Code
from actum.engine.durations import seconds
from actum.engine.runtime.control import Control
from actum.engine.runtime.signals import send_signal
from actum.errors import BadInput, WorkflowError
from actum.events import Actor, RecordedEvent
from actum.eventstore import EventStore
from actum.eventstore.memory import MemoryStore
from actum.testing.harness.ended import Ended
from actum.testing.harness.script import Script, check_names
from actum.testing.simulation.loop import VirtualLoop
from actum.testing.simulation.world import VirtualWorld, virtual_engine

__all__ = ["Flow", "Harness", "run"]

T = TypeVar("T")
_PERSON = Actor("person", "p-1")
_LOOK_S = 0.001
_PATIENCE = 1_000_000
"""Looks after which what is under way counts as never ending."""
_SOON_S = 1e-6


class Harness:
    """A store in memory, a worker and a clock, for one test. Use it as `with Harness(…) as harness:`.

    Nothing is waited for: time stands still until `skip`, or a flow's `finish`, lets it pass. Plain steps run in the
    same thread.
    Raises `BadInput` in an async test: it brings its own event loop.

    - `steps`: what steps answer instead of running, by name; see `Script`. `script` changes it on the way.
    - `services`: what steps ask for by name.
    - `others`: workflows that are started by name.
    """

    def __init__(
        self,
        *,
        steps: Mapping[str, Any] | None = None,
        services: Mapping[str, Any] | None = None,
        others: Sequence[Code] = (),
    ) -> None:
        if _in_a_loop():
            raise BadInput("a Harness brings its own event loop: use it in a plain test, not in an async one")
        self._loop = VirtualLoop()
        self.world = VirtualWorld(seed=0)
        self.store: EventStore = MemoryStore(clock=self._now_us)
        self._script = Script(steps)
        self._services = services
        self._others = others
        self._codes: dict[str, Code] = {}
        self._workers = 0
        self._engine: Engine | None = None

    def script(self, **steps: Any) -> None:
        """From now on these steps answer like this."""
        for code in self._codes.values():
            check_names(code, steps)
        self._script.lines.update(steps)

    def start(self, code: Code, workflow_input: Any = None, *, id: str | None = None, **more: Any) -> Flow:
        """Start a workflow and let it come as far as it can without time, people or others.

        `more` is what `engine.start` takes. Raises what that raises; then nothing was written.
        """
        check_names(code, self._script.lines)
        self._codes[code.name] = code

        async def started() -> str:
            handle = await self.engine.start(code, workflow_input, id=id, **more)
            await self._settle()
            return handle.id

        return Flow(self, self.do(started()))

    def skip(self, duration: float | str) -> None:
        """Let time pass: seconds, or text such as `"3d"`. What falls due meanwhile happens at its time, in order."""
        self.do(self._skip(seconds(duration)))

    def restart(self) -> None:
        """Kill the worker where it stands, and let another one take over what it has left."""

        async def killed() -> None:
            self._codes |= self.engine._code  # what it knows of children, as if it were in a module
            await self.engine.close()
            self._engine = None
            _, refused = await self.engine.recover()
            for error in refused.values():
                raise error
            await self._settle()

        self.do(killed())

    @property
    def engine(self) -> Engine:
        """The worker's engine. Await what it gives through `do`."""
        if self._engine is None:
            self._workers += 1
            self._engine = virtual_engine(
                self.store,
                world=self.world,
                worker=f"w-{self._workers}",
                services=self._services,
                idle_after_s=None,
                max_recoveries=None,
            )
            self._engine.use(self._script)
            self._engine.register(*self._others, *self._codes.values())
        return self._engine

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the harness's time, and give what it returns."""
        return self._loop.run_until_complete(work)

    def close(self) -> None:
        """Let go of everything."""
        if not self._loop.is_closed():
            self._loop.run_until_complete(self._end())
            self._loop.close()
            asyncio.set_event_loop(None)

    def __enter__(self) -> Harness:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _end(self) -> None:
        if self._engine is not None:
            await self._engine.close()
        tasks = asyncio.all_tasks() - {cast("asyncio.Task[Any]", asyncio.current_task())}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.store.close()

    def _now_us(self) -> int:
        return self.do(self._now()) if not self._loop.is_running() else self.world.now_us()

    async def _now(self) -> int:
        return self.world.now_us()

    # -- time --------------------------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Until nothing is under way: every execution waits, or has ended. Time passes only while steps take it."""
        for _ in range(_PATIENCE):
            await asyncio.sleep(0)
            if all(run.at_rest for run in self.engine.runs) and not await self._woken():
                return
            await asyncio.sleep(_LOOK_S)
        raise AssertionError(f"a step is under way for ever: {self._left()}")

    async def _woken(self) -> bool:
        """Whether anything began when everybody had their turn."""
        before = self.store.head()
        for _ in range(5):
            await asyncio.sleep(0)
        return self.store.head() != before or not all(run.at_rest for run in self.engine.runs)

    async def _skip(self, duration_s: float) -> None:
        end = self._loop.now + duration_s
        while (due := self.due_s()) is not None and self._loop.now + due <= end:
            await self._pass_to_due(due)
        self._loop.jump_to(end)
        await self._settle()

    def due_s(self) -> float | None:
        """In how many seconds something is due next; None when nothing is."""
        dues = [row["wake_us"] for row in self.store.view("executions") if row["wake_us"] is not None]
        return max(0.0, (min(dues) - self._now_us()) / 1_000_000) if dues else None

    async def _pass_to_due(self, due_s: float) -> None:
        head = self.store.head()
        self._loop.jump_to(self._loop.now + due_s)
        while self.store.head() == head:
            await asyncio.sleep(_SOON_S)
        await self._settle()

    async def _finish(self, flow: Flow) -> None:
        """Let time pass until an execution has ended, or only people or others can move it on."""
        await self._settle()
        while not flow.ended and (due := self.due_s()) is not None:
            await self._pass_to_due(due)

    def _left(self) -> str:
        return ", ".join(run.id for run in self.engine.runs if not run.at_rest)


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class Flow:
    """One execution in a harness."""

    def __init__(self, harness: Harness, id_: str) -> None:
        self.id = id_
        self._harness = harness

    def now(self) -> Ended:
        """What it has come to so far."""
        return Ended.of(self._harness.store, self.id)

    @property
    def ended(self) -> bool:
        return self.now().status in ("completed", "failed", "cancelled")

    @property
    def status(self) -> str:
        """running, waiting, paused, parked, completed, failed or cancelled."""
        return self.now().status

    @property
    def output(self) -> Any:
        """Its output. Raises `ExecutionFailed` when it has ended otherwise, or has not ended."""
        return self.now().result()

    @property
    def events(self) -> list[RecordedEvent]:
        """Its record so far."""
        return self.now().events

    def finish(self) -> Ended:
        """Let time pass until it has ended, or only people or others can move it on; what it has come to."""
        self._harness.do(self._harness._finish(self))
        return self.now()

    def signal(self, name: str, value: Any = None, *, signal_id: str | None = None) -> None:
        """Send it a signal, as another program would."""
        store, world = self._harness.store, self._harness.world

        async def sent() -> None:
            send_signal(store, world, self.id, name, value, signal_id=signal_id, by=_PERSON)

        self._from_outside(sent())

    def approve(self, approval: str, *, by: str = "p-1", comment: str = "") -> None:
        """Say yes to its question of this name. Raises `NotWaiting`."""
        self._from_outside(self._harness.engine.approve(self.now().id, approval, by=by, comment=comment))

    def reject(self, approval: str, *, by: str = "p-1", comment: str = "") -> None:
        """Say no. Raises `NotWaiting`."""
        self._from_outside(self._harness.engine.reject(self.now().id, approval, by=by, comment=comment))

    def give(self, value: Any, name: str | None = None) -> None:
        """Give it the input that it has asked for. Raises `NotWaiting`."""

        async def given() -> None:
            with suppress(WorkflowError):
                await self._harness.engine.continue_(self.now().id, value, name=name)

        self._from_outside(given())

    def cancel(self, *, compensate: bool = True) -> None:
        """Ask it to end. Raises `ControlRefused` when it has ended."""
        self._control(lambda control: control.cancel("p-1", compensate=compensate))

    def pause(self) -> None:
        """Start nothing new of it until `unpause`."""
        self._control(lambda control: control.pause("p-1"))

    def unpause(self) -> None:
        """Go on with it."""
        self._control(lambda control: control.unpause("p-1"))

    def _control(self, ask: Any) -> None:
        async def asked() -> None:
            ask(Control(self._harness.store, self._harness.world, self.now().id))

        self._from_outside(asked())

    def _from_outside(self, work: Coroutine[Any, Any, Any]) -> None:
        async def done() -> None:
            await work
            self._harness.engine.look_again(self.now().id)
            await self._harness._settle()

        self._harness.do(done())


def run(
    code: Code,
    workflow_input: Any = None,
    *,
    steps: Mapping[str, Any] | None = None,
    signals: Mapping[str, Any] | None = None,
    approvals: Mapping[str, bool] | None = None,
    inputs: Mapping[str, Any] | None = None,
    services: Mapping[str, Any] | None = None,
    others: Sequence[Code] = (),
) -> Ended:
    """Run a workflow to its end, or until it waits for something that this does not hold; what it has come to.

    - `steps`: what steps answer instead of running; see `Script`.
    - `signals`: what is sent once it is waited for, by name; of a list, one after the other.
    - `approvals`: whether people say yes, by name. `inputs`: what is given when it is asked for, by name; of a list one
      after the other.
    """
    signals_left = {
        name: list(value) if isinstance(value, list) else [value] for name, value in (signals or {}).items()
    }
    inputs_left = {name: list(value) if isinstance(value, list) else [value] for name, value in (inputs or {}).items()}
    with Harness(steps=steps, services=services, others=others) as harness:
        flow = harness.start(code, workflow_input)
        while True:
            harness.do(harness._settle())
            if flow.ended:
                return flow.now()
            if _answered(flow, signals_left, approvals or {}, inputs_left):
                continue
            due = harness.due_s()
            if due is None:
                return flow.now()
            harness.do(harness._pass_to_due(due))


def _answered(
    flow: Flow, signals: dict[str, list[Any]], approvals: Mapping[str, bool], inputs: dict[str, list[Any]]
) -> bool:
    """Answer the first thing it waits for that there is an answer to."""
    for key in flow.now().waits_for:
        name = key.rpartition("/")[2].partition("#")[0]
        if name in approvals:
            (flow.approve if approvals[name] else flow.reject)(key)
        elif signals.get(name):
            flow.signal(name, signals[name].pop(0))
        elif inputs.get(name):
            flow.give(inputs[name].pop(0), key)
        else:
            continue
        return True
    return False
