"""How a rewarded run ended: success or failure by its reward, and the judgement that the reward is."""

from __future__ import annotations

from typing import Any

from actum.events import Actor
from actum.evidence.importers.history import History, decimal_text
from actum.evidence.importers.mapping import Mapping

__all__ = ["end_by_reward"]

_TOLERANCE = 1e-6
"""Rewards are products of floats; tau-bench itself compares with this tolerance."""


def end_by_reward(
    history: History,
    mapping: Mapping,
    judge: Actor,
    at_us: int | None,
    reward: float,
    *,
    measured: dict[str, Any] | None = None,
    error_type: str | None = None,
    output: dict[str, Any],
    explanation: Any,
) -> None:
    """Write the end of a run, and its judgement if the mapping wants one.

    `measured` are the facts of the end that were measured; `error_type` says why a run without success failed, when
    the source gives a reason of its own.
    """
    good = reward >= mapping.success_reward - _TOLERANCE
    importer = history.events[0].actor
    version = len(history.events)
    facts = dict(measured or {})
    if good:
        history.add("execution.completed", {"outcome": "success"} | facts, importer, at_us, {"output": output})
    else:
        kind = error_type or "RewardBelowTarget"
        message = f"reward {decimal_text(reward)}, target {decimal_text(mapping.success_reward)}"
        facts |= {"outcome": "failure", "error_type": kind}
        payload = {"error": {"type": kind, "message": message}, "output": output}
        history.add("execution.failed", facts, importer, at_us, payload)
    if mapping.judgement is not None:
        facts = {
            "decision": "execution",
            "verdict": "correct" if good else "incorrect",
            "source": mapping.judgement.source,
            "sampling": mapping.judgement.sampling,
            "of": version,
            "score": decimal_text(reward),
        }
        history.add("judgement.recorded", facts, judge, at_us, {"explanation": explanation})
