"""Races: who came first, and what becomes of the others. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actum.engine.rules.attempts import cancel_step
from actum.engine.rules.calls import Raced
from actum.engine.rules.children import cancel_children
from actum.engine.rules.keys import about
from actum.engine.rules.state import ApprovalState, Execution
from actum.events import Actor, NewEvent, to_us

__all__ = ["decide_race"]

_FITS = 40_000
"""Characters of keys in one event, whose header has room for 64 KiB."""


def decide_race(state: Execution, race: Raced, at: str, actor: Actor) -> list[NewEvent]:
    """Record the winner, and give up what the losers wait for. What of them has ended already, has ended."""
    if race.key in state.races:
        return []
    events: list[NewEvent] = []
    silent: list[str] = []
    for key in race.losers:
        step, waits = state.active.get(key), state.waiting.get(key)
        if step is not None:
            events.append(cancel_step(step, at, actor, "race"))
        elif isinstance(waits, ApprovalState):
            withdrawn = {**about(key, "approval"), "waited_us": max(0, to_us(at) - waits.requested_us)}
            events.append(NewEvent("approval.withdrawn", withdrawn, at, actor))
        elif key in state.awaited or key in state.timers:
            silent.append(key)
    events += cancel_children(state, race.losers, at, actor)
    facts: dict[str, Any] = {"race": race.name, "occurrence": race.occurrence, "winner": race.winner}
    if race.scope:
        facts["scope"] = race.scope
    decided = [{**facts, "losers": some} for some in _that_fit(silent)] or [facts]
    return [*events, *(NewEvent("race.decided", one, at, actor) for one in decided)]


def _that_fit(keys: Sequence[str]) -> list[list[str]]:
    """The keys in lists that each fit an event; a race with thousands of losers is told in several."""
    found: list[list[str]] = []
    room = 0
    for key in keys:
        room -= len(key.encode()) + 3
        if room < 0:
            found.append([])
            room = _FITS
        found[-1].append(key)
    return found
