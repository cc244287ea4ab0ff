"""Those outside of an execution: they answer questions, send signals, give input, pause and cancel, each from a program
of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, cast

from actum.engine.runtime.approvals import answer_approval
from actum.engine.runtime.control import Control
from actum.engine.runtime.inputs import give_input
from actum.engine.runtime.ports import World
from actum.engine.runtime.signals import send_signal
from actum.errors import ControlRefused, ExecutionEnded, NotWaiting, StoreError, UnknownExecution
from actum.events import Actor
from actum.eventstore import EventStore
from actum.testing.simulation.storm import Storm
from actum.testing.simulation.weather import Asked

__all__ = ["Answer", "People"]

Answer = Literal["yes", "no", "silence"]
_PERSON = Actor("person", "p-1")


class People:
    """What is outside of the execution `root` in one simulation."""

    def __init__(
        self,
        storm: Storm,
        world: World,
        root: str,
        answer: Callable[[str], Answer],
        signals: Mapping[str, Sequence[Any]],
        inputs: Mapping[str, Any],
    ) -> None:
        self._storm = storm
        self._store = cast(EventStore, storm)
        self._world = world
        self._root = root
        self._answer = answer
        self._signals = [(name, nth, value) for name, values in signals.items() for nth, value in enumerate(values)]
        self._signals.sort(key=lambda signal: signal[1])
        self._inputs = inputs
        self._given: dict[str, int] = {}
        self.said: dict[tuple[str, str], bool] = {}
        """What people said, by execution and question."""

    async def answer(self, waits_ms: Sequence[int]) -> None:
        """Answer whatever waits, each after a while, for ever."""
        waits = iter(waits_ms)
        while True:
            await asyncio.sleep(0.04 + self._storm.pace_s())
            self._send_next()
            self._give_inputs()
            await self._decide(waits)

    async def ask(self, asks: Sequence[Asked]) -> None:
        """Ask these things of it, one after the other; whatever was asked, no pause is for ever."""
        for what, after_ms in asks:
            await asyncio.sleep(after_ms / 1000)
            self._ask_once(what)
        while asks:
            await asyncio.sleep(0.5)
            self._ask_once("unpause")

    async def _decide(self, waits: Iterator[int]) -> None:
        for row in self._storm.calm.view("approvals", {"status": "waiting"}):
            answer = self._answer(row["approval"])
            if answer == "silence":
                continue
            await asyncio.sleep(next(waits, 0) / 1000)
            try:
                yes = answer == "yes"
                self.said[row["execution"], row["approval"]] = yes
                answer_approval(self._store, self._world, row["execution"], row["approval"], granted=yes, by="p-1")
            except (NotWaiting, StoreError):
                continue  # somebody was faster, or nobody knows: then it still waits, or does not

    def _send_next(self) -> None:
        """The next signal; one of which nobody knows whether it was sent is sent again under the same id."""
        if not self._signals or not self._storm.state(self._root).version:
            return
        name, nth, value = self._signals[0]
        try:
            send_signal(self._store, self._world, self._root, name, value, signal_id=f"{name} {nth}", by=_PERSON)
        except StoreError:
            return
        except ExecutionEnded:
            self._signals.clear()
            return
        self._signals.pop(0)

    def _give_inputs(self) -> None:
        for id_, key in self._storm.wanted():
            name = key.rpartition("/")[2].partition("#")[0]
            if name not in self._inputs:
                continue
            values = self._inputs[name]
            nth = self._given.get(name, 0)
            value = values[min(nth, len(values) - 1)] if isinstance(values, list) else values
            try:
                give_input(self._store, self._world, id_, key, value, _PERSON)
            except (NotWaiting, StoreError):
                continue
            self._given[name] = nth + 1

    def _ask_once(self, what: str) -> None:
        control = Control(self._store, self._world, self._storm.last(self._root))
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
