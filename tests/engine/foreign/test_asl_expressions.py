"""Paths, intrinsic functions and waits of the States Language, as functions of values."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from hypothesis import assume
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.engine.foreign.asl.choices import matches
from actum.engine.foreign.asl.errors import Retrier, delay_s
from actum.engine.foreign.asl.intrinsics import Given, IntrinsicFailure, parse_invocation, value_of
from actum.engine.foreign.asl.paths import BadPath, CannotWrite, NoValue, parse_path

names = st.text(alphabet="abcXYZ_09-é", min_size=1, max_size=5)
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=20
)
places = st.lists(names | st.integers(0, 3), max_size=4)


def written(place: list[str | int]) -> str:
    return "$" + "".join(f"[{key}]" if isinstance(key, int) else f"['{key}']" for key in place)


def at(value: Any, place: list[str | int]) -> Any:
    for key in place:
        fits = isinstance(value, list) and key < len(value) if isinstance(key, int) else isinstance(value, dict)
        if not fits or (isinstance(key, str) and key not in value):
            raise NoValue
        value = value[key]
    return value


@forall(values, places)
def test_a_definite_path_reads_what_walking_there_finds(document: Any, place: list[str | int]) -> None:
    """Names and indexes, one after the other; nothing there is `NoValue`."""
    path = parse_path(written(place))
    try:
        expected = at(document, place)
    except NoValue:
        with pytest.raises(NoValue):
            path.read(document)
        return
    assert path.read(document) == expected


@forall(values, places, values)
def test_what_was_written_is_read_again_and_the_rest_is_as_before(
    document: Any, place: list[str | int], value: Any
) -> None:
    """Writing changes one place of a copy; the document itself stays."""
    before = json.dumps(document)
    path = parse_path(written(place))
    try:
        after = path.write(document, value)
    except CannotWrite:
        return
    assert json.dumps(document) == before
    assert path.read(after) == value
    if place and isinstance(document, dict):
        assert {key: document[key] for key in document if key != place[0]} == {
            key: after[key] for key in after if key != place[0]
        }


BOOKS = {
    "store": {
        "book": [
            {"category": "reference", "title": "Sayings", "price": 8.95},
            {"category": "fiction", "title": "Sword", "price": 12.99},
            {"category": "fiction", "title": "Moby", "isbn": "0-553", "price": 8.99},
        ],
        "bicycle": {"color": "red", "price": 19.95},
    },
    "limit": 10,
    "detail-type": "x",
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", BOOKS),
        ("$.detail-type", "x"),
        ("$['store']['bicycle'].color", "red"),
        ("$.store.book[-1].title", "Moby"),
        ("$.store.book[*].title", ["Sayings", "Sword", "Moby"]),
        ("$.store.book[0,2].title", ["Sayings", "Moby"]),
        ("$.store.book[:2].title", ["Sayings", "Sword"]),
        ("$.store.book[::2].title", ["Sayings", "Moby"]),
        ("$..price", [8.95, 12.99, 8.99, 19.95]),
        ("$.store.bicycle.*", ["red", 19.95]),
        ("$.store.book[?(@.isbn)].title", ["Moby"]),
        ("$.store.book[?(@.price < $.limit)].title", ["Sayings", "Moby"]),
        ("$.store.book[?(@.price < 10 && @.category == 'fiction')].title", ["Moby"]),
        ("$.store.book[?(!(@.category == 'fiction') || @.price > 12)].title", ["Sayings", "Sword"]),
        ("$..book[?(@.category != 'fiction')]['title','price']", ["Sayings", 8.95]),
        ("$.nothing[*]", []),
    ],
)
def test_paths_of_many_values(path: str, expected: Any) -> None:
    """Wildcards, slices, unions, descent and filters give a list in the order of the document."""
    assert parse_path(path).read(BOOKS) == expected


@pytest.mark.parametrize(
    "text", ["", "a", "$$23", "$.", "$[", "$[]", "$.a b", "$.a[1", "$.a..", "$x", "$.a[?(@.b ==)]", "$[::0]", " $"]
)
def test_what_is_no_path_is_refused_when_it_is_read(text: str) -> None:
    """A text that is nearly a path is an error before anything runs."""
    with pytest.raises(BadPath):
        parse_path(text)


@forall(st.text(alphabet="$.[]()?@*'\"ab01,:-&|!=< ", max_size=20))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    """Whatever stands there, reading it ends, as a path or as `BadPath`."""
    try:
        path = parse_path(text)
    except BadPath:
        return
    assert path.text == text


# -- intrinsic functions --------------------------------------------------------------------------------------------


def call(text: str, data: Any = None) -> Any:
    drawn = iter(range(100))
    return value_of(parse_invocation(text), Given(data, {}, lambda: next(drawn).to_bytes(16, "big")))


@pytest.mark.parametrize(
    ("text", "data", "expected"),
    [
        ("States.Format('Hi {}, {}', $.n, 2)", {"n": "Ann"}, "Hi Ann, 2"),
        (r"States.Format('it\'s \{\} {}', true)", None, "it's {} true"),
        ("States.Format($.t, $.v)", {"t": "<{}>", "v": {"a": 1}}, '<{"a":1}>'),
        ("States.StringToJson($.s)", {"s": '{"a":[1]}'}, {"a": [1]}),
        ("States.JsonToString($.v)", {"v": {"a": 1}}, '{"a":1}'),
        ("States.Array('a', 1, null, $.x)", {"x": [2]}, ["a", 1, None, [2]]),
        ("States.ArrayPartition($, 2)", [1, 2, 3], [[1, 2], [3]]),
        ("States.ArrayContains($, 1)", [True, 1.0], True),
        ("States.ArrayContains($, 1)", [True, "1"], False),
        ("States.ArrayRange(1, 9, 2)", None, [1, 3, 5, 7, 9]),
        ("States.ArrayRange(3, 1, -1)", None, [3, 2, 1]),
        ("States.ArrayGetItem($, 1)", [1, 2], 2),
        ("States.ArrayLength($)", [1, 2], 2),
        ("States.ArrayUnique($)", [1, 1.0, True, "1"], [1, True, "1"]),
        ("States.Base64Encode('Data')", None, "RGF0YQ=="),
        ("States.Base64Decode('RGF0YQ==')", None, "Data"),
        ("States.Hash('input data', 'SHA-1')", None, "aaff4a450a104cd177d28d18d74485e8cae074b7"),
        ("States.JsonMerge($.a, $.b, false)", {"a": {"x": {"y": 1}, "z": 1}, "b": {"x": 2}}, {"x": 2, "z": 1}),
        ("States.MathAdd(111, -1)", None, 110),
        ("States.StringSplit('1.2+3', '.+')", None, ["1", "2", "3"]),
        ("States.Format('{}', States.ArrayGetItem(States.Array('x', 'y'), 1))", None, "y"),
    ],
)
def test_what_intrinsic_functions_give(text: str, data: Any, expected: Any) -> None:
    """Each of them, as the language describes it."""
    assert call(text, data) == expected


@pytest.mark.parametrize(
    "text",
    [
        "States.Format('{}')",
        "States.Format('x', 1)",
        "States.StringToJson('{')",
        "States.ArrayPartition($, 0)",
        "States.ArrayRange(1, 9, 0)",
        "States.ArrayRange(1, 99999, 1)",
        "States.ArrayGetItem($, 7)",
        "States.ArrayLength('x')",
        "States.Base64Decode('%')",
        "States.Hash('x', 'CRC')",
        "States.JsonMerge($, $, true)",
        "States.MathRandom(2, 2)",
    ],
)
def test_a_call_that_cannot_be_answered_fails_by_name(text: str) -> None:
    """The failure names the function; nothing is made up."""
    with pytest.raises(IntrinsicFailure, match=text.partition("(")[0]):
        call(text, [1])


@pytest.mark.parametrize(
    "text",
    ["States.Xyz()", "States.UUID(1)", "States.Format(", "States.Array(1 2)", "States.Hash($.a)", "States.UUID() "],
)
def test_what_is_no_call_is_refused_when_it_is_read(text: str) -> None:
    """Unknown functions, wrong numbers of arguments and broken texts are found before anything runs."""
    with pytest.raises(BadPath):
        parse_invocation(text)


@forall(st.text(alphabet="States.Array(){}'$, 12\\", max_size=30))
def test_no_call_does_more_than_be_refused(text: str) -> None:
    """Whatever stands there, reading it ends."""
    try:
        parse_invocation("States." + text)
    except BadPath:
        return


def test_chance_is_what_was_drawn() -> None:
    """Ids and numbers come from the bytes handed in, so the same bytes give the same again."""
    assert uuid.UUID(call("States.UUID()")).version == 4
    assert call("States.UUID()") == call("States.UUID()")
    assert 5 <= call("States.MathRandom(5, 8)") < 8


@forall(st.lists(st.text(max_size=5), max_size=4))
def test_format_puts_every_value_in_its_place(words: list[str]) -> None:
    """As many braces as values, in their order, and nothing in the values counts as braces."""
    text = f"States.Format('{'-'.join(['{}'] * len(words))}'{''.join(f', $[{i}]' for i in range(len(words)))})"
    assert call(text, words) == "-".join(words)


@forall(st.text(alphabet="ab*", max_size=8), st.text(alphabet="ab*", max_size=5))
def test_a_star_stands_for_any_characters(text: str, pattern: str) -> None:
    """Like the shell's star, and only that."""
    import fnmatch

    assume("*" not in text)
    assert matches(text, pattern) is fnmatch.fnmatchcase(text, pattern)


@forall(
    st.floats(0, 100), st.floats(1, 10), st.integers(1, 2000), st.floats(0.5, 1000), st.booleans(), st.floats(0, 0.999)
)
def test_waits_grow_to_their_bound(
    interval_s: float, rate: float, attempt: int, longest_s: float, jitter: bool, chance: float
) -> None:
    """No wait is longer than MaxDelaySeconds; without jitter none is shorter than the one before."""
    one = Retrier((), interval_s, 3, rate, longest_s, jitter)
    assert 0 <= delay_s(one, attempt, chance) <= longest_s
    if not jitter:
        assert delay_s(one, attempt, chance) <= delay_s(one, attempt + 1, chance)
        assert delay_s(one, 1, chance) == min(interval_s, longest_s)
