"""Executions that an execution starts: their names, their starts and ends as it sees them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from typing import Any

from actum.engine.payloads.codec import encode
from actum.engine.rules.attempts import said
from actum.engine.rules.budgets import Budget
from actum.engine.rules.calls import CancelChild, Failure, SignalChild, Spawn
from actum.engine.rules.keys import about
from actum.engine.rules.pledges import Pledges
from actum.engine.rules.spending import USED
from actum.engine.rules.state import Execution
from actum.errors import BudgetExceeded
from actum.events import Actor, NewEvent

__all__ = ["cancel_child", "cancel_children", "child_ended", "child_id", "next_id", "signal_child", "start_child"]

_ID_CHARACTERS = 200


def child_id(parent: str, key: str) -> str:
    """The id of a child that was given none: `order-17.ship-0`. No two calls of a parent have the same."""
    scope, _, last = key.rpartition("/")
    digest = sha256(key.encode()).hexdigest()[:8]
    id_ = f"{parent}.{last.replace('#', '-')}" + (f".{digest}" if scope else "")
    if len(id_) <= _ID_CHARACTERS:
        return id_
    return f"{parent[:150]}.{sha256(f'{parent}/{key}'.encode()).hexdigest()[:32]}"


def next_id(state: Execution) -> str:
    """The id under which an execution goes on: `poll`, `poll~1`, `poll~2`, …"""
    first = state.first or state.id
    number = state.id.removeprefix(f"{first}~")
    after = int(number) + 1 if state.first and number.isdecimal() else 1
    if len(first) > _ID_CHARACTERS - 12:
        first = f"{first[:150]}.{sha256(first.encode()).hexdigest()[:32]}"
    return f"{first}~{after}"


def start_child(
    state: Execution,
    spawn: Spawn,
    at: str,
    actor: Actor,
    pledges: Pledges | None = None,
    budget: Budget | None = None,
) -> list[NewEvent]:
    """Record the start; one that cannot be started, or has no room in the `budget`, has failed at once, and nothing was
    started. What a child may spend by its own budget is kept for it."""
    child = spawn.child
    if child.key in state.children:
        return []
    facts: dict[str, Any] = {"child": child.name, "occurrence": child.occurrence, "execution": spawn.execution}
    if child.scope:
        facts["scope"] = child.scope
    started = {**facts, "workflow": spawn.workflow, "on_parent_close": child.on_parent_close}
    if spawn.definition is not None:
        started["definition"] = spawn.definition
    failure = spawn.failure
    if failure is None and pledges is not None and budget is not None:
        try:
            kept = pledges.ask(child.name, replace(budget, steps=None), spawn.estimate)
        except BudgetExceeded as exc:
            failure = Failure("BudgetExceeded", str(exc))
        else:
            if kept:
                started["reserved"] = kept
    events = [NewEvent("child.started", started, at, actor)]
    if failure is not None:
        ended = {**facts, "outcome": "failure", "error_type": failure.error_type}
        spoken = b'{"error":' + said(failure) + b"}"
        events.append(NewEvent("child.ended", ended, at, actor, payload=spoken))
    return events


def child_ended(child: Execution, end: NewEvent) -> NewEvent:
    """What the parent's stream says of this end of its child."""
    assert child.parent_key is not None
    facts = {
        **about(child.parent_key, "child"),
        "execution": child.first or child.id,
        "outcome": end.facts.get("outcome", "cancelled"),
    }
    for name in ("error_type", *USED):
        if name in end.facts:
            facts[name] = end.facts[name]
    return replace(end, type="child.ended", facts=facts, id="")


def cancel_children(state: Execution, keys: Iterable[str], at: str, actor: Actor) -> list[NewEvent]:
    """Ask those of these children to stop that do not go on without their parent, once."""
    return [
        NewEvent("child.cancel_requested", {**about(key, "child"), "execution": child.execution}, at, actor)
        for key in keys
        if (child := state.open_children.get(key)) is not None
        and child.on_parent_close != "abandon"
        and not child.cancel_requested
    ]


def cancel_child(state: Execution, wish: CancelChild, at: str, actor: Actor) -> list[NewEvent]:
    """Ask one to stop that has not ended; also one that starts in the same append."""
    child = state.children.get(wish.child)
    if child is not None and (child.outcome or child.cancel_requested):
        return []
    return [NewEvent("child.cancel_requested", {**about(wish.child, "child"), "execution": wish.execution}, at, actor)]


def signal_child(state: Execution, wish: SignalChild, at: str, actor: Actor, limit_bytes: int) -> list[NewEvent]:
    """Send a signal to one that has not ended, once; also to one that starts in the same append."""
    child = state.children.get(wish.child)
    if child is not None and (child.outcome or wish.number < len(child.signals)):
        return []
    facts = {**about(wish.child, "child"), "execution": wish.execution, "signal": wish.signal}
    value = encode({"value": wish.value}, f"the value of signal {wish.signal!r}", limit_bytes)
    return [NewEvent("child.signalled", facts, at, actor, payload=value)]
