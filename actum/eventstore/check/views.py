"""Proving the views: every row that the store keeps, against the rows that the log gives when it is folded again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

from actum.events import RecordedEvent
from actum.eventstore.check.verdict import Faults
from actum.eventstore.protocol import EventStore, ViewRow
from actum.eventstore.spilled import Spilled, in_step
from actum.eventstore.views import VIEWS

__all__ = ["ROWS", "Rebuild", "Rows", "by_view", "compare_rows", "kept_rows", "rows_in", "rows_of"]

ROWS: Final = 4_096
"""Rows in memory: some 8 MB, twice."""

Rows = Spilled[tuple[str, tuple[Any, ...], tuple[Any, ...]]]
"""View, key, and the other columns in the order of the view's shape; an ellipsis for one that is not given."""


class Rebuild(Protocol):
    """Folds a log, whose events come without payloads, into the rows its views must have. A pure function.

    Each row comes once it cannot change any more, or at the end; of several with one key the last one counts. A view
    of which it gives none must have no rows.
    """

    def __call__(self, events: Iterator[RecordedEvent], /) -> Iterable[ViewRow]: ...


def kept_rows(store: EventStore) -> Iterator[ViewRow]:
    """Every row of every view, as the store keeps them."""
    for name, shape in VIEWS.items():
        for row in store.view_rows(name):
            yield ViewRow(name, tuple(row.pop(column) for column in shape.key), row)


def rows_in(given: Iterable[ViewRow], room: int = ROWS) -> Rows:
    """Rows by view and key; at most so many are in memory."""
    rows = Rows(room)
    for view, key, row in given:
        values = tuple([(row or {}).get(column, ...) for column in VIEWS[view].columns])
        rows[repr((view, *key))] = view, key, values  # the key of a row that somebody forged may hold anything
    return rows


def rows_of(rows: Rows) -> Iterator[ViewRow]:
    """The rows again, by view and key."""
    for _, (view, key, values) in rows.items():
        yield ViewRow(view, key, dict(zip(VIEWS[view].columns, values, strict=True)))


def by_view(rows: Iterable[ViewRow]) -> dict[str, dict[tuple[str, ...], Mapping[str, Any]]]:
    """View → key → the row's other columns, in memory; every view is there."""
    views: dict[str, dict[tuple[str, ...], Mapping[str, Any]]] = {name: {} for name in VIEWS}
    for row in rows:
        views[row.view][row.key] = row.row or {}
    return views


def compare_rows(kept: Rows, wanted: Rows, faults: Faults) -> int:
    """Compare entirely; returns how many rows were compared. Of what is wrong, a row that is there is named first."""
    compared, missing = 0, Faults("missing")
    for _, ours, log in in_step(kept, wanted):
        compared += ours is not None
        if ours == log:
            continue
        view, key, _ = ours or log or ("", (), ())
        where = f"view {view}, key {'/'.join(map(str, key))}"
        if ours is None:
            missing.beside(f"{where}: the row is missing")
        elif log is None:
            faults.beside(f"{where}: the row does not follow from the log")
        else:
            each = zip(VIEWS[view].columns, ours[2], log[2], strict=True)
            column, value, other = next(one for one in each if one[1] != one[2])
            faults.beside(f"{where}: {column} is {value!r}, the log gives {None if other is ... else other!r}")
    if missing.count:
        faults.beside(missing.elsewhere)
        faults.count += missing.count - 1
    return compared
