"""The parts that the state of one execution is made of: its steps, questions, timers, waits, children and so on."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from actum.engine.resources.needs import Needs
from actum.engine.rules.calls import ParentClose
from actum.events import Actor, RecordedEvent, to_us

__all__ = [
    "ApprovalState",
    "ChildState",
    "Event",
    "HoldState",
    "InputState",
    "Rollback",
    "StepState",
    "TimerState",
    "WaitState",
]


class Event(Protocol):
    """What a fold sees of an event, recorded or about to be."""

    @property
    def type(self) -> str: ...
    @property
    def facts(self) -> dict[str, Any]: ...
    @property
    def at(self) -> str: ...
    @property
    def actor(self) -> Actor: ...
    @property
    def payload(self) -> bytes | None: ...


class StepState:
    """One step of the execution, and its compensation if it has one."""

    attempt = 0
    failures = 0
    status: Literal["scheduled", "started", "completed", "failed", "retry", "in_doubt", "skipped", "cancelled"] = (
        "started"
    )
    not_before_us = 0
    due_us = None
    """While it waits for what it needs: that has no time of its own."""
    payload: bytes | None = None
    """The result once completed; the error once failed."""
    error = ""
    ended_us = 0
    undo: Literal["", "started", "retry", "completed", "failed"] = ""
    undo_attempt = 0
    undo_failures = 0
    undo_not_before_us = 0
    undo_group: str | None = None
    pivot = False
    reserved: dict[str, int] | None = None
    """What is kept of a budget for it, until it ends."""
    settled_at = 0
    """Of a completed step that can be undone: its place among the outcomes."""
    needs: Needs | None = None
    """What each attempt must have before it begins."""
    scheduled_us = 0
    again = False
    """While it is in doubt: it is to be run again, as soon as the execution has what it holds throughout."""
    cancelling = False
    """It was under way, or waited, when the execution was asked to end."""

    def __init__(self, key: str, facts: dict[str, Any]) -> None:
        self.key = key
        self.step: str = facts["step"]
        self.occurrence: int = facts["occurrence"]
        self.scope: str = facts.get("scope", "")
        self.tool: str | None = facts.get("tool")
        self.compensation: str | None = facts.get("compensation")
        if self.compensation is not None:
            self.undo_group = facts.get("undo_group")
        if "pivot" in facts:
            self.pivot = True


class ApprovalState:
    """One question put to people."""

    __slots__ = (
        "by",
        "comment",
        "deadline_us",
        "decided_at",
        "key",
        "requested_us",
        "severity",
        "shown",
        "status",
        "version",
    )

    def __init__(self, key: str, version: int, event: Event) -> None:
        facts = event.facts
        self.key = key
        self.version = version
        self.status: Literal["waiting", "granted", "rejected", "expired", "withdrawn"] = "waiting"
        self.decided_at = ""
        self.severity: str = facts.get("severity", "medium")
        self.requested_us = to_us(event.at)
        self.deadline_us = to_us(facts["deadline"]) if "deadline" in facts else None
        payload = event.head.get("payload") if isinstance(event, RecordedEvent) else None
        self.shown: str | None = None if payload is None else payload["digest"]
        """Payload digest of the request; None while the request itself is not recorded yet, or showed nothing."""
        self.by = ""
        self.comment = ""

    @property
    def due_us(self) -> int | None:
        return self.deadline_us


class TimerState:
    __slots__ = ("due_us", "fired", "fired_at", "key")

    def __init__(self, key: str, due_us: int) -> None:
        self.key = key
        self.due_us = due_us
        self.fired = False
        self.fired_at = ""


class WaitState:
    """One wait for a signal."""

    __slots__ = ("key", "signal")
    due_us = None

    def __init__(self, key: str, signal: str) -> None:
        self.key = key
        self.signal = signal


class ChildState:
    """One execution that this one has started."""

    __slots__ = (
        "cancel_requested",
        "ended_at",
        "error",
        "execution",
        "key",
        "on_parent_close",
        "outcome",
        "payload",
        "reserved",
        "signals",
    )

    def __init__(self, key: str, facts: dict[str, Any]) -> None:
        self.key = key
        self.execution: str = facts["execution"]
        self.on_parent_close: ParentClose = facts.get("on_parent_close", "cancel")
        self.outcome = ""
        """How it ended; empty while it has not."""
        self.error = ""
        self.payload: bytes | None = None
        self.ended_at = ""
        self.cancel_requested = False
        self.reserved: dict[str, int] | None = facts.get("reserved")
        self.signals: list[str] = []
        """The names of the signals that were sent to it."""


class InputState:
    """More input that the execution has asked for."""

    __slots__ = ("key", "payload", "prompt", "received_at", "requested_us")
    due_us = None

    def __init__(self, key: str, event: Event) -> None:
        self.key = key
        self.requested_us = to_us(event.at)
        self.prompt = event.payload
        """`{"prompt": …}`."""
        self.received_at = ""
        self.payload: bytes | None = None
        """`{"value": …}`, once it has come."""


class HoldState:
    """What the execution holds from before its first step until its end."""

    __slots__ = ("before", "held", "needs", "preemptible", "since_us")
    due_us = None
    key = "!hold"
    """Under which it stands among all that is waited for."""

    def __init__(self, facts: dict[str, Any], since_us: int) -> None:
        self.needs = Needs(facts["needs"])
        self.preemptible: bool = facts.get("preemptible", False)
        self.held = False
        """Whether it has it; else it waits for it, since then."""
        self.since_us = since_us
        self.before = False
        """It had it at some time."""


class Rollback:
    """A request of the workflow that what has completed be undone."""

    __slots__ = ("key", "targets", "uncompensated")

    def __init__(self, key: str, targets: list[str]) -> None:
        self.key = key
        self.targets = targets
        self.uncompensated: list[str] = []
