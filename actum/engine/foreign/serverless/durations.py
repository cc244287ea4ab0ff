"""Durations as Serverless Workflow writes them: an object of units, or ISO 8601. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["duration_s"]

_UNITS: Final = {"days": 86400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0, "milliseconds": 0.001}
_ISO: Final = re.compile(
    r"P(?=.)(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=.)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)
_LONGEST_S: Final = 1e9


def duration_s(value: Any) -> float:
    """The number of seconds. Raises `ValueError`, saying why, for what is no duration, or none with a fixed length."""
    if isinstance(value, Mapping):
        unknown = [key for key in value if key not in _UNITS]
        if unknown or not value:
            known = ", ".join(_UNITS)
            raise ValueError(f"a duration has {known}, not {unknown[0]!r}" if unknown else f"a duration has {known}")
        amounts = list(value.values())
        if not all(type(amount) is int and amount >= 0 for amount in amounts):
            raise ValueError("the units of a duration are whole numbers of at least 0")
        total: float = sum(amount * _UNITS[unit] for unit, amount in value.items())
    elif isinstance(value, str):
        found = _ISO.fullmatch(value)
        if not found:
            raise ValueError(f"{value!r} is no duration of ISO 8601 with a fixed length, as PT30S or P1DT12H is")
        parts = {unit: float(amount) for unit, amount in found.groupdict().items() if amount}
        total = parts.pop("weeks", 0.0) * 604_800 + sum(amount * _UNITS[unit] for unit, amount in parts.items())
    else:
        raise ValueError(f"a {type(value).__name__} is no duration; write an object of units or ISO 8601")
    if total >= _LONGEST_S:
        raise ValueError(f"a duration is shorter than 10^9 seconds, not {total:g}")
    return total
