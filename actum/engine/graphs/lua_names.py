"""Which names a Lua text uses, with the paths behind them, as far as that can be read off it. Pure.

`order.total > 1 and order["state"] ~= nil` uses `order.total` and `order.state`. A name that the text binds anywhere
(a local, a parameter, a loop's variable, anything assigned to, a key in braces) is left out: it may be its own.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, NamedTuple

from actum.engine.graphs.expressions import Used

__all__ = ["names_in"]

_TOKEN: Final = re.compile(
    r"""
    (?P<skip>--\[(?P<c>=*)\[.*?\](?P=c)\]|--[^\n]*|\s+)
    | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    | (?P<long>\[(?P<l>=*)\[.*?\](?P=l)\])
    | (?P<name>[A-Za-z_]\w*)
    | (?P<number>\d[\w.]*)
    | (?P<sign>\.\.\.?|==|~=|<=|>=|//|::|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_KEYWORDS: Final = frozenset(
    (
        *("and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local"),
        *("nil", "not", "or", "repeat", "return", "then", "true", "until", "while"),
    )
)


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


def names_in(source: str, library: Collection[str]) -> tuple[Used, ...]:
    """Each once, in their order; `library` is what is no value. The text has been read as Lua before."""
    tokens = [
        _Token(str(found.lastgroup), found[0], found.start())
        for found in _TOKEN.finditer(source)
        if found.lastgroup is not None and found["skip"] is None
    ]
    tokens = [one._replace(kind=_kind(one)) for one in tokens]
    bound = _bound(tokens)
    used: dict[Used, None] = {}
    seen: set[tuple[str, tuple[str, ...]]] = set()
    for index, token in enumerate(tokens):
        before = tokens[index - 1].text if index else ""
        if token.kind != "name" or before in (".", ":", "goto", "::") or token.text in bound or token.text in library:
            continue
        path = _path(tokens, index + 1)
        if (token.text, path) not in seen:
            seen.add((token.text, path))
            line = source.count("\n", 0, token.at) + 1
            used[Used(token.text, path, line, token.at - source.rfind("\n", 0, token.at))] = None
    return tuple(used)


def _kind(token: _Token) -> str:
    if token.text in _KEYWORDS:
        return "keyword"
    return "name" if token.text[:1].isalpha() or token.text[:1] == "_" else token.kind


def _path(tokens: list[_Token], index: int) -> tuple[str, ...]:
    """What follows a name as `.key` or `["key"]`."""
    path: list[str] = []
    while index + 1 < len(tokens):
        sign, key = tokens[index].text, tokens[index + 1]
        if sign == "." and key.kind == "name":
            path.append(key.text)
            index += 2
        elif sign == "[" and key.text[:1] in "\"'" and "\\" not in key.text and tokens[index + 2].text == "]":
            path.append(key.text[1:-1])
            index += 3
        else:
            break
    return tuple(path)


def _bound(tokens: list[_Token]) -> set[str]:
    bound: set[str] = set()
    for index, token in enumerate(tokens):
        match token.text:
            case "local" | "for":
                bound.update(_listed(tokens, index + 1))
            case "function":
                start = index + 1
                while start < len(tokens) and tokens[start].text != "(":
                    if tokens[start].kind == "name":
                        bound.add(tokens[start].text)
                    start += 1
                bound.update(_listed(tokens, start + 1))
            case "=":
                back = index - 1
                while back >= 0 and tokens[back].kind == "name":
                    bound.add(tokens[back].text)
                    back -= 2 if back and tokens[back - 1].text == "," else len(tokens)
    return bound


def _listed(tokens: list[_Token], index: int) -> list[str]:
    """The names of a list such as `a, b`; after `local function` none, which `function` itself sees to."""
    names: list[str] = []
    while index < len(tokens) and tokens[index].kind == "name":
        names.append(tokens[index].text)
        index += 2 if index + 1 < len(tokens) and tokens[index + 1].text == "," else len(tokens)
    return names
