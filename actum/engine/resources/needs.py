"""What an attempt of a step needs before it may begin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actum.errors import BadInput

__all__ = ["MOST", "Needs", "check_amount", "check_name", "needs_of"]

MOST = 2**53 - 1
"""The largest amount that an event can hold."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Amounts by the name of a pool or a rate limit, and the breaker that stands before the step.

    `limits` says which of the names are rate limits, and `refused` why it can never be given; the engine fills in both
    when the step is asked for.
    """

    units: Mapping[str, int] = field(default_factory=dict)
    breaker: str = ""
    limits: tuple[str, ...] = ()
    refused: str = ""


def needs_of(needs: Mapping[str, int] | None, breaker: str | None) -> Needs | None:
    """Read what users write; None when nothing is needed. Raises `BadInput` for what no pool could have."""
    if not needs and breaker is None:
        return None
    if needs is not None and not isinstance(needs, Mapping):
        raise BadInput(f"needs is a mapping of names to amounts, not {needs!r}")
    units = {check_name(name, "needs"): check_amount(amount, f"needs.{name}") for name, amount in (needs or {}).items()}
    return Needs(units, "" if breaker is None else check_name(breaker, "breaker"))


def check_name(name: Any, what: str) -> str:
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= 64 or "/" in name:
        raise BadInput(f"{what}: a name is 1 to 64 printable characters without '/', not {name!r}")
    return name


def check_amount(amount: Any, what: str, least: int = 1) -> int:
    if isinstance(amount, bool) or not isinstance(amount, int) or not least <= amount <= MOST:
        raise BadInput(f"{what} must be a whole number of at least {least}, not {amount!r}")
    return amount
