"""The catalogue: every event type, its facts as a pydantic model, and which shape is today's.

Models stand at the edge: importers, the HTTP API and tests validate against them. The engine builds its facts by
hand, and `tests/engine` holds everything it emits against this catalogue. Importing this module imports pydantic;
nothing that a running workflow needs does.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from actum.errors import BadInput, near_miss
from actum.events import (
    approval,
    breaker,
    child,
    erasure,
    execution,
    inputs,
    outside,
    schedule,
    signal,
    step,
    subscription,
    system,
)
from actum.events.facts import Facts
from actum.events.upcast import CURRENT

__all__ = ["MODELS", "validate_facts"]

MODELS: dict[str, type[Facts]] = {
    model.type: model
    for family in (
        execution,
        step,
        approval,
        inputs,
        signal,
        child,
        outside,
        schedule,
        subscription,
        breaker,
        system,
        erasure,
    )
    for model in family.EVENTS
}


def validate_facts(type_: str, facts: dict[str, Any]) -> None:
    """Hold facts against their model. Raises `BadInput` naming the event type, the field and what is wrong."""
    model = MODELS.get(type_)
    if model is None:
        raise BadInput(f"unknown event type {type_!r}{near_miss(type_, MODELS)}")
    try:
        model.model_validate(facts)
    except ValidationError as exc:
        first = exc.errors()[0]
        field = ".".join(map(str, first["loc"])) or "facts"
        hint = near_miss(field, model.model_fields) if first["type"] == "extra_forbidden" else ""
        raise BadInput(f"{type_}: facts.{field}: {first['msg']}{hint}") from None


assert set(MODELS) == set(CURRENT), set(MODELS) ^ set(CURRENT)
