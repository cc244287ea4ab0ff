"""One execution from its start to its end in virtual time, through weather, engines that die, and people who answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import orjson

from actum.engine import Engine, Graph, Retry, Workflow, current_step, step
from actum.engine.graphs.graph import Code, GraphStep
from actum.engine.rules.state import Execution
from actum.engine.runtime.approvals import answer_approval
from actum.engine.runtime.control import Control
from actum.engine.runtime.signals import send_signal
from actum.errors import (
    ControlRefused,
    ExecutionEnded,
    ExecutionPaused,
    NotWaiting,
    StoreError,
    UnknownExecution,
)
from actum.events import Actor
from tests.engine.random_functions import CHILD, Luck, Program
from tests.engine.storm import STREAM, Fate, Storm, starts
from tests.engine.world import VirtualWorld, engine_on, sound, virtually

PERSON = Actor("person", "p-1")
LONG_S = 500
"""Of virtual time: what takes longer, beside the weather, hangs."""


class Life(NamedTuple):
    """How long an engine lives. A zombie lives on, taken for dead."""

    ms: int
    zombie: bool = False


class Asked(NamedTuple):
    """Pause it, go on with it, or cancel it: so long after the one before."""

    what: Literal["pause", "unpause", "cancel", "cancel, and leave it", "cancel, now"]
    after_ms: int


class Weather(NamedTuple):
    """All that goes wrong. The default is nothing."""

    fates: tuple[Fate, ...] = ()
    lives: tuple[Life, ...] = ()
    answers_after_ms: tuple[int, ...] = ()
    idle_after_s: float | None = None
    """How long what only waits stays in memory."""
    asks: tuple[Asked, ...] = ()
    """What people ask of the execution, one after the other."""


class Planned(Exception):
    """A step's failure that its luck asked for."""


