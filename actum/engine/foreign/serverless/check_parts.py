"""What is wrong with the parts that many tasks have: expressions, durations, data, references. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from actum.engine.foreign.serverless.durations import duration_s
from actum.engine.foreign.serverless.expressions import compiled, expression_in, expressions_of
from actum.engine.graphs.place import Place
from actum.engine.payloads.json_schema import check_schema
from actum.engine.payloads.json_values import kind
from actum.errors import DefinitionError, near_miss

__all__ = ["Parts", "Problem"]

_DIRECTIVES: Final = ("continue", "exit", "end")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Problem(NamedTuple):
    """What is wrong or not mapped, and the JSON path of the place."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


class Parts:
    """Gathers the problems of a definition; `use` is what its parts refer to."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        self.problems: list[Problem] = []
        use = definition.get("use")
        self._use: Mapping[str, Any] = use if isinstance(use, dict) else {}

    def say(self, place: Place, text: str) -> None:
        self.problems.append(Problem(place.path, text))

    def _items(self, what: str) -> Iterable[tuple[str, Any]]:
        found = self._use.get(what)
        return list(found.items()) if isinstance(found, dict) else []

    def _object(self, thing: Any, place: Place, known: Iterable[str], needed: Iterable[str]) -> bool:
        """Whether it is an object with no field that is not known and every one that is needed."""
        if not isinstance(thing, dict):
            self.say(place, f"is a {kind(thing)}, and must be an object")
            return False
        sound = True
        for name in needed:
            if name not in thing:
                self.say(place, f"{name!r} is missing")
                sound = False
        known = tuple(known)
        for name in thing:
            if name not in known:
                self.say(place / name, f"{name!r} is not known here{near_miss(name, known)}")
                sound = False
            elif thing[name] is None:
                self.say(place / name, f"{name!r} is null; give a value or leave it out")
                sound = False
        return sound

    def _names(self, thing: Mapping[str, Any], fields: Iterable[str], place: Place) -> None:
        """Fields that name variables."""
        for field in fields:
            name = thing.get(field, "ok")
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                self.say(place / field, f"is {name!r}, which is no name of a variable")

    def _data(self, thing: Mapping[str, Any], place: Place, names: frozenset[str]) -> None:
        """`input`, `output` and `export`: their schemas and their expressions."""
        for field, word in (("input", "from"), ("output", "as"), ("export", "as")):
            given = thing.get(field)
            if given is None or not self._object(given, place / field, ("schema", word), ()):
                continue
            if "schema" in given:
                self._schema(given["schema"], place / field / "schema")
            if isinstance(given.get(word), str):
                self._expression(given[word], place / field / word, names)
            elif word in given:
                self._template(given[word], place / field / word, names)

    def _schema(self, given: Any, place: Place) -> None:
        if not self._object(given, place, ("format", "document", "resource"), ()):
            return
        if "resource" in given:
            self.say(place / "resource", "resource: a schema is read from the definition itself, not from elsewhere")
        elif str(given.get("format", "json")).partition(":")[0] != "json":
            self.say(place / "format", f"format {given['format']!r} is not checked here; json is")
        elif "document" in given:
            try:
                check_schema(given["document"], place / "document")
            except DefinitionError as exc:
                self.problems.append(Problem(exc.path, exc.problem))

    def _then(self, then: Any, place: Place, siblings: list[str]) -> None:
        if then is None or then in _DIRECTIVES:
            return
        if then not in siblings:
            hint = near_miss(str(then), [*siblings, *_DIRECTIVES])
            self.say(place, f"leads to {then!r}, which is no task of this list{hint}")

    def _timeout(self, timeout: Any, place: Place, names: frozenset[str]) -> None:
        if isinstance(timeout, str):
            self._reference(timeout, "timeouts", place)
        elif timeout is not None and self._object(timeout, place, ("after",), ("after",)):
            self._duration(timeout["after"], place / "after", names)

    def _duration(self, duration: Any, place: Place, names: frozenset[str]) -> None:
        if isinstance(duration, str) and expression_in(duration) is not None:
            self._expression(duration, place, names)
            return
        try:
            duration_s(duration)
        except ValueError as exc:
            self.say(place, str(exc))

    def _reference(self, name: str, what: str, place: Place) -> None:
        known = dict(self._items(what))
        if name not in known:
            self.say(place, f"there is no {name!r} in use.{what}{near_miss(name, known)}")

    def _template(self, template: Any, place: Place, names: frozenset[str]) -> None:
        for path, expression in expressions_of(template):
            here = place
            for key in path:
                here = here / key
            self._expression(expression, here, names)

    def _expression(self, expression: Any, place: Place, names: frozenset[str]) -> None:
        if not isinstance(expression, str) or not expression.strip():
            self.say(place, f"is {expression!r}, and must be an expression")
            return
        inner = expression_in(expression)
        text = expression if inner is None else inner
        if "$secrets" in text or "$authorization" in text:
            self.say(place, f"{text!r}: secrets are not kept here; a bound function has its own")
            return
        if "$task.startedAt" in text:
            self.say(place, f"{text!r}: when a task started is not told here; $workflow.startedAt is")
            return
        try:
            compiled(text, names)
        except ValueError as exc:
            said = str(exc).removeprefix("jq: error: ").partition(" at <top-level>")[0]
            self.say(place, f"{text!r} is no expression of jq: {said}")
