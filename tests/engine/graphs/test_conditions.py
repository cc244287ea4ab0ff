"""Conditions: what they compare, how they are read, and what they do with values they did not expect."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.engine.graphs import conditions
from actum.engine.graphs.conditions import compiled, describe, parse
from actum.engine.graphs.dialect import read_condition
from actum.engine.graphs.operators import ALIASES, OPERATORS, UnlikeKinds
from actum.engine.graphs.place import Place
from actum.engine.graphs.references import Values
from actum.errors import DefinitionError

HERE = Place("flow.json")
VALUES = Values(
    {"limit": 10, "flag": True, "off": 0},
    {
        "s": {
            "n": 7,
            "f": 7.0,
            "t": "hello",
            "yes": True,
            "none": None,
            "list": [1, "a", True],
            "obj": {"k": 1},
            "empty": [],
        }
    },
)


def holds(source: str, operator: str, *value: Any) -> bool:
    raw = {"source": source, "operator": operator} | ({"value": value[0]} if value else {})
    return compiled(parse(raw, HERE))(VALUES)[0]


@pytest.mark.parametrize(
    ("source", "operator", "value", "answer"),
    [
        ("s.n", "eq", 7, True),
        ("s.n", "eq", 7.0, True),
        ("s.n", "eq", 8, False),
        ("s.none", "eq", None, True),
        ("s.n", "eq", None, False),
        ("s.none", "ne", 3, True),
        ("s.obj", "eq", {"k": 1}, True),
        ("s.obj", "eq", {"k": True}, False),
        ("s.list", "eq", [1, "a", 1], False),
        ("s.n", "ne", 8, True),
        ("s.n", "gt", 6.5, True),
        ("s.n", "gt", 7, False),
        ("s.n", "gte", 7, True),
        ("s.n", "lt", "{{ parameters.limit }}", True),
        ("s.n", "lte", 7, True),
        ("s.t", "gt", "abc", True),
        ("s.t", "in", ["hello", 3], True),
        ("s.n", "in", ["7"], False),
        ("s.yes", "in", [1], False),
        ("s.t", "in", "say hello", True),
        ("s.t", "not_in", ["x"], True),
        ("s.list", "contains", "a", True),
        ("s.list", "contains", 2, False),
        ("s.t", "contains", "ell", True),
        ("s.obj", "contains", "k", True),
        ("s.t", "starts_with", "he", True),
        ("s.t", "ends_with", "he", False),
        ("s.t", "matches", "^h.*o$", True),
        ("s.t", "matches", "^x", False),
        ("s.none", "exists", True, True),
        ("s.none", "exists", False, False),
        ("s.gone", "exists", True, False),
        ("s.gone", "exists", False, True),
        ("parameters.flag", "truthy", True, True),
        ("parameters.off", "truthy", True, False),
        ("s.empty", "truthy", True, False),
        ("s.empty", "truthy", False, True),
        ("s.list[1]", "eq", "a", True),
        ("{{ s.n }}", "eq", 7, True),
        ("steps.s.output.n", "eq", 7, True),
    ],
)
def test_operators(source: str, operator: str, value: Any, answer: bool) -> None:
    """Each operator answers as its name says."""
    assert holds(source, operator, value) is answer


@pytest.mark.parametrize("operator", sorted(set(OPERATORS) - {"exists"}))
def test_what_is_not_there_makes_a_comparison_false(operator: str) -> None:
    """A missing value is not equal, not unequal, not more and not less: no way is taken because of it."""
    value: Any = {"in": ["x"], "not_in": ["x"], "truthy": True}.get(operator, "x")

    assert holds("s.gone", operator, value) is False
    assert holds("never_ran.x", operator, value) is False
    if operator not in ("matches", "truthy"):
        assert holds("s.t", operator, "{{ s.gone }}") is False


@pytest.mark.parametrize(
    ("source", "operator", "value"),
    [
        ("s.t", "eq", 7),
        ("s.yes", "eq", 1),
        ("s.n", "ne", "7"),
        ("s.t", "gt", 3),
        ("s.yes", "lt", 3),
        ("s.none", "gte", 3),
        ("s.n", "starts_with", "7"),
        ("s.n", "contains", 7),
        ("s.t", "contains", 7),
        ("s.n", "in", "1234567"),
        ("s.n", "matches", "7"),
        ("s.n", "gt", "{{ s.list }}"),
    ],
)
def test_unlike_kinds_are_an_error_and_not_an_answer(source: str, operator: str, value: Any) -> None:
    """The error names the condition and the kind on both sides."""
    with pytest.raises(UnlikeKinds) as caught:
        holds(source, operator, value)
    assert f"{source} {operator}" in str(caught.value)
    assert "compares unlike kinds" in str(caught.value)


def test_all_any_and_not() -> None:
    """They combine as in logic, at any depth."""
    yes, no = {"source": "s.n", "operator": "eq", "value": 7}, {"source": "s.n", "operator": "eq", "value": 8}

    def answer(raw: Any) -> bool:
        return compiled(parse(raw, HERE))(VALUES)[0]

    assert [answer({"all": [yes, yes]}), answer({"all": [yes, no]})] == [True, False]
    assert [answer({"any": [no, yes]}), answer({"any": [no, no]})] == [True, False]
    assert [answer({"not": no}), answer({"not": {"any": [no, {"all": [yes]}]}})] == [True, False]


def test_what_was_seen_comes_with_the_answer() -> None:
    """The log can show the values a decision rests on: one value, or one per source."""
    one = parse({"source": "s.n", "operator": "gt", "value": 3}, HERE)
    two = parse(
        {
            "all": [
                {"source": "s.n", "operator": "gt", "value": 3},
                {"not": {"source": "s.t", "operator": "eq", "value": "x"}},
            ]
        },
        HERE,
    )

    assert compiled(one)(VALUES) == (True, 7)
    assert compiled(two)(VALUES) == (True, {"s.n": 7, "s.t": "hello"})


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ({"source": "score.value", "operator": ">", "value": 0.8}, "score.value gt 0.8"),
        ({"source": "s.t", "operator": "equals", "value": "x"}, 's.t eq "x"'),
        ({"source": "s.n", "operator": "gte", "value": "{{ parameters.limit }}"}, "s.n gte parameters.limit"),
        ({"source": "s.n", "operator": "exists"}, "s.n exists"),
        ({"not": {"source": "s.n", "operator": "exists"}}, "not (s.n exists)"),
        (
            {"any": [{"source": "a.x", "operator": "truthy"}, {"all": [{"source": "b", "operator": "exists"}] * 2}]},
            "a.x truthy or (b exists and b exists)",
        ),
    ],
)
def test_conditions_can_be_read_in_the_log(raw: Any, text: str) -> None:
    """The description is short and says what is compared with what."""
    assert describe(parse(raw, HERE)) == text


def test_a_long_description_is_cut() -> None:
    """What the log keeps has at most 256 characters."""
    text = describe(parse({"source": "a.b", "operator": "in", "value": ["x" * 100] * 5}, HERE))

    assert len(text) == 256
    assert text.endswith("…")


@pytest.mark.parametrize(
    ("raw", "path", "problem"),
    [
        (
            {"source": "a.b", "operator": "greater", "value": 1},
            "$.operator",
            "no operator 'greater'; did you mean 'greater_than'?",
        ),
        ({"source": "a.b", "operator": "gt"}, "$", "needs a value"),
        ({"source": "a.b", "operator": "gt", "value": True}, "$.value", "compares with number or text, not boolean"),
        (
            {"source": "a.b", "operator": "in", "value": 3},
            "$.value",
            "compares with list or text or object, not number",
        ),
        ({"source": "a.b", "operator": "matches", "value": "("}, "$.value", "is no regular expression"),
        ({"source": "a.b", "operator": "matches", "value": "{{ a.c }}"}, "$.value", "written out"),
        ({"source": "a.b", "operator": "eq", "valu": 3}, "$.valu", "no field 'valu'; did you mean 'value'?"),
        ({"source": 3, "operator": "eq", "value": 3}, "$.source", "written as text, not number"),
        ({"source": "a..b", "operator": "eq", "value": 3}, "$.source", "is no reference"),
        ({"all": []}, "$.all", "holds no condition"),
        ({"any": [{"not": 3}]}, "$.any[0].not", "a condition is an object, not number"),
        ({"al": []}, "$", "did you mean 'all'?"),
        ({"all": [], "any": []}, "$", "is no condition"),
    ],
)
def test_what_is_no_condition_is_refused_when_read(raw: Any, path: str, problem: str) -> None:
    """Nothing that is not understood becomes a condition that is quietly false."""
    with pytest.raises(DefinitionError) as caught:
        parse(raw, HERE)
    assert caught.value.path == path
    assert problem in caught.value.problem


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("(?=a)b", "look-ahead and look-behind, is not supported"),
        (r"(a)\1", "backreferences are not supported (column 4)"),
        ("a{1000}{1000}{1000}", "too large"),
        ("a" * 1_001, "1,000 are allowed"),
    ],
)
def test_a_pattern_that_cannot_be_searched_for_in_linear_time_is_refused(pattern: str, problem: str) -> None:
    """What would need backtracking, or a machine without measure, is refused when the definition is read."""
    with pytest.raises(DefinitionError) as caught:
        parse({"source": "a.b", "operator": "matches", "value": pattern}, HERE)
    assert problem in caught.value.problem


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "^(a|a?)+$", "(.*a){20}$", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_no_pattern_makes_a_condition_hang(pattern: str) -> None:
    """Patterns that keep a backtracking engine busy for longer than the universe is old are answered at once."""
    test = compiled(parse({"source": "s.t", "operator": "regex", "value": pattern}, HERE))

    assert test(Values({}, {"s": {"t": "a" * 50_000 + "!"}}))[0] is False


@pytest.mark.parametrize(
    ("spelling", "operator"),
    [
        *[(name, name) for name in OPERATORS],
        # the document, the engine, AdvancedRouter, ConditionalHumanStep
        *[("gt", "gt"), ("equals", "eq"), ("not_equals", "ne"), ("greater_than", "gt"), ("less_than", "lt")],
        *[("greater_than_or_equals", "gte"), ("less_than_or_equals", "lte")],
        *[("==", "eq"), ("!=", "ne"), (">", "gt"), (">=", "gte"), ("<", "lt"), ("<=", "lte"), ("in", "in")],
        *[("not_in", "not_in"), ("contains", "contains"), ("startswith", "starts_with"), ("endswith", "ends_with")],
        *[("regex", "matches"), ("regex_match", "matches"), ("startsWith", "starts_with"), ("endsWith", "ends_with")],
        *[("equal", "eq"), ("neq", "ne"), ("ge", "gte"), ("le", "lte"), ("nin", "not_in"), ("not in", "not_in")],
    ],
)
def test_every_spelling_of_an_operator_is_that_operator(spelling: str, operator: str) -> None:
    """However the operator is called in a file, the condition that is kept calls it by its one name."""
    value: Any = {"in": ["x"], "not_in": ["x"], "exists": True, "truthy": True}.get(operator, "x")
    read = conditions.to_json(parse({"source": "a.b", "operator": spelling, "value": value}, HERE))

    assert read == {"source": "a.b", "operator": operator, "value": value}


# -- other dialects --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (None, None),
        ("always", None),
        ({"type": "always"}, None),
        ({"type": "always", "config": {}}, None),
        ("parameter:flag", "parameters.flag truthy"),
        ({"type": "expression", "config": {"source": "s.n", "operator": "gt", "value": 100}}, "s.n gt 100"),
        (
            {"type": "expression", "config": {"source": "result.ok", "operator": "equals", "value": True}},
            "step.ok eq true",
        ),
        ({"type": "expression", "config": {"source": "s.n", "value": 1}}, "s.n eq 1"),
        (
            {"type": "threshold_condition", "config": {"field": "q", "operator": ">=", "value": "{{ parameters.t }}"}},
            "step.q gte parameters.t",
        ),
        ({"type": "field_equals", "field": "a.b", "value": 1}, "step.a.b eq 1"),
        ({"type": "field_exists", "config": {"field": "a"}}, "step.a exists"),
        ({"type": "field_greater_than", "field": "a", "value": 1}, "step.a gt 1"),
        ({"type": "field_less_than", "field": "steps.x.output.y", "value": 1}, "x.y lt 1"),
        (
            {
                "type": "any",
                "conditions": [{"type": "field_exists", "field": "a"}, {"type": "field_exists", "field": "b"}],
            },
            "step.a exists or step.b exists",
        ),
        (
            {
                "type": "all",
                "config": {"conditions": [{"type": "always"}, {"source": "x.y", "operator": "eq", "value": 1}]},
            },
            "x.y eq 1",
        ),
        ({"type": "not", "condition": {"type": "field_exists", "field": "a"}}, "not (step.a exists)"),
    ],
)
def test_foreign_conditions_are_read_as_what_they_mean(raw: Any, text: str | None) -> None:
    """Every spelling that other systems use for a comparison becomes the same condition."""
    condition = read_condition(raw, "step", HERE)

    assert (None if condition is None else describe(condition)) == text


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({"type": "function", "config": {"module": "m"}}, "a condition of type 'function' would call code"),
        ({"type": "plugin"}, "would call code"),
        ({"type": "custom"}, "would call code"),
        ({"type": "agent"}, "would ask a model"),
        ({"type": "confidence_threshold", "config": {"threshold": 0.8}}, "make that an approval behind a comparison"),
        ({"type": "error_occurred"}, "on_error: fallback"),
        ({"type": "value_check"}, "make that an approval"),
        ({"type": "else"}, "depends on the other transitions"),
        ({"type": "expresion", "config": {}}, "did you mean 'expression'?"),
        ({"type": "expression", "config": {"source": "a.b", "operater": "eq"}}, "did you mean 'operator'?"),
        ({"type": "expression", "config": {}}, "needs a source"),
        ({"type": "not", "condition": "always"}, "never"),
        ({"type": "any", "conditions": []}, "needs a list of conditions"),
        ({"type": "field_equals", "value": 1}, "needs a field"),
        ("paramter:x", "did you mean 'parameter'?"),
        ("sometimes", "is no condition"),
        (7, "a condition is an object, not number"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(raw: Any, problem: str) -> None:
    """A condition that would have to call something, or that nobody knows, is refused with the reason."""
    with pytest.raises(DefinitionError) as caught:
        read_condition(raw, "step", HERE)
    assert problem in caught.value.problem


# -- properties ------------------------------------------------------------------------------------------------------

json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | st.text("ab7", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", max_size=1), inner, max_size=2),
    max_leaves=4,
)
comparisons = st.builds(
    lambda operator, value: {"source": "s.x", "operator": operator, "value": value},
    st.sampled_from(sorted(ALIASES)),
    json,
)
trees = st.recursive(
    comparisons,
    lambda inner: (
        st.builds(lambda of: {"all": of}, st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda of: {"any": of}, st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda of: {"not": of}, inner)
    ),
    max_leaves=4,
)


@forall(trees, json)
def test_evaluation_is_total(raw: Any, value: Any) -> None:
    """Whatever a step returns, a condition that could be read answers, or says that the kinds are unlike."""
    try:
        condition = parse(raw, HERE)
    except DefinitionError:
        return
    test = compiled(condition)
    for values in (Values({}), Values({}, {"s": {"x": value}}), Values({}, {"s": value})):
        try:
            assert isinstance(test(values)[0], bool)
        except UnlikeKinds as exc:
            assert "s.x" in str(exc)


@forall(trees)
def test_conditions_can_be_written_and_read_again(raw: Any) -> None:
    """The canonical JSON of a condition reads as an equal condition."""
    try:
        condition = parse(raw, HERE)
    except DefinitionError:
        return

    assert parse(conditions.to_json(condition), HERE) == condition
    assert 0 < len(describe(condition)) <= 256
