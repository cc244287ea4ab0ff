"""Races, signals, patches and children, one rule at a time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.engine.rules.calls import Child, Continue, Done, Failure, Give, Mark, Raced, Spawn, Wait
from actum.engine.rules.children import child_id, next_id
from actum.engine.rules.commands import ParkDiverged, Proceed, RecordSuccess, SendSignal
from actum.engine.rules.state import Execution
from actum.errors import ExecutionEnded
from tests.engine.spec import BOOM, DIGEST, Ev, at, ev, given, instant

STARTED = ev("step.started", "a#0", at_s=1)
ASKED = ev("approval.requested", "ok#0", severity="medium", at_s=1)
NAP = ev("timer.set", "nap#0", due=instant(9))
CHILD: dict[str, Any] = {"execution": "one.c-0", "workflow": "c", "definition": DIGEST, "on_parent_close": "cancel"}
OPEN = ev("child.started", "c#0", **CHILD)
ABANDONED = ev("child.started", "d#0", **{**CHILD, "execution": "one.d-0", "on_parent_close": "abandon"})
DECIDED = ev("race.decided", race="race", occurrence=0, winner="0")


def proceed(*wishes: Any, at_s: float = 3) -> Proceed:
    return Proceed(at(at_s), wishes)


def raced(*losers: str) -> Proceed:
    return proceed(Raced(0, "", "0", losers))


def awaits(key: str) -> Ev:
    return ev("signal.awaited", key)


def signal(name: str = "s", value: Any = None, **facts: Any) -> Ev:
    return ev("signal.received", signal=name, payload={"value": value}, **facts)


# -- races -------------------------------------------------------------------------------------------------------------


def test_what_lost_is_given_up_with_the_decision() -> None:
    """Steps and questions have events of their own; timers and waits are named in the decision."""
    given(STARTED, ASKED, NAP, awaits("s#0")).when(raced("a#0", "ok#0", "nap#0", "s#0")).then(
        ev("step.cancelled", "a#0", reason="race"),
        ev("approval.withdrawn", "ok#0", waited_us=2_000_000),
        ev("race.decided", race="race", occurrence=0, winner="0", losers=["nap#0", "s#0"]),
    )


def test_what_has_ended_in_the_meantime_has_ended() -> None:
    """A loser that completed in the same append stays completed."""
    done = ev("step.completed", "a#0", outcome="success", payload=7)
    given(STARTED, done).when(raced("a#0")).then(DECIDED)


def test_a_race_is_decided_once() -> None:
    """A replay that comes to the same end adds nothing."""
    given(STARTED, DECIDED).when(raced("a#0")).nothing()


def test_nothing_is_left_of_what_lost() -> None:
    """After the decision nothing is under way and nothing waits; a late answer causes nothing."""
    decided = given(
        STARTED,
        NAP,
        awaits("s#0"),
        ev("step.cancelled", "a#0", reason="race", at_s=2),
        ev("race.decided", race="race", occurrence=0, winner="0", losers=["nap#0", "s#0"]),
    )
    assert (decided.state.active, decided.state.waiting, decided.state.busy) == ({}, {}, 0)
    assert decided.state.settled == []
    decided.when(RecordSuccess(at(3), "a#0", 1, b"7", 5)).nothing()


def test_a_workflow_that_ends_with_a_race_gives_up_the_losers_first() -> None:
    """The winner's result may be the output: losers do not hold the end up."""
    given(STARTED).when(proceed(Raced(0, "", "0", ("a#0",)), Done(1))).then(
        ev("step.cancelled", "a#0", reason="race"), DECIDED
    ).when(proceed(Done(1))).then(
        ev("execution.completed", outcome="success", duration_us=3_000_000, active_us=2_000_000)
    )


# -- signals -----------------------------------------------------------------------------------------------------------


def test_a_signal_is_recorded_whether_or_not_anything_waits() -> None:
    """It stands in the order of what the workflow is told."""
    state = (
        given()
        .when(SendSignal(at(1), "s", b'{"value":7}', "x"))
        .then(ev("signal.received", signal="s", signal_id="x", at_s=1))
        .state
    )
    assert state.settled == ["!1"]
    assert (state.heard["!1"].name, state.heard["!1"].value) == ("s", 7)


def test_the_same_signal_again_is_nothing_and_the_ended_take_none() -> None:
    """Who sends twice has sent once, also when it has ended meanwhile."""
    sent = signal(signal_id="x")
    ended = ev("execution.completed", outcome="success")
    given(sent).when(SendSignal(at(1), "s", None, "x")).nothing()
    given(sent, ended).when(SendSignal(at(1), "s", None, "x")).nothing()
    given(ended).when(SendSignal(at(1), "s", None)).refused(ExecutionEnded, "completed")


MOVES = st.lists(st.sampled_from(["wait", "signal", "lose first", "lose last"]), max_size=12)


