"""Giving positions, inside a transaction: what waits, in the order of its numbers, goes to the end of the log.

The order is that of batch numbers. A batch takes its number when its streams are locked, so each stream's events come
in the order of their versions; and the events of one batch stay together. Only `UPDATE tree_state … WHERE size =
expected` makes this safe: whoever had another idea of where the log ends writes nothing. The lease (`lease.py`)
makes it fast, because nobody else tries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actum.errors import StoreDamaged
from actum.events.merkle import Frontier
from actum.eventstore.postgres.connection import Connection, bigints
from actum.eventstore.postgres.read import BATCH_BITS

__all__ = ["MOST", "Fence", "Waiting", "place", "take"]

MOST: Final = 4_000
"""Batches that one transaction gives positions to."""

Waiting = list[tuple[int, list[bytes]]]
"""Numbers of batches, in order, with the leaves of their events."""


# Where no row moved, this divides by zero: what comes after it in the pipeline, the commit too, is then not done.
_PLACE: Final = (
    "WITH moved AS (UPDATE tree_state t SET size = %s, frontier = %s WHERE tenant = %s AND size = %s "
    "AND NOT (%s AND EXISTS (SELECT 1 FROM pending q WHERE q.tenant = t.tenant)) RETURNING 1) "
    f"INSERT INTO log (seq, event) SELECT first + i, (batch << {BATCH_BITS}) + i FROM "
    "unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS u (first, batch, last), generate_series(0, last) AS i "
    "WHERE 1 / (SELECT count(*) FROM moved) = 1"
)


class Fence(Exception):
    """Another sequencer has moved the end of the log. This one's transaction must be undone."""


def take(con: Connection, tenant_no: int) -> tuple[Frontier, Waiting]:
    """The tree, locked, and the batches that wait, which are taken off the list: at most `MOST`, the oldest.

    To be called inside a transaction, and a pipeline.
    """
    tree = con.execute("SELECT size, frontier FROM tree_state WHERE tenant = %s FOR UPDATE", (tenant_no,))
    taken = con.execute(
        "DELETE FROM pending WHERE tenant = %s AND batch <= (SELECT max(batch) FROM "
        "(SELECT batch FROM pending WHERE tenant = %s ORDER BY batch LIMIT %s) AS oldest) RETURNING batch, leaves",
        (tenant_no, tenant_no, MOST),
    )
    row = tree.fetchone()
    rows = sorted(taken.fetchall())
    if row is None:
        raise StoreDamaged(0, "the state of the tree is missing; nothing was written")
    size, data = row
    try:
        frontier = Frontier.from_bytes(data)
    except ValueError as exc:
        raise StoreDamaged(size, f"the state of the tree cannot be read ({exc}); nothing was written") from exc
    if frontier.size != size:
        raise StoreDamaged(size, f"the tree has {frontier.size} leaves there; nothing was written")
    return frontier, [(batch, [raw[at : at + 32] for at in range(0, len(raw), 32)]) for batch, raw in rows]


def place(
    con: Connection,
    tenant_no: int,
    frontier: Frontier,
    batches: Sequence[tuple[int, list[bytes]]],
    *,
    alone: bool = False,
) -> tuple[list[int], Frontier]:
    """Put these batches at the end of the log; returns the first position of each, and the tree with them.

    To be called inside the transaction and a pipeline; the database refuses (`is_fence`), so that
    nothing can be committed, when the log does not end where `frontier` says, or, with
    `alone`, when anything waits that would have to come first.
    """
    base, size = tenant_no << 40, frontier.size
    firsts: list[int] = []
    at = size
    for _, leaves in batches:
        firsts.append(at)
        at += len(leaves)
    grown = frontier.copy()
    grown.extend([leaf for _, leaves in batches for leaf in leaves])
    con.execute(
        _PLACE,
        (
            grown.size,
            grown.to_bytes(),
            tenant_no,
            size,
            alone,
            bigints([base + first for first in firsts]),
            bigints([number for number, _ in batches]),
            bigints([len(leaves) - 1 for _, leaves in batches]),
        ),
    )
    return firsts, grown
