"""Events in words: one line for each thing that happened, for people who read an execution from top to bottom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.text import Text

from actum.cli.output import duration

if TYPE_CHECKING:
    from actum.events import RecordedEvent

__all__ = ["Line", "story"]


class Line(NamedTuple):
    version: int
    at: str
    what: Text
    who: str
    detail: str


_STYLE = {
    "completed": "green",
    "granted": "green",
    "failed": "red",
    "timed_out": "red",
    "rejected": "red",
    "expired": "red",
    "in_doubt": "yellow",
    "retry_scheduled": "yellow",
    "requested": "yellow",
    "claimed": "yellow",
    "parked": "bold yellow",
    "cancelled": "yellow",
    "cancel_requested": "bold yellow",
    "paused": "yellow",
    "preempted": "yellow",
    "withdrawn": "dim",
    "skipped": "dim",
    "diverged": "red",
    "taken": "dim",
}


def story(events: Iterable[RecordedEvent]) -> Iterator[Line]:
    """The events as lines; nothing is left out, so the numbers are those of the stream."""
    for event in events:
        noun, _, verb = event.type.partition(".")
        style = "magenta" if noun == "compensation" else _STYLE.get(verb, "")
        name = _name(event.facts)
        what = Text(f"{noun} {verb.replace('_', ' ')}", style=style)
        if name:
            what.append(f"  {name}", style="bold")
        actor = event.actor
        who = actor.ref if actor.kind == "person" else actor.kind
        yield Line(event.version, event.at, what, who, _detail(event))


def _name(facts: dict[str, Any]) -> str:
    for word in ("step", "approval", "timer", "signal", "child", "race", "patch", "tool", "model", "workflow"):
        if word in facts:
            occurrence = facts.get("occurrence", 0)
            scope = f"{facts['scope']}/" if "scope" in facts else ""
            return f"{scope}{facts[word]}" + (f"#{occurrence}" if occurrence else "")
    if "target" in facts:
        return f"{facts['source']} → {facts['target']}"
    return ""


def _detail(event: RecordedEvent) -> str:
    facts = event.facts
    parts: list[str] = []
    if facts.get("attempt", 1) > 1:
        parts.append(f"attempt {facts['attempt']}")
    if "duration_us" in facts:
        parts.append(duration(facts["duration_us"]))
    if "error_type" in facts:
        parts.append(facts["error_type"])
    if "winner" in facts:
        parts.append(f"won by {facts['winner']}")
    if event.type.startswith("child."):
        parts.append(facts["execution"])
    if "next" in facts:
        parts.append(f"goes on as {facts['next']}")
    value = event.value() if event.payload is not None else None
    if event.type in ("step.failed", "step.timed_out", "compensation.failed") and isinstance(value, dict):
        parts.append(str(value.get("message", "")).splitlines()[0] if value.get("message") else "")
        parts.append("no more attempts" if facts.get("final") else "will be tried again")
    elif event.type in ("approval.granted", "approval.rejected") and isinstance(value, dict):
        parts.append(str(value.get("comment", "")))
    elif event.type == "approval.requested" and isinstance(value, dict):
        parts.append(str(value.get("title", "")))
    elif event.type == "step.retry_scheduled":
        parts.append(f"in {duration(facts['delay_us'])}")
    elif event.type == "step.in_doubt":
        parts.append(f"its end was never recorded → {facts['action']}")
    elif event.type == "execution.claimed":
        parts.append(f"{facts['reason']} by {facts['worker']}")
    elif event.type == "execution.cancel_requested":
        parts.append(_why(facts, value))
    elif event.type == "execution.resumed" and facts.get("steps"):
        parts.append(f"again: {', '.join(facts['steps'])}")
    elif event.type == "execution.preempted":
        parts.append("for a compensation" if facts.get("compensation") else f"for priority {facts['priority']}")
    elif event.type == "execution.paused":
        parts.append(facts.get("reason") or "")
    elif event.type == "intervention.recorded" and isinstance(value, dict):
        parts += [facts["kind"].replace("_", " "), str(value.get("reason") or "")]
    elif event.type in ("step.skipped", "execution.parked"):
        parts.append(str(facts["reason"]).replace("_", " "))
    elif event.type in ("compensation.requested", "compensation.ended"):
        parts.append("by the workflow itself" if event.type.endswith("requested") else "")
    elif event.type.startswith("compensation."):
        parts.append(f"by {facts['compensation']}")
    elif "condition" in facts:
        parts.append(f"because {facts['condition']}")
    elif "text" in facts or "role" in facts:
        parts.append(str(facts.get("role", "")))
    return ", ".join(part for part in parts if part)


def _why(facts: dict[str, Any], value: Any) -> str:
    """How an execution is to end, and why."""
    if facts.get("cause") == "deadline":
        return "its deadline has passed"
    how = "at once" if facts.get("force") else "" if facts.get("compensate", True) else "without undoing anything"
    reason = str(value.get("reason") or "") if isinstance(value, dict) else ""
    return ", ".join(filter(None, (how, reason)))
