"""Intrinsic functions: `States.Format('{} of {}', $.n, $$.Map.Item.Index)`. Pure: chance is handed in.

Each does what the States Language says of it, within its limits. What it cannot do raises `IntrinsicFailure`, which
a state may catch as `States.IntrinsicFailure`; a text that is no call at all raises `BadPath`, before anything runs.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import uuid
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson

from actum.engine.foreign.asl.paths import BadPath, Path, Reader, parse_path
from actum.engine.payloads.json_values import kind, same
from actum.errors import near_miss

__all__ = [
    "Given",
    "IntrinsicFailure",
    "Invocation",
    "is_invocation",
    "parse_expression",
    "parse_invocation",
    "value_of",
]


class IntrinsicFailure(Exception):
    """A call that cannot be answered for these values."""


class Given(NamedTuple):
    """What an expression is evaluated over. `draw` gives 16 bytes of chance that are the same on every replay."""

    data: Any
    context: Any
    draw: Callable[[], bytes]


class Literal(NamedTuple):
    value: Any


class Invocation(NamedTuple):
    name: str
    args: tuple[Expression, ...]


Expression = Path | Literal | Invocation

_CALL: Final = re.compile(r"States\.(\w+)\(")
_TEXT: Final = re.compile(r"'((?:[^'\\]|\\.)*)'")
_WORD: Final = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null")
_LONGEST: Final = 10_000
_DEEPEST: Final = 10
"""Calls within calls: the language's own limit."""
_MOST_ITEMS: Final = 1000


def is_invocation(text: str) -> bool:
    """Whether it begins like a call; whether it is one, `parse_invocation` says."""
    return text.startswith("States.")


def parse_expression(text: str) -> Path | Invocation:
    """A path or a call. Raises `BadPath`."""
    return parse_invocation(text) if is_invocation(text) else parse_path(text)


@lru_cache(4096)
def parse_invocation(text: str) -> Invocation:
    """The call that is written here, all of it. Raises `BadPath`."""
    call, end = _call(text, 0, 1)
    if end < len(text):
        raise BadPath(f"{text[end:]!r} stands behind the call")
    return call


def _call(text: str, at: int, depth: int) -> tuple[Invocation, int]:
    found = _CALL.match(text, at)
    if not found:
        raise BadPath("a call is written States.Name(…)")
    if depth > _DEEPEST:
        raise BadPath(f"more than {_DEEPEST} calls within each other")
    name = found[1]
    if name not in _FUNCTIONS:
        raise BadPath(f"there is no function States.{name}{near_miss(name, _FUNCTIONS)}")
    args: list[Expression] = []
    at = _past_blank(text, found.end())
    while not text.startswith(")", at):
        if args:
            if not text.startswith(",", at):
                raise BadPath(f"a comma or ')' is missing after {text[:at]!r}")
            at = _past_blank(text, at + 1)
        arg, at = _argument(text, at, depth)
        args.append(arg)
        at = _past_blank(text, at)
        if at >= len(text):
            raise BadPath("')' is missing at the end")
    low, high, _ = _FUNCTIONS[name]
    if not low <= len(args) <= high:
        wants = str(low) if low == high else f"at least {low}" if high == _LONGEST else f"{low} to {high}"
        raise BadPath(f"States.{name} takes {wants} arguments, not {len(args)}")
    return Invocation(name, tuple(args)), at + 1


def _argument(text: str, at: int, depth: int) -> tuple[Expression, int]:
    if text.startswith("States.", at):
        return _call(text, at, depth + 1)
    if text.startswith("$", at):
        reader = Reader(text, at)
        path = reader.path()
        return path, reader.at
    found = _TEXT.match(text, at)
    if found:
        return Literal(found[1]), found.end()  # escapes are read where the text is used: \{ means something in Format
    word = _WORD.match(text, at)
    if not word:
        raise BadPath(f"an argument is missing after {text[:at]!r}")
    return Literal(orjson.loads(word.group())), word.end()


def _past_blank(text: str, at: int) -> int:
    while text[at : at + 1] == " ":
        at += 1
    return at


# -- evaluation -----------------------------------------------------------------------------------------------------


def value_of(expression: Expression, given: Given) -> Any:
    """What it comes to. Raises `NoValue` for a path that leads nowhere, `IntrinsicFailure` for a call that fails."""
    match expression:
        case Path():
            return expression.read(given.data, given.context)
        case Literal(value):
            return re.sub(r"\\(.)", r"\1", value) if isinstance(value, str) else value
        case Invocation(name, args):
            values = [value_of(arg, given) for arg in args]
            if name == "Format" and isinstance(args[0], Literal):
                values[0] = args[0].value  # its own escapes
            return _FUNCTIONS[name][2](values, given)


def _want(value: Any, wanted: str, name: str, which: str) -> Any:
    if kind(value) != wanted:
        raise IntrinsicFailure(f"States.{name}: {which} is a {kind(value)}, and must be a {wanted}")
    return value


def _whole(value: Any, name: str, which: str) -> int:
    _want(value, "number", name, which)
    if isinstance(value, float) and not (value == value and abs(value) < 2**53):
        raise IntrinsicFailure(f"States.{name}: {which} is {value}")
    whole: int = round(value)
    return whole


