"""The views: tables computed from the log, written in the same transaction as the events they follow from.

A view can be dropped and rebuilt from the log at any time and comes out equal; `actum verify` holds it to that.
Nothing personal stands in a view: it would outlive the erasure of the payload it came from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from actum.errors import BadInput, near_miss

__all__ = ["VIEWS", "Holding", "NoneOf", "View", "check_query", "check_row", "rows_by_page"]

_MAX_NUMBER = 2**63 - 1
_PAGE = 500


class NoneOf(tuple[Any, ...]):
    """In a query of a view: the column has none of these values, or no value."""

    __slots__ = ()


@dataclass(frozen=True)
class Holding:
    """In the place of a value that is asked for: text in which all these parts stand, in any order."""

    parts: tuple[str, ...]


@dataclass(frozen=True)
class View:
    """A view's columns. All are text but `numbers`; all must have a value but `optional`."""

    key: tuple[str, ...]
    columns: tuple[str, ...]
    optional: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()
    kinds: tuple[tuple[str, tuple[type, ...]], ...] = field(init=False)
    """Each column but the keys, with the types its values may have."""

    def __post_init__(self) -> None:
        def of(column: str) -> tuple[type, ...]:
            kind: type = int if column in self.numbers else str
            return (kind, type(None)) if column in self.optional else (kind,)

        object.__setattr__(self, "kinds", tuple((column, of(column)) for column in self.columns))


VIEWS: Final[dict[str, View]] = {
    # One row an execution. `wake_us`: when its earliest timer is due; `owner`: the worker that claimed it last;
    # `priority`: empty is 0; `labels`: its tags and `name=value` of its attributes, one a line, between line breaks.
    "executions": View(
        ("id",),
        (
            "workflow",
            "definition",
            "kind",
            "status",
            "waiting_for",
            "owner",
            "started_at",
            "ended_at",
            "wake_us",
            "error_type",
            "priority",
            "labels",
        ),
        optional=frozenset(
            {"definition", "waiting_for", "owner", "ended_at", "wake_us", "error_type", "priority", "labels"}
        ),
        numbers=frozenset({"wake_us", "priority"}),
    ),
    # One row for each question that was put to people. `version`: where in the execution's stream it was asked.
    "approvals": View(
        ("execution", "approval"),
        ("workflow", "status", "severity", "requested_at", "deadline", "version"),
        optional=frozenset({"deadline"}),
        numbers=frozenset({"version"}),
    ),
}


def check_row(view: str, key: tuple[str, ...], row: Mapping[str, Any] | None) -> None:
    """Refuse a row that does not fit its view: every column must be given, with a value of its type."""
    shape = _shape(view)
    if len(key) != len(shape.key) or any(type(part) is not str for part in key):
        raise BadInput(f"view {view!r}: {key!r} is not a key of {', '.join(shape.key)}; nothing was written")
    if row is None:
        return
    if len(row) != len(shape.columns):
        _refuse_columns(view, shape, row)
    for column, kinds in shape.kinds:
        if column not in row:
            _refuse_columns(view, shape, row)
        value = row[column]
        if type(value) not in kinds or (type(value) is int and abs(value) > _MAX_NUMBER):
            wanted = " or ".join("None" if kind is type(None) else kind.__name__ for kind in kinds)
            raise BadInput(f"view {view!r}, key {key!r}: {column} is {value!r}, not {wanted}; nothing was written")


def check_query(view: str, where: Mapping[str, Any], order: str | None) -> View:
    """The shape of the view that is asked for. Raises `BadInput` for a view or column that does not exist."""
    shape = _shape(view)
    known = shape.key + shape.columns
    for column in [*where, *([order] if order is not None else [])]:
        if column not in known:
            raise BadInput(f"view {view!r} has no column {column!r}{near_miss(column, known)}")
        if column in shape.numbers and isinstance(where.get(column), Holding):
            raise BadInput(f"view {view!r}: column {column!r} holds numbers, and no text to look into")
    return shape


def rows_by_page(view: str, ask: Callable[[str, Sequence[Any]], list[Any]], first: Any, mark: str) -> Iterator[Any]:
    """Every row of a view's table, page by page, as a dict. `ask` puts a query; `mark` is where its values go.

    `first` is what the first column of the primary key is to be: the tenant. Rows come in the order in which the
    database compares texts, so that this key gives them without sorting.
    """
    shape = _shape(view)
    key, columns = shape.key, shape.key + shape.columns
    behind, values = "", list[Any]()
    rows: list[Any] | None = None
    while rows is None or len(rows) == _PAGE:
        where = f"tenant = {mark}{behind} ORDER BY {','.join(key)} LIMIT {mark}"
        rows = ask(f"SELECT {','.join(columns)} FROM {view} WHERE {where}", (first, *values, _PAGE))
        for row in rows:
            yield dict(zip(columns, row, strict=True))
        if rows and len(key) == 1:
            behind, values = f" AND {key[0]} > {mark}", [rows[-1][0]]
        elif rows:
            behind = f" AND {key[0]} >= {mark} AND ({key[0]} > {mark} OR {key[1]} > {mark})"
            values = [rows[-1][0], rows[-1][0], rows[-1][1]]


def _shape(view: str) -> View:
    shape = VIEWS.get(view)
    if shape is None:
        raise BadInput(f"there is no view {view!r}{near_miss(view, VIEWS)}")
    return shape


def _refuse_columns(view: str, shape: View, row: Mapping[str, Any]) -> None:
    missing = sorted(set(shape.columns) - set(row))
    unknown = sorted(set(row) - set(shape.columns))
    problems = [
        *([f"lacks {', '.join(missing)}"] if missing else []),
        *([f"has unknown {', '.join(unknown)}{near_miss(unknown[0], missing or shape.columns)}"] if unknown else []),
    ]
    raise BadInput(f"view {view!r}: the row {' and '.join(problems)}; nothing was written")
