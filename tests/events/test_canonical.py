"""The canonical profile: equal to RFC 8785 inside it, refused by name outside it."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from enum import Enum, IntEnum, StrEnum
from typing import Any, NamedTuple

import pytest
import rfc8785
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.errors import ProfileError
from actum.events.canonical import MAX_DEPTH, MAX_INTEGER, canonical, check_facts, check_text

HARD_TEXTS = [
    "",
    "\x00\x01\b\t\n\f\r\x1f\x7f",
    '"quotes" \\ and / and </script>',
    "\u0080\u00e9e\u0301\u2028\u2029\ufeff\ufffe\uffff",
    "\U0001f30d\U00010000\U0010ffff",
    "\ufb33 sorts after \U0001f600 in UTF-16",
    "\u202eright to left\u200d",
]
texts = st.one_of(st.sampled_from(HARD_TEXTS), st.text())
keys = st.text(st.characters(max_codepoint=127))
plain = st.one_of(st.none(), st.booleans(), st.integers(-MAX_INTEGER, MAX_INTEGER), texts)
inside = st.recursive(plain, lambda some: st.lists(some) | st.dictionaries(keys, some), max_leaves=30)


@forall(inside)
def test_equals_rfc_8785(value: Any) -> None:
    """Inside the profile the bytes are those of RFC 8785, and they read back as the same value."""
    assert canonical(value) == rfc8785.dumps(value)
    assert json.loads(canonical(value)) == value


@forall(st.dictionaries(keys, inside))
def test_facts_inside_the_profile_pass(facts: dict[str, Any]) -> None:
    """The fast check lets everything pass that the profile allows."""
    check_facts(facts, "facts")


@forall(st.dictionaries(keys, plain, min_size=2))
def test_order_of_keys_does_not_matter(value: dict[str, Any]) -> None:
    """Equal objects give equal bytes, in whatever order they were built."""
    assert canonical(dict(reversed(value.items()))) == canonical(value)


@pytest.mark.parametrize("text", HARD_TEXTS)
def test_hard_texts_are_written_as_rfc_8785_writes_them(text: str) -> None:
    """Controls, escapes, separators and astral characters have one form, and it is not normalised."""
    assert canonical({"k": [text]}) == rfc8785.dumps({"k": [text]})


def test_truth_is_not_a_number() -> None:
    """True and 1 are equal in Python and not in the log."""
    assert canonical([True, 1, False, 0]) == b"[true,1,false,0]"


def test_integers_up_to_the_limit_are_exact() -> None:
    """2^53 - 1 and its negative are the last integers inside."""
    assert canonical([MAX_INTEGER, -MAX_INTEGER]) == b"[9007199254740991,-9007199254740991]"
    check_facts({"a": MAX_INTEGER, "b": -MAX_INTEGER}, "facts")


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Sly(Enum):
    HALF = 0.5


class Pair(NamedTuple):
    a: int


def test_enums_are_written_as_their_value() -> None:
    """An enum is its value, so it is inside when its value is."""
    assert canonical([Colour.RED, Level.HIGH, (1, 2)]) == b'["red",3,[1,2]]'


OUTSIDE: list[tuple[Any, str, str]] = [
    (1.0, "", "is a float"),
    (math.nan, "", "is a float"),
    (math.inf, "", "is a float"),
    (-0.0, "", "is a float"),
    (2**53, "", "is outside"),
    (-(2**53), "", "is outside"),
    (10**400, "", "is outside"),
    ("\ud800", "", "lone surrogate"),
    ("a\udfffb", "", "lone surrogate"),
    (b"bytes", "", "is a bytes, not a JSON value"),
    ({1}, "", "is a set, not a JSON value"),
    (datetime(2026, 1, 1, tzinfo=UTC), "", "is a datetime, not a JSON value"),
    (Pair(1), "", "is a Pair, not a JSON value"),
    (Sly.HALF, "", "is a float"),
    ([0, [1, 2.5]], "[1][1]", "is a float"),
    ((0, (1, 2.5)), "[1][1]", "is a float"),
    ({"b": [{"c": 2**53}]}, ".b[0].c", "is outside"),
    ({"é": True}, ".'é'", "is not an ASCII text key"),
    ({"b": {"é": 1}}, ".b.'é'", "is not an ASCII text key"),
    ({"\ud800": "x"}, ".'\\ud800'", "is not an ASCII text key"),
    ({1: "x"}, ".1", "is not an ASCII text key"),
    ({None: 1}, ".None", "is not an ASCII text key"),
    ({Colour.RED: 1}, ".<Colour.RED: 'red'>", "is not an ASCII text key"),
]


@pytest.mark.parametrize(("value", "path", "problem"), OUTSIDE, ids=lambda v: repr(v)[:30])
def test_outside_the_profile_is_refused_by_path(value: Any, path: str, problem: str) -> None:
    """What has no canonical form is refused, and the error says where it stands and what is wrong with it."""
    with pytest.raises(ProfileError) as refused:
        canonical({"a": value})
    assert refused.value.path == f"$.a{path}"
    assert problem in str(refused.value)
    assert str(refused.value).endswith("nothing was written")

    with pytest.raises(ProfileError) as refused:
        check_facts({"fine": 1, "a": value}, "facts")
    assert refused.value.path == f"facts.a{path}"


@pytest.mark.parametrize("value", ["x", 1, True, None, "é", [], 2.5], ids=repr)
@pytest.mark.parametrize("key", ["é", 1, None, Colour.RED, "\ud800"], ids=repr)
def test_a_key_that_is_not_ascii_text_is_refused_whatever_it_holds(key: Any, value: Any) -> None:
    """No kind of value opens a short cut past the check of its key."""
    with pytest.raises(ProfileError, match="is not an ASCII text key"):
        check_facts({key: value}, "facts")


@pytest.mark.parametrize("facts", [[1], "facts", None, 1])
def test_facts_that_are_no_object_are_refused(facts: Any) -> None:
    """Facts are a JSON object and nothing else."""
    with pytest.raises(ProfileError, match="is not a JSON object"):
        check_facts(facts, "facts")


def nested(levels: int) -> Any:
    value: Any = "core"
    for level in range(levels):
        value = [value] if level % 2 else {"k": value}
    return value


def test_depth_is_limited() -> None:
    """A hundred levels are written; one more, or a value that holds itself, is refused and does not crash."""
    assert canonical(nested(MAX_DEPTH)) == rfc8785.dumps(nested(MAX_DEPTH))
    endless: list[Any] = []
    endless.append(endless)
    for value in (nested(MAX_DEPTH + 1), nested(20_000), endless):
        with pytest.raises(ProfileError, match="nested more than 100 levels deep"):
            canonical(value)


@pytest.mark.parametrize("value", [1, None, b"x", "\ud800", ["x"]])
def test_a_text_field_takes_valid_text_only(value: Any) -> None:
    """Header fields that are text take no other value and no broken Unicode."""
    check_text("wörld 🌍", "actor.ref")
    with pytest.raises(ProfileError, match=r"^actor\.ref"):
        check_text(value, "actor.ref")
