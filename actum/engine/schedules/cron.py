"""Times by the clocks of a place: cron expressions in IANA time zones. The only file that knows cronsim.

Five fields, as in Debian's cron. Where clocks are set forward, a time that does not exist happens when the clocks have
been set; where they are set back, a time that exists twice happens once, the first time. An expression that begins with
`*` in its minutes or hours is about intervals: it follows the time that passes, whatever clocks say.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, available_timezones

from actum.errors import BadInput, near_miss

if TYPE_CHECKING:
    from cronsim import CronSim

__all__ = ["check_cron", "check_zone", "next_by_clock"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_US: Final = 1_000_000
_DAY_US: Final = 86_400_000_000
_NAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def check_cron(expression: str) -> str:
    """The expression in five fields, for one that may be a name such as `@daily`. Raises `BadInput`, naming the field.

    One that meets no day of any year is refused too.
    """
    plain = _NAMES.get(expression.strip().lower(), " ".join(expression.split()))
    if plain.startswith("@"):
        raise BadInput(f"cron: there is no {plain!r}{near_miss(plain, _NAMES)}")
    if len(plain.split()) != 5:
        raise BadInput(
            f"cron: {expression!r} has {len(plain.split())} fields, not the five minute, hour, day, month and weekday; "
            'for seconds, say every="30s"'
        )
    if next_by_clock(plain, "UTC", 0) is None:
        raise BadInput(f"cron: {expression!r} meets no day of any year")
    return plain


def check_zone(zone: str) -> str:
    """The name of a time zone that is known here. Raises `BadInput` with the nearest one."""
    if zone != "UTC" and zone not in available_timezones():
        raise BadInput(f"zone: {zone!r} is no IANA time zone{near_miss(zone, available_timezones())}")
    return zone


def next_by_clock(expression: str, zone: str, after_us: int) -> int | None:
    """The first time after `after_us` that the expression means in the zone; None when there is none in 50 years."""
    found = _first(expression, zone, after_us, after_us)
    if found is None or zone == "UTC":
        return found
    # cronsim walks through a day by hours. Where clocks are set by half an hour it walks over times that are there: so
    # it is asked again from the moment in which they are set, and from the full hour after it.
    set_us = _clocks_set(zone, max(after_us - _DAY_US, found - 2 * _DAY_US), found)
    if set_us is not None:
        begin_us = max(set_us, after_us)
        local = _local(zone, begin_us)
        into_us = (local.minute * 60 + local.second) * _SECOND_US + local.microsecond
        for from_us in (max(set_us - 1, after_us), begin_us - into_us + 3600 * _SECOND_US - 1):
            again = _first(expression, zone, from_us, after_us)
            found = found if again is None else min(found, again)
    return found


def _first(expression: str, zone: str, from_us: int, after_us: int) -> int | None:
    for found in _from(expression, _local(zone, from_us)):
        at_us = (found.astimezone(UTC) - _EPOCH) // timedelta(seconds=1) * _SECOND_US
        if at_us > after_us:  # in the hour that comes twice, the clock alone does not say so
            return at_us
    return None


def _clocks_set(zone: str, from_us: int, until_us: int) -> int | None:
    """The first second with the offset that the later time has, when the earlier one has another."""
    after = _local(zone, until_us).utcoffset()
    if _local(zone, from_us).utcoffset() == after:
        return None
    first, last = from_us // _SECOND_US, until_us // _SECOND_US
    while last - first > 1:
        middle = (first + last) // 2
        if _local(zone, middle * _SECOND_US).utcoffset() == after:
            last = middle
        else:
            first = middle
    return last * _SECOND_US


def _local(zone: str, us: int) -> datetime:
    return (_EPOCH + timedelta(microseconds=us)).astimezone(_zone(zone))


def _from(expression: str, local: datetime) -> CronSim:
    try:
        from cronsim import CronSim, CronSimError
    except ImportError as exc:
        raise BadInput(f"cron needs the extra 'schedules' ({exc}): pip install 'actum[schedules]'") from exc
    try:
        return CronSim(expression, local)
    except CronSimError as exc:
        raise BadInput(f"cron: {expression!r}: {exc}") from exc


@lru_cache(maxsize=64)
def _zone(zone: str) -> tzinfo:
    return UTC if zone == "UTC" else ZoneInfo(zone)
