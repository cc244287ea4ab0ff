"""One execution from its start to its end in virtual time, through weather, workers that die, and people who answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from actum.engine import Engine
from actum.engine.definitions import Code
from actum.errors import ExecutionPaused, StoreError
from actum.eventstore import EventStore
from actum.testing.harness.ended import Ended
from actum.testing.harness.script import Script
from actum.testing.simulation.effects import LONG_S, Effects
from actum.testing.simulation.loop import Stuck, VirtualLoop, virtually
from actum.testing.simulation.people import Answer, People
from actum.testing.simulation.promises import Guard, Record, check_promises
from actum.testing.simulation.storm import Storm
from actum.testing.simulation.weather import CALM, Jump, Luck, Weather
from actum.testing.simulation.world import VirtualWorld, virtual_engine

__all__ = ["Simulation"]

_RESTLESS_S = 0.5
"""How often a worker looks for what nobody runs."""
_QUIET_S = 1.0
"""Nothing was written for so long: then time goes on to what is due next."""
_WORKERS = 200
"""More workers than this are not worn out by one execution."""


class Simulation:
    """What is simulated; `run` runs it once in some weather and holds it to the promises.

    - `code`: the workflow, or a function that makes it anew for each worker.
    - `answer`: what people say to a question, by its key.
    - `signals`: what is sent under each name, one after the other. `inputs`: what is given when it is asked for; of a
      list one after the other, the last one again and again.
    - `others`: workflows that it starts by name.
    """

    def __init__(
        self,
        code: Code | Callable[[], Code],
        workflow_input: Any = None,
        *,
        id: str = "one",
        seed: int | None = None,
        luck: Luck | None = None,
        script: Script | None = None,
        answer: Callable[[str], Answer] = lambda key: "yes",
        signals: Mapping[str, Sequence[Any]] | None = None,
        inputs: Mapping[str, Any] | None = None,
        guards: Sequence[Guard] = (),
        services: Mapping[str, Any] | None = None,
        others: Sequence[Code] = (),
    ) -> None:
        self._code = code
        self._input = workflow_input
        self.id = id
        self._seed = seed
        self._luck = luck
        self._script = script
        self._answer = answer
        self._signals = signals or {}
        self._inputs = inputs or {}
        self._guards = guards
        self._services = services
        self._others = others
        self._begin(CALM)

    def _begin(self, weather: Weather) -> None:
        self.world = VirtualWorld(self._seed)
        self.storm = Storm(weather.fates, self.world.now_us)
        self.effects = Effects(self.storm, self._luck)
        self._workers = 0
        self._seen: list[tuple[int, str]] = []
        self._moved_at = 0.0
        self._said: dict[tuple[str, str], bool] = {}

    def run(self, weather: Weather = CALM) -> Ended:
        """To the end. Raises `PromiseBroken`, `Stuck` when there is no end, and what the code was refused for."""
        self._begin(weather)
        virtually(self._live(weather), seed=self._seed)
        check_promises(self.record)
        return Ended.of(self.storm.calm, self.id)

    @property
    def record(self) -> Record:
        """What is left of the last run."""
        storm = self.storm
        seen, guards = self._seen, self._guards
        return Record(storm.calm, self.effects.all, storm.acknowledged, seen, storm.wrong, guards, self._said)

    async def _live(self, weather: Weather) -> None:
        people = People(self.storm, self.world, self.id, self._answer, self._signals, self._inputs)
        self._said = people.said
        around = [
            asyncio.create_task(people.answer(weather.answers_after_ms)),
            asyncio.create_task(people.ask(weather.asks)),
            asyncio.create_task(self._jump(weather.jumps)),
        ]
        left_behind: list[Engine] = []
        lives = iter(weather.lives)
        try:
            while not self._over():
                life = next(lives, None)
                engine = await self._one_life(None if life is None else life.ms / 1000, weather.idle_after_s)
                if life is not None and life.zombie:
                    left_behind.append(engine)
                else:
                    await engine.close()
            while self.storm.in_flight:
                await asyncio.sleep(self.storm.pace_s())
            self._read_on()
        finally:
            for engine in left_behind:
                await engine.close()
            for task in around:
                task.cancel()
            ended = await asyncio.gather(*around, return_exceptions=True)
        for one in ended:
            if isinstance(one, Exception):
                raise one

    def _over(self) -> bool:
        """Whether it was begun, and nothing of it is open any more."""
        return self.storm.state(self.id).version > 0 and not self.storm.open()

    async def _one_life(self, life_s: float | None, idle_after_s: float | None) -> Engine:
        """A new worker takes over what is there, or starts it, until it dies or has nothing left."""
        self._workers += 1
        if self._workers > _WORKERS:
            raise Stuck(f"{_WORKERS} workers have not brought it to its end: {self._left()}")
        engine = self._worker(idle_after_s)
        loop = cast(VirtualLoop, asyncio.get_running_loop())
        while self.storm.state(self.storm.last(self.id)).paused:
            await asyncio.sleep(self.storm.pace_s())
        if not await self._take_up(engine):
            await asyncio.sleep(1)
            return engine
        dies_at = None if life_s is None else loop.time() + life_s
        while not self._over():
            pace_s = self.storm.pace_s()
            await asyncio.sleep(pace_s if dies_at is None else min(pace_s, max(0, dies_at - loop.time())))
            self._read_on()
            if dies_at is not None and loop.time() >= dies_at:
                break
            quiet = not self.storm.in_flight and loop.time() - self.storm.landed_at > _RESTLESS_S
            if quiet and self._left_alone(engine) and not await self._take_up(engine):
                break
            self._let_time_pass(loop)
        return engine

    def _left_alone(self, engine: Engine) -> bool:
        """Whether something is to be done that this worker has not: a rival had it, or an error stopped it."""
        if not self.storm.state(self.id).version:
            return self.id not in engine._runs
        return any(
            not state.paused and state.id not in engine._runs and state.id not in engine.resting.asleep
            for state in self.storm.open()
        )

    def _worker(self, idle_after_s: float | None) -> Engine:
        engine = virtual_engine(
            cast(EventStore, self.storm),
            world=self.world,
            worker=f"w-{self._workers}",
            idle_after_s=idle_after_s,
            max_recoveries=None,
            services=self._services,
        )
        self.storm.engines[engine.worker] = engine
        engine.use(self.effects.around(engine.worker))
        if self._script is not None:
            engine.use(self._script)
        return engine

    async def _take_up(self, engine: Engine) -> bool:
        """Begin, or go on with all that is open; False when the store was away."""
        code = self._code() if callable(self._code) else self._code
        for other in self.storm.engines.values():  # what they know of children, as if it were in a module
            engine.register(*other._code.values())
        engine.register(code, *self._others)
        try:
            _, refused = await engine.recover()
            for error in refused.values():
                raise error
            if not self.storm.state(self.id).version:
                await engine.start(code, self._input, id=self.id)
            for state in self.storm.open():
                if state.status == "parked":
                    await engine.resume(state.id)
        except (StoreError, ExecutionPaused):
            return False
        return True

    # -- time --------------------------------------------------------------------------------------------------------

    def _let_time_pass(self, loop: VirtualLoop) -> None:
        """When nothing was written for a while: to what is due next, however far that is."""
        since = max(self.storm.landed_at, self._moved_at)
        if self.storm.in_flight or loop.time() - since < _QUIET_S:
            return
        dues = [row["wake_us"] for row in self.storm.calm.view("executions") if row["wake_us"] is not None]
        due_s = (min(dues) - self.world.now_us()) / 1_000_000 if dues else 0
        if due_s > _QUIET_S:
            self._moved_at = loop.time() + due_s
            loop.jump_to(self._moved_at)
        elif loop.time() - since > 10 * LONG_S:
            raise Stuck(f"nothing has happened for {10 * LONG_S:.0f} s, and nothing is due: {self._left()}")

    async def _jump(self, jumps: Sequence[Jump]) -> None:
        for by_s, after_ms in jumps:
            await asyncio.sleep(after_ms / 1000)
            self.world.ahead_s += by_s

    def _left(self) -> str:
        said = []
        for state in self.storm.open():
            waits = f" and waits for {', '.join(state.waiting)}" if state.waiting else ""
            said.append(f"{state.id!r} is {state.status}{waits}")
        return "; ".join(said) or f"{self.id!r} was never begun"

    def _read_on(self) -> None:
        """A reader of the log, who must never skip an event."""
        self._seen += [(event.position, event.id) for event in self.storm.calm.read(len(self._seen) - 1)]
