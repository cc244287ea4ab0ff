"""An execution that takes its worker down again and again is left to a person."""

from __future__ import annotations

from typing import Any

import pytest

from actum.engine.rules.commands import Claim
from actum.engine.rules.state import is_recovery
from tests.engine.spec import at, ev, given

STARTED = ev("step.started", "a#0")
COMPLETED = ev("step.completed", "a#0", outcome="success", duration_us=5, payload=7)


def claim(limit: int | None = 2, worker: str = "w-9") -> Claim:
    return Claim(at(9), worker, {}, limit)


def taken(times: int, then: Any = None) -> list[Any]:
    """The record of so many recoveries of a step that ran, each beginning it again."""
    past: list[Any] = []
    for n in range(times):
        past += [
            ev("execution.claimed", worker=f"w-{n}", reason="takeover"),
            ev("step.in_doubt", "a#0", attempt=n + 1, action="retry"),
            ev("step.started", "a#0", attempt=n + 2),
        ]
    return past


def parked(step: str | None = "a") -> Any:
    return ev("execution.parked", reason="poison", **({} if step is None else {"step": step}))


def test_after_so_many_recoveries_it_is_parked_with_the_step_that_ran() -> None:
    """The step is in doubt, and nothing begins."""
    given(STARTED, *taken(2)).when(claim()).then(
        ev("execution.claimed", worker="w-9", reason="takeover"),
        ev("step.in_doubt", "a#0", attempt=3, action="park"),
        parked(),
    )


def test_before_that_it_is_begun_again() -> None:
    """One recovery less, and no limit, are no reason."""
    for past, limit in ((1, 2), (7, None)):
        after = given(STARTED, *taken(past)).when(claim(limit))
        after.then(
            ev("execution.claimed", worker="w-9", reason="takeover"),
            ev("step.in_doubt", "a#0", attempt=past + 1, action="retry"),
            ev("step.started", "a#0", attempt=past + 2),
        )


@pytest.mark.parametrize(
    "progress",
    [
        COMPLETED,
        ev("step.failed", "a#0", outcome="failure", error_type="E", final=False, duration_us=1),
        ev("step.timed_out", "a#0", outcome="timeout", timeout_us=1, final=False, duration_us=1),
    ],
)
def test_whatever_comes_to_an_end_is_progress(progress: Any) -> None:
    """Recoveries before it count no more."""
    state = given(STARTED, *taken(2), progress).state

    assert state.recoveries == 0


def test_taking_over_what_waits_is_no_recovery() -> None:
    """Nothing of it ran, so nothing of it can have killed anybody; the first owner recovers nothing either."""
    asked = ev("approval.requested", "ok#0", severity="medium")
    assert not is_recovery(given(asked).state)
    assert is_recovery(given(STARTED, asked).state)
    claimed = [ev("execution.claimed", worker=f"w-{n}", reason="takeover") for n in range(9)]
    assert given(asked, *claimed).state.recoveries == 0


def test_code_that_kills_its_worker_between_steps_is_parked_too() -> None:
    """Then no step is named."""
    claimed = [ev("execution.claimed", worker=f"w-{n}", reason="takeover") for n in range(2)]
    given(STARTED, COMPLETED, *claimed).when(claim()).then(
        ev("execution.claimed", worker="w-9", reason="takeover"), parked(None)
    )


def test_a_compensation_that_kills_its_worker_is_named_by_its_step() -> None:
    """It stays to be undone."""
    undone = ev("compensation.started", "a#0", compensation="undo", attempt=1)
    claimed = [ev("execution.claimed", worker=f"w-{n}", reason="takeover") for n in range(2)]
    started = ev("step.started", "a#0", compensation="undo")
    after = (
        given(started, COMPLETED, undone, *claimed)
        .when(claim())
        .then(ev("execution.claimed", worker="w-9", reason="takeover"), parked())
    )

    assert after.state.undoing == ["a#0"]


def test_a_person_who_says_go_on_clears_the_count() -> None:
    """It is begun again, and has all its recoveries before it."""
    after = (
        given(STARTED, *taken(2))
        .when(claim())
        .then(
            ev("execution.claimed", worker="w-9", reason="takeover"),
            ev("step.in_doubt", "a#0", attempt=3, action="park"),
            parked(),
        )
    )

    after = after.when(claim(worker="w-10")).then(
        ev("execution.claimed", worker="w-10", reason="takeover"), ev("step.started", "a#0", attempt=4)
    )
    assert after.state.recoveries == 0
