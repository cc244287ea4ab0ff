"""Paths of the States Language: the part of JSONPath that reads, and the smaller part that also writes. Pure.

`$` is the data a state works on, `$$` the context object. A path that can only ever name one value is *definite*:
it reads that value, or raises `NoValue`. Any other reads a list of what it matched, in the order of the document.
A *reference path* is definite and made of names and indexes alone; only such a path can be written through.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from actum.engine.payloads.json_values import kind, same

__all__ = ["BadPath", "CannotWrite", "NoValue", "Path", "Reader", "parse_path"]


class BadPath(ValueError):
    """A text that is no path, and why."""


class NoValue(Exception):
    """The document has nothing at this path."""


class CannotWrite(Exception):
    """The document has something at this path into which nothing can be put."""


class Names(NamedTuple):
    names: tuple[str, ...]


class Indexes(NamedTuple):
    numbers: tuple[int, ...]


class Slice(NamedTuple):
    start: int | None
    stop: int | None
    step: int | None


class Every(NamedTuple):
    pass


class Below(NamedTuple):
    """The value and all that is in it, at any depth."""


class Where(NamedTuple):
    test: Callable[[Any, Any], bool]


Part = Names | Indexes | Slice | Every | Below | Where


@dataclass(frozen=True, slots=True)
class Path:
    """One path. `text` is how it was written."""

    text: str
    context: bool
    parts: tuple[Part, ...]

    @property
    def definite(self) -> bool:
        return all(
            (isinstance(part, Names) and len(part.names) == 1) or (isinstance(part, Indexes) and len(part.numbers) == 1)
            for part in self.parts
        )

    @property
    def reference(self) -> bool:
        """Whether something can be written through it."""
        return self.definite and not any(isinstance(part, Indexes) and part.numbers[0] < 0 for part in self.parts)

    def read(self, data: Any, context: Any = None) -> Any:
        """What the path names. Raises `NoValue`."""
        root = context if self.context else data
        found = [root]
        for part in self.parts:
            found = [item for value in found for item in _step(part, value, root)]
        if not self.definite:
            return found
        if not found:
            raise NoValue(self.text)
        return found[0]

    def write(self, data: Any, value: Any) -> Any:
        """A copy of the document with the value at this path; objects on the way are made, lists are not.

        Raises `CannotWrite` where the document has something else than an object or that place of a list.
        """
        return self._write(data, value, 0)

    def _write(self, data: Any, value: Any, depth: int) -> Any:
        if depth == len(self.parts):
            return value
        part = self.parts[depth]
        if isinstance(part, Names):
            if not isinstance(data, dict):
                raise CannotWrite(f"{self.text} leads into a {kind(data)}, which has no field {part.names[0]!r}")
            inner = data.get(part.names[0], {})
            return {**data, part.names[0]: self._write(inner, value, depth + 1)}
        assert isinstance(part, Indexes)
        number = part.numbers[0]
        if not isinstance(data, list) or not 0 <= number < len(data):
            what = f"a list of {len(data)}" if isinstance(data, list) else f"a {kind(data)}"
            raise CannotWrite(f"{self.text} leads into {what}, which has no place {number}")
        return [*data[:number], self._write(data[number], value, depth + 1), *data[number + 1 :]]


def _step(part: Part, value: Any, root: Any) -> Iterator[Any]:
    match part:
        case Names(names):
            if isinstance(value, dict):
                yield from (value[name] for name in names if name in value)
        case Indexes(numbers):
            if isinstance(value, list):
                yield from (value[number] for number in numbers if -len(value) <= number < len(value))
        case Slice(start, stop, step):
            if isinstance(value, list):
                yield from value[start:stop:step]
        case Every():
            yield from _children(value)
        case Below():
            yield value
            for child in _children(value):
                yield from _step(part, child, root)
        case Where(test):
            yield from (child for child in _children(value) if test(child, root))


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


# -- reading the text -----------------------------------------------------------------------------------------------

_NAME: Final = re.compile(r"[^\s.\[\]()'\"*,:?$@&|!<>=]+")
_QUOTED: Final = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
_NUMBER: Final = re.compile(r"-?\d+")
_SLICE: Final = re.compile(r"(-?\d+)?:(-?\d+)?(?::(-?\d+)?)?")
_LITERAL: Final = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null")
_COMPARE: Final = re.compile(r"==|!=|<=|>=|<|>")
_DEEPEST: Final = 50


@lru_cache(4096)
def parse_path(text: str) -> Path:
    """The path that is written here, all of it. Raises `BadPath`."""
    reader = Reader(text)
    path = reader.path()
    if reader.at < len(text):
        raise BadPath(f"{text[reader.at :]!r} cannot follow {text[: reader.at]!r}")
    return path


class Reader:
    """Reads a path, from `at` on, as far as it goes."""

    def __init__(self, text: str, at: int = 0) -> None:
        self.text = text
        self.at = at
        self._depth = 0

    def path(self) -> Path:
        start = self.at
        if not self._take("$"):
            raise BadPath("a path begins with $ or $$")
        context = self._take("$")
        parts = self._parts()
        return Path(self.text[start : self.at], context, parts)

    def _parts(self) -> tuple[Part, ...]:
        parts: list[Part] = []
        while True:
            if self._take(".."):
                parts.append(Below())
                if not self.text.startswith("[", self.at):
                    parts.append(self._named())
            elif self._take("."):
                parts.append(self._named())
            elif self._take("["):
                parts.append(self._bracket())
                self._need("]")
            else:
                return tuple(parts)

    def _named(self) -> Part:
        if self._take("*"):
            return Every()
        return Names((self._match(_NAME, "a name").group(),))

    def _bracket(self) -> Part:
        self._blank()
        if self._take("*"):
            return Every()
        if self._take("?"):
            self._need("(")
            test = self._either()
            self._need(")")
            return Where(test)
        if self.text[self.at : self.at + 1] in ("'", '"'):
            names = [self._quoted()]
            while self._take_after_blank(","):
                self._blank()
                names.append(self._quoted())
            return Names(tuple(names))
        sliced = _SLICE.match(self.text, self.at)
        if sliced:
            self.at = sliced.end()
            start, stop, step = (None if group is None else int(group) for group in sliced.groups())
            if step is not None and step < 1:
                raise BadPath("the step of a slice is at least 1")
            return Slice(start, stop, step)
        numbers = [self._number()]
        while self._take_after_blank(","):
            self._blank()
            numbers.append(self._number())
        return Indexes(tuple(numbers))

    # -- filters: ?(@.price < 10 && @.kind == 'book') ------------------------------------------------------------------

    def _either(self) -> Callable[[Any, Any], bool]:
        tests = [self._both()]
        while self._take_after_blank("||"):
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda item, root: any(test(item, root) for test in tests)

    def _both(self) -> Callable[[Any, Any], bool]:
        tests = [self._one()]
        while self._take_after_blank("&&"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda item, root: all(test(item, root) for test in tests)

    def _one(self) -> Callable[[Any, Any], bool]:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise BadPath(f"a filter holds more than {_DEEPEST} tests")
        self._blank()
        if self._take("!"):
            inner = self._one()
            return lambda item, root: not inner(item, root)
        if self._take("("):
            inner = self._either()
            self._need(")")
            return inner
        left = self._operand()
        self._blank()
        found = _COMPARE.match(self.text, self.at)
        if not found:
            return lambda item, root: left(item, root) is not _NOTHING
        self.at = found.end()
        right = self._operand()
        compare = _COMPARES[found.group()]
        return lambda item, root: compare(left(item, root), right(item, root))

    def _operand(self) -> Callable[[Any, Any], Any]:
        self._blank()
        if self._take("@"):
            parts = self._parts()
            own = Path("@", False, parts)
            return lambda item, root: _read_or_nothing(own, item)
        if self.text.startswith("$", self.at):
            path = self.path()
            return lambda item, root: _read_or_nothing(path, root)
        if self.text[self.at : self.at + 1] in ("'", '"'):
            word = self._quoted()
            return lambda item, root: word
        found = self._match(_LITERAL, "a value").group()
        value: Any = {"true": True, "false": False, "null": None}.get(found, found)
        if value is found:
            value = float(found) if re.search("[.eE]", found) else int(found)
        return lambda item, root: value

    # -- characters ----------------------------------------------------------------------------------------------------

    def _take(self, word: str) -> bool:
        if self.text.startswith(word, self.at):
            self.at += len(word)
            return True
        return False

    def _take_after_blank(self, word: str) -> bool:
        before = self.at
        self._blank()
        if self._take(word):
            return True
        self.at = before
        return False

    def _blank(self) -> None:
        while self.text[self.at : self.at + 1] == " ":
            self.at += 1

    def _need(self, word: str) -> None:
        self._blank()
        if not self._take(word):
            raise BadPath(f"{word!r} is missing after {self.text[: self.at]!r}")

    def _match(self, pattern: re.Pattern[str], what: str) -> re.Match[str]:
        found = pattern.match(self.text, self.at)
        if not found:
            raise BadPath(f"{what} is missing after {self.text[: self.at]!r}")
        self.at = found.end()
        return found

    def _quoted(self) -> str:
        found = self._match(_QUOTED, "a name in quotes")
        inner = found[1] if found[1] is not None else found[2]
        return re.sub(r"\\(.)", r"\1", inner)

    def _number(self) -> int:
        return int(self._match(_NUMBER, "a number").group())


_NOTHING: Final = object()


def _read_or_nothing(path: Path, value: Any) -> Any:
    try:
        return path.read(value)
    except NoValue:
        return _NOTHING


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda left, right: kind(left) == kind(right) and kind(left) in ("number", "text") and test(left, right)


def _equal(left: Any, right: Any) -> bool:
    return left is not _NOTHING and right is not _NOTHING and same(left, right)


_COMPARES: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": _ordered(lambda left, right: left < right),
    "<=": _ordered(lambda left, right: left <= right),
    ">": _ordered(lambda left, right: left > right),
    ">=": _ordered(lambda left, right: left >= right),
}
