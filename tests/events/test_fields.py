"""Cutting fields out of a JSON payload, and putting them back."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.errors import BadInput
from actum.events.fields import cut, join

PAYLOAD = {"a": {"b": 1, "c/d": {"~": "x"}}, "l": [{"t": 1}, {"t": 2, "u": 3}, 5], "": 7, "n": None}


@pytest.mark.parametrize(
    ("pointers", "found"),
    [
        (["/a/b"], {"/a/b": 1}),
        (["/a"], {"/a": PAYLOAD["a"]}),
        (["/a/c~1d/~0"], {"/a/c~1d/~0": "x"}),
        (["/l/*/t"], {"/l/0/t": 1, "/l/1/t": 2}),
        (["/l/1"], {"/l/1": {"t": 2, "u": 3}}),
        (["/*/b", "/"], {"/a/b": 1, "/": 7}),
        (["/l/*/*"], {"/l/0/t": 1, "/l/1/t": 2, "/l/1/u": 3}),
        (["/a/b", "/a"], {"/a/b": 1, "/a": {"b": None, "c/d": {"~": "x"}}}),
        (["/a", "/a/b"], {"/a": PAYLOAD["a"]}),
    ],
    ids=str,
)
def test_what_a_pointer_meets_is_cut_out(pointers: list[str], found: dict[str, Any]) -> None:
    """Null is in its place, and joining gives what there was."""
    payload = orjson.dumps(PAYLOAD)
    rest, fields = cut(payload, pointers, "e")

    assert fields is not None
    assert json.loads(fields) == found
    assert join(rest, fields) == payload
    for pointer in found:
        assert cut(rest, [pointer], "e")[1] is None


@pytest.mark.parametrize("pointer", ["/x", "/a/b/c", "/l/3", "/l/-", "/l/01", "/l/t", "/n", "/n/x", "/a/c/d"])
def test_what_meets_nothing_changes_nothing(pointer: str) -> None:
    """Not a byte: the payload stays in one part."""
    payload = b' {"n": null, "a": {"b": 1}, "l": [1]} '
    assert cut(payload, [pointer] if pointer != "/a/b/c" else ["/a/b/c"], "e") == (payload, None)


@pytest.mark.parametrize(("payload", "pointer"), [(b"{", "/a"), (b"\xff", "/a"), (b"{}", "a"), (b"{}", ""), (b"{}", 7)])
def test_what_cannot_be_cut_is_refused(payload: bytes, pointer: Any) -> None:
    """The error names the event, and says that nothing was written."""
    with pytest.raises(BadInput, match=r"e: .*nothing was written"):
        cut(payload, [pointer], "e")


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b/c", "~", "0", "*"]), inner),
    max_leaves=12,
)
pointers = st.lists(
    st.lists(st.sampled_from(["a", "b~1c", "~0", "0", "1", "*"]), min_size=1, max_size=3).map(
        lambda p: "/" + "/".join(p)
    ),
    min_size=1,
    max_size=4,
)


@forall(values, pointers)
def test_whatever_is_cut_out_joins_again(value: Any, at: list[str]) -> None:
    """For any JSON and any pointers, in any order."""
    payload = orjson.dumps(value)
    rest, fields = cut(payload, at, "e")

    assert (rest if fields is None else join(rest, fields)) == payload
