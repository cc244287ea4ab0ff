"""The catalogue: one strict, closed model per event type, all inside the canonical profile."""

from __future__ import annotations

from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
import pytest
from hypothesis import assume
from hypothesis import given as forall
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from actum.errors import BadInput
from actum.events import CURRENT, to_text, to_us
from actum.events.canonical import check_facts
from actum.events.catalog import MODELS, validate_facts
from actum.events.facts import Facts

instants = st.integers(to_us("0001-01-01T00:00:00.000000Z"), to_us("9999-12-31T23:59:59.999999Z")).map(to_text)


def values_of(field: FieldInfo) -> st.SearchStrategy[Any]:
    """Every value that a field's annotation and constraints allow; an unknown kind of field is an error here."""
    return _values(field.annotation, field.metadata)


def _values(kind: Any, limits: list[Any]) -> st.SearchStrategy[Any]:
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    if get_origin(kind) is list:
        return st.lists(_values(*_unwrapped(get_args(kind)[0])))
    if get_origin(kind) is dict:
        keys, values = (_values(*_unwrapped(arg)) for arg in get_args(kind))
        return st.dictionaries(keys, values, max_size=5)
    if get_origin(kind) in (Union, UnionType) and type(None) not in get_args(kind):
        return st.one_of([_values(*_unwrapped(arg)) for arg in get_args(kind)])
    if type(None) in get_args(kind):
        (some,) = [arg for arg in get_args(kind) if arg is not type(None)]
        return st.none() | _values(*_unwrapped(some))
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        known = {name: values_of(field).filter(_is_there) for name, field in kind.model_fields.items()}
        return st.fixed_dictionaries({}, optional=known)
    if kind is bool:
        return st.booleans()
    if kind is int:
        least: Any = next(
            limit.ge if isinstance(limit, annotated_types.Ge) else int(str(limit.gt)) + 1
            for limit in limits
            if isinstance(limit, (annotated_types.Ge, annotated_types.Gt))
        )
        over: list[Any] = [limit.lt for limit in limits if isinstance(limit, annotated_types.Lt)]
        return st.integers(least, over[0] - 1 if over else 10**6)
    assert kind is str, kind
    pattern = next((limit.pattern for limit in limits if getattr(limit, "pattern", None)), None)
    if pattern:
        return st.from_regex(pattern, fullmatch=True, alphabet=st.characters(max_codepoint=127))
    if any(hasattr(limit, "func") for limit in limits):  # the one validated by a function
        return instants
    lengths = [getattr(limit, "max_length", None) for limit in limits]
    least = 1 if limits else 0
    return st.text(st.characters(codec="utf-8"), min_size=least, max_size=max(filter(None, lengths), default=300))


def _is_there(value: Any) -> bool:
    return value is not None


def _unwrapped(annotated: Any) -> tuple[Any, list[Any]]:
    field = FieldInfo.from_annotation(annotated)
    return field.annotation, field.metadata


