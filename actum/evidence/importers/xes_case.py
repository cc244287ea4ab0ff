"""One case of an XES log: which of our events each of its events is, and how the case ended."""

from __future__ import annotations

import hmac
from collections import Counter, deque
from typing import Any, Final, Literal, NamedTuple

from actum.events import Actor, to_text
from actum.evidence.importers.history import History, instant_us
from actum.evidence.importers.mapping import Mapping, OutcomeRule
from actum.evidence.importers.undone import Undone
from actum.evidence.importers.xes_reader import Trace, Values, XesDate

__all__ = ["Case", "Resources"]

Meaning = Literal["completed", "started", "failed", "skipped", "nothing"]

_IMPORTED: Final = Actor("import", "xes")
_STANDARD: Final[dict[str, Meaning]] = {
    "complete": "completed",
    "start": "started",
    "ate_abort": "failed",
    "pi_abort": "failed",
    "autoskip": "skipped",
    "manualskip": "skipped",
    "schedule": "nothing",
    "assign": "nothing",
    "reassign": "nothing",
    "suspend": "nothing",
    "resume": "nothing",
    "withdraw": "nothing",
}
"""The standard life cycle of XES; `nothing` has no event in our catalogue."""


class Resources:
    """Who did it, as an actor. The name itself is personal and stays in the payload."""

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._known: dict[str, Actor] = {}

    def actor(self, name: object) -> Actor:
        if name is None or name == "":
            return _IMPORTED
        text = str(name)
        actor = self._known.get(text)
        if actor is None:
            digest = hmac.digest(self._mapping.resource_key.encode(), text.encode(), "sha256").hex()
            kind: Literal["person", "service"] = "person" if self._mapping.is_person(text) else "service"
            actor = self._known[text] = Actor(kind, f"xes:{digest[:12]}")
        return actor


class _Told(NamedTuple):
    """One event of the case, read."""

    activity: str
    us: int
    meaning: Meaning
    transition: str
    values: Values


