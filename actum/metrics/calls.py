"""Calls of tools and models, what people did, and what judges said of it."""

from __future__ import annotations

from typing import Final

from actum.events import RecordedEvent
from actum.metrics.catalog import NO_VALUE
from actum.metrics.execution import Execution, Label
from actum.metrics.tally import Tally

__all__ = ["CALLS"]

_RANK: Final = {"human": 3, "deterministic": 2, "model": 1}


def _tool_returned(_run: Execution, event: RecordedEvent, _at: str, inside: bool, tally: Tally) -> None:
    if inside:
        facts = event.facts
        tally.tool_attempt(facts["tool"], facts["outcome"], facts.get("duration_us"), event.position)


def _model_returned(run: Execution, event: RecordedEvent, _at: str, _inside: bool, _tally: Tally) -> None:
    facts = event.facts
    if "cost_nanousd" in facts:
        run.cost_of_calls = (run.cost_of_calls or 0) + facts["cost_nanousd"]
    if "input_tokens" in facts or "output_tokens" in facts:
        used = facts.get("input_tokens", 0) + facts.get("output_tokens", 0)
        run.tokens_of_calls = (run.tokens_of_calls or 0) + used


def _intervention(run: Execution, event: RecordedEvent, _at: str, inside: bool, tally: Tally) -> None:
    run.intervened = True
    if inside:
        tally.interventions[event.facts["kind"]] += 1


def _approval(_run: Execution, event: RecordedEvent, _at: str, inside: bool, tally: Tally) -> None:
    if inside:
        tally.approvals[event.type.removeprefix("approval.")] += 1


def _judgement(run: Execution, event: RecordedEvent, _at: str, inside: bool, tally: Tally) -> None:
    facts = event.facts
    model = facts.get("model", NO_VALUE)
    tally.judged[model, facts["verdict"], facts["source"]] += inside
    # Targeted labels are a set of their own: where they looked must not colour what chance or a census chose.
    key = (facts["decision"], facts.get("of"), facts["sampling"] == "targeted")
    if run.labels is None:
        run.labels = {}
    rank = _RANK[facts["source"]]
    before = run.labels.get(key)
    if before is None or rank >= before.rank:
        run.labels[key] = Label(rank, facts["verdict"] == "correct", model, inside, event.position)


CALLS: Final = {
    "tool.returned": _tool_returned,
    "model.returned": _model_returned,
    "intervention.recorded": _intervention,
    "approval.granted": _approval,
    "approval.rejected": _approval,
    "approval.expired": _approval,
    "judgement.recorded": _judgement,
}
