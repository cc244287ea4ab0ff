"""Keys, and the facts that they are made of. Pure."""

from __future__ import annotations

from typing import Any

__all__ = ["about", "key_of"]


def about(key: str, name: str) -> dict[str, Any]:
    """`{"step": "charge", "occurrence": 0, "scope": "g0.1"}` for `g0.1/charge#0` and the name `step`."""
    path, _, occurrence = key.rpartition("#")
    scope, _, last = path.rpartition("/")
    facts: dict[str, Any] = {name: last, "occurrence": int(occurrence)}
    if scope:
        facts["scope"] = scope
    return facts


def key_of(facts: dict[str, Any], name: str) -> str:
    """The key that these facts, of an event about what is called `name`, say: the other way round than `about`."""
    scope = facts.get("scope")
    return f"{scope}/{facts[name]}#{facts['occurrence']}" if scope else f"{facts[name]}#{facts['occurrence']}"
