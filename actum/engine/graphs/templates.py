"""Values with references in them: `{"to": "{{ parameters.email }}", "text": "Order {{ reserve.id }} is ready"}`.

What a text in a definition becomes when its step starts:

- a text that is one reference becomes the value referred to, of whatever type;
- a text with references in it stays text: numbers, booleans and the rest are written into it as JSON;
- `{{ a.x | b.x }}` is the first of them that exists. A text of references with nothing but `|` between
  them means the same;
- `{{ '{{' }}` is the text between the quotation marks, for texts that need literal braces.

`{parameters.x}` and `{steps.s.output.f}`, in single braces, are read as an older spelling of the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

from actum.engine.graphs.place import Place
from actum.engine.graphs.references import MISSING, Reference, Values, parse_reference

__all__ = ["FirstOf", "MissingValue", "Template", "as_text", "canonical", "parse"]

_TOKEN: Final = re.compile(
    r"\{\{\s*'(?P<literal>[^']*)'\s*\}\}"
    r"|\{\{(?P<double>[^{}]*)\}\}"
    r"|\{(?P<single>(?:parameters|steps)\.[^{}|]*)\}"
)
_LOOKS_LIKE_ONE: Final = re.compile(r"\{\{|\{(?=(?:parameters|steps)\.[^{}|]*\})")


class MissingValue(Exception):
    """A reference leads to nothing. The planner makes it the failure of the execution; it goes no further."""


class Template(Protocol):
    """A value of a definition, read."""

    @property
    def constant(self) -> bool:
        """Whether it holds no reference, so that it always renders to the same."""

    def render(self, values: Values) -> Any:
        """The value, with every reference followed. Raises `MissingValue`, naming the one that leads to nothing."""

    def references(self) -> Iterator[Reference]:
        """Every reference in it."""

    def to_json(self) -> Any:
        """How it is written, in the one spelling that stands for all others."""


@dataclass(frozen=True, slots=True)
class Constant:
    value: Any
    constant = True

    def render(self, values: Values) -> Any:
        return self.value

    def references(self) -> Iterator[Reference]:
        return iter(())

    def to_json(self) -> Any:
        return _escaped(self.value)


@dataclass(frozen=True, slots=True)
class FirstOf:
    """One reference, or several of which the first that exists counts."""

    of: tuple[Reference, ...]
    constant = False

    def render(self, values: Values) -> Any:
        for reference in self.of:
            found = reference.find(values)
            if found is not MISSING:
                return found
        why = "; ".join(reference.why_missing(values) for reference in self.of)
        raise MissingValue(f"{self.to_json()} has no value: {why}")

    def references(self) -> Iterator[Reference]:
        return iter(self.of)

    def to_json(self) -> Any:
        return f"{{{{ {' | '.join(map(str, self.of))} }}}}"


@dataclass(frozen=True, slots=True)
class Text:
    parts: tuple[Constant | FirstOf, ...]
    constant = False

    def render(self, values: Values) -> Any:
        return "".join(as_text(part.render(values)) for part in self.parts)

    def references(self) -> Iterator[Reference]:
        return (reference for part in self.parts for reference in part.references())

    def to_json(self) -> Any:
        return "".join(part.to_json() for part in self.parts)


@dataclass(frozen=True, slots=True)
class ListOf:
    items: tuple[Template, ...]
    constant = False

    def render(self, values: Values) -> Any:
        return [item.render(values) for item in self.items]

    def references(self) -> Iterator[Reference]:
        return (reference for item in self.items for reference in item.references())

    def to_json(self) -> Any:
        return [item.to_json() for item in self.items]


@dataclass(frozen=True, slots=True)
class ObjectOf:
    items: tuple[tuple[str, Template], ...]
    constant = False

    def render(self, values: Values) -> Any:
        return {key: item.render(values) for key, item in self.items}

    def references(self) -> Iterator[Reference]:
        return (reference for _, item in self.items for reference in item.references())

    def to_json(self) -> Any:
        return {key: item.to_json() for key, item in self.items}


def as_text(value: Any) -> str:
    """A value inside a text: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def parse(value: Any, place: Place) -> Template:
    """Read a plain JSON value. Raises `DefinitionError` for a reference that is written wrongly.

    `parse(t.to_json())` equals `t`: what is read can be written down and read again.
    """
    match value:
        case str():
            return _text(value, place)
        case list():
            items = tuple(parse(item, place / index) for index, item in enumerate(value))
            if all(isinstance(item, Constant) for item in items):
                return Constant([item.value for item in items if isinstance(item, Constant)])
            return ListOf(items)
        case dict():
            pairs = tuple((key, parse(item, place / key)) for key, item in value.items())
            if all(isinstance(item, Constant) for _, item in pairs):
                return Constant({key: item.value for key, item in pairs if isinstance(item, Constant)})
            return ObjectOf(pairs)
        case _:
            return Constant(value)


def canonical(value: Any, place: Place) -> Any:
    """The same plain JSON value with its references in their one spelling."""
    return parse(value, place).to_json()


def _text(value: str, place: Place) -> Template:
    if "{" not in value:
        return Constant(value)
    parts: list[str | FirstOf] = []
    end = 0
    for found in _TOKEN.finditer(value):
        _add_text(parts, _literal(value[end : found.start()], value, place))
        end = found.end()
        if found["literal"] is not None:
            _add_text(parts, found["literal"])
        else:
            inner = found["double"] if found["double"] is not None else found["single"]
            parts.append(FirstOf(tuple(parse_reference(one, place) for one in inner.split("|"))))
    _add_text(parts, _literal(value[end:], value, place))
    if all(isinstance(part, str) for part in parts):
        return Constant("".join(part for part in parts if isinstance(part, str)))
    between = parts[1::2]
    if len(parts) % 2 and all(isinstance(part, str) and part.strip() == "|" for part in between):
        return FirstOf(tuple(ref for part in parts if isinstance(part, FirstOf) for ref in part.of))
    return Text(tuple(Constant(part) if isinstance(part, str) else part for part in parts))


def _escaped(value: Any) -> Any:
    match value:
        case str():
            return _LOOKS_LIKE_ONE.sub(lambda found: f"{{{{ '{found[0]}' }}}}", value)
        case list():
            return [_escaped(item) for item in value]
        case dict():
            return {key: _escaped(item) for key, item in value.items()}
        case _:
            return value


def _add_text(parts: list[str | FirstOf], text: str) -> None:
    if not text:
        return
    if parts and isinstance(parts[-1], str):
        parts[-1] += text
    else:
        parts.append(text)


def _literal(text: str, whole: str, place: Place) -> str:
    if "{{" in text:
        raise place.error(
            f"{whole!r} opens a reference with '{{{{' and does not close it; {{{{ '{{{{' }}}} is a literal one"
        )
    return text
