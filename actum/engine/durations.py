"""How long: what people write ("30s", "5m", "1h30m", or a number of seconds) as seconds."""

from __future__ import annotations

import re
from typing import Any, Final

from actum.errors import BadInput

__all__ = ["seconds"]

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])\s*")
_LONGEST_S: Final = 1e9


def seconds(value: Any) -> float:
    """The number of seconds; more than none, less than 10^9. Raises `BadInput` for anything else."""
    total = 0.0
    match value:
        case bool():
            raise BadInput(f'{value!r} is no duration; write "30s", "5m" or a number of seconds')
        case int() | float():
            total = float(value)
        case str():
            rest = value.strip()
            while part := _PART.match(rest):
                total += float(part[1]) * _UNITS[part[2]]
                rest = rest[part.end() :]
            if rest or not total:
                raise BadInput(
                    f'{value!r} is no duration; write "30s", "5m", "1h30m" (ms, s, m, h, d, w) or a number of seconds'
                )
        case _:
            raise BadInput(f'a {type(value).__name__} is no duration; write "30s", "5m" or a number of seconds')
    if not 0 < total < _LONGEST_S:  # false for NaN too
        raise BadInput(f"a duration must be more than 0 and less than 10^9 seconds, not {value!r}")
    return total