@forall(MOVES)
def test_the_fold_gives_signals_out_as_the_workflow_does(moves: list[str]) -> None:
    """The first signal is the first wait's that was not given up; what is left over is unread, or waits."""
    past: list[Ev] = []
    waits: list[str] = []
    came = occurrence = races = 0
    for move in moves:
        if move == "wait":
            past.append(awaits(f"s#{occurrence}"))
            waits.append(f"s#{occurrence}")
            occurrence += 1
        elif move == "signal":
            past.append(signal())
            came += 1
        elif len(waits) > came:  # only one that still waits can lose
            loser = waits.pop(came if move == "lose first" else -1)
            past.append(ev("race.decided", race="race", occurrence=races, winner="0", losers=[loser]))
            races += 1
        state = given(*past).state
        assert list(state.waiting) == waits[came:]
        assert len(state.unread("s")) == max(0, came - len(waits))


def test_a_wait_is_recorded_once() -> None:
    """So that the list says what it waits for."""
    given().when(proceed(Wait("s", 0))).then(awaits("s#0")).when(proceed(Wait("s", 0))).nothing()


# -- patches -----------------------------------------------------------------------------------------------------------


def test_a_patch_is_marked_once_also_at_the_end() -> None:
    """The mark stands with what the workflow did next, even when that was to end."""
    marked = ev("patch.marked", patch="p", after=0)
    given(marked).when(proceed(Mark("p", 4))).nothing()
    given().when(proceed(Mark("p", 0), Done(1))).then(marked)


# -- children ----------------------------------------------------------------------------------------------------------


def spawn(failure: Failure | None = None) -> Spawn:
    return Spawn(Child("c", "c", 1, 0), "one.c-0", "c", None if failure else DIGEST, failure)


def test_a_child_is_started_once() -> None:
    """Its id and definition stand in the parent."""
    given().when(proceed(spawn())).then(OPEN).when(proceed(spawn())).nothing()


def test_a_child_that_cannot_be_started_has_failed() -> None:
    """The workflow hears of it as of any other failure."""
    facts = {name: value for name, value in CHILD.items() if name != "definition"}
    state = (
        given()
        .when(proceed(spawn(BOOM)))
        .then(
            ev("child.started", "c#0", **facts),
            ev("child.ended", "c#0", execution="one.c-0", outcome="failure", error_type="ValueError"),
        )
        .state
    )
    assert state.settled == ["c#0"]
    assert state.outcome("c#0").failure == Failure("ValueError", "boom")


@pytest.mark.parametrize(
    ("end", "ended"),
    [
        (Done(1), ev("execution.completed", outcome="success", duration_us=3_000_000, active_us=0)),
        (
            Give(BOOM),
            ev("execution.failed", outcome="failure", error_type="ValueError", duration_us=3_000_000, active_us=0),
        ),
    ],
)
def test_children_are_asked_to_stop_with_their_parent(end: Any, ended: Ev) -> None:
    """Those that are not abandoned, in the append of its end; once."""
    asked = ev("child.cancel_requested", "c#0", execution="one.c-0")
    given(OPEN, ABANDONED).when(proceed(end)).then(asked, ended)
    given(OPEN, ABANDONED, asked).when(proceed(end)).then(ended)


def test_a_child_in_a_branch_that_lost_is_asked_to_stop() -> None:
    """Nobody waits for it any more."""
    given(OPEN, ABANDONED).when(raced("c#0", "d#0")).then(
        ev("child.cancel_requested", "c#0", execution="one.c-0"), DECIDED
    )


NAMES = st.text(st.sampled_from("ab-.0"), min_size=1, max_size=6)
KEYS = st.builds(
    lambda scope, name, number: f"{scope}/{name}#{number}" if scope else f"{name}#{number}",
    st.sampled_from(["", "g0.0", "g0.1/r0.0"]),
    NAMES,
    st.integers(0, 3),
)


@forall(KEYS, KEYS, st.sampled_from(["one", "x" * 200]))
def test_no_two_children_have_one_id(first: str, second: str, parent: str) -> None:
    """Each call of a parent has an id of its own, which a store takes."""
    ids = child_id(parent, first), child_id(parent, second)
    assert (ids[0] == ids[1]) == (first == second)
    assert all(len(id_) <= 200 and "/" not in id_ and "#" not in id_ for id_ in ids)


# -- going on as another -----------------------------------------------------------------------------------------------


def test_going_on_leaves_children_alone() -> None:
    """An execution that goes on as another is not over: its children are not asked to stop."""
    given(OPEN).when(proceed(Continue(1))).then(
        ev("execution.continued", next="one~1", duration_us=3_000_000, active_us=0)
    )


def test_each_link_of_a_chain_has_the_next_number() -> None:
    """`poll`, `poll~1`, `poll~2`: also when an id looks like a link and is none."""
    first, second, odd = Execution("poll"), Execution("poll~1"), Execution("odd~7")
    second.first = "poll"
    assert [next_id(first), next_id(second), next_id(odd)] == ["poll~1", "poll~2", "odd~7~1"]


# -- code that does not fit --------------------------------------------------------------------------------------------


def test_code_that_does_not_fit_is_recorded_once() -> None:
    """What is recorded and what is asked for, and that it waits for a person."""
    command = ParkDiverged(at(1), "'b#0'", "'new#0'", "flow.py:7", DIGEST)
    given().when(command).then(
        ev("replay.diverged", recorded="'b#0'", asked="'new#0'", definition=DIGEST, payload={"where": "flow.py:7"}),
        ev("execution.parked", reason="diverged"),
    ).when(command).nothing()
