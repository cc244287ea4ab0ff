"""Proving the views: every row that the store keeps, against the rows that the log gives when it is folded again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from actum.events import RecordedEvent
from actum.eventstore.check.verdict import Faults
from actum.eventstore.protocol import EventStore
from actum.eventstore.views import VIEWS

__all__ = ["Rebuild", "Views", "compare_views", "read_views"]

Views = Mapping[str, Mapping[tuple[str, ...], Mapping[str, Any]]]
"""View → key → the row's other columns."""


class Rebuild(Protocol):
    """Folds a log into the rows its views must have. A pure function; a view it leaves out must have no rows."""

    def __call__(self, events: Iterator[RecordedEvent], /) -> Views: ...


def read_views(store: EventStore) -> Views:
    """Every row of every view, as the store keeps them."""
    return {
        name: {
            tuple(row[column] for column in shape.key): {column: row[column] for column in shape.columns}
            for row in store.view(name)
        }
        for name, shape in VIEWS.items()
    }


def compare_views(kept: Views, wanted: Views, faults: Faults) -> int:
    """Compare entirely; returns how many rows were compared."""
    compared = 0
    for name in VIEWS:
        rows, others = kept.get(name, {}), wanted.get(name, {})
        compared += len(rows)
        for key, row in rows.items():
            other = others.get(key)
            if other is None:
                faults.beside(f"view {name}, key {'/'.join(map(str, key))}: the row does not follow from the log")
            elif dict(other) != row:
                column = next(c for c in VIEWS[name].columns if c not in other or other[c] != row[c])
                faults.beside(
                    f"view {name}, key {'/'.join(map(str, key))}: {column} is {row[column]!r}, the log gives "
                    f"{other.get(column)!r}"
                )
        for key in others.keys() - rows.keys():
            faults.beside(f"view {name}, key {'/'.join(map(str, key))}: the row is missing")
    return compared
