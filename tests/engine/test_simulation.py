"""Whatever goes wrong around them, executions come to the end that they would have come to anyway."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.engine import Graph
from actum.engine.graphs.graph import GraphStep, Question
from tests.engine.random_functions import Luck, Program, lucks, programs
from tests.engine.random_graphs import Case, cases
from tests.engine.simulated import Asked, Life, Simulation, Weather
from tests.engine.storm import FATES, Fate

SIMULATED = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def _fate(kind: str, write_ms: int, answer_ms: int) -> Fate:
    longer = 150 if kind == "refused" else 1  # up to 45 s: longer than an engine is patient
    return Fate(kind, write_ms / 1000, answer_ms * longer / 1000)


_fates = st.builds(
    _fate, st.sampled_from(("ok", "ok", *FATES)), st.integers(0, 30), st.one_of(st.integers(0, 30), st.integers(0, 300))
)
weathers = st.builds(
    Weather,
    st.lists(_fates, max_size=25).map(tuple),
    st.lists(st.builds(Life, st.integers(0, 120), st.booleans()), max_size=8).map(tuple),
    st.lists(st.integers(0, 100), max_size=5).map(tuple),
    st.sampled_from((None, 0.0, 0.02)),
    st.just(()),
)
FORGETFUL = Weather(idle_after_s=0)
"""Nothing goes wrong, and whatever waits is let go from memory at once."""


asked = st.lists(
    st.builds(
        Asked,
        st.sampled_from(("pause", "unpause", "cancel", "cancel", "cancel, and leave it", "cancel, now")),
        st.integers(0, 80),
    ),
    min_size=1,
    max_size=4,
).map(tuple)


@st.composite
def graphs(draw: Callable[..., Any]) -> Graph:
    """Any graph; half of them without loops and waiting for all, so that their end does not hang on who is faster."""
    case: Case = draw(st.one_of(cases(), cases(plain=True)))
    if not in_order(case.graph):
        return case.graph

    def changed(one: GraphStep) -> GraphStep:
        kind = draw(st.integers(0, 4))
        if kind == 0:
            return GraphStep(one.id, question=Question("Go on?"))
        return replace(one, on_error="continue") if kind == 1 else one

    return replace(case.graph, steps=tuple(changed(one) for one in case.graph.steps))


def in_order(graph: Graph) -> bool:
    """Whether a graph has no loops and its steps wait for all."""
    numbers = {one.id: number for number, one in enumerate(graph.steps)}
    forward = all(numbers[way.source] < numbers[way.target] for way in graph.transitions)
    return forward and all(one.join == "all" for one in graph.steps)


@SIMULATED
@forall(programs(), lucks, weathers)
def test_a_durable_function_ends_as_if_nothing_had_gone_wrong(program: Program, luck: Luck, weather: Weather) -> None:
    """Late, lost and refused appends, dead and half-dead engines change neither its end nor what was done for it."""
    calm = Simulation(program, luck).run()
    stormy = Simulation(program, luck).run(weather)

    if program.certain:
        assert stormy.output == calm.output
    if program.in_order and program.certain:
        assert stormy.end == calm.end


@SIMULATED
@forall(graphs(), lucks, weathers)
def test_a_graph_ends_as_if_nothing_had_gone_wrong(graph: Graph, luck: Luck, weather: Weather) -> None:
    """The same for graphs, loops included; where who is faster decides the end, the end is at least a lawful one."""
    calm = Simulation(graph, luck).run()
    stormy = Simulation(graph, luck).run(weather)

    if in_order(graph):
        assert stormy.output == calm.output


@SIMULATED
@forall(st.one_of(programs(), graphs()), lucks)
def test_letting_go_at_every_wait_changes_nothing(what: Program | Graph, luck: Luck) -> None:
    """An engine that keeps nothing in memory that waits comes to the same end, by the same steps."""
    kept = Simulation(what, luck).run()
    forgotten = Simulation(what, luck).run(FORGETFUL)

    assert forgotten.output == kept.output
    if what.in_order if isinstance(what, Program) else in_order(what):
        assert forgotten.end == kept.end


@SIMULATED
@forall(st.one_of(programs(free=True), graphs()), lucks, weathers, asked)
def test_whatever_people_ask_in_any_weather_it_comes_to_a_lawful_end(
    what: Program | Graph, luck: Luck, weather: Weather, asks: tuple[Asked, ...]
) -> None:
    """Paused, resumed, cancelled at any moment: nothing is made twice, left half undone, or undone behind a pivot."""
    Simulation(what, luck).run(weather._replace(asks=asks))
