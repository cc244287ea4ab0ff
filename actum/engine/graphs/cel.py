"""CEL, the Common Expression Language, for conditions: `order.total > 100 && 'vip' in parameters.tags`.

Numbers compare and add up by value, whole or not, as JSON has only one kind of number. Everything else is as the
language has it; comparing a number with a text is an error.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

import lark
from celpy import Environment, celtypes, evaluation
from celpy.adapter import json_to_cel
from celpy.celparser import CELParseError

from actum.engine.graphs.expressions import ExpressionRefused, Used
from actum.engine.graphs.operators import NoAnswer
from actum.engine.payloads.patterns import BadPattern, searcher
from actum.errors import near_miss

__all__ = ["CelProgram"]

MAX_VISITS: Final = 50_000
"""Parts of expressions that one evaluation looks at; each takes some microseconds."""
_MACROS: Final = ("all", "exists", "exists_one", "map", "filter")
_CALLS: Final = ("has", "dyn")
_FUNCTIONS: Final = tuple(name for name in evaluation.base_functions if name.isidentifier())
_LITERALS: Final = ("true", "false", "null")


class CelProgram:
    """One expression."""

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._tree = Environment().compile(text)
            found: list[Used] = []
            _names(self._tree, frozenset(), found)
        except CELParseError as exc:
            where = f"line {exc.line}, column {exc.column}: " if exc.line is not None else ""
            raise ExpressionRefused(f"{where}is not CEL from here on") from None
        except RecursionError:
            raise ExpressionRefused("is nested too deep") from None
        self.used = tuple(dict.fromkeys(found))
        self._names = {used.name for used in found}

    def answer(self, given: dict[str, Any]) -> bool:
        try:
            context: Any = {name: json_to_cel(given[name]) for name in self._names if name in given}
            value = _Evaluator(self._tree, evaluation.Activation(functions=_OURS), [0]).evaluate(context)
        except evaluation.CELEvalError as exc:
            raise NoAnswer(f"the condition {self.text!r} has no answer: {_reason(exc)}") from None
        except _TooLong:
            raise NoAnswer(f"the condition {self.text!r} has no answer: it takes too long; make it a step") from None
        except (TypeError, ValueError, KeyError, OverflowError, RecursionError) as exc:
            raise NoAnswer(f"the condition {self.text!r} has no answer: {exc}") from None
        if not isinstance(value, celtypes.BoolType):
            raise NoAnswer(f"the condition {self.text!r} gives {_kind(value)}, which is neither true nor false")
        return bool(value)


class _TooLong(Exception):
    """Of a kind of its own: the language turns ordinary errors inside a loop into values, and goes on."""


class _Evaluator(evaluation.Evaluator):
    """The library's, with an end to it, however the loops in an expression are nested."""

    def __init__(self, ast: lark.Tree[Any], activation: evaluation.Activation, visits: list[int]) -> None:
        super().__init__(ast, activation)
        self._visits = visits

    def sub_evaluator(self, ast: lark.Tree[Any]) -> _Evaluator:
        return _Evaluator(ast, self.activation, self._visits)

    def visit_children(self, tree: lark.Tree[Any]) -> Any:
        self._visits[0] += 1
        if self._visits[0] > MAX_VISITS:
            raise _TooLong
        return super().visit_children(tree)


def _reason(exc: Exception) -> str:
    """The library's reason, without the dump of all there is."""
    said = str(exc.args[0]) if exc.args else type(exc).__name__
    said = said.partition(" (in activation")[0]
    for name in ("Int", "Double", "String", "Bool", "List", "Map", "Uint"):
        said = said.replace(f"<class 'celpy.celtypes.{name}Type'>", name.lower())
    return said.replace("<class 'NoneType'>", "null")


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__.removesuffix("Type").lower()


# -- names ---------------------------------------------------------------------------------------------------------


