"""Instants: one text per microsecond, and no text without an instant."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.errors import ProfileError
from actum.events.times import is_instant, parse_instant, to_text, to_us

FIRST, LAST = "0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"
moments = st.datetimes(timezones=st.just(UTC))
instants = st.integers(to_us(FIRST), to_us(LAST))


@forall(instants)
@example(0)
@example(-1)
@example(to_us(FIRST))
@example(to_us(LAST))
def test_text_and_microseconds_round_trip(us: int) -> None:
    """From year 1 to year 9999 every microsecond has one text of 27 characters, and it reads back."""
    text = to_text(us)

    assert to_us(text) == us
    assert len(text) == 27
    assert is_instant(text)


@forall(moments)
def test_text_is_the_isoformat_in_utc(moment: datetime) -> None:
    """The text is ISO 8601 with six digits and Z, the years padded to four digits."""
    us = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

    assert to_text(us) == moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


@forall(instants, instants)
def test_texts_sort_as_the_instants_do(one: int, other: int) -> None:
    """Comparing texts is comparing times."""
    assert (to_text(one) < to_text(other)) == (one < other)


@forall(
    st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)),  # noqa: DTZ001  # the zone is put on below
    st.integers(-14 * 60, 14 * 60),
)
def test_a_foreign_time_with_an_offset_names_its_instant(local: datetime, minutes: int) -> None:
    """Any offset is taken off: what is written is the same instant in UTC."""
    moment = local.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    us = parse_instant(moment.isoformat(), "row 1")

    assert to_text(us) == moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2011-10-01T00:38:44.546+02:00", "2011-09-30T22:38:44.546000Z"),
        ("2011-10-01T00:38:44Z", "2011-10-01T00:38:44.000000Z"),
        ("2011-10-01 00:38:44-0530", "2011-10-01T06:08:44.000000Z"),
        (" 2011-10-01T00:38:44.123456789Z\n", "2011-10-01T00:38:44.123456Z"),
        ("20111001T003844Z", "2011-10-01T00:38:44.000000Z"),
    ],
)
def test_common_foreign_forms_are_read(text: str, same: str) -> None:
    """The forms that event logs come in are read; digits after the microsecond are dropped."""
    assert to_text(parse_instant(text, "row 1")) == same


@pytest.mark.parametrize("text", ["2011-10-01T00:38:44", "2011-10-01", "2011-10-01T00:38:44.5"])
def test_a_time_without_an_offset_is_refused_unless_asked(text: str) -> None:
    """A local time names no instant: refused by path, or taken as UTC when the caller says so."""
    with pytest.raises(ProfileError, match=r"^row 7 .*has no UTC offset, so it names no instant"):
        parse_instant(text, "row 7")
    assert to_text(parse_instant(text, "row 7", zone_when_absent=True)).startswith("2011-10-01T00:")


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2011-02-30T00:00:00Z", "2011-10-01T25:00:00Z", "1317429524", "2011-10-01T00:38:60Z"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    """A text that is not an ISO 8601 time is refused by path, with the text shown."""
    with pytest.raises(ProfileError, match=r"^row 7 .*is not an ISO 8601 time"):
        parse_instant(text, "row 7")


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_a_time_that_its_offset_carries_over_the_edge_is_refused(text: str) -> None:
    """What could never be written is refused on reading, not when it is too late."""
    with pytest.raises(ProfileError, match="not in the years 1 to 9999 of UTC"):
        parse_instant(text, "row 7")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-21T09:14:13Z",
        "2026-11-21T09:14:13.920Z",
        "2026-11-21T09:14:13.920114",
        "2026-11-21T09:14:13.920114+00:00",
        "2026-11-21 09:14:13.920114Z",
        "2026-11-21T09:14:13,920114Z",
        "2026-11-21T09:14:13.920114Z\n",
        "2026-02-30T09:14:13.920114Z",
        "2026-11-21T24:14:13.920114Z",
        "2026-W47-6T09:14:13.920114Z",
        "٢٠٢٦-11-21T09:14:13.920114Z",
    ],
)
def test_any_other_spelling_is_no_instant(text: str) -> None:
    """Only the one text that is written for an instant counts as one."""
    assert not is_instant(text)


def test_the_second_before_the_epoch_is_an_instant_like_any_other() -> None:
    """A new process, which remembers no instant yet, writes the last second before the epoch in full too."""
    said = subprocess.run(
        [sys.executable, "-c", "from actum.events import to_text; print(to_text(-1), to_text(-200_201))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.split() == ["1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.799799Z"]
