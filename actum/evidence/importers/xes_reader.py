"""XES as plain values, one trace at a time: no tree is built, so memory follows the largest trace, not the log.

expat opens no other file and no address. A DOCTYPE is refused all the same: XES has none, and entities are the only
way in which a small XML file can grow large.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from xml.parsers import expat

from actum.evidence.importers.protocol import Tally
from actum.evidence.importers.source import Source

__all__ = ["Trace", "XesDate", "read_traces"]

Values = dict[str, Any]

_TYPES: Final = frozenset({"string", "date", "int", "float", "boolean", "id", "list", "container"})
_ASIDE: Final = frozenset({"global", "extension", "classifier"})  # declarations: no trace depends on them
_DEEPEST: Final = 64
_INT64: Final = 2**63


class XesDate(str):
    """The text of a `date` attribute, as it stood."""

    __slots__ = ()


@dataclass
class Trace:
    """One trace: its own attributes and those of its events. An attribute inside another is called `outer/inner`."""

    number: int
    line: int
    log_name: str | None
    attributes: Values = field(default_factory=dict)
    events: list[Values] = field(default_factory=list)


def read_traces(source: Source, tally: Tally) -> Iterator[Trace]:
    """The traces of a log in file order.

    Raises `ImportRefused` with line and column when the file is not whole XML, is not a log, has a DOCTYPE, or an
    attribute without a key or with a value that is not of its type.
    """
    reader = _Reader(source, tally)
    try:
        for chunk in source.chunks():
            reader.parser.Parse(chunk, False)
            yield from reader.done
            reader.done.clear()
        reader.parser.Parse(b"", True)
        yield from reader.done
    except expat.ExpatError as exc:
        raise source.refusal(
            f"line {exc.lineno}, column {exc.offset + 1}",
            f"is not XML, or was cut off here ({expat.ErrorString(exc.code)})",
        ) from None
    except (LookupError, ValueError) as exc:  # an encoding that expat cannot read
        raise source.refusal("line 1", f"cannot be read as XML ({exc})") from None


class _Reader:
    def __init__(self, source: Source, tally: Tally) -> None:
        self._source = source
        self._tally = tally
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.EntityDeclHandler = self._entity
        self.parser.EndDoctypeDeclHandler = self._doctype
        self.done: list[Trace] = []
        self._log: Values = {}
        self._trace: Trace | None = None
        self._event: Values | None = None
        self._outer: list[str] = []
        """Keys of the attributes we are inside of."""
        self._depth = 0
        self._ignored_from = 0
        """The depth of the element that is left aside with all it holds; 0 when there is none."""
        self._count = 0

    def _start(self, tag: str, given: dict[str, str]) -> None:
        self._depth += 1
        if self._ignored_from:
            return
        if ":" in tag:
            tag = tag.rpartition(":")[2]
        if tag in _TYPES and self._depth > 1:
            self._attribute(tag, given)
        elif tag == "event":
            self._start_event()
        elif tag == "trace":
            if self._depth != 2:
                raise self._refusal("a <trace> inside something else than the <log>")
            self._count += 1
            name = self._log.get("concept:name")
            self._trace = Trace(self._count, self.parser.CurrentLineNumber, None if name is None else str(name))
        elif self._depth == 1:
            if tag != "log":
                raise self._refusal(f"the root is <{tag}>, not <log>; is it an XES file?")
        elif tag != "values" or not self._outer:  # <values> only groups what a list holds
            self._ignored_from = self._depth
            if tag not in _ASIDE:
                self._tally.leave_out(f"an element that XES does not know: <{tag:.40}>", self._here())

    def _start_event(self) -> None:
        if self._trace is not None and self._depth == 3:
            self._event = {}
        elif self._depth == 2:
            self._ignored_from = self._depth
            self._tally.leave_out("an event outside any trace", self._here())
        else:
            raise self._refusal("an <event> inside something else than a <trace>")

    def _attribute(self, tag: str, given: dict[str, str]) -> None:
        key = given.get("key")
        if not key:
            raise self._refusal(f"a <{tag}> without a key")
        self._outer.append(key)
        if len(self._outer) > 1:
            if self._depth > _DEEPEST:
                raise self._refusal(f"attributes nested deeper than {_DEEPEST}")
            key = "/".join(self._outer)
        target = self._event
        if target is None:
            target = self._log if self._trace is None else self._trace.attributes
        if key in target:
            number = 2
            while f"{key}#{number}" in target:
                number += 1
            key = f"{key}#{number}"
        text = given.get("value")
        target[key] = text if tag == "string" or text is None else self._value(tag, key, text)

    def _value(self, tag: str, key: str, text: str) -> Any:
        try:
            match tag:
                case "date":
                    return XesDate(text)
                case "int":
                    number = int(text)
                    return number if -_INT64 <= number < _INT64 else text
                case "float":
                    value = float(text)
                    return value if abs(value) < float("inf") else text  # JSON knows neither infinity nor NaN
                case "boolean":
                    return {"true": True, "false": False, "1": True, "0": False}[text.strip().lower()]
        except (ValueError, KeyError):
            raise self._refusal(f"the {tag} {key!r} has the value {text!r:.60}") from None
        return text

    def _end(self, tag: str) -> None:
        depth = self._depth
        self._depth -= 1
        if self._ignored_from:
            if depth == self._ignored_from:
                self._ignored_from = 0
            return
        if self._outer:
            if not tag.endswith("values"):
                self._outer.pop()
        elif self._event is not None and self._trace is not None:
            self._trace.events.append(self._event)
            self._event = None
        elif self._trace is not None:
            self.done.append(self._trace)
            self._trace = None

    def _entity(self, name: str, *_: object) -> None:
        raise self._refusal(f"declares the entity {name!r:.60}; XES has no entities, and they may hide a bomb")

    def _doctype(self) -> None:
        raise self._refusal("has a DOCTYPE; XES has none")

    def _here(self) -> str:
        return f"line {self.parser.CurrentLineNumber}"

    def _refusal(self, problem: str) -> Exception:
        return self._source.refusal(f"line {self.parser.CurrentLineNumber}", problem)
