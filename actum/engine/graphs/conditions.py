"""When a transition is taken: comparisons of what steps returned, and `all`, `any`, `not` of them.

    {"source": "score.value", "operator": "gt", "value": 0.8}
    {"all": [{"source": "stock.ok", "operator": "eq", "value": true}, {"not": {"source": "…", …}}]}
    {"cel": "score.value > 0.8 && stock.ok"}

Evaluation answers yes or no for whatever the steps returned, with one exception. A value that is not there
makes its comparison false. Comparing values of unlike kinds, a number with a text say, is a mistake in the
definition or in a step: it raises `UnlikeKinds` rather than quietly deciding where the execution goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from actum.engine.graphs.expressions import LANGUAGES, Expression
from actum.engine.graphs.operators import ALIASES, OPERATORS, RIGHT_SIDES, NoAnswer, UnlikeKinds
from actum.engine.graphs.place import Place
from actum.engine.graphs.references import MISSING, Known, Reference, Values, parse_reference
from actum.engine.graphs.templates import FirstOf, MissingValue, Template
from actum.engine.graphs.templates import parse as parse_template
from actum.engine.payloads.json_values import kind
from actum.engine.payloads.patterns import BadPattern, searcher
from actum.errors import near_miss

__all__ = [
    "OPERATORS",
    "AllOf",
    "AnyOf",
    "Compare",
    "Condition",
    "Expression",
    "NoAnswer",
    "Not",
    "Test",
    "UnlikeKinds",
    "check",
    "compiled",
    "describe",
    "parse",
    "references",
    "to_json",
]

MAX_DESCRIPTION: Final = 256
"""What the log keeps of a description."""
_NOWHERE: Final = Place("", "")
"""For reading again what was checked when it was read first."""


@dataclass(frozen=True, slots=True)
class Compare:
    """`source` is a reference, `operator` one of `OPERATORS`, `value` a template."""

    source: str
    operator: str
    value: Any = True


@dataclass(frozen=True, slots=True)
class AllOf:
    of: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    of: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    of: Condition


Condition = Compare | AllOf | AnyOf | Not | Expression
Test = Callable[[Values], tuple[bool, Any]]
"""Whether the condition holds, and what it saw: the value compared, or one value per source."""


# -- reading and writing ---------------------------------------------------------------------------------------


def parse(raw: Any, place: Place) -> Condition:
    """Read a condition in canonical JSON. Raises `DefinitionError` for anything that is none."""
    match raw:
        case {"all": list() as of, **rest} if not rest:
            return AllOf(_several(of, place / "all"))
        case {"any": list() as of, **rest} if not rest:
            return AnyOf(_several(of, place / "any"))
        case {"not": of, **rest} if not rest:
            return Not(parse(of, place / "not"))
        case {"cel": str(text), **rest} if not rest:
            return _expression(Expression("cel", text), place)
        case {"lua": str(text), **rest} if not rest:
            return _expression(Expression("lua", text), place)
        case {"source": source, "operator": operator, **rest}:
            for key in raw:
                if key not in ("source", "operator", "value"):
                    raise (place / key).error(f"a comparison has no field {key!r}{near_miss(key, ('value',))}")
            return _comparison(source, operator, rest.get("value", MISSING), place)
        case dict():
            known = ("source", "operator", "value", "all", "any", "not", *LANGUAGES)
            unknown = next((key for key in raw if key not in known), None)
            hint = near_miss(unknown, known) if unknown else ""
            raise place.error(
                "is no condition; write {source, operator, value}, or one of {all: […]}, {any: […]}, {not: …}, "
                '{cel: "…"}, {lua: "…"}' + hint
            )
        case _:
            raise place.error(f"a condition is an object, not {kind(raw)}")


def _expression(expression: Expression, place: Place) -> Expression:
    expression.read(place)
    return expression


def _several(raw: list[Any], place: Place) -> tuple[Condition, ...]:
    if not raw:
        raise place.error("holds no condition; leave the condition out to take the transition always")
    return tuple(parse(one, place / index) for index, one in enumerate(raw))


def _comparison(source: Any, operator: Any, value: Any, place: Place) -> Compare:
    if not isinstance(source, str):
        raise (place / "source").error(f"is a reference written as text, not {kind(source)}")
    text = source.strip().removeprefix("{").removeprefix("{").removesuffix("}").removesuffix("}")
    reference = parse_reference(text, place / "source")
    name = ALIASES.get(operator) if isinstance(operator, str) else None
    if name is None:
        hint = near_miss(str(operator), ALIASES)
        raise (place / "operator").error(f"there is no operator {operator!r}{hint}; known: {', '.join(OPERATORS)}")
    if value is MISSING:
        if name not in ("exists", "truthy"):
            raise place.error(f"the operator {name!r} needs a value to compare with")
        value = True
    template = parse_template(value, place / "value")
    _check_right(name, template, place / "value")
    return Compare(str(reference), name, template.to_json())


def _check_right(operator: str, template: Template, place: Place) -> None:
    if not template.constant:
        if operator in ("matches", "exists", "truthy"):
            raise place.error(f"the operator {operator!r} takes a value that is written out, without references")
        return
    value = template.render(Values({}))
    allowed = RIGHT_SIDES.get(operator)
    if allowed and kind(value) not in allowed:
        raise place.error(f"the operator {operator!r} compares with {' or '.join(allowed)}, not {kind(value)}")
    if operator == "matches":
        try:
            searcher(value)
        except BadPattern as exc:
            raise place.error(f"{value!r} is no regular expression that can be searched for: {exc}") from None


def to_json(condition: Condition) -> dict[str, Any]:
    """The canonical JSON that `parse` reads back as an equal condition."""
    match condition:
        case Compare(source, operator, value):
            return {"source": source, "operator": operator, "value": value}
        case AllOf(of):
            return {"all": [to_json(one) for one in of]}
        case AnyOf(of):
            return {"any": [to_json(one) for one in of]}
        case Not(one):
            return {"not": to_json(one)}
        case Expression(language, text):
            return {language: text}


def references(condition: Condition, place: Place) -> Iterator[Reference]:
    """Every reference in it, on the left and on the right."""
    match condition:
        case Compare(source, _, value):
            yield parse_reference(source, place / "source")
            yield from parse_template(value, place / "value").references()
        case Not(one):
            yield from references(one, place / "not")
        case AllOf(of) | AnyOf(of):
            for one in of:
                yield from references(one, place)
        case Expression():
            yield from condition.references(place)


def check(condition: Condition, known: Known, place: Place) -> None:
    """Refuse, with `DefinitionError`, a condition that names a step or a parameter the definition does not have."""
    match condition:
        case Compare():
            for reference in references(condition, place):
                reference.check(known, place)
        case Not(one):
            check(one, known, place / "not")
        case AllOf(of) | AnyOf(of):
            for index, one in enumerate(of):
                check(one, known, place / ("all" if isinstance(condition, AllOf) else "any") / index)
        case Expression():
            condition.check(known, place)


def describe(condition: Condition) -> str:
    """Short text for the log and for people: `score.value gt 0.8`."""
    text = _describe(condition)
    return text if len(text) <= MAX_DESCRIPTION else text[: MAX_DESCRIPTION - 1] + "…"


def _describe(condition: Condition) -> str:
    match condition:
        case Compare(source, "exists" | "truthy" as operator, True):
            return f"{source} {operator}"
        case Compare(source, operator, value):
            template = parse_template(value, _NOWHERE)
            if isinstance(template, FirstOf) and len(template.of) == 1:
                return f"{source} {operator} {template.of[0]}"
            return f"{source} {operator} {orjson.dumps(value).decode()}"
        case Not(one):
            return f"not ({_describe(one)})"
        case AllOf(of):
            return " and ".join(map(_inner, of))
        case AnyOf(of):
            return " or ".join(map(_inner, of))
        case Expression(language, text):
            return f"{language}: {' '.join(text.split())}"


def _inner(condition: Condition) -> str:
    text = _describe(condition)
    return f"({text})" if isinstance(condition, (AllOf, AnyOf)) else text


# -- evaluating ------------------------------------------------------------------------------------------------


def compiled(condition: Condition, known: Known | None = None) -> Test:
    """The condition as a function of the values: made once, asked often."""
    match condition:
        case Compare():
            return _compiled_comparison(condition)
        case Expression():
            return condition.compiled(known)
        case Not(one):
            inner = compiled(one, known)

            def negated(values: Values) -> tuple[bool, Any]:
                holds, saw = inner(values)
                return not holds, saw

            return negated
        case AllOf(of) | AnyOf(of):
            wanted = isinstance(condition, AllOf)
            tests = [(_source(one), compiled(one, known)) for one in of]

            def combined(values: Values) -> tuple[bool, Any]:
                saw: dict[str, Any] = {}
                for source, test in tests:
                    holds, seen = test(values)
                    saw.update(seen if source is None else {source: seen})
                    if holds is not wanted:
                        return not wanted, saw
                return wanted, saw

            return combined


def _source(condition: Condition) -> str | None:
    match condition:
        case Compare(source):
            return source
        case Not(one):
            return _source(one)
        case _:
            return None


def _compiled_comparison(condition: Compare) -> Test:
    reference = parse_reference(condition.source, _NOWHERE)
    right = parse_template(condition.value, _NOWHERE)
    name = condition.operator
    operator = OPERATORS[name]
    fixed = right.render(Values({})) if right.constant else MISSING

    def compare(values: Values) -> tuple[bool, Any]:
        left = reference.find(values)
        if left is MISSING:
            return name == "exists" and not fixed, None
        try:
            value = right.render(values) if fixed is MISSING else fixed
        except MissingValue:
            return False, left
        try:
            return operator(left, value), left
        except UnlikeKinds:
            raise UnlikeKinds(
                f"the condition '{describe(condition)}' compares unlike kinds: {condition.source!r} is "
                f"{kind(left)}, and {name!r} has {kind(value)} on its right"
            ) from None

    return compare
