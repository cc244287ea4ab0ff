"""References in values: how they are read, written and followed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.engine.graphs.place import Place
from actum.engine.graphs.references import Known, Values
from actum.engine.graphs.templates import MissingValue, canonical, parse
from actum.errors import DefinitionError

HERE = Place("order.json")
VALUES = Values(
    {"amount": 3, "to": "ann", "nothing": None},
    {"fetch": {"rows": [{"id": 7}, {"id": 8}], "ok": True, "rate": 0.5, "text": "hi"}, "plain": "done"},
)


def rendered(value: Any) -> Any:
    return parse(value, HERE).render(VALUES)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("{{ parameters.amount }}", 3),
        ("{{parameters.amount}}", 3),
        ("{{ fetch }}", VALUES.outputs["fetch"]),
        ("{{ fetch.rows }}", [{"id": 7}, {"id": 8}]),
        ("{{ fetch.rows[1].id }}", 8),
        ("{{ fetch.rows.0.id }}", 7),
        ("{{ steps.fetch.output.ok }}", True),
        ("{{ plain }}", "done"),
        ("{{ parameters.nothing }}", None),
        ("{{ parameters }}", VALUES.parameters),
        ("{parameters.amount}", 3),
        ("{steps.fetch.output.rate}", 0.5),
    ],
)
def test_a_text_that_is_one_reference_keeps_the_type(written: str, value: Any) -> None:
    """A whole-text reference becomes the value itself, in every spelling."""
    assert rendered(written) == value


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("Dear {{ parameters.to }}!", "Dear ann!"),
        ("{{ parameters.amount }} of {{ fetch.rate }}", "3 of 0.5"),
        ("ok={{ fetch.ok }}, none={{ parameters.nothing }}", "ok=true, none=null"),
        ("rows: {{ fetch.rows }}", 'rows: [{"id":7},{"id":8}]'),
        ("{{ parameters.to }}{{ parameters.amount }}", "ann3"),
        (" {{ parameters.amount }}", " 3"),
        ("to {parameters.to}", "to ann"),
    ],
)
def test_references_inside_text_become_text(written: str, text: str) -> None:
    """Text goes in as it is, everything else as JSON."""
    assert rendered(written) == text


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("{{ gone.x | fetch.text }}", "hi"),
        ("{{ fetch.gone | fetch.rows[9] | parameters.amount }}", 3),
        ("{steps.gone.output.x}|{steps.fetch.output.text}", "hi"),
        ("{{ gone.x }} | {{ fetch.ok }}", True),
        ("{{ parameters.nothing | fetch.ok }}", None),
    ],
)
def test_the_first_that_exists_counts(written: str, value: Any) -> None:
    """Of several references with bars between them the first that leads anywhere is used; null is somewhere."""
    assert rendered(written) == value


def test_references_are_followed_everywhere_in_a_value() -> None:
    """Objects and lists are gone through, and what holds no reference stays what it is."""
    written = {"a": [1, "{{ fetch.ok }}", {"b": "{{ plain }}!"}], "c": None, "d": "{not one}"}

    assert rendered(written) == {"a": [1, True, {"b": "done!"}], "c": None, "d": "{not one}"}


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("{{ '{{' }} name }}", "{{ name }}"),
        ("{{ '{' }}parameters.to}", "{parameters.to}"),
        ('{"json": {"is": "left alone"}}', '{"json": {"is": "left alone"}}'),
        ("{x} and {steps}", "{x} and {steps}"),
    ],
)
def test_braces_can_be_meant_literally(written: str, text: str) -> None:
    """What is no reference is left alone, and braces that would be one can be escaped."""
    assert rendered(written) == text


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("{{ fetch.rowz }}", "'fetch' has no 'rowz'; did you mean 'rows'?"),
        ("{{ fetch.rows.5 }}", "'fetch.rows' is a list of 2 and has no item '5'"),
        ("{{ fetch.rows.first }}", "'fetch.rows' is a list of 2 and has no item 'first'"),
        ("{{ plain.x }}", "'plain' has no 'x': its kind is text"),
        ("{{ other.x }}", "step 'other' has no output: it has not run, was skipped, or failed"),
        ("{{ parameters.gone }}", "the parameter 'gone' was not given and has no default"),
        ("{{ fetch.zzz }}", "'fetch' has no 'zzz', only 'rows', 'ok', 'rate', 'text'"),
        ("see {{ fetch.rows.0.name }}", "'fetch.rows.0' has no 'name', only 'id'"),
    ],
)
def test_a_reference_to_nothing_says_where_it_ends(written: str, why: str) -> None:
    """The error shows the reference and the part of its path that does not exist."""
    with pytest.raises(MissingValue) as caught:
        rendered(written)
    assert str(caught.value).endswith(f"has no value: {why}")


@pytest.mark.parametrize(
    ("written", "path", "problem"),
    [
        ("{{ }}", "$", "is no reference"),
        ("{{ a..b }}", "$", "'a..b' is no reference"),
        ("{{ steps }}", "$", "'steps' alone"),
        ("{{ steps.a.input.x }}", "$", "a step has only its output"),
        ("open {{ fetch.x", "$", "does not close it"),
        ({"a": ["x", "{{ a..b }}"]}, "$.a[1]", "is no reference"),
        ('{{ "quoted" }}', "$", "is no reference"),
    ],
)
def test_what_is_no_reference_is_refused_when_read(written: Any, path: str, problem: str) -> None:
    """A reference that cannot be meant is refused with its path, before anything runs."""
    with pytest.raises(DefinitionError) as caught:
        parse(written, HERE)
    assert (caught.value.source, caught.value.path) == ("order.json", path)
    assert problem in caught.value.problem


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("{{ charg.id }}", "there is no step 'charg'; did you mean 'charge'?"),
        ("{{ parameters.amont }}", "there is no parameter 'amont'; did you mean 'amount'?"),
        ("{{ amount }}", "did you mean 'parameters.amount'?"),
        ("{{ parameter.amount }}", "there is no step 'parameter'; did you mean 'parameters'?"),
    ],
)
def test_names_that_the_definition_does_not_have_are_refused(written: str, problem: str) -> None:
    """An unknown step or parameter is refused with the nearest known one."""
    (reference,) = parse(written, HERE).references()

    with pytest.raises(DefinitionError) as caught:
        reference.check(Known({"charge"}, {"amount"}), HERE)
    assert problem in caught.value.problem


@pytest.mark.parametrize(
    ("written", "one"),
    [
        ("{steps.a.output.b}", "{{ a.b }}"),
        ("{{steps.a.output.b[0]}}", "{{ a.b.0 }}"),
        ("{a.b}|{c.d}", "{a.b}|{c.d}"),
        ("{steps.a.output.x}|{steps.b.output.x}", "{{ a.x | b.x }}"),
        ("n={parameters.n}", "n={{ parameters.n }}"),
    ],
)
def test_every_spelling_has_one_canonical_form(written: str, one: str) -> None:
    """Two spellings of one reference are written the same, so they hash the same."""
    assert canonical(written, HERE) == one


texts = st.text(st.sampled_from("{}|'\" ab.x0[]parmetsouı"), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts | st.sampled_from(["{{ a.b }}", "{parameters.x}", "{{a}}|{{b}}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@forall(values)
def test_what_is_read_can_be_written_and_read_again(value: Any) -> None:
    """The canonical form of a value reads as the same template, and is its own canonical form."""
    try:
        template = parse(value, HERE)
    except DefinitionError:
        return
    again = parse(template.to_json(), HERE)

    assert again == template
    assert again.to_json() == template.to_json()


@forall(texts)
def test_a_text_without_braces_stays_itself(text: str) -> None:
    """Only braces mean anything."""
    text = text.replace("{", "")

    assert rendered(text) == text
