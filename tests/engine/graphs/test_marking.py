"""What holds for every graph, whatever its steps answer and in whatever order they end."""

from __future__ import annotations

from collections import Counter

from hypothesis import given as forall

from actum.engine.graphs.planner import GraphPlanner
from actum.engine.rules.calls import Approve, Call, Done, Skip, Take
from tests.engine.random_graphs import Case, cases


@forall(cases())
def test_the_same_outcomes_give_the_same_wishes(case: Case) -> None:
    """A new planner that is told the recorded outcomes in the recorded order wants exactly the same."""
    run = case.run()
    again = GraphPlanner(case.graph)
    wishes = again.begin({})
    for key, outcome in run.record:
        wishes += again.settle(key, outcome)

    assert wishes == run.wishes


@forall(cases())
def test_every_execution_comes_to_one_end(case: Case) -> None:
    """Whatever happens there is an end, exactly one, and no call is still running when it comes."""
    run = case.run()

    assert run.ended is not None
    assert not [asked for asked in run.open.values() if isinstance(asked, Call)]


@forall(cases())
def test_rounds_are_numbered_without_gaps(case: Case) -> None:
    """Visits and skips of a step count from 0, each number once: no two visits share an occurrence."""
    run = case.run()
    rounds: dict[str, list[int]] = {}
    for wish in run.wishes:
        match wish:
            case Call(spec, occurrence):
                rounds.setdefault(spec.name, []).append(occurrence)
            case Approve(approval, occurrence):
                rounds.setdefault(approval.name, []).append(occurrence)
            case Skip(step, occurrence):
                rounds.setdefault(step, []).append(occurrence)
    if isinstance(run.ended, Done):  # a failure may stop a round that has its number already
        assert all(numbers == list(range(len(numbers))) for numbers in rounds.values())
    assert all(len(set(numbers)) == len(numbers) for numbers in rounds.values())


@forall(cases())
def test_no_step_starts_more_often_than_it_may(case: Case) -> None:
    """max_visits holds, whatever the loops do."""
    started = Counter(wish.key.partition("#")[0] for wish in case.run().wishes if isinstance(wish, (Call, Approve)))

    assert case.graph.max_visits is not None
    assert max(started.values()) <= case.graph.max_visits


@forall(cases())
def test_nothing_starts_that_no_transition_leads_to(case: Case) -> None:
    """Every visit but the first follows a transition of its own that was taken to its step before."""
    ways = Counter({case.graph.start_at: 1})
    for wish in case.run().wishes:
        if isinstance(wish, Take):
            ways[wish.target] += 1
        elif isinstance(wish, (Call, Approve)):
            name = wish.key.partition("#")[0]
            ways[name] -= 1
            assert ways[name] >= 0


@forall(cases(plain=True))
def test_without_loops_every_step_runs_once_or_is_skipped_once(case: Case) -> None:
    """Each step has exactly one round, and the execution is done."""
    run = case.run()

    assert isinstance(run.ended, Done)
    assert sorted(run.called + run.skipped) == sorted(step.id for step in case.graph.steps)


@forall(cases(plain=True))
def test_a_step_runs_exactly_when_a_transition_into_it_was_taken(case: Case) -> None:
    """Taken by any of its predecessors means it runs; by none, that it is skipped."""
    run = case.run()
    targets = {target for _, target in run.taken} | {case.graph.start_at}

    assert set(run.called) == targets
    assert set(run.skipped) == {step.id for step in case.graph.steps} - targets


@forall(cases(plain=True))
def test_joins_wait_for_all(case: Case) -> None:
    """When a step starts, every step with a transition to it has ended or been skipped."""
    run = case.run()
    before: dict[str, set[str]] = {step.id: set() for step in case.graph.steps}
    for transition in case.graph.transitions:
        before[transition.target].add(transition.source)
    again = GraphPlanner(case.graph)
    over: set[str] = set()
    wishes = again.begin({})
    for key, outcome in run.record:
        over.add(key.partition("#")[0])
        wishes = again.settle(key, outcome)
        over |= {wish.step for wish in wishes if isinstance(wish, Skip)}
        for wish in wishes:
            if isinstance(wish, Call):
                assert before[wish.spec.name] <= over
