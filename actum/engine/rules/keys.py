"""The facts that a key was made of. Pure."""

from __future__ import annotations

from typing import Any

__all__ = ["about"]


def about(key: str, name: str) -> dict[str, Any]:
    """`{"step": "charge", "occurrence": 0, "scope": "g0.1"}` for `g0.1/charge#0` and the name `step`."""
    path, _, occurrence = key.rpartition("#")
    scope, _, last = path.rpartition("/")
    facts: dict[str, Any] = {name: last, "occurrence": int(occurrence)}
    if scope:
        facts["scope"] = scope
    return facts
