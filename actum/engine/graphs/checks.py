"""Checks that the checks of graphs and of kinds of steps share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from actum.engine.graphs.place import Place
from actum.engine.graphs.references import Known
from actum.engine.graphs.templates import parse
from actum.errors import near_miss

__all__ = ["ON_ERROR", "check_name", "check_references", "one_of"]

ON_ERROR: Final = ("fail", "continue", "fallback", "compensate")
_MAX_NAME: Final = 256


def check_name(name: Any, place: Place, what: str) -> None:
    if not isinstance(name, str) or not name.strip() or len(name) > _MAX_NAME or not name.isprintable():
        raise place.error(f"{what} needs a name of 1 to {_MAX_NAME} printable characters, not {name!r}")


def one_of(value: Any, allowed: Iterable[str], place: Place) -> None:
    allowed = tuple(allowed)
    if value not in allowed:
        hint = near_miss(str(value), allowed) or f"; known: {', '.join(allowed)}"
        raise place.error(f"cannot be {value!r}{hint}")


def check_references(value: Any, known: Known, place: Place) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            for reference in parse(item, place / key).references():
                reference.check(known, place / key)
    else:
        for reference in parse(value, place).references():
            reference.check(known, place)
