"""Logs made by hand: each call records one event, with real header bytes and facts that the catalogue accepts."""

from __future__ import annotations

from typing import Any

from actum.events import Actor, NewEvent, RecordedEvent, seal, to_text
from actum.events.catalog import validate_facts

NOON_US = 1_764_590_400_000_000  # 2025-12-01T12:00:00Z
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Log:
    """A log under construction. Times are seconds after noon; recording follows at once unless said otherwise."""

    def __init__(self) -> None:
        self.events: list[RecordedEvent] = []
        self.versions: dict[str, int] = {}

    def add(
        self, execution: str, type_: str, at_s: float = 0, *, recorded_s: float | None = None, **facts: Any
    ) -> RecordedEvent:
        validate_facts(type_, facts)
        stream = f"execution/{execution}"
        version = self.versions.get(stream, 0)
        event = NewEvent(type_, facts, at(at_s), Actor("worker", "w"), id=f"{stream}@{version}")
        recorded_at = at(at_s if recorded_s is None else recorded_s)
        header, _, _ = seal(event, "default", stream, version, None, recorded_at, None)
        recorded = RecordedEvent(len(self.events), header)
        self.versions[stream] = version + 1
        self.events.append(recorded)
        return recorded

    def start(self, execution: str, at_s: float = 0, *, workflow: str = "flow", **facts: Any) -> RecordedEvent:
        return self.add(execution, "execution.started", at_s, workflow=workflow, kind="function", **facts)

    def succeed(self, execution: str, at_s: float = 1, **facts: Any) -> RecordedEvent:
        return self.add(execution, "execution.completed", at_s, **facts)

    def fail(self, execution: str, at_s: float = 1, error_type: str = "Boom", **facts: Any) -> RecordedEvent:
        return self.add(execution, "execution.failed", at_s, error_type=error_type, **facts)

    def cancel(self, execution: str, at_s: float = 1, by: str = "user") -> RecordedEvent:
        return self.add(execution, "execution.cancelled", at_s, by=by)

    def step(self, execution: str, ending: str, at_s: float = 0, **facts: Any) -> RecordedEvent:
        """`ending` is the rest of the type: started, completed, failed, timed_out, retry_scheduled."""
        facts = {"step": "charge", "occurrence": 0, **facts}
        if ending == "failed":
            facts.setdefault("error_type", "Boom")
        if ending == "retry_scheduled":
            facts = {"attempt": 2, "not_before": at(at_s), "delay_us": 0, **facts}
        return self.add(execution, f"step.{ending}", at_s, **facts)

    def undo(self, execution: str, ending: str, at_s: float = 0, **facts: Any) -> RecordedEvent:
        facts = {"step": "charge", "occurrence": 0, "compensation": "refund", **facts}
        if ending == "failed":
            facts.setdefault("error_type", "Boom")
        return self.add(execution, f"compensation.{ending}", at_s, **facts)

    def tool(self, execution: str, outcome: str = "success", at_s: float = 0, **facts: Any) -> RecordedEvent:
        return self.add(execution, "tool.returned", at_s, outcome=outcome, **{"tool": "search", "call": "c", **facts})

    def judge(self, execution: str, verdict: str, at_s: float = 0, **facts: Any) -> RecordedEvent:
        facts = {"decision": "execution", "source": "human", "sampling": "census", **facts}
        return self.add(execution, "judgement.recorded", at_s, verdict=verdict, **facts)

    def intervene(self, execution: str, kind: str = "override", at_s: float = 0) -> RecordedEvent:
        return self.add(execution, "intervention.recorded", at_s, kind=kind)


def at(seconds: float) -> str:
    return to_text(NOON_US + round(seconds * SECOND))
