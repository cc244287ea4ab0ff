"""Whatever goes wrong around them, executions come to the end that they would have come to anyway.

Every test goes through many seeds, and each run is held to the promises P1 to P8. `ACTUM_SEEDS=10000 pytest …` goes
through more of them; a seed that fails names the command that makes it happen again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import orjson
import pytest

from actum.engine import Graph, Retry, Workflow, current_step, step
from actum.engine.graphs.graph import Code, GraphStep, Question
from actum.testing.pytest_plugin import Seeds
from actum.testing.simulation.people import Answer
from actum.testing.simulation.simulate import guards_of
from actum.testing.simulation.simulation import Simulation
from actum.testing.simulation.weather import CALM, Luck, Weather
from tests.engine.random_functions import CHILD, Program, luck_of, program_of
from tests.engine.random_graphs import case_of

FORGETFUL = Weather(idle_after_s=0)
"""Nothing goes wrong, and whatever waits is let go from memory at once."""

parts = pytest.mark.parametrize("part", range(2))


# -- what is simulated -------------------------------------------------------------------------------------------------


class Life:
    """One execution of a random function or graph, as often as it is run."""

    def __init__(self, what: Program | Graph, luck: Luck) -> None:
        self.what = what
        self.luck = luck
        program = what if isinstance(what, Program) else None
        self.simulation = Simulation(
            self._code,
            luck=luck,
            answer=self._answer,
            signals={name: [name] * 40 for name in program.signals} if program else {},
            guards=what.guards if isinstance(what, Program) else guards_of(what),
            others=[CHILD],
        )

    def run(self, weather: Weather = CALM) -> Life:
        self.simulation.run(weather)
        state = self.simulation.storm.state("one")
        assert (state.status == "cancelled") == state.cancel_requested
        for one in state.steps.values():
            assert one.status != "cancelled" or state.cancel_requested or state.races, one.key
        return self

    @property
    def output(self) -> Any:
        """The status, and the output if there is one."""
        state = self.simulation.storm.state("one")
        said = {} if state.end_payload is None else orjson.loads(state.end_payload)
        return state.status, said.get("output")

    @property
    def end(self) -> Any:
        """All that does not depend on who was faster."""
        state = self.simulation.storm.state("one")
        steps = sorted((one.key, one.status, one.failures, one.undo, one.undo_failures) for one in state.steps.values())
        answers = sorted((one.key, one.status) for one in state.approvals.values())
        return self.output, state.error_type, sorted(state.uncompensated), steps, answers

    @property
    def in_order(self) -> bool:
        """Whether its end is the same whichever of its branches is faster."""
        return self.what.in_order if isinstance(self.what, Program) else in_order(self.what)

    def _code(self) -> Workflow | Graph:
        """The code, made anew, as another process would have it."""
        if isinstance(self.what, Program):
            return self.what.workflow(lambda name: self._function_step, self._undo(), self._look)
        return replace(self.what, steps=tuple(self._graph_step(one) for one in self.what.steps))

    def _graph_step(self, one: GraphStep) -> GraphStep:
        if one.run is None:
            return one

        async def code() -> Any:
            value = await self._function_step()
            return {"a": value % 2 == 0, "b": value % 3 == 0, "n": value}

        retry = Retry(attempts=2, first_delay_s=0.01)
        undo = Code("m:undo", self._undo())
        return replace(one, run=Code("m:code", code), retry=retry, timeout_s=0.05, compensate=undo)

    async def _function_step(self) -> int:
        me = current_step()
        assert me is not None
        return self.luck.value(me.key)

    def _undo(self) -> Any:
        async def undo(result: Any) -> None: ...

        return step(name="undo", retries=Retry(attempts=3, first_delay_s=0.01), timeout=0.05)(undo)

    def _look(self, name: str) -> Callable[[], Any]:
        async def look() -> Any:
            me = current_step()
            assert me is not None
            done = self.simulation.effects.happened(me.key, me.attempt)
            return self.luck.value(me.key) if done else None

        return look

    def _answer(self, key: str) -> Answer:
        if isinstance(self.what, Program):
            said: Any = self.what.answers[key.rpartition("/")[2].partition("#")[0]]
            return said  # type: ignore[no-any-return]
        return "no" if self.luck.outcome(key, 0) == "fails" else "yes"


def graph_of(draw: Random) -> Graph:
    """Any graph; half of them without loops and waiting for all, so that their end does not hang on who is faster."""
    graph = case_of(draw, plain=draw.random() < 0.5).graph
    if not in_order(graph):
        return graph

    def changed(one: GraphStep) -> GraphStep:
        kind = draw.randint(0, 4)
        if kind == 0:
            return GraphStep(one.id, question=Question("Go on?"))
        return replace(one, on_error="continue") if kind == 1 else one

    return replace(graph, steps=tuple(changed(one) for one in graph.steps))


def in_order(graph: Graph) -> bool:
    """Whether a graph has no loops and its steps wait for all."""
    numbers = {one.id: number for number, one in enumerate(graph.steps)}
    forward = all(numbers[way.source] < numbers[way.target] for way in graph.transitions)
    return forward and all(one.join == "all" for one in graph.steps)


def anything(draw: Random, *, free: bool = False) -> Program | Graph:
    return program_of(draw, free=free) if draw.random() < 0.5 else graph_of(draw)


# -- what holds --------------------------------------------------------------------------------------------------------


@parts
def test_a_durable_function_ends_as_if_nothing_had_gone_wrong(actum_seeds: Seeds, part: int) -> None:
    """Late, lost and refused appends, dead and half-dead engines change neither its end nor what was done for it."""

    def once(seed: int) -> None:
        draw = Random(f"function {seed}")
        life = Life(program := program_of(draw), luck_of(draw)).run()
        output, end = life.output, life.end
        life.run(Weather.of(seed, asks=False))
        if program.certain:
            assert life.output == output
        if program.in_order and program.certain:
            assert life.end == end

    actum_seeds(400, once, part)


@parts
def test_a_graph_ends_as_if_nothing_had_gone_wrong(actum_seeds: Seeds, part: int) -> None:
    """The same for graphs, loops included; where who is faster decides the end, the end is at least a lawful one."""

    def once(seed: int) -> None:
        draw = Random(f"graph {seed}")
        life = Life(graph := graph_of(draw), luck_of(draw)).run()
        output = life.output
        life.run(Weather.of(seed, asks=False))
        if in_order(graph):
            assert life.output == output

    actum_seeds(300, once, part)


def test_letting_go_at_every_wait_changes_nothing(actum_seeds: Seeds) -> None:
    """An engine that keeps nothing in memory that waits comes to the same end, by the same steps."""

    def once(seed: int) -> None:
        draw = Random(f"letting go {seed}")
        life = Life(anything(draw), luck_of(draw)).run()
        output, end = life.output, life.end
        life.run(FORGETFUL)
        assert life.output == output
        if life.in_order:
            assert life.end == end

    actum_seeds(200, once)


@parts
def test_whatever_people_ask_in_any_weather_it_comes_to_a_lawful_end(actum_seeds: Seeds, part: int) -> None:
    """Paused, resumed, cancelled at any moment: nothing is made twice, left half undone, or undone behind a pivot."""

    def once(seed: int) -> None:
        draw = Random(f"asks {seed}")
        Life(anything(draw, free=True), luck_of(draw)).run(Weather.of(seed))

    actum_seeds(400, once, part)
