"""Runtime expressions of Serverless Workflow: jq, without the parts of it that are not the same twice.

An expression sees its data as `.` and what the workflow knows as variables: `$context`, `$input`, `$workflow` and
others. The clock, the environment, other inputs and the local time zone are taken away: a replay must come to the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from actum.errors import BadInput

__all__ = ["ExpressionFailed", "compiled", "expression_in", "holds", "resolve", "value_of"]

_TAKEN_AWAY: Final = (
    "now",
    "env",
    "input",
    "inputs",
    "input_line_number",
    "input_filename",
    "halt",
    "halt_error",
    "halt_error(x)",
    "localtime",
    "strflocaltime(x)",
    "get_search_list",
    "modulemeta",
)
_BEFORE: Final = " ".join(
    f'def {name}: error("{name.partition("(")[0]} is not the same twice, and is not evaluated here");'
    for name in _TAKEN_AWAY
)
_HARMLESS: Final = "def debug: .; def debug(x): .; def stderr: .; {} as $ENV"


class ExpressionFailed(Exception):
    """An expression that cannot be evaluated for this data, or that gives nothing, or several values."""


def expression_in(text: str) -> str | None:
    """What stands in `${ … }`, when that is the whole text; None for any other text."""
    stripped = text.strip()
    if stripped.startswith("${") and stripped.endswith("}"):
        return stripped[2:-1].strip()
    return None


@lru_cache(2048)
def compiled(expression: str, names: frozenset[str]) -> Any:
    """The program, with these variables. Raises `ValueError` in the words of jq, or `BadInput` when jq is not there."""
    try:
        import jq
    except ImportError as exc:
        said = f"Serverless Workflow needs the extra 'serverless' ({exc}): pip install 'actum[serverless]'"
        raise BadInput(said) from exc
    bound = " ".join(f".vars.{name} as ${name} |" for name in sorted(names))
    return jq.compile(f"{_BEFORE} {_HARMLESS} | {bound} .in | (\n{expression}\n)")


def value_of(expression: str, data: Any, variables: Mapping[str, Any]) -> Any:
    """What the expression gives, in `${ … }` or without. Raises `ExpressionFailed`."""
    inner = expression_in(expression)
    text = expression if inner is None else inner
    try:
        program = compiled(text, frozenset(variables))
        found = program.input_value({"in": data, "vars": dict(variables)}).all()
    except ValueError as exc:
        raise ExpressionFailed(f"{text!r}: {exc}") from None
    if len(found) != 1:
        raise ExpressionFailed(f"{text!r} gives {len(found)} values, and must give one")
    return found[0]


def resolve(template: Any, data: Any, variables: Mapping[str, Any]) -> Any:
    """The template with every `${ … }` in it evaluated, at any depth. Raises `ExpressionFailed`."""
    if isinstance(template, str):
        return template if expression_in(template) is None else value_of(template, data, variables)
    if isinstance(template, dict):
        return {key: resolve(value, data, variables) for key, value in template.items()}
    if isinstance(template, list):
        return [resolve(item, data, variables) for item in template]
    return template


def expressions_of(template: Any) -> Iterable[tuple[tuple[str | int, ...], str]]:
    """Every `${ … }` in a template, and where it stands."""
    if isinstance(template, str):
        inner = expression_in(template)
        if inner is not None:
            yield (), inner
    elif isinstance(template, dict):
        for key, value in template.items():
            for path, inner in expressions_of(value):
                yield (key, *path), inner
    elif isinstance(template, list):
        for index, value in enumerate(template):
            for path, inner in expressions_of(value):
                yield (index, *path), inner


def holds(value: Any) -> bool:
    """What jq takes for true: everything but false and null."""
    return value is not None and value is not False
