"""What an attempt of a step needs before it may begin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actum.engine.labels import check_priority
from actum.errors import BadInput

__all__ = ["MOST", "Hold", "Needs", "check_amount", "check_name", "hold_of", "needs_of", "why_twice"]

MOST = 2**53 - 1
"""The largest amount that an event can hold."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Amounts by the name of a pool or a rate limit, and the breaker that stands before the step.

    `priority` is the step's own, over that of its execution.

    `limits` says which of the names are rate limits, and `refused` why it can never be given; the engine fills in both
    when the step is asked for.
    """

    units: Mapping[str, int] = field(default_factory=dict)
    breaker: str = ""
    limits: tuple[str, ...] = ()
    refused: str = ""
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """What an execution holds from before its first step until its end; whether it can be asked to give it back."""

    needs: Needs
    preemptible: bool = False


def hold_of(needs: Mapping[str, int] | None, preemptible: bool) -> Hold | None:
    """Read what users write of a workflow; None when nothing is held. Raises `BadInput`."""
    if not isinstance(preemptible, bool):
        raise BadInput(f"preemptible is true or false, not {preemptible!r}")
    found = needs_of(needs, None)
    if found is None and preemptible:
        raise BadInput("preemptible is for a workflow with needs: there is nothing that it could give back")
    return None if found is None else Hold(found, preemptible)


def why_twice(needs: Needs | None, hold: Hold | None) -> str:
    """Why a step cannot need this: its workflow holds some of that, so it might wait for itself. Empty: it can."""
    if needs is None or hold is None or needs.units.keys().isdisjoint(hold.needs.units):
        return ""
    again = ", ".join(repr(name) for name in needs.units if name in hold.needs.units)
    return f"it needs {again}, which its workflow holds throughout; say it once, at the workflow or at its steps"


def needs_of(needs: Mapping[str, int] | None, breaker: str | None, priority: int | None = None) -> Needs | None:
    """Read what users write; None when nothing is needed. Raises `BadInput` for what no pool could have."""
    if not needs and breaker is None:
        if priority is not None:
            raise BadInput("priority is for a step with needs or a breaker: no other waits")
        return None
    if priority is not None:
        priority = check_priority(priority)
    if needs is not None and not isinstance(needs, Mapping):
        raise BadInput(f"needs is a mapping of names to amounts, not {needs!r}")
    for name in needs or ():
        if isinstance(name, str) and not name.isascii():  # it is a key in an event's facts
            raise BadInput(f"needs: a name is of ASCII characters, not {name!r}")
    units = {check_name(name, "needs"): check_amount(amount, f"needs.{name}") for name, amount in (needs or {}).items()}
    return Needs(units, "" if breaker is None else check_name(breaker, "breaker"), priority=priority)


def check_name(name: Any, what: str) -> str:
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= 64 or "/" in name:
        raise BadInput(f"{what}: a name is 1 to 64 printable characters without '/', not {name!r}")
    return name


def check_amount(amount: Any, what: str, least: int = 1) -> int:
    if isinstance(amount, bool) or not isinstance(amount, int) or not least <= amount <= MOST:
        raise BadInput(f"{what} must be a whole number of at least {least}, not {amount!r}")
    return amount
