"""Messages, tool calls and their results, as the two tau benchmarks record them, become events."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any, NamedTuple

from actum.events import Actor
from actum.evidence.importers.history import History
from actum.evidence.importers.mapping import Mapping
from actum.evidence.importers.undone import Undone

__all__ = ["Conversation"]


class _Open(NamedTuple):
    tool: str
    call: str
    at_us: int | None


class Conversation:
    """Writes one conversation into a history. Every message leaves at least one event.

    Models are known to give two calls of one run the same id; the second one becomes `id#2`, and results answer
    calls of the same id in the order in which they were made.
    """

    def __init__(self, history: History, mapping: Mapping, actors: dict[str, Actor]) -> None:
        self._history = history
        self._mapping = mapping
        self._actors = actors
        self._open: dict[str, deque[_Open]] = {}
        self._seen: Counter[str] = Counter()
        self._succeeded: Counter[str] = Counter()
        self._undone = Undone(mapping.compensates)

    def actor(self, role: str) -> Actor:
        actor = self._actors.get(role) or Actor("service", role)
        return Actor("person", actor.ref) if self._mapping.is_person(role) else actor

    def said(self, role: str, message: dict[str, Any], at_us: int | None) -> None:
        """A message of a role; `message` is what is worth keeping of it."""
        self._history.add("message.sent", {"role": role}, self.actor(role), at_us, message)

    def called(self, role: str, tool: str, id_: str, arguments: Any, at_us: int | None) -> None:
        """A call of a tool; when the tool stands for a person, the act of that person too."""
        call = self._unique(id_ or "call")
        self._open.setdefault(id_, deque()).append(_Open(tool, call, at_us))
        self._history.add("tool.called", {"tool": tool, "call": call}, self.actor(role), at_us, arguments)
        kind = self._mapping.interventions.get(tool)
        if kind is not None:
            facts = {"kind": kind, "step": tool}
            self._history.add("intervention.recorded", facts, self.actor(role), at_us, {"reason": arguments})

    def returned(self, tool: str | None, id_: str, message: dict[str, Any], at_us: int | None) -> None:
        """A tool's answer, whose text is `message["content"]`."""
        waiting = self._open.get(id_)
        asked = waiting.popleft() if waiting else None
        if asked is None:
            self._history.tally.notice("a tool result that answers no call", self._history.where)
            asked = _Open(tool or "unknown", self._unique(id_ or "call"), None)
        failed = self._failed(message)
        facts = {
            "tool": asked.tool,
            "call": asked.call,
            "outcome": "failure" if failed else "success",
            "error_type": "ToolError" if failed else None,
            "duration_us": self._latency(asked.at_us, at_us),
        }
        environment = self.actor("tool")
        self._history.add("tool.returned", facts, environment, at_us, message.get("content"))
        if failed:
            return
        undone = self._undone.by(asked.tool)
        if undone is not None:
            step, occurrence = undone
            facts = {"step": step, "occurrence": occurrence, "attempt": 1, "tool": asked.tool}
            facts |= {"compensation": asked.tool, "outcome": "success"}
            self._history.add("compensation.completed", facts, environment, at_us)
        self._undone.completed(asked.tool, self._succeeded[asked.tool])
        self._succeeded[asked.tool] += 1

    def _failed(self, message: dict[str, Any]) -> bool:
        signs = self._mapping.tool_errors
        content = message.get("content")
        return (signs.field is not None and message.get(signs.field) is True) or (
            isinstance(content, str) and content.startswith(tuple(signs.result_starts_with))
        )

    def _latency(self, called_us: int | None, returned_us: int | None) -> int | None:
        if called_us is None or returned_us is None:
            return None
        if returned_us < called_us:
            self._history.tally.notice("a tool result before its call: the duration is unknown", self._history.where)
            return None
        return returned_us - called_us

    def _unique(self, id_: str) -> str:
        self._seen[id_] += 1
        return id_ if self._seen[id_] == 1 else f"{id_}#{self._seen[id_]}"
