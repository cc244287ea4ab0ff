"""Runs a graph to its end without an engine: answers what the planner wants, and keeps all that was said.

By default a call really runs its step's code. Its result goes through JSON, as it does through the log.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import orjson

from actum.engine.graphs.graph import Graph
from actum.engine.graphs.planner import GraphPlanner, prepare_input
from actum.engine.payloads.codec import encode
from actum.engine.rules.calls import (
    Approve,
    Call,
    Child,
    Done,
    Failure,
    Give,
    Heard,
    Outcome,
    Raced,
    Receive,
    Skip,
    Sleep,
    Take,
    Wait,
    Wish,
)

Answers = dict[str, Any]
"""By step, or by key: what its calls return; an exception for a call that fails; an `Outcome` for anything else."""


Asked = Call | Approve | Sleep | Wait | Child | Receive


def always_first(keys: list[str]) -> str:
    return keys[0]


class Driven:
    """One execution."""

    def __init__(self, graph: Graph, answers: Answers | None = None) -> None:
        self.planner = GraphPlanner(graph, "one")
        self.graph = graph
        self.answers = answers or {}
        self.wishes: list[Wish] = []
        self.open: dict[str, Asked] = {}
        self.record: list[tuple[str, Outcome]] = []
        """What was settled, in order: what a replay is given."""
        self.ended: Done | Give | None = None
        self.most_at_once = 0

    def begin(self, workflow_input: Any = None) -> Driven:
        self._take(self.planner.begin(prepare_input(self.graph, workflow_input)))
        return self

    def settle(self, key: str, outcome: Outcome | None = None) -> list[Wish]:
        asked = self.open.pop(key)
        outcome = self._outcome(asked) if outcome is None else outcome
        self.record.append((key, outcome))
        return self._take(self.planner.settle(key, outcome))

    def run(self, workflow_input: Any = None, pick: Callable[[list[str]], str] = always_first) -> Driven:
        """To the end, or until only questions to people without an answer are left."""
        self.begin(workflow_input)
        while self.ended is None:
            ready = [key for key, asked in self.open.items() if isinstance(asked, Call) or self._answer(asked)]
            ready = ready or [key for key, asked in self.open.items() if isinstance(asked, Sleep)]
            if not ready:
                return self
            self.settle(pick(ready))
        return self

    def hear(self, name: str, value: Any = None) -> list[Wish]:
        """A signal comes."""
        waiting = [key for key, asked in self.open.items() if isinstance(asked, Wait) and asked.signal == name]
        for key in waiting[:1]:
            del self.open[key]
        return self._take(self.planner.hear(Heard("signal", name, value, 0)))

    def _take(self, wishes: list[Wish]) -> list[Wish]:
        assert self.ended is None or not wishes, f"after {self.ended} still wanted: {wishes}"
        for wish in wishes:
            if isinstance(wish, Raced):
                for key in wish.losers:
                    del self.open[key]
            if isinstance(wish, (Call, Approve, Sleep, Wait, Child, Receive)):
                assert wish.key not in self.open, f"{wish.key} is wanted twice"
                assert wish.key not in dict(self.record), f"{wish.key} is wanted again"
                self.open[wish.key] = wish
            if isinstance(wish, (Done, Give)):
                self.ended = wish
        self.wishes += wishes
        self.most_at_once = max(self.most_at_once, len(self.open))
        return wishes

    def _answer(self, asked: Asked) -> Any:
        name = asked.key.rpartition("#")[0]
        return self.answers.get(asked.key, self.answers.get(name))

    def _outcome(self, asked: Asked) -> Outcome:
        if isinstance(asked, Sleep):
            return Outcome("fired")
        answer = self._answer(asked)
        if isinstance(answer, Outcome):
            return answer
        if isinstance(answer, Exception):
            return failed(answer)
        if answer is not None:
            return Outcome("received" if isinstance(asked, Receive) else "completed", answer)
        assert isinstance(asked, Call)
        try:
            return Outcome("completed", carried_out(asked))
        except Exception as exc:
            return failed(exc)

    # -- what tests ask about ----------------------------------------------------------------------------------------

    @property
    def output(self) -> Any:
        assert isinstance(self.ended, Done), self.ended
        return self.ended.output

    @property
    def error(self) -> Failure:
        assert isinstance(self.ended, Give), self.ended
        return self.ended.error

    @property
    def called(self) -> list[str]:
        """Steps in the order in which they were started."""
        return [wish.spec.name for wish in self.wishes if isinstance(wish, Call)]

    @property
    def skipped(self) -> list[str]:
        return [wish.step for wish in self.wishes if isinstance(wish, Skip)]

    @property
    def taken(self) -> list[tuple[str, str]]:
        return [(wish.source, wish.target) for wish in self.wishes if isinstance(wish, Take)]

    def call(self, key: str) -> Call:
        return next(wish for wish in self.wishes if isinstance(wish, Call) and wish.key == key)


def carried_out(call: Call) -> Any:
    """What the step's code returns, as the log would have it."""
    value = call.spec.run(*call.args, **(call.kwargs or {}))
    if inspect.isawaitable(value):
        value = asyncio.run(_awaited(value))
    return orjson.loads(encode(value, "the result"))


async def _awaited(value: Any) -> Any:
    return await value


def failed(error: Exception) -> Outcome:
    names = tuple(cls.__name__ for cls in type(error).__mro__[:-1])
    return Outcome("failed", failure=Failure(names[0], str(error), "", names[1:]))


def granted(by: str = "ann", comment: str = "") -> Outcome:
    return Outcome("granted", by=by, comment=comment)


def rejected(by: str = "ann", comment: str = "") -> Outcome:
    return Outcome("rejected", by=by, comment=comment)


# -- graphs in one line --------------------------------------------------------------------------------------------


def nothing() -> None:
    """The step that most of the test graphs are made of."""


def graph_of(*edges: str, start: str = "", **steps: dict[str, Any]) -> Graph:
    """A graph from edges such as "a b" or "a end"; a step's settings are given by its name."""
    graph = Graph("test")
    names = [name for edge in edges for name in edge.split() if not name.startswith("end")] + list(steps)
    for name in dict.fromkeys(names):
        settings = dict(steps.get(name, {}))
        asks = settings.pop("asks", None)
        graph = (
            graph.approval(name, asks, **settings)
            if asks
            else graph.step(name, settings.pop("run", nothing), **settings)
        )
    for edge in edges:
        source, target = edge.split()
        graph = graph.edge(source, target)
    return (graph.start(start) if start else graph).build()
