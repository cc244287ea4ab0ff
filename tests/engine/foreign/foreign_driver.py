"""Runs foreign code to its end without an engine: answers what its planner wants, in virtual time.

Steps really run the functions that the tasks are bound to; their results go through JSON, as they do through the log.
At the end the record is played to a second planner, which must want exactly the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from actum.engine.foreign.code import Foreign
from actum.engine.payloads.codec import encode
from actum.engine.rules.calls import Call, Done, Failure, Give, Heard, Outcome, Skip, Sleep, Take, Wait, Wish

NOON_US = 1_795_262_400_000_000


class Script:
    """A bound function that answers each call with the next of these; the last one answers all that follow.

    An exception is raised; a function is called with the task's input; anything else is returned.
    """

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.given: list[Any] = []

    def __call__(self, value: Any) -> Any:
        self.given.append(value)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(value) if callable(answer) else answer


class Ran:
    """One execution."""

    def __init__(self, code: Foreign, given: Any = None, signals: Iterable[tuple[str, Any]] = ()) -> None:
        self.code = code.build()
        self.input = self.code.prepare(given)
        self.now_us = NOON_US
        self.called: list[str] = []
        self.slept: list[float] = []
        self.skipped: list[str] = []
        self.listened: list[str] = []
        self.path: list[tuple[str, str]] = []
        self.record: list[tuple[str, Any]] = []
        self.wishes: list[list[Wish]] = []
        self.ended: Done | Give | None = None
        self._planner = self.code.planner("one")
        self._calls: list[Call] = []
        self._sleeps: list[tuple[int, int, str]] = []
        self._tries: dict[str, int] = {}
        self._take(self._planner.begin(self.input))
        self._signals = list(signals)
        self._go_on()
        self._replay()

    @property
    def output(self) -> Any:
        assert isinstance(self.ended, Done), self.ended
        return self.ended.output

    @property
    def error(self) -> Failure:
        assert isinstance(self.ended, Give), self.ended
        return self.ended.error

    @property
    def states(self) -> list[str]:
        """Where transitions led, in order."""
        return [target for _, target in self.path]

    @property
    def visited(self) -> list[str]:
        """The tasks of a Serverless Workflow in the order in which they were entered."""
        return [next(iter(self.code.definition["do"][0])), *self.states]

    def _go_on(self) -> None:
        while self.ended is None:
            if self._calls:
                self._run(self._calls.pop(0))
            elif self._signals:
                name, value = self._signals.pop(0)
                self._hear(name, value)
            elif self._sleeps:
                due, number, key = min(self._sleeps)
                self._sleeps.remove((due, number, key))
                self.now_us = max(self.now_us, due)
                self._settle(key, Outcome("fired", at_us=self.now_us))
            else:
                return

    def _run(self, call: Call) -> None:
        try:
            value = call.spec.run(*call.args, **(call.kwargs or {}))
        except Exception as exc:
            names = tuple(cls.__name__ for cls in type(exc).__mro__[:-1])
            tried = self._tries[call.key] = self._tries.get(call.key, 0) + 1
            if call.spec.retry.allows(tried, names):
                self.slept.append(call.spec.retry.delay_us(tried, 0) / 1_000_000)
                self._calls.append(call)
                return
            self._settle(call.key, Outcome("failed", failure=Failure(names[0], str(exc))))
            return
        self._settle(call.key, Outcome("completed", orjson.loads(encode(value, "the result"))))

    def _settle(self, key: str, outcome: Outcome) -> None:
        self.record.append((key, outcome))
        self._take(self._planner.settle(key, outcome))

    def _hear(self, name: str, value: Any) -> None:
        heard = Heard("signal", name, value, self.now_us)
        self.record.append(("!", heard))
        self._take(self._planner.hear(heard))

    def _take(self, wishes: list[Wish]) -> None:
        assert self.ended is None or not wishes, f"after {self.ended} still wanted: {wishes}"
        self.wishes.append(wishes)
        for wish in wishes:
            match wish:
                case Call():
                    self.called.append(f"{wish.scope}/{wish.spec.name}" if wish.scope else wish.spec.name)
                    self._calls.append(wish)
                case Sleep(seconds):
                    if seconds:
                        self.slept.append(seconds)
                    self._sleeps.append((self.now_us + int(seconds * 1_000_000), len(self._sleeps), wish.key))
                case Take(source, _, target):
                    self.path.append((source, target))
                case Skip(step):
                    self.skipped.append(step)
                case Wait(signal):
                    self.listened.append(signal)
                case Done() | Give():
                    self.ended = wish
                case _:
                    raise AssertionError(f"an unexpected wish: {wish}")

    def _replay(self) -> None:
        planner = self.code.planner("one")
        again = [planner.begin(self.input)]
        for key, told in self.record:
            again.append(planner.hear(told) if isinstance(told, Heard) else planner.settle(key, told))
        assert _said(again) == _said(self.wishes), "a replay wants something else"


def _said(wishes: list[list[Wish]]) -> list[list[str]]:
    return [[_one(wish) for wish in turn] for turn in wishes]


def _one(wish: Wish) -> str:
    if isinstance(wish, Call):
        return f"call {wish.key} {wish.args}"
    return repr(wish)