class Simulation:
    """What the steps of one execution do and see, and what they came to."""

    def __init__(self, what: Program | Graph, luck: Luck) -> None:
        self.what = what
        self.luck = luck
        self.storm = Storm([])
        self.made: dict[tuple[str, int], str] = {}
        """Effects by key and attempt: running, or done."""
        self.engines = 0
        self.sent = 0

    def run(self, weather: Weather = Weather()) -> Simulation:  # noqa: B008 - it never changes
        """To the end; then nothing may be wrong."""
        self.storm = Storm(list(weather.fates))
        self.sent = 0
        virtually(self._live(weather))
        assert not self.storm.wrong, "\n".join(self.storm.wrong)
        sound(self.storm.calm)
        self._check_end()
        return self

    def _check_end(self) -> None:
        """Nothing is left running, half undone or not undone, and what is recorded as done was done."""
        state, recorded = self.storm.state(), starts(self.storm.calm.read_stream(STREAM))
        failed = state.status != "completed"
        assert (state.status == "cancelled") == state.cancel_requested
        undoes = failed and state.cancel_compensate and not self._forced()
        kept = self._kept(state)
        assert self.made.keys() <= recorded.keys()
        for one in state.steps.values():
            assert one.status not in ("started", "in_doubt"), f"{one.key} was left {one.status}"
            assert one.status != "cancelled" or state.cancel_requested or state.races
            completed = one.status == "completed"
            assert not completed or self.made[one.key, one.attempt] == "done"
            can_be = completed and one.compensation is not None
            if undoes and can_be and one.key not in kept:
                assert one.undo in ("completed", "failed"), f"{one.key} was left {one.undo!r}"
            elif one.undo and not self._forced():  # by the workflow's own word, or begun before it was cancelled
                assert can_be
                assert one.undo in ("completed", "failed")
            assert one.undo != "completed" or self.made[f"{one.key}/undo", one.undo_attempt] == "done"
            assert (one.undo == "failed") == (one.key in state.uncompensated)

    def _forced(self) -> bool:
        return any(event.facts.get("force") for event in self.storm.calm.read_stream(STREAM))

    def _kept(self, state: Execution) -> set[str]:
        """What completed before a pivot did."""
        kept: set[str] = set()
        done: set[str] = set()
        for event in self.storm.calm.read_stream(STREAM):
            if event.type == "step.completed":
                scope = f"{event.facts['scope']}/" if "scope" in event.facts else ""
                key = f"{scope}{event.facts['step']}#{event.facts['occurrence']}"
                if state.steps[key].pivot:
                    kept |= done
                done.add(key)
        return kept

    # -- how it ended --------------------------------------------------------------------------------------------------

    @property
    def output(self) -> Any:
        """The status, and the output if there is one."""
        state = self.storm.state()
        said = {} if state.end_payload is None else orjson.loads(state.end_payload)
        return state.status, said.get("output")

    @property
    def end(self) -> Any:
        """All that does not depend on who was faster."""
        state = self.storm.state()
        steps = sorted((one.key, one.status, one.failures, one.undo, one.undo_failures) for one in state.steps.values())
        answers = sorted((one.key, one.status) for one in state.approvals.values())
        return self.output, state.error_type, sorted(state.uncompensated), steps, answers

    # -- what its code does --------------------------------------------------------------------------------------------

    def code(self) -> Workflow | Graph:
        """The code, made anew, as another process would have it."""
        if isinstance(self.what, Program):
            return self.what.workflow(self._step_of_function, self._undoing(), self._look)
        question = {one.id for one in self.what.steps if one.question is not None}
        into: dict[str, set[str]] = {}
        for way in self.what.transitions:
            into.setdefault(way.target, set()).add(way.source)
        guards = {id_: source for id_, (source, *more) in into.items() if source in question and not more}
        guards.pop(self.what.start_at, None)
        return replace(self.what, steps=tuple(self._step_of_graph(one, guards.get(one.id)) for one in self.what.steps))

    def _step_of_graph(self, one: GraphStep, guard: str | None) -> GraphStep:
        if one.run is None:
            return one

        async def code() -> Any:
            value = await self._attempt(guard)
            return {"a": value % 2 == 0, "b": value % 3 == 0, "n": value}

        retry, undo = Retry(attempts=2, first_delay_s=0.01), self._undoing()
        return replace(one, run=Code("m:code", code), retry=retry, timeout_s=0.05, compensate=Code("m:undo", undo))

    def _step_of_function(self, name: str) -> Callable[..., Any]:
        async def code(guard: str | None) -> Any:
            return await self._attempt(guard)

        return code

    def _undoing(self) -> Any:
        async def undo(result: Any) -> None:
            await self._attempt(None)

        return step(name="undo", retries=Retry(attempts=3, first_delay_s=0.01), timeout=0.05)(undo)

    def _look(self, name: str) -> Callable[..., Any]:
        async def look(guard: str | None) -> Any:
            me = current_step()
            assert me is not None
            return self.luck.value(me.key) if self.made.get((me.key, me.attempt)) == "done" else None

        return look

    async def _attempt(self, guard: str | None) -> int:
        me = current_step()
        assert me is not None
        failures = self._begins(me.key, me.attempt, guard)
        await asyncio.sleep(self.luck.takes_s(me.key, failures))
        match self.luck.outcome(me.key, failures):
            case "fails":
                raise Planned(me.key)
            case "gives up":
                raise TypeError(me.key)
            case "hangs":
                await asyncio.sleep(LONG_S)
        self.made[me.key, me.attempt] = "done"
        return self.luck.value(me.key)

    def _begins(self, key: str, attempt: int, guard: str | None) -> int:
        """An attempt has an effect now: may it? Returns how often the step is recorded to have failed."""
        wrong = self.storm.wrong
        state, about = self.storm.state(), f"{key} ({attempt})"
        start = starts(self.storm.calm.read_stream(STREAM)).get((key, attempt))
        if (key, attempt) in self.made:
            wrong.append(f"{about} was made twice")
        self.made[key, attempt] = "running"
        if start is None:
            wrong.append(f"{about} was made before its start was recorded")
            return 0
        name, undo = key.removesuffix("/undo"), key.endswith("/undo")
        one = state.steps[name]
        if undo:
            current = name in state.undoing and one.undo == "started" and one.undo_attempt == attempt
        else:
            current = one.status == "started" and one.attempt == attempt
        # A worker that has lost the execution and not heard of it yet may begin what it has recorded, and no more.
        # So may one that has not heard yet that a person has ended it at once.
        if start.actor.ref == state.owner and (state.ended or not current) and not self._forced():
            wrong.append(f"{about} was made though the log was past it")
        if guard is not None:
            asked = [q for q in state.approvals.values() if q.key.rpartition("/")[2].startswith(f"{guard}#")]
            granted = sum(q.status == "granted" for q in asked)
            visits = one.occurrence + 1 if isinstance(self.what, Graph) else 1
            if granted < visits:
                wrong.append(f"{about} was made without the decision on {guard}")
        return one.undo_failures if undo else one.failures

    # -- what happens to it --------------------------------------------------------------------------------------------

    async def _live(self, weather: Weather) -> None:
        people = asyncio.create_task(self._people(weather))
        asking = asyncio.create_task(self._ask(weather))
        zombies: list[Engine] = []
        lives = iter(weather.lives)
        async with asyncio.timeout(LONG_S + sum(fate.answer_s for fate in weather.fates)):
            while not self.storm.state().ended:
                life = next(lives, None)
                engine = await self._one_life(life, weather.idle_after_s)
                if life is not None and life.zombie:
                    zombies.append(engine)
                else:
                    await engine.close()
            while self.storm.in_flight:
                await asyncio.sleep(0.01)
        for zombie in zombies:
            await zombie.close()
        people.cancel()
        asking.cancel()

    async def _one_life(self, life: Life | None, idle_after_s: float | None) -> Engine:
        """A new worker takes over what is there, or starts it."""
        self.engines += 1
        assert self.engines < 200
        engine = engine_on(self.storm, worker=f"w-{self.engines}", idle_after_s=idle_after_s, max_recoveries=None)
        self.storm.engines[engine.worker] = engine
        code = self.code()
        engine.register(code, CHILD)
        while self.storm.state().paused:
            await asyncio.sleep(0.01)
        _, refused = await engine.recover()
        assert not refused, refused
        try:
            handle = await engine.start(code, id="one")
        except (StoreError, ExecutionPaused):  # it could not be published; the next one tries again
            await asyncio.sleep(1)
            return engine
        result = asyncio.ensure_future(handle.result())
        await asyncio.wait([result], timeout=None if life is None else life.ms / 1000)
        if not result.done():
            result.cancel()
        elif result.exception() is not None:  # its end, or it was let go of: the log says which
            await asyncio.sleep(0.01)
        return engine

    async def _ask(self, weather: Weather) -> None:
        """Ask these things of it, from another program; whatever was asked, no pause is for ever."""
        for what, after_ms in weather.asks:
            await asyncio.sleep(after_ms / 1000)
            self._ask_once(what)
        while weather.asks:
            await asyncio.sleep(0.5)
            self._ask_once("unpause")

    def _ask_once(self, what: str) -> None:
        store: Any = self.storm
        control = Control(store, VirtualWorld(), "one")
        try:
            match what:
                case "pause":
                    control.pause("p-1")
                case "unpause":
                    control.unpause("p-1")
                case _:
                    control.cancel("p-1", compensate=what == "cancel", force=what == "cancel, now")
        except (ControlRefused, UnknownExecution, StoreError):
            return  # too early, too late, or nobody knows

    async def _people(self, weather: Weather) -> None:
        """Answer what waits, from another program, at some moment."""
        waits = iter(weather.answers_after_ms)
        while True:
            await asyncio.sleep(0.05)
            self._send_signals()
            for row in self.storm.calm.view("approvals", {"status": "waiting"}):
                answer = self._answer(row["approval"])
                if answer == "silence":
                    continue
                await asyncio.sleep(next(waits, 0) / 1000)
                try:
                    store: Any = self.storm
                    answer_approval(store, VirtualWorld(), "one", row["approval"], granted=answer == "yes", by="p-1")
                except (NotWaiting, StoreError):
                    continue  # somebody was faster, or nobody knows: then it still waits, or does not

    def _send_signals(self) -> None:
        """As many of each as will ever be waited for, and each of them once."""
        if not isinstance(self.what, Program) or self.sent > 40 or not self.storm.state().version:
            return
        for name in self.what.signals:
            store: Any = self.storm
            try:
                send_signal(store, VirtualWorld(), "one", name, name, signal_id=f"{name} {self.sent}", by=PERSON)
            except (ExecutionEnded, StoreError):
                return  # over, or nobody knows: then all of this round are sent again, under the same ids
        self.sent += 1

    def _answer(self, key: str) -> str:
        if isinstance(self.what, Program):
            return self.what.answers[key.rpartition("/")[2].partition("#")[0]]
        return "no" if self.luck.outcome(key, 0) == "fails" else "yes"
