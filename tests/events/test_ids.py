"""Ids: UUIDs that sort by time, UUIDs that repeat with what they name, and one text for each."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.events.ids import foreign_id, id_bytes, id_text, uuid7

LAST_US = 253_402_300_799_999_999  # the end of year 9999
instants = st.integers(0, LAST_US)
bits = st.integers(0, 2**64 - 1)
parts = st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=4).map(tuple)


@forall(instants, bits)
def test_new_ids_are_uuids_of_version_7(now_us: int, random_bits: int) -> None:
    """Version and variant are right, the first 48 bits are the milliseconds, and 62 bits are the caller's chance."""
    parsed = uuid.UUID(uuid7(now_us, random_bits))

    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == now_us // 1000
    assert parsed.int & (2**62 - 1) == random_bits & (2**62 - 1)


@forall(instants, instants, bits, bits)
def test_new_ids_sort_by_their_microsecond(one: int, other: int, chance: int, other_chance: int) -> None:
    """Made in different microseconds, ids sort in that order, whatever their random bits."""
    if one != other:
        assert (uuid7(one, chance) < uuid7(other, other_chance)) == (one < other)


@forall(parts)
def test_equal_parts_have_the_equal_foreign_id(of: tuple[str, ...]) -> None:
    """Importing the same thing twice names it the same, in any process."""
    assert foreign_id(*of) == foreign_id(*of)
    assert uuid.UUID(foreign_id(*of)).version == 5


def test_foreign_ids_are_stable() -> None:
    """A log imported by an older release is recognised by a newer one."""
    assert foreign_id("xes", "log.xes", "case-17", 3) == "1a5f63cc-b176-5ca3-a497-633c8896a8df"


@forall(parts, parts)
def test_other_parts_have_another_foreign_id(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    """Different lists of parts never share an id."""
    assert (foreign_id(*one) == foreign_id(*other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a\x1fb",), ("a", "b")),
        (("a", "b\x1fc"), ("a\x1fb", "c")),
        (("a\\", "b"), ("a\\\x1fb",)),
        (("a\\u", "b"), ("a\x1f", "b")),
        (("ab", "c"), ("a", "bc")),
    ],
)
def test_a_separator_inside_a_part_forges_nothing(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    """A foreign name that holds the separator cannot take the id of another thing."""
    assert foreign_id(*one) != foreign_id(*other)


@forall(st.binary(min_size=16, max_size=16))
def test_text_and_bytes_round_trip(raw: bytes) -> None:
    """Sixteen bytes have one text, the lower-case one with hyphens, and it reads back."""
    assert id_text(raw) == str(uuid.UUID(bytes=raw))
    assert id_bytes(id_text(raw)) == raw


GOOD = "01939c5e-8a1b-7c00-8000-0000000000ff"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        GOOD.upper(),
        GOOD.replace("-", ""),
        GOOD[:-1],
        GOOD + "0",
        "{" + GOOD[1:-1] + "}",
        "0193-9c5e8a1b-7c00-8000-0000000000ff",
        "01939c5e 8a1b 7c00 8000 0000000000ff",
        "01939c5e-8a1b-7c00-8000-0000000000 f",
        "01939c5e-8a1b-7c00-8000-0000000000-f",
        "01939c5e-8a1b-7c00-8000-0000000000fg",
        "٠1939c5e-8a1b-7c00-8000-0000000000ff",
    ],
)
def test_any_other_text_is_no_id(text: str) -> None:
    """An id has one spelling: what reads back as other text would be recorded under a name nobody gave."""
    with pytest.raises(ValueError):
        id_bytes(text)
