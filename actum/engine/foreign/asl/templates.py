"""Payload templates: JSON in which the fields whose names end in `.$` are computed. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actum.engine.foreign.asl.intrinsics import Given, parse_expression, value_of

__all__ = ["computed", "render"]


def render(template: Any, given: Given) -> Any:
    """The template with its computed fields in place. Raises `NoValue` or `IntrinsicFailure`."""
    if isinstance(template, dict):
        made: dict[str, Any] = {}
        for name, value in template.items():
            if name.endswith(".$"):
                made[name[:-2]] = value_of(parse_expression(value), given)
            else:
                made[name] = render(value, given)
        return made
    if isinstance(template, list):
        return [render(item, given) for item in template]
    return template


def computed(template: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Where the template has computed fields, and what stands there."""
    if isinstance(template, dict):
        for name, value in template.items():
            if name.endswith(".$"):
                yield (*path, name), value
            else:
                yield from computed(value, (*path, name))
    elif isinstance(template, list):
        for index, item in enumerate(template):
            yield from computed(item, (*path, index))
