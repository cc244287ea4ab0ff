"""The rules of timers and approvals, one at a time, and what holds whatever is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.engine.rules.calls import Done, Failure, Give, Skip, Take
from actum.engine.rules.commands import (
    Begin,
    Claim,
    DecideApproval,
    Park,
    Proceed,
    RecordFailure,
    RecordSuccess,
    RecordUndo,
    RecordUndoFailure,
    RunAgain,
    Tick,
    UpgradeCode,
)
from actum.engine.rules.decider import decide
from actum.engine.rules.folding import evolve
from actum.engine.rules.retry import Retry
from actum.errors import NotWaiting
from actum.events import Actor
from tests.engine.rules.deciding import OTHER, failed, proceed
from tests.engine.spec import DIGEST, WORKER, Ev, Given, ask, at, call, ev, given, instant, recorded, sleep

# -- timers ----------------------------------------------------------------------------------------------------------


def test_a_sleep_sets_a_timer_that_fires_when_due() -> None:
    """The due time is recorded, so a restart does not prolong it; how late it fired is recorded too."""
    after = given().when(proceed(sleep(60))).then(ev("timer.set", "nap#0", due=instant(61)))
    after.when(proceed(sleep(60), at_s=30)).nothing()
    after.when(Tick(at(61) - 1)).nothing()
    after = after.when(Tick(at(64))).then(ev("timer.fired", "nap#0", late_us=3_000_000))
    after.when(Tick(at(65))).nothing()


def test_timers_of_branches_are_apart() -> None:
    """A timer's scope is part of its name."""
    scoped = sleep(1)._replace(scope="g0.1/g0.0")
    after = given().when(proceed(scoped)).then(ev("timer.set", "g0.1/g0.0/nap#0", due=instant(2)))
    after.when(Tick(at(2))).then(ev("timer.fired", "g0.1/g0.0/nap#0", late_us=0))


def test_a_retry_that_needs_something_is_scheduled_once() -> None:
    """When its time has come it waits for what it needs, and no longer for its time."""
    needs = {"gpu": 1}
    after = given(
        ev("step.scheduled", "a#0", attempt=1, needs=needs),
        ev("step.started", "a#0", attempt=1),
        failed("a#0", final=False),
        ev("step.retry_scheduled", "a#0", attempt=2, delay_us=2_000_000, not_before=instant(4)),
    )
    after = after.when(Tick(at(4))).then(ev("step.scheduled", "a#0", attempt=2, needs=needs))
    after.when(Tick(at(5))).nothing()


# -- approvals -------------------------------------------------------------------------------------------------------


PERSON = Actor("person", "p-1")


def asked(deadline_s: float | None = None, scope: str = "") -> Given:
    """An execution with one open question, as it comes out of a store."""
    more = {} if deadline_s is None else {"deadline": instant(deadline_s)}
    request = ev("approval.requested", f"{scope}ok#0", severity="high", payload={"title": "?"}, at_s=1, **more)
    over = given()
    evolve(over.state, recorded(request, 1))
    return over


def shown(over: Given, key: str = "ok#0") -> str:
    digest = over.state.approvals[key].shown
    assert digest is not None
    return digest


def answer(
    over: Given, granted: bool = True, at_s: float = 5, key: str = "ok#0", of: str | None = None
) -> DecideApproval:
    return DecideApproval(at(at_s), key, granted, "p-1", of or shown(over, key), b'{"comment":"fine"}')


def test_a_question_is_recorded_with_what_is_shown() -> None:
    """Title and context are payload; severity, policy and deadline are facts."""
    wish = ask(context={"amount": 5}, severity="high", policy="two-of-finance", deadline_s=60)
    given().when(proceed(wish)).then(
        ev(
            "approval.requested",
            "ok#0",
            severity="high",
            policy="two-of-finance",
            deadline=instant(61),
            payload={"title": "Really?", "context": {"amount": 5}},
        )
    )


def test_a_question_is_put_once() -> None:
    """Wanting it again, on replay, causes nothing."""
    asked().when(proceed(ask())).nothing()


def test_a_context_may_be_a_dataclass() -> None:
    """What people are shown is encoded like the results of steps."""

    @dataclass
    class Order:
        amount: int

    (event,) = decide(given().state, proceed(ask(context=Order(5))), WORKER)

    assert event.payload == b'{"title":"Really?","context":{"amount":5}}'


@pytest.mark.parametrize(("granted", "type_"), [(True, "approval.granted"), (False, "approval.rejected")])
def test_a_person_decides(granted: bool, type_: str) -> None:
    """The decision is the person's event, bound to the digest of what was shown, with how long it was waited for."""
    over = asked()
    over.when(answer(over, granted)).then(
        ev(type_, "ok#0", shown=shown(over), waited_us=4_000_000, by=PERSON, payload={"comment": "fine"})
    )


def test_a_question_of_a_branch_is_decided_under_its_scope() -> None:
    """Scope, name and occurrence find the question again."""
    over = asked(scope="g0.1/")
    over.when(answer(over, key="g0.1/ok#0")).then(
        ev("approval.granted", "g0.1/ok#0", shown=shown(over, "g0.1/ok#0"), waited_us=4_000_000)
    )


@pytest.mark.parametrize("first", ["approval.granted", "approval.rejected", "approval.expired"])
@pytest.mark.parametrize("second", [True, False])
def test_nothing_is_decided_twice(first: str, second: bool) -> None:
    """The first decision stands, whoever comes second and whatever they say."""
    over = asked()
    evolve(over.state, ev(first, "ok#0", waited_us=0).new())
    over.when(answer(over, second)).refused(NotWaiting, f"already {first.partition('.')[2]}")


