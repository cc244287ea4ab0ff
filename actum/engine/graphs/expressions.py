"""Conditions that are written in an expression language: what they may name, and how they answer.

    {"cel": "order.total > 100 && 'vip' in parameters.tags"}
    {"lua": "order.total > 100 and #parameters.tags > 0"}

Both read the same names: `parameters`, `steps` (`steps.ID.output`), and the name of a step or of a parameter by
itself. A step without output is empty: asking whether it has something is answered, using what it has not is an
error. Neither language can change anything, reach out, or go on without end; the same values always give the
same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple, Protocol, get_args

from actum.engine.graphs.place import Place
from actum.engine.graphs.references import MISSING, Known, Reference, Values
from actum.errors import near_miss

__all__ = ["LANGUAGES", "Expression", "ExpressionRefused", "Language", "Program", "Used", "bindings"]

Language = Literal["cel", "lua"]
LANGUAGES: Final[tuple[str, ...]] = get_args(Language)
MAX_LENGTH: Final = 4_096
"""Characters of an expression."""


class ExpressionRefused(ValueError):
    """A text that is no expression of its language, or one that is not allowed. Says why, and where in it."""


class Used(NamedTuple):
    """A name that an expression uses, with the path that follows it: `order.total` is `("order", ("total",))`."""

    name: str
    path: tuple[str, ...]
    line: int
    column: int


class Program(Protocol):
    """An expression, read once."""

    used: tuple[Used, ...]
    """The names in it, as far as they can be known before it runs."""

    def answer(self, given: dict[str, Any]) -> bool:
        """Its value. Raises `NoAnswer` when it has none, or one that is neither true nor false."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition in another language."""

    language: Language
    text: str

    def read(self, place: Place) -> Program:
        """The expression, checked. Raises `DefinitionError`, naming the expression and the position in it."""
        here = place / self.language
        if not self.text.strip():
            raise here.error("is empty; leave the condition out to take the transition always")
        if len(self.text) > MAX_LENGTH:
            raise here.error(f"has {len(self.text):,} characters, and {MAX_LENGTH:,} are allowed; make it a step")
        try:
            return _program(self.language, self.text)
        except ExpressionRefused as exc:
            raise here.error(f"{self.shown}: {exc}") from None
        except ImportError as exc:
            raise here.error(
                f"needs the library for {self.language} expressions: pip install 'actum[{self.language}]' ({exc})"
            ) from None

    @property
    def shown(self) -> str:
        """The expression as it stands in messages."""
        text = " ".join(self.text.split())
        return repr(text if len(text) <= 120 else text[:119] + "…")

    def references(self, place: Place) -> Iterator[Reference]:
        """What it refers to, as far as that can be known before it runs."""
        for used in self.read(place).used:
            yield _reference(used)

    def check(self, known: Known, place: Place) -> None:
        """Refuse, with `DefinitionError`, names that are neither steps nor parameters, or that are both."""
        here = place / self.language
        for used in self.read(place).used:
            if used.name == "parameters":
                if used.path:
                    Reference(None, used.path).check(known, here)
            elif used.name == "steps":
                if used.path:
                    Reference(used.path[0], used.path[1:]).check(known, here)
            else:
                where = f"line {used.line}, column {used.column}"
                if used.name in known.steps and used.name in known.parameters:
                    raise here.error(
                        f"{self.shown}: {where}: {used.name!r} is a step and a parameter; "
                        f"write steps.{used.name}.output or parameters.{used.name}"
                    )
                if used.name not in known.steps and used.name not in known.parameters:
                    hint = near_miss(used.name, (*known.steps, *known.parameters, "parameters", "steps"))
                    raise here.error(f"{self.shown}: {where}: there is no step or parameter {used.name!r}{hint}")

    def compiled(self, known: Known | None) -> Callable[[Values], tuple[bool, dict[str, Any]]]:
        """Its answer, and the values it rests on."""
        program = self.read(Place("", ""))
        looked_at = {str(reference): reference for reference in map(_reference, program.used)}

        def test(values: Values) -> tuple[bool, dict[str, Any]]:
            found = {name: reference.find(values) for name, reference in looked_at.items()}
            if known is not None:  # by itself, a parameter's name is short for parameters.NAME
                for name, reference in looked_at.items():
                    if found[name] is MISSING and reference.step in known.parameters:
                        found[name] = Reference(None, (reference.step or "", *reference.path)).find(values)
            saw = {name: value for name, value in found.items() if value is not MISSING}
            return program.answer(bindings(values, known)), saw

        return test


def bindings(values: Values, known: Known | None) -> dict[str, Any]:
    """What the names of an expression stand for."""
    steps = dict.fromkeys(known.steps if known is not None else (), None) | dict.fromkeys(values.outputs, None)
    outputs = {id_: values.outputs.get(id_, {}) for id_ in steps}
    return {
        **values.parameters,
        **outputs,
        "parameters": values.parameters,
        "steps": {id_: {"output": output} for id_, output in outputs.items()},
    }


def _reference(used: Used) -> Reference:
    if used.name == "parameters":
        return Reference(None, used.path)
    if used.name == "steps" and used.path:
        return Reference(used.path[0], used.path[2:] if used.path[1:2] == ("output",) else used.path[1:])
    return Reference(used.name, used.path)


@lru_cache(maxsize=1_000)
def _program(language: Language, text: str) -> Program:
    if language == "cel":
        from actum.engine.graphs.cel import CelProgram

        return CelProgram(text)
    from actum.engine.graphs.lua import LuaProgram

    return LuaProgram(text)
