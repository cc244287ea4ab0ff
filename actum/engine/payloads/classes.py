"""Which payloads, and which fields of them, are personal: declared in types and schemas, applied to every event.

What nobody declared of an execution about a subject is personal as a whole; of any other, business.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from actum.errors import BadInput
from actum.events import NewEvent

__all__ = [
    "Business",
    "Classes",
    "Declared",
    "PayloadClass",
    "Personal",
    "Public",
    "classes_of_function",
    "classes_of_schemas",
    "escaped",
    "file_payload",
    "payload_class_of",
]

PayloadClass = Literal["public", "business", "personal"]


@dataclass(frozen=True, slots=True)
class FieldClass:
    """A mark of a field, a parameter or a return type: of which class it is, `personal`, `business` or `public`."""

    name: PayloadClass

    def __repr__(self) -> str:
        return self.name.capitalize()


Public: Final = FieldClass("public")
Business: Final = FieldClass("business")
Personal: Final = FieldClass("personal")


class Declared(NamedTuple):
    """What is known of one payload: its class as a whole, or its personal fields. No class and no fields: nothing."""

    payload_class: PayloadClass | None = None
    fields: tuple[str, ...] = ()


class Classes(NamedTuple):
    """What is known of the payload that starts a step or an execution, and of the one that ends it well."""

    given: Declared = Declared()
    returned: Declared = Declared()

    @property
    def personal(self) -> bool:
        """Whether anything personal may be in what goes wrong."""
        return any(part.payload_class == "personal" or part.fields for part in self)


def payload_class_of(said: str | None, what: str) -> PayloadClass | None:
    """A class as users write it. Raises `BadInput` for one that is none."""
    if said not in (None, "public", "business", "personal"):
        raise BadInput(f"{what}: payload_class is public, business or personal, not {said!r}")
    return typing.cast("PayloadClass | None", said)


# -- applying --------------------------------------------------------------------------------------------------------


def file_payload(event: NewEvent, key: str | None, classes: Classes | None) -> None:
    """Say of a new event's payload what is declared of it. `key` is the data key of the execution's subject."""
    if event.payload is None:
        return
    declared = Declared()
    if classes is not None:
        if event.type in ("step.started", "step.scheduled", "execution.started"):
            declared = classes.given
        elif event.type in ("step.completed", "execution.completed"):
            declared = classes.returned
        elif classes.personal:
            declared = Declared("personal")
    event.payload_class = declared.payload_class or (
        "personal" if key is not None and not declared.fields else "business"
    )
    event.personal = declared.fields if event.payload_class != "personal" else ()
    if event.payload_class == "personal" or event.personal:
        event.key = key


# -- from types ------------------------------------------------------------------------------------------------------


def classes_of_function(
    fn: Callable[..., Any], payload_class: PayloadClass | None, skip: int, given: str, returned: str
) -> Classes | None:
    """What a function's annotations declare, its first `skip` parameters aside; None when that is nothing.

    `given` and `returned` are where arguments and result stand in the payloads: "" is the payload itself, "args" means
    as a step's arguments are recorded. Raises `BadInput` for annotations that mark fields and cannot be resolved.
    """
    if payload_class is not None:
        return Classes(Declared(payload_class), Declared(payload_class))
    raw = getattr(fn, "__annotations__", None) or {}
    if not raw:
        return None
    try:
        hints = typing.get_type_hints(fn, include_extras=True)
    except Exception as exc:
        if any(isinstance(text, str) and "Annotated[" in text for text in raw.values()):
            raise BadInput(
                f"{fn.__qualname__}: its annotations cannot be resolved, so nobody knows what of it is personal ({exc})"
            ) from exc
        return None
    parameters = list(inspect.signature(fn).parameters.values())[skip:]
    found = [
        _below(hints[parameter.name], place)
        for index, parameter in enumerate(parameters)
        if parameter.name in hints
        for place in _places(given, parameter, index, len(parameters))
    ]
    classes = Classes(
        _declared([mark for marks in found for mark in marks]), _declared(_below(hints.get("return"), returned))
    )
    return classes if classes != Classes() else None


def _places(given: str, parameter: inspect.Parameter, index: int, count: int) -> list[str]:
    if given != "args":
        return [given if count == 1 else f"{given}/{escaped(parameter.name)}"]
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        return ["/args/*"]
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return ["/kwargs/*"]
    return [f"/args/{index}", f"/kwargs/{escaped(parameter.name)}"]


_Mark = tuple[str, PayloadClass | Literal["again"]]
"""Where, and what; `again` where a type holds itself, so that its fields go on without end."""


def _below(annotation: Any, place: str) -> list[_Mark]:
    return list(_marks(annotation, place, ()))


def _marks(annotation: Any, place: str, above: tuple[Any, ...]) -> Iterator[_Mark]:
    """Every mark in a type, with the JSON Pointer of the values that it is about."""
    if typing.get_origin(annotation) is typing.Annotated:
        inner, *metadata = typing.get_args(annotation)
        mine = [mark.name for mark in metadata if isinstance(mark, FieldClass)]
        if mine:
            yield place, mine[-1]
            return
        annotation = inner
    if any(annotation is one for one in above):
        yield place, "again"
        return
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        for arg in args:
            yield from _marks(arg, place, above)
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        yield from _marks(args[-1], f"{place}/*", above)
    elif isinstance(origin, type) and (issubclass(origin, (Sequence, set, frozenset))):
        for arg in args:
            if arg is not Ellipsis:
                yield from _marks(arg, f"{place}/*", above)
    else:
        for name, field in _fields_of(annotation).items():
            yield from _marks(field, f"{place}/{escaped(name)}", (*above, annotation))


def _fields_of(annotation: Any) -> dict[str, Any]:
    """The fields of a dataclass, a typed dict or a pydantic model, by the names under which they are recorded."""
    if dataclasses.is_dataclass(annotation) or hasattr(annotation, "__required_keys__"):  # a typed dict
        return typing.get_type_hints(annotation, include_extras=True)
    models = getattr(annotation, "model_fields", None)
    if isinstance(annotation, type) and isinstance(models, Mapping):
        return {
            name: typing.Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
            for name, field in models.items()
        }
    return {}


def _declared(marks: Sequence[_Mark]) -> Declared:
    names = {name for _, name in marks} - {"again"}
    if not names:
        return Declared()
    fields = [place for place, name in marks if name == "personal"]
    if fields:
        fields += [place for place, name in marks if name == "again"]
    if "" in fields:
        return Declared("personal")
    return Declared("public" if names == {"public"} else "business", tuple(fields))


# -- from schemas ----------------------------------------------------------------------------------------------------


def classes_of_schemas(given: Sequence[tuple[str, Any]], returned: Sequence[tuple[str, Any]]) -> Classes | None:
    """What JSON Schemas declare with `"x-actum-class"`; each comes with where its values stand in the payload."""
    classes = Classes(
        *[_declared([m for place, schema in some for m in _schema_marks(schema, place)]) for some in (given, returned)]
    )
    return classes if classes != Classes() else None


def _schema_marks(schema: Any, place: str) -> Iterator[_Mark]:
    if not isinstance(schema, Mapping):
        return
    mine = schema.get("x-actum-class")
    if mine is not None:
        found = payload_class_of(mine, f"x-actum-class at {place or '/'}")
        assert found is not None
        yield place, found
        return
    for name, inner in (schema.get("properties") or {}).items():
        yield from _schema_marks(inner, f"{place}/{escaped(name)}")
    for keyword in ("items", "additionalProperties"):
        yield from _schema_marks(schema.get(keyword), f"{place}/*")


def escaped(name: str) -> str:
    """A name as a step of a JSON Pointer."""
    return name.replace("~", "~0").replace("/", "~1")
