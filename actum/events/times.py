"""Instants: integer microseconds since the Unix epoch inside, UTC text with microseconds in the log."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from actum.errors import ProfileError

__all__ = ["is_instant", "parse_instant", "to_text", "to_us"]

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
# The last instant written and the last one read, with their texts, and the last second and its prefix. Each is one
# tuple, replaced whole, so that readers in other threads never see half of it. Events of one decision share their
# time: most calls end here.
_last: tuple[int, str] = (_FIRST - 1, "")
_last_second: tuple[int, str] = (_FIRST - 1, "")
_last_read: tuple[int, str] = (_FIRST - 1, "")
_last_good = ""


def to_text(us: int) -> str:
    """`2026-11-21T09:14:13.920114Z` for microseconds since the epoch; years 1 to 9999."""
    global _last, _last_second
    known, text = _last
    if known == us:
        return text
    second, fraction = divmod(us, 1_000_000)
    known, prefix = _last_second
    if known != second:
        prefix = (_EPOCH + timedelta(seconds=second)).replace(tzinfo=None).isoformat()
        _last_second = (second, prefix)
    text = f"{prefix}.{fraction:06d}Z"
    _last = (us, text)
    return text


def to_us(text: str) -> int:
    """Microseconds since the epoch of a text that `to_text` wrote."""
    global _last_read
    us, known = _last
    if known == text:
        return us
    us, known = _last_read  # what is recorded together has one time
    if known == text:
        return us
    us = (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND
    _last_read = (us, text)
    return us


def is_instant(text: object) -> bool:
    """Whether this is an instant as the log writes it: UTC text with microseconds, of a day and hour that exist."""
    global _last_good
    if text == _last_good:
        return True
    if not (isinstance(text, str) and _INSTANT.fullmatch(text)):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    _last_good = text
    return True


def parse_instant(text: str, path: str, *, zone_when_absent: bool = False) -> int:
    """Read a foreign ISO 8601 instant into microseconds since the epoch.

    A time without an offset is refused, because it names no instant, unless `zone_when_absent` says to take
    it as UTC. Raises `ProfileError` naming `path`.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ProfileError(path, "time", f"{text!r} is not an ISO 8601 time") from None
    if moment.tzinfo is None:
        if not zone_when_absent:
            raise ProfileError(path, "time", f"{text!r} has no UTC offset, so it names no instant")
        moment = moment.replace(tzinfo=UTC)
    us = (moment - _EPOCH) // _MICROSECOND
    if not _FIRST <= us <= _LAST:  # its offset carries it over the edge
        raise ProfileError(path, "time", f"{text!r} is not in the years 1 to 9999 of UTC")
    return us