class Case:
    """Writes one case into a history. Events keep the order of the file, whatever their times say."""

    def __init__(self, history: History, mapping: Mapping, resources: Resources, deadline_us: int | None) -> None:
        self._history = history
        self._mapping = mapping
        self._resources = resources
        self._deadline_us = deadline_us
        self._occurrences: Counter[str] = Counter()
        self._open: dict[tuple[str, object], deque[tuple[int, int]]] = {}
        self._undone = Undone(mapping.compensates)
        self.records = 0
        """Events of the case that are in the history."""

    def tell(self, trace: Trace, started: dict[str, Any]) -> None:
        """Write the case from its start, at its earliest event, to its end, at its latest."""
        read = [self._read(number, values) for number, values in enumerate(trace.events, 1)]
        times = [event.us for event in read]
        first, last = min(times), max(times)
        if self._deadline_us is not None:
            started["deadline"] = to_text(self._deadline_us)
        payload = {"input": trace.attributes, "source": {"log": trace.log_name}}
        self._history.add("execution.started", started, _IMPORTED, first, payload, "personal")
        before = first
        for event in read:
            if event.us < before:
                self._history.tally.notice(
                    "an event earlier than the one before it: the order of the file was kept", self._history.where
                )
            before = event.us
            self._step(event)
        self._end(trace, read, first, last)

    def _read(self, number: int, values: Values) -> _Told:
        names = self._mapping.attributes
        where = f", event {number}"
        activity, time = values.get(names.activity), values.get(names.time)
        if activity is None or activity == "":
            raise self._history.refusal(where, f"has no {names.activity!r}, so it names no activity")
        if not isinstance(time, XesDate):
            problem = f"has no {names.time!r}" if time is None else f"{names.time!r} is {time!r:.60}, not a date"
            raise self._history.refusal(where, f"{problem}, so it has no time")
        us = instant_us(self._history.source, f"{self._history.where}{where}", time, self._mapping.assume_zone)
        transition = values.get(names.lifecycle)
        text = "" if transition is None else str(transition)
        return _Told(str(activity), us, self._meaning(text, where), text, values)

    def _meaning(self, transition: str, where: str) -> Meaning:
        if transition == "" or transition == "complete" or self._mapping.lifecycle == "status":
            return "completed"
        meaning = _STANDARD.get(transition.lower())
        if meaning is not None:
            return meaning
        if self._mapping.lifecycle == "transition" and transition.lower() != "unknown":
            raise self._history.refusal(
                where,
                f"the life cycle has no transition {transition!r:.60}; if these are states of the case, say "
                "`lifecycle: status` in the mapping",
            )
        return "completed"

    def _step(self, event: _Told) -> None:
        if event.meaning == "nothing":
            self._history.tally.leave_out(
                f"the transition {event.transition.lower()!r}: the log has no event for it", self._history.where
            )
            return
        self.records += 1
        names = self._mapping.attributes
        actor = self._resources.actor(event.values.get(names.resource))
        rest = {key: value for key, value in event.values.items() if key not in (names.activity, names.time)}
        if event.transition.lower() in _STANDARD:
            rest.pop(names.lifecycle, None)
        type_, facts = self._facts(event)
        if rest:
            self._history.add(type_, facts, actor, event.us, rest, "personal")
        else:
            self._history.add(type_, facts, actor, event.us)
        kind = self._mapping.interventions.get(event.activity)
        if kind is not None and event.meaning == "completed":
            self._history.add("intervention.recorded", {"kind": kind, "step": event.activity}, actor, event.us)

    def _facts(self, event: _Told) -> tuple[str, dict[str, Any]]:
        key = (event.activity, event.values.get(self._mapping.attributes.instance))
        facts: dict[str, Any] = {"step": event.activity, "attempt": 1}
        if event.meaning == "started":
            occurrence = self._next(event.activity)
            self._open.setdefault(key, deque()).append((occurrence, event.us))
            return "step.started", facts | {"occurrence": occurrence}
        waiting = self._open.get(key)
        duration: int | None = None
        if waiting:
            occurrence, started_us = waiting.popleft()
            duration = event.us - started_us if event.us >= started_us else None
        else:
            occurrence = self._next(event.activity)
        facts["occurrence"] = occurrence
        if event.meaning == "skipped":
            reason = "person" if event.transition.lower() == "manualskip" else "not_taken"
            return "step.skipped", facts | {"reason": reason}
        facts["duration_us"] = duration
        if event.meaning == "failed":
            failed = {"outcome": "failure", "error_type": event.transition.lower(), "final": True}
            return "step.failed", facts | failed
        facts["outcome"] = "success"
        undone = self._undone.by(event.activity)
        if undone is not None:
            step, occurrence = undone
            facts |= {"step": step, "occurrence": occurrence, "compensation": event.activity}
            return "compensation.completed", facts
        if event.activity in self._mapping.compensates:
            self._history.tally.notice(
                f"{event.activity!r} with nothing left to undo: an ordinary step", self._history.where
            )
        self._undone.completed(event.activity, occurrence)
        return "step.completed", facts

    def _next(self, activity: str) -> int:
        occurrence = self._occurrences[activity]
        self._occurrences[activity] += 1
        return occurrence

    def _end(self, trace: Trace, read: list[_Told], first: int, last: int) -> None:
        rule = next((rule for rule in self._mapping.outcome.rules if self._holds(rule, trace, read, last)), None)
        outcome = self._mapping.outcome.default if rule is None else rule.outcome
        facts: dict[str, Any] = {"outcome": outcome, "duration_us": last - first}
        if outcome == "success":
            self._history.add("execution.completed", facts, _IMPORTED, last)
        elif outcome == "cancelled":
            self._history.add("execution.cancelled", facts | {"by": "user"}, _IMPORTED, last)
        else:
            kind = (rule.error_type if rule is not None else None) or outcome.capitalize()
            self._history.add("execution.failed", facts | {"error_type": kind}, _IMPORTED, last)

    def _holds(self, rule: OutcomeRule, trace: Trace, read: list[_Told], last: int) -> bool:
        if rule.last_activity is not None:
            return read[-1].activity in rule.last_activity
        if rule.any_activity is not None:
            return any(event.activity in rule.any_activity for event in read)
        if rule.past_deadline is not None:
            return self._deadline_us is not None and last > self._deadline_us
        wanted = rule.equals or []
        if rule.case_attribute is not None:
            return _text(trace.attributes.get(rule.case_attribute)) in wanted
        return any(_text(event.values.get(rule.event_attribute or "")) in wanted for event in read)


def _text(value: object) -> str | None:
    """How a value stands in the file, for comparing with a mapping's text."""
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)
