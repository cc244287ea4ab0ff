"""From a file or a text to plain JSON values, refusing what people did not mean.

Doubled keys, which both formats would silently drop, are refused. YAML is read as YAML 1.2 has it: `on`, `yes`
and `no` are words, `012` and `1:30` are text, and nothing but plain values is ever made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final

from actum.engine.graphs.place import Place
from actum.engine.payloads.json_values import plain
from actum.errors import DefinitionError

__all__ = ["is_yaml", "read_file", "read_text"]

_YAML_SUFFIXES: Final = (".yaml", ".yml")
_SCALARS: Final = (
    ("tag:yaml.org,2002:null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("tag:yaml.org,2002:int", r"^[-+]?(?:0|[1-9][0-9]*)$", list("-+0123456789")),
    (
        "tag:yaml.org,2002:float",
        r"^[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$",
        list("-+0123456789"),
    ),
)


def read_file(path: Path) -> Any:
    """The JSON values in a definition file. Raises `DefinitionError`, naming the line, for one that cannot be read."""
    source = str(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DefinitionError(source, "the file", f"does not exist (looked in {Path.cwd()})") from None
    except IsADirectoryError:
        raise DefinitionError(source, "the file", "is a directory; name the file in it") from None
    except OSError as exc:
        raise DefinitionError(source, "the file", f"cannot be read: {exc.strerror or exc}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise DefinitionError(source, f"line {line}", f"is not UTF-8 text: byte 0x{data[exc.start]:02x}") from None
    return read_text(text, source, yaml=is_yaml(path, text))


def is_yaml(path: Path, text: str) -> bool:
    """Whether a file is YAML: by its name, or without a suffix by its first character."""
    suffix = path.suffix.lower()
    return suffix in _YAML_SUFFIXES if suffix else not text.lstrip().startswith(("{", "["))


def read_text(text: str, source: str, *, yaml: bool | None = None) -> Any:
    """The JSON values in a text; whether it is YAML is seen from its first character unless told."""
    if not text.strip():
        raise DefinitionError(source, "line 1", "is empty; a workflow definition was expected")
    if yaml is None:
        yaml = not text.lstrip().startswith(("{", "["))
    try:
        value = _yaml(text, source) if yaml else _json(text, source)
    except RecursionError:
        raise DefinitionError(source, "$", "is nested too deep") from None
    return plain(value, Place(source))


# -- JSON --------------------------------------------------------------------------------------------------------


class _Doubled(dict[str, Any]):
    """An object that gave a key twice, marked until its path is known."""

    key: str


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    doubled = _Doubled(made)
    seen: set[str] = set()
    doubled.key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return doubled


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _json(text: str, source: str) -> Any:
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except json.JSONDecodeError as exc:
        end = " (the text ends too early)" if exc.pos >= len(text.rstrip()) else ""
        raise DefinitionError(
            source, f"line {exc.lineno}, column {exc.colno}", f"is not JSON: {exc.msg}{end}"
        ) from None
    except ValueError as exc:
        raise DefinitionError(source, "$", str(exc)) from None
    _refuse_doubled(value, Place(source))
    return value


def _refuse_doubled(value: Any, place: Place) -> None:
    if isinstance(value, _Doubled):
        raise (place / value.key).error(f"the key {value.key!r} is given twice")
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, (dict, list)):
                _refuse_doubled(item, place / key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_doubled(item, place / index)


# -- YAML --------------------------------------------------------------------------------------------------------


def _yaml(text: str, source: str) -> Any:
    import yaml  # only for definitions that are YAML

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Strict(loader):  # type: ignore[misc, valid-type]
        """The safe loader with the scalars of YAML 1.2's core schema, text keys, and no key twice."""

        yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 - PyYAML's own interface

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
            seen: set[str] = set()
            for key_node, _ in node.value:
                if key_node.tag == "tag:yaml.org,2002:merge":
                    continue
                key = self.construct_object(key_node, deep=True)
                line = f"line {key_node.start_mark.line + 1}"
                if not isinstance(key, str):
                    raise DefinitionError(source, line, f"the key {key!r} is no text; put it in quotes")
                if key in seen:
                    raise DefinitionError(source, line, f"the key {key!r} is given twice")
                seen.add(key)
            made: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
            return made

    for tag, pattern, first in _SCALARS:
        Strict.add_implicit_resolver(tag, re.compile(pattern), first)
    Strict.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"^<<$"), ["<"])
    try:
        return yaml.load(text, Loader=Strict)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line = mark.line if mark is not None else 0
        where = f"line {line + 1}, column {mark.column + 1}" if mark is not None else "line 1"
        lines = text.splitlines()
        if line < len(lines) and re.match(r" *\t", lines[line]):
            raise DefinitionError(source, where, "a tab stands in the indentation; YAML allows only spaces") from None
        raise DefinitionError(source, where, f"is not YAML: {exc.problem or exc.context}") from None
    except yaml.YAMLError as exc:
        raise DefinitionError(source, "line 1", f"is not YAML: {exc}") from None
