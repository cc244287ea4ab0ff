"""The part of JSON Schema that is honoured, held against the jsonschema package."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.engine.graphs.place import Place
from actum.engine.payloads.json_schema import check_schema, mismatch
from actum.errors import DefinitionError

types = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([1.0, 1.5]) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=5,
)
schemas = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": types | st.lists(types, min_size=1, max_size=2, unique=True),
            "enum": st.lists(values, min_size=1, max_size=3),
            "const": values,
            "minimum": st.integers(-2, 2),
            "exclusiveMaximum": st.integers(-2, 2),
            "minLength": st.integers(0, 2),
            "maxItems": st.integers(0, 2),
            "pattern": st.sampled_from(["a", "^b$"]),
            "required": st.lists(st.sampled_from("xyz"), max_size=2, unique=True),
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "items": inner,
            "properties": st.dictionaries(st.sampled_from("xyz"), inner, max_size=2),
            "additionalProperties": st.booleans() | inner,
        },
    ),
    max_leaves=3,
)


@forall(schemas, values)
def test_a_value_fits_exactly_when_json_schema_says_so(schema: dict[str, Any], value: Any) -> None:
    """For every schema that is honoured, the answer is that of the reference implementation."""
    jsonschema = pytest.importorskip("jsonschema")
    check_schema(schema, Place("s"))

    fits = jsonschema.Draft202012Validator(schema).is_valid(value)

    assert (mismatch(schema, value, "it") == "") is fits


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        ({"type": "string"}, 3, "p must be string, not number"),
        ({"type": ["integer", "null"]}, "x", "p must be integer or null, not string"),
        (
            {"properties": {"a": {"type": "array", "items": {"type": "integer"}}}},
            {"a": [1, "x"]},
            "p.a[1] must be integer",
        ),
        ({"required": ["name"]}, {"nmae": 1}, "p has no 'name'; did you mean 'nmae'?"),
        (
            {"properties": {"a": {}}, "additionalProperties": False},
            {"b": 1},
            "p has 'b', which its schema does not know",
        ),
        ({"enum": ["a", "b"]}, "c", "p must be one of ['a', 'b'], not 'c'"),
    ],
)
def test_a_mismatch_names_the_place_and_both_sides(schema: dict[str, Any], value: Any, said: str) -> None:
    """The sentence says where, what was wanted and what there is."""
    assert mismatch(schema, value, "p").startswith(said)


@pytest.mark.parametrize(
    ("schema", "path", "problem"),
    [
        ({"oneOf": []}, "$.oneOf", "the keyword 'oneOf' is not checked"),
        ({"type": "int"}, "$.type", "'int' is no JSON type"),
        ({"properties": {"a": {"typ": "string"}}}, "$.properties.a.typ", "did you mean 'type'?"),
        ({"pattern": "("}, "$.pattern", "is no regular expression"),
        ({"items": []}, "$.items", "a schema is an object"),
        ({"minimum": "3"}, "$.minimum", "is a number, not text"),
        ({"required": "name"}, "$.required", "is a list, not text"),
        (True, "$", "a schema is an object, not boolean"),
    ],
)
def test_a_schema_that_would_be_half_ignored_is_refused(schema: Any, path: str, problem: str) -> None:
    """A keyword that nobody would check is an error when the schema is read."""
    with pytest.raises(DefinitionError) as caught:
        check_schema(schema, Place("s"))
    assert caught.value.path == path
    assert problem in caught.value.problem


HOSTILE = """
import resource
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
from actum.engine.payloads.json_schema import mismatch
print(mismatch({"type": "string", "pattern": "^(a+)+$"}, "a" * 100_000 + "!", "it") != "")
"""


def test_a_hostile_pattern_costs_no_more_than_the_text_is_long() -> None:
    """Trying one way after another, this takes more work than any processor has; the process is allowed little."""
    done = subprocess.run([sys.executable, "-c", HOSTILE], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


@pytest.mark.parametrize("pattern", [r"(?=a)b", r"(a)\1", "(?<!a)b", "x" * 1_001])
def test_a_pattern_that_cannot_be_searched_in_linear_time_is_refused(pattern: str) -> None:
    """When the schema is read, and not when a value is."""
    with pytest.raises(DefinitionError, match="no regular expression that can be searched for"):
        check_schema({"pattern": pattern}, Place("s"))
