"""Any log: a few executions of two workflows, with whatever may happen to them, interleaved in any way."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.metrics.builders import Log

__all__ = ["SPAN_S", "logs"]

SPAN_S = 100
"""Everything happens within so many seconds after noon."""

_steps = st.sampled_from(["charge", "ship"])
_us = st.one_of(st.none(), st.integers(0, 50_000_000))


def _facts(**strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(strategies).map(lambda facts: {k: v for k, v in facts.items() if v is not None})


def _step(ending: str, **strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    tool = st.sampled_from([None, "pay"])
    facts = _facts(step=_steps, occurrence=st.just(0), attempt=st.integers(1, 3), tool=tool, **strategies)
    return st.tuples(st.just(f"step.{ending}"), facts)


def _event(type_: str, **strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    return st.tuples(st.just(type_), _facts(**strategies))


_error = st.sampled_from(["Boom", "Bang"])
_undo = {"step": _steps, "occurrence": st.just(0), "compensation": st.just("undo")}
_happenings = st.one_of(
    _step("started"),
    _step("completed", duration_us=_us),
    _step("failed", error_type=_error, final=st.booleans(), duration_us=_us),
    _step("timed_out", timeout_us=st.just(5), final=st.booleans()),
    _event("compensation.started", **_undo),
    _event("compensation.completed", **_undo),
    _event("compensation.failed", **_undo, error_type=_error, final=st.booleans()),
    _event(
        "tool.returned",
        tool=st.sampled_from(["search", "pay"]),
        call=st.just("c"),
        outcome=st.sampled_from(["success", "failure", "timeout"]),
        duration_us=_us,
    ),
    _event(
        "model.returned",
        model=st.just("m"),
        call=st.just("c"),
        outcome=st.just("success"),
        input_tokens=st.one_of(st.none(), st.integers(0, 9)),
        cost_nanousd=st.one_of(st.none(), st.integers(0, 9)),
    ),
    _event("intervention.recorded", kind=st.sampled_from(["override", "stop"])),
    _event(
        "judgement.recorded",
        decision=st.sampled_from(["execution", "charge"]),
        verdict=st.sampled_from(["correct", "incorrect"]),
        source=st.sampled_from(["human", "deterministic", "model"]),
        sampling=st.sampled_from(["random", "targeted"]),
        of=st.one_of(st.none(), st.integers(0, 5)),
        model=st.sampled_from([None, "m"]),
    ),
    _event("execution.completed", duration_us=_us, cost_nanousd=st.sampled_from([None, 7])),
    _event("execution.failed", error_type=_error),
    _event("execution.cancelled", by=st.sampled_from(["user", "system"])),
    _event("execution.corrected", supersedes=st.integers(0, 6), outcome=st.sampled_from(["success", "failure"])),
)


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """A log of up to five executions; times wander by the source's clock, also backwards."""
    log = Log()
    names = draw(st.lists(st.sampled_from("abcde"), max_size=40))
    for name in names:
        at_s = draw(st.integers(0, SPAN_S - 1))
        if name not in {stream.removeprefix("execution/") for stream in log.versions}:
            task = draw(st.sampled_from([None, "t1", "t2"]))
            deadline = draw(st.sampled_from([None, "2025-12-01T12:00:30.000000Z"]))
            facts: dict[str, Any] = {
                "task": task,
                "deadline": deadline,
                "time_unknown": draw(st.sampled_from([None, True])),
            }
            known = {key: value for key, value in facts.items() if value is not None}
            log.start(name, at_s, recorded_s=SPAN_S, workflow="flow" if name in "abc" else "other", **known)
        else:
            type_, happening = draw(_happenings)
            log.add(name, type_, at_s, recorded_s=SPAN_S, **happening)
    return log