def _text_of(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _format(values: list[Any], given: Given) -> Any:
    template = _want(values[0], "text", "Format", "the template")
    rest = iter(values[1:])
    made: list[str] = []
    for piece in re.findall(r"\\.|\{\}|[^\\{]+|.", template, re.DOTALL):
        if piece == "{}":
            try:
                made.append(_text_of(next(rest)))
            except StopIteration:
                raise IntrinsicFailure("States.Format: the template has more {} than there are values") from None
        else:
            made.append(piece[1:] if len(piece) == 2 and piece[0] == "\\" else piece)
    if next(rest, None) is not None:
        raise IntrinsicFailure("States.Format: there are more values than the template has {}")
    return "".join(made)


def _string_to_json(values: list[Any], given: Given) -> Any:
    try:
        return orjson.loads(_want(values[0], "text", "StringToJson", "its argument"))
    except orjson.JSONDecodeError as exc:
        raise IntrinsicFailure(f"States.StringToJson: {exc}") from None


def _array_partition(values: list[Any], given: Given) -> Any:
    items = _want(values[0], "list", "ArrayPartition", "its first argument")
    size = _whole(values[1], "ArrayPartition", "the size of a part")
    if size < 1:
        raise IntrinsicFailure(f"States.ArrayPartition: a part has at least 1 item, not {size}")
    return [items[start : start + size] for start in range(0, len(items), size)]


def _array_range(values: list[Any], given: Given) -> Any:
    first, last, step = (_whole(value, "ArrayRange", "its argument") for value in values)
    if step == 0:
        raise IntrinsicFailure("States.ArrayRange: a step of 0 never ends")
    numbers = range(first, last + (1 if step > 0 else -1), step)
    if len(numbers) > _MOST_ITEMS:
        raise IntrinsicFailure(f"States.ArrayRange: {len(numbers)} numbers, and the most are {_MOST_ITEMS}")
    return list(numbers)


def _array_get_item(values: list[Any], given: Given) -> Any:
    items = _want(values[0], "list", "ArrayGetItem", "its first argument")
    index = _whole(values[1], "ArrayGetItem", "the index")
    if not 0 <= index < len(items):
        raise IntrinsicFailure(f"States.ArrayGetItem: there is no item {index} in a list of {len(items)}")
    return items[index]


def _array_unique(values: list[Any], given: Given) -> Any:
    unique: list[Any] = []
    for item in _want(values[0], "list", "ArrayUnique", "its argument"):
        if not any(same(item, other) for other in unique):
            unique.append(item)
    return unique


def _base64_decode(values: list[Any], given: Given) -> Any:
    try:
        return base64.b64decode(_want(values[0], "text", "Base64Decode", "its argument"), validate=True).decode()
    except (binascii.Error, ValueError) as exc:
        raise IntrinsicFailure(f"States.Base64Decode: {exc}") from None


_HASHES: Final = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}


def _hash(values: list[Any], given: Given) -> Any:
    name = _want(values[1], "text", "Hash", "the algorithm")
    if name not in _HASHES:
        raise IntrinsicFailure(f"States.Hash: {name!r} is none of {', '.join(_HASHES)}")
    return hashlib.new(_HASHES[name], _text_of(values[0]).encode(), usedforsecurity=False).hexdigest()


def _json_merge(values: list[Any], given: Given) -> Any:
    left = _want(values[0], "object", "JsonMerge", "its first argument")
    right = _want(values[1], "object", "JsonMerge", "its second argument")
    if values[2] is not False:
        raise IntrinsicFailure("States.JsonMerge: only the shallow merge exists; its third argument is false")
    return {**left, **right}


def _math_random(values: list[Any], given: Given) -> Any:
    start, end = (_whole(value, "MathRandom", "its argument") for value in values[:2])
    if start >= end:
        raise IntrinsicFailure(f"States.MathRandom: from {start} to {end} there is no number")
    drawn = given.draw()
    if len(values) == 3:
        seed = _whole(values[2], "MathRandom", "the seed")
        drawn = hashlib.sha256(f"{seed}".encode()).digest()[:16]
    return start + int.from_bytes(drawn, "big") % (end - start)


def _math_add(values: list[Any], given: Given) -> Any:
    return _whole(values[0], "MathAdd", "its argument") + _whole(values[1], "MathAdd", "its argument")


def _string_split(values: list[Any], given: Given) -> Any:
    text = _want(values[0], "text", "StringSplit", "its first argument")
    splitter = _want(values[1], "text", "StringSplit", "the splitter")
    return re.split("|".join(re.escape(one) for one in splitter), text) if splitter else [text]


def _uuid(values: list[Any], given: Given) -> Any:
    return str(uuid.UUID(bytes=given.draw(), version=4))


_Function = Callable[[list[Any], Given], Any]
_FUNCTIONS: Final[dict[str, tuple[int, int, _Function]]] = {
    "Format": (1, _LONGEST, _format),
    "StringToJson": (1, 1, _string_to_json),
    "JsonToString": (1, 1, lambda values, given: orjson.dumps(values[0]).decode()),
    "Array": (0, _LONGEST, lambda values, given: values),
    "ArrayPartition": (2, 2, _array_partition),
    "ArrayContains": (
        2,
        2,
        lambda values, given: any(
            same(item, values[1]) for item in _want(values[0], "list", "ArrayContains", "its first argument")
        ),
    ),
    "ArrayRange": (3, 3, _array_range),
    "ArrayGetItem": (2, 2, _array_get_item),
    "ArrayLength": (1, 1, lambda values, given: len(_want(values[0], "list", "ArrayLength", "its argument"))),
    "ArrayUnique": (1, 1, _array_unique),
    "Base64Encode": (
        1,
        1,
        lambda values, given: base64.b64encode(
            _want(values[0], "text", "Base64Encode", "its argument").encode()
        ).decode(),
    ),
    "Base64Decode": (1, 1, _base64_decode),
    "Hash": (2, 2, _hash),
    "JsonMerge": (3, 3, _json_merge),
    "MathRandom": (2, 3, _math_random),
    "MathAdd": (2, 2, _math_add),
    "StringSplit": (2, 2, _string_split),
    "UUID": (0, 0, _uuid),
}
"""How few and how many arguments, and what comes of them."""