@st.composite
def events(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A type and facts that its model allows; optional fields there or not."""
    type_ = draw(st.sampled_from(sorted(MODELS)))
    facts = {}
    for name, field in MODELS[type_].model_fields.items():
        if field.is_required() or draw(st.booleans()):
            facts[name] = draw(values_of(field))
    return type_, facts


def test_the_catalogue_is_what_can_be_written() -> None:
    """Every type that the envelope takes has a model, and no model is of a type that cannot be written."""
    assert set(MODELS) == set(CURRENT)
    assert all(model.type == type_ for type_, model in MODELS.items())


def test_types_are_past_tense_pairs() -> None:
    """A type is `noun.verb` in lower case."""
    assert [t for t in MODELS if not t.replace("_", "").replace(".", "").islower() or t.count(".") != 1] == []


@forall(events())
def test_whatever_a_model_allows_can_be_written(event: tuple[str, dict[str, Any]]) -> None:
    """No model lets anything pass that lies outside the canonical profile."""
    type_, facts = event
    try:
        validate_facts(type_, facts)
    except BadInput:
        assume(not MODELS[type_].__pydantic_decorators__.model_validators)  # by which fields rule each other out
        raise
    check_facts(facts, "facts")


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_models_are_strict_and_closed(model: type[Facts]) -> None:
    """No model was opened to unknown fields or to lenient conversion."""
    assert model.model_config == {"extra": "forbid", "strict": True, "frozen": True}


def test_an_unknown_type_is_refused_with_a_near_miss() -> None:
    """A mistyped event type is named, with the one that was probably meant."""
    with pytest.raises(BadInput, match=r"unknown event type 'step\.compleded'; did you mean 'step\.completed'\?"):
        validate_facts("step.compleded", {})


STARTED = {"step": "match", "occurrence": 0}

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("step.started", {**STARTED, "ocurrence": 1}, r"facts\.ocurrence: .*; did you mean 'occurrence'\?"),
    ("step.started", {**STARTED, "zzz": 1}, r"facts\.zzz: Extra inputs are not permitted$"),
    ("step.started", {"step": "match"}, r"facts\.occurrence: Field required"),
    ("step.started", {**STARTED, "occurrence": "0"}, r"facts\.occurrence: .*valid integer"),
    ("step.started", {**STARTED, "occurrence": 0.0}, r"facts\.occurrence: .*valid integer"),
    ("step.started", {**STARTED, "occurrence": True}, r"facts\.occurrence: .*valid integer"),
    ("step.started", {**STARTED, "occurrence": -1}, r"facts\.occurrence: .*greater than or equal to 0"),
    ("step.started", {**STARTED, "occurrence": 2**53}, r"facts\.occurrence: .*less than"),
    ("step.started", {**STARTED, "attempt": 0}, r"facts\.attempt: .*greater than or equal to 1"),
    ("step.started", {**STARTED, "step": ""}, r"facts\.step: .*at least 1 character"),
    ("step.started", {**STARTED, "step": "x" * 257}, r"facts\.step: .*at most 256 characters"),
    ("step.started", {**STARTED, "step": "\ud800"}, r"facts\.step: .*unicode"),
    ("step.started", {**STARTED, "step": 7}, r"facts\.step: .*valid string"),
    ("step.failed", {**STARTED, "error_type": "E", "final": 1}, r"facts\.final: .*valid boolean"),
    ("step.completed", {**STARTED, "outcome": "failure"}, r"facts\.outcome: .*'success'"),
    ("execution.failed", {"error_type": "E", "uncompensated": ["a", ""]}, r"facts\.uncompensated\.1: .*at least 1"),
    ("timer.set", {"timer": "t", "occurrence": 0, "due": "2026-11-21"}, r"facts\.due: .*is not UTC text"),
    ("timer.set", {"timer": "t", "occurrence": 0, "due": "2026-02-30T00:00:00.000000Z"}, r"facts\.due: "),
    ("timer.set", {"timer": "t", "occurrence": 0, "due": "٢٠٢٦-02-03T00:00:00.000000Z"}, r"facts\.due: "),
    ("code.upgraded", {"before": "sha256:AB", "after": "sha256:ab"}, r"facts\.before: .*match pattern"),
]
JUDGED = {"decision": "d", "verdict": "correct", "source": "human", "sampling": "census"}
REFUSED += [
    ("judgement.recorded", {**JUDGED, "score": s}, r"facts\.score: ") for s in (".5", "1e3", "٣", "0.5\n", "NaN")
]


@pytest.mark.parametrize(("type_", "facts", "problem"), REFUSED, ids=lambda v: str(v)[:50])
def test_wrong_facts_are_refused_by_field(type_: str, facts: dict[str, Any], problem: str) -> None:
    """An unknown field, a missing one, another type or a value out of range: the error names event type and field."""
    with pytest.raises(BadInput, match=problem) as refused:
        validate_facts(type_, facts)
    assert str(refused.value).startswith(f"{type_}: facts.")
