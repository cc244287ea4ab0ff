"""Points in time as definitions write them: ISO 8601 with an offset."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from actum.errors import BadInput

__all__ = ["instant_us"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def instant_us(value: Any) -> int:
    """Microseconds since the epoch. Raises `BadInput` for what is no time, or could be meant in several zones."""
    try:
        read = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise BadInput(f'{value!r} is no time; write "2026-11-21T09:00:00Z"') from None
    if read.tzinfo is None:
        raise BadInput(f'{value!r} says no time zone; write "{value}Z", or with an offset such as +01:00')
    return (read - _EPOCH) // timedelta(microseconds=1)