def _names(tree: lark.Tree[Any], bound: frozenset[str], found: list[Used]) -> None:
    """Every name in the tree that no loop of the expression has bound, with the path behind it."""
    chain = _chain(tree)
    if chain is not None:
        if chain.name not in bound and chain.name not in _LITERALS:
            found.append(chain)
        return
    match str(tree.data), tree.children:
        case "member_dot_arg", [lark.Tree() as of, lark.Token() as method, *rest]:
            _names(of, bound, found)
            arguments = _arguments(rest)
            if method in _MACROS:
                variable = _chain(arguments[0]) if arguments else None
                if variable is None or variable.path or len(arguments) != 2:
                    raise _refused(method, f"{method} is written {method}(NAME, EXPRESSION)")
                _names(arguments[1], bound | {variable.name}, found)
                return
            _known(method)
            for argument in arguments:
                _names(argument, bound, found)
        case "ident_arg", [lark.Token() as function, *rest]:
            _known(function)
            for argument in _arguments(rest):
                _names(argument, bound, found)
        case (("member_object" | "dot_ident" | "dot_ident_arg"), _):
            raise ExpressionRefused(
                f"line {tree.meta.line}, column {tree.meta.column}: makes a message; there are none"
            )
        case _:
            for child in tree.children:
                if isinstance(child, lark.Tree):
                    _names(child, bound, found)


def _chain(tree: Any) -> Used | None:
    """The tree as a name with a path, when it is nothing else."""
    path: list[str] = []
    while isinstance(tree, lark.Tree):
        match str(tree.data), tree.children:
            case "ident", [lark.Token() as name]:
                return Used(str(name), tuple(reversed(path)), name.line or 1, name.column or 1)
            case "member_dot", [inner, lark.Token() as key]:
                path.append(str(key))
                tree = inner
            case ("expr" | "conditionalor" | "conditionaland" | "relation" | "addition", [inner]) | (
                "multiplication" | "unary" | "member" | "primary",
                [inner],
            ):
                tree = inner
            case _:
                return None
    return None


def _arguments(rest: list[Any]) -> list[lark.Tree[Any]]:
    return list(rest[0].children) if rest and isinstance(rest[0], lark.Tree) else []


def _known(function: lark.Token) -> None:
    known = (*_FUNCTIONS, *_MACROS, *_CALLS)
    if function not in known:
        raise _refused(function, f"there is no function {str(function)!r}{near_miss(str(function), known)}")


def _refused(token: lark.Token, why: str) -> ExpressionRefused:
    return ExpressionRefused(f"line {token.line}, column {token.column}: {why}")


# -- functions -----------------------------------------------------------------------------------------------------


def _number(value: Any) -> bool:
    return isinstance(value, (celtypes.IntType, celtypes.UintType, celtypes.DoubleType))


def _plain(number: Any) -> float | int:
    return float(number) if isinstance(number, celtypes.DoubleType) else int(number)


def _compared(name: str, holds: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Any]:
    theirs = evaluation.base_functions[name]

    def function(left: Any, right: Any) -> Any:
        if _number(left) and _number(right):
            return celtypes.BoolType(holds(_plain(left), _plain(right)))
        return theirs(left, right)

    return function


def _equal(name: str, holds: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Any]:
    compared = _compared(name, holds)

    def function(left: Any, right: Any) -> Any:
        if left is None or right is None:
            return celtypes.BoolType(holds(left is None, right is None))
        return compared(left, right)

    return function


def _among(item: Any, of: Any) -> Any:
    if isinstance(of, celtypes.ListType) and _number(item):
        return celtypes.BoolType(any(_number(one) and _plain(one) == _plain(item) for one in of))
    return evaluation.base_functions["_in_"](item, of)


def _reckoned(name: str) -> Callable[[Any, Any], Any]:
    theirs = evaluation.base_functions[name]

    def function(left: Any, right: Any) -> Any:
        if _number(left) and _number(right) and type(left) is not type(right):
            return theirs(celtypes.DoubleType(float(left)), celtypes.DoubleType(float(right)))
        return theirs(left, right)

    return function


def _matches(text: Any, pattern: Any) -> Any:
    try:
        return celtypes.BoolType(searcher(str(pattern))(str(text)))
    except BadPattern as exc:
        raise evaluation.CELEvalError(f"{str(pattern)!r} is no regular expression: {exc}") from None


_OURS: Final[Mapping[str, Any]] = {
    "_==_": _equal("_==_", operator.eq),
    "_!=_": _equal("_!=_", operator.ne),
    "_<_": _compared("_<_", operator.lt),
    "_<=_": _compared("_<=_", operator.le),
    "_>_": _compared("_>_", operator.gt),
    "_>=_": _compared("_>=_", operator.ge),
    **{name: _reckoned(name) for name in ("_+_", "_-_", "_*_", "_/_")},
    "_in_": _among,
    "matches": _matches,
}
