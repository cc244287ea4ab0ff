"""Graphs of every shape, and what their steps answer, for properties."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from hypothesis import strategies as st

from actum.engine.graphs.graph import Graph
from actum.engine.rules.calls import Approve, Outcome
from tests.engine.planner_driver import Driven, failed, granted, nothing, rejected

MAX_STEPS = 7


@dataclass(frozen=True)
class Case:
    """A graph, and enough chance to run it: answers by number of the visit, and which of the open calls ends next."""

    graph: Graph
    answers: list[int]
    order: list[int]

    def run(self) -> Driven:
        run = Driven(self.graph).begin()
        for count in range(10_000):
            if run.ended is not None or not run.open:
                return run
            keys = list(run.open)
            key = keys[self.order[count % len(self.order)] % len(keys)]
            run.settle(key, self.outcome(run, key, self.answers[count % len(self.answers)]))
        raise AssertionError("it does not come to an end")

    def outcome(self, run: Driven, key: str, chance: int) -> Outcome:
        """What this one ends with."""
        if isinstance(run.open[key], Approve):
            return rejected() if chance % 4 == 0 else granted()
        if chance == 9:
            return failed(ValueError("chance"))
        return Outcome("completed", {"a": chance % 2 == 0, "b": chance % 3 == 0, "n": chance})


def _condition(chance: int) -> Any:
    return (
        None,
        None,
        {"source": "{}.a", "operator": "eq", "value": True},
        {"not": {"source": "{}.b", "operator": "eq", "value": True}},
    )[chance]


def _with_source(raw: Any, step: str) -> Any:
    if raw is None:
        return None
    if "not" in raw:
        return {"not": _with_source(raw["not"], step)}
    return {**raw, "source": raw["source"].format(step)}


def case_of(draw: Random, *, plain: bool = False) -> Case:
    """Any graph. A plain one has no loops, joins all, and no step that fails or asks."""
    count = draw.randint(1, MAX_STEPS)
    graph = Graph("any", max_visits=None if plain else draw.randint(1, 4))
    for n in range(count):
        kind = 0 if plain else draw.randint(0, 9)
        join = "any" if kind in (1, 2) else "all"
        if kind == 9:
            graph = graph.approval(f"s{n}", "Go on?", join=join)
        else:
            on_error = {3: "continue", 4: "compensate"}.get(kind, "fail")
            graph = graph.step(f"s{n}", nothing, join=join, on_error=on_error)
    pairs = {(draw.randint(0, n - 1), n) for n in range(1, count)}  # every step can be reached
    for _ in range(draw.randint(0, 8)):
        one, other = draw.randint(0, count - 1), draw.randint(0, count - 1)
        if not plain:
            pairs.add((one, other))
        elif one != other:
            pairs.add((min(one, other), max(one, other)))
    ways = sorted(pairs)
    draw.shuffle(ways)
    for source, target in ways:
        raw = _with_source(_condition(draw.randint(0, 3)), f"s{source}")
        graph = graph.edge(f"s{source}", f"s{target}", when=raw)
    answers = [draw.randint(0, 8 if plain else 9) for _ in range(draw.randint(1, 20))]
    return Case(graph.build(), answers, [draw.randint(0, 50) for _ in range(draw.randint(1, 20))])


def cases(*, plain: bool = False) -> st.SearchStrategy[Case]:
    """The same for properties."""
    return st.randoms(use_true_random=False).map(lambda draw: case_of(draw, plain=plain))