def test_nothing_is_decided_after_the_end() -> None:
    """A decision that cannot have an effect is refused, and says so."""
    over = asked()
    evolve(over.state, ev("execution.cancelled", outcome="cancelled", by="user").new())
    over.when(answer(over)).refused(NotWaiting, "the execution has cancelled")


def test_the_deadline_is_the_first_moment_that_is_too_late() -> None:
    """Up to the deadline a decision counts; from it on none does, though nobody has recorded the expiry yet."""
    over = asked(deadline_s=5)
    assert len(decide(over.state, answer(over, at_s=4.999999), WORKER)) == 1
    over.when(answer(over, at_s=5)).refused(NotWaiting, "past its deadline")


def test_a_decision_about_something_else_is_refused() -> None:
    """Who was shown something else than what is recorded has not decided this."""
    over = asked()
    over.when(answer(over, of="hmac-sha256:00")).refused(NotWaiting, "something else than what was shown")


def test_an_unknown_question_cannot_be_decided() -> None:
    """There is no decision without a question."""
    given().when(DecideApproval(at(1), "ok#0", True, "p-1", "", None)).refused(NotWaiting, "unknown")


def test_a_question_nobody_answers_expires_at_its_deadline() -> None:
    """Expiry is recorded at the deadline, once, by the worker: no human act."""
    over = asked(deadline_s=5)
    over.when(Tick(at(5) - 1)).nothing()
    over.when(Tick(at(5))).then(ev("approval.expired", "ok#0", waited_us=4_000_000, by=WORKER))
    evolve(over.state, ev("approval.expired", "ok#0", waited_us=0).new())
    over.when(Tick(at(6))).nothing()
    asked().when(Tick(at(10**9))).nothing()


# -- whatever is asked -----------------------------------------------------------------------------------------------


def made(of: Any, *parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(*parts).map(lambda values: of(*values))


KEYS = st.sampled_from(["a#0", "b#0", "g0.0/a#0", "ok#0", "nap#0"])
FAILURES = made(Failure, st.sampled_from(["ValueError", "TypeError"]), st.text())
RETRIES = made(Retry, st.integers(1, 3), st.just(0))
TIMES = st.integers(0, 100).map(at)
ATTEMPTS = st.integers(1, 3)
CHANCES = st.floats(0, 1, exclude_max=True)
WISHES = st.one_of(
    made(lambda key, undo: call(key, 1, undo=undo), st.sampled_from(["a#0", "b#0", "g0.0/a#0"]), st.booleans()),
    made(lambda seconds: ask(deadline_s=seconds), st.none() | st.integers(1, 50)),
    made(sleep, st.integers(1, 50)),
    made(Take, st.just("a"), st.just(0), st.just("b")),
    made(Skip, st.just("c"), st.just(0)),
    made(Done, st.integers()),
    made(Give, FAILURES),
)
COMMANDS = st.one_of(
    made(Begin, TIMES, st.just("w"), st.just("function"), st.just(DIGEST), st.none()),
    made(Claim, TIMES, st.just("w-2"), st.dictionaries(KEYS, st.sampled_from(["retry", "verify", "park"]))),
    made(UpgradeCode, TIMES, st.sampled_from([DIGEST, OTHER])),
    made(Proceed, TIMES, st.lists(WISHES, max_size=4)),
    made(RecordSuccess, TIMES, KEYS, ATTEMPTS, st.just(b"1"), st.just(5)),
    made(RecordFailure, TIMES, KEYS, ATTEMPTS, FAILURES, st.just(5), RETRIES, CHANCES, st.none() | st.just(9)),
    made(RunAgain, TIMES, KEYS),
    made(Park, TIMES, KEYS, st.text()),
    made(RecordUndo, TIMES, KEYS, ATTEMPTS, st.just(5)),
    made(RecordUndoFailure, TIMES, KEYS, ATTEMPTS, FAILURES, st.just(5), RETRIES, CHANCES),
    made(Tick, TIMES),
)


@forall(st.lists(COMMANDS, max_size=30))
def test_whatever_is_asked_the_log_stays_sound(asked_for: list[Any]) -> None:
    """In any order of commands: one beginning, at most one end and nothing after it, no step completed or undone
    twice, every end of an attempt after its start, and every event in the catalogue's form."""
    over = given()
    log: list[Ev] = []
    for command in asked_for:
        before = over.state.version
        for event in decide(over.state, command, WORKER):
            log.append(Ev(event.type, event.facts))
            evolve(over.state, event)
        assert over.state.version - before == len(log[before - 1 :])
    given().when(Proceed(at(0), ())).nothing()

    types = [event.type for event in log]
    ends = [i for i, t in enumerate(types) if t in ("execution.completed", "execution.failed")]
    assert "execution.started" not in types
    assert ends in ([], [len(types) - 1])
    running: set[tuple[Any, ...]] = set()
    closed: set[tuple[Any, ...]] = set()
    for event in log:
        facts = event.facts
        name = (event.type.partition(".")[0], facts.get("scope"), facts.get("step"), facts.get("occurrence"))
        if event.type in ("step.started", "compensation.started"):
            assert name not in closed
            running.add((*name, facts["attempt"]))
        elif event.type in ("step.completed", "step.failed", "step.timed_out") or name[0] == "compensation":
            assert (*name, facts["attempt"]) in running
            running.discard((*name, facts["attempt"]))
            if event.type.endswith("completed") or facts.get("final"):
                closed.add(name)
