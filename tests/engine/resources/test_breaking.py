"""A breaker's rules: what opens it, what it lets through, what closes it; rebuilt from its events alone."""

from __future__ import annotations

from actum.engine.resources.book import Counted
from actum.engine.resources.breaking import CLOSED, Answer, Gate, count, fold_gate
from actum.engine.resources.declared import Breaker
from actum.events import Actor, NewEvent, to_text

NOON_US = 1_800_000_000_000_000
MINUTE_US = 60_000_000
BREAKER = Breaker("down", failures=3, within="5m", successes=2)


def failed(at_us: int, granted_us: int | None = None, *, counts: bool = True) -> Answer:
    return Answer("down", at_us if granted_us is None else granted_us, at_us, True, counts)


def test_so_many_failures_in_the_time_open_it() -> None:
    """Not before the last of them; successes in between are no pardon."""
    counted = Counted()
    said = [count(BREAKER, CLOSED, counted, failed(NOON_US + n)) for n in range(3)]
    assert said == ["", "", "breaker.opened"]


def test_failures_of_long_ago_do_not_count() -> None:
    """One an hour never opens it, however many there have been."""
    counted = Counted()
    assert {count(BREAKER, CLOSED, counted, failed(NOON_US + n * 60 * MINUTE_US)) for n in range(50)} == {""}


def test_other_errors_do_not_count() -> None:
    """What says nothing of the other side neither opens it nor closes it."""
    breaker = Breaker("down", failures=1, successes=1, errors=[ConnectionError, "Busy"])
    assert breaker.counts(("ConnectionResetError", "ConnectionError", "OSError"))
    assert breaker.counts(("Busy",))
    assert not breaker.counts(("ValueError",))
    counted, half = Counted(), Gate("half_open", NOON_US, 2)
    assert count(breaker, CLOSED, counted, failed(NOON_US, counts=False)) == ""
    assert count(breaker, half, counted, failed(NOON_US, counts=False)) == ""


def test_half_open_one_failure_opens_and_successes_close() -> None:
    """The count of successes begins anew each time it is half open."""
    half, counted = Gate("half_open", NOON_US, 2), Counted()
    fine = Answer("down", NOON_US, NOON_US, False)
    assert count(BREAKER, half, counted, fine) == ""
    assert count(BREAKER, half, counted, failed(NOON_US)) == "breaker.opened"
    again = Gate("half_open", NOON_US + MINUTE_US, 4)
    later = Answer("down", NOON_US + MINUTE_US, NOON_US + MINUTE_US, False)
    assert [count(BREAKER, again, counted, later) for _ in range(2)] == ["", "breaker.closed"]


def test_late_answers_say_nothing() -> None:
    """What was begun before the state that it is in counts for nothing, good or bad."""
    half, counted = Gate("half_open", NOON_US, 2), Counted()
    for answer in (failed(NOON_US + 5, NOON_US - 1), Answer("down", NOON_US - 1, NOON_US + 5, False)):
        assert count(BREAKER, half, counted, answer) == ""
    assert counted == Counted(2)
    assert count(BREAKER, Gate("open", NOON_US, 1), counted, failed(NOON_US + 5)) == ""


def test_its_state_follows_from_its_events() -> None:
    """A restart, or another worker, knows what it is and since when."""
    actor = Actor("worker", "w")
    events = [
        NewEvent(f"breaker.{what}", {"breaker": "down"}, to_text(NOON_US + n), actor)
        for n, what in enumerate(("opened", "half_opened", "opened", "half_opened", "closed"))
    ]
    states = [fold_gate(CLOSED, events[: n + 1]) for n in range(5)]
    assert [gate.status for gate in states] == ["open", "half_open", "open", "half_open", "closed"]
    assert states[-1] == Gate("closed", NOON_US + 4, 5) == fold_gate(states[2], events[3:])
