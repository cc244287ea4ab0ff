"""Which executions nobody runs, for many workers at once: each gets others."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any, Final

from actum.errors import StoreRefused
from actum.eventstore.mysql.connection import Connection, DatabaseError, ask, do, reason_of
from actum.eventstore.mysql.open import Address
from actum.eventstore.mysql.write import WriteLane
from actum.eventstore.tables.owners import KINDS_THAT_RUN, OPEN

__all__ = ["WorkQueue"]

_UNCLAIMED: Final = (
    "NOT EXISTS (SELECT 1 FROM leases c WHERE c.tenant = e.tenant AND c.name = CONCAT('claim/', e.id) "
    "AND c.until > UTC_TIMESTAMP(6) AND c.holder <> %s)"
)
_FREE: Final = (
    "SELECT e.id FROM executions e WHERE e.tenant = %s AND e.status IN {open} AND e.kind IN {kinds} {workflows}{but}"
    "AND (e.owner IS NULL OR NOT EXISTS (SELECT 1 FROM leases w WHERE w.tenant = e.tenant "
    "AND w.name = CONCAT('worker/', e.owner) AND w.until > UTC_TIMESTAMP(6))) "
    f"AND {_UNCLAIMED} ORDER BY COALESCE(e.priority, 0) DESC, e.started_at, e.id LIMIT %s"
)
# By key, so that no other row is locked. One that another worker looks at in this instant is passed over.
_LOCK: Final = (
    "SELECT e.id, e.workflow, e.owner FROM executions e WHERE e.tenant = %s AND e.id IN {ids} "
    "FOR UPDATE OF e SKIP LOCKED"
)
_LOCK_MARIADB: Final = _LOCK.replace(" OF e", "")
# The name decides: of two that come here, the second finds what the first has written, and writes nothing.
_CLAIM: Final = (
    "INSERT INTO leases (tenant, name, holder, epoch, until) "
    "VALUES (%s, %s, %s, 1, UTC_TIMESTAMP(6) + INTERVAL %s MICROSECOND) ON DUPLICATE KEY UPDATE "
    "holder = IF(until < UTC_TIMESTAMP(6), VALUES(holder), holder), "
    "until = IF(holder = VALUES(holder), VALUES(until), until), epoch = epoch + 1"
)
_MINE: Final = "SELECT name FROM leases WHERE tenant = %s AND name IN {names} AND holder = %s FOR UPDATE"
# Only when nothing is free at all: where others are just taking, a claim of this worker may not be in the log yet.
_CLEAN: Final = "DELETE FROM leases WHERE tenant = %s AND name LIKE 'claim/%%' AND holder = %s"
_SPARE: Final = 4
"""Times as many as are wanted that are looked at: others may be taking the first of them."""


class WorkQueue:
    """The queue of one tenant, as one worker sees it. MySQL from 8.0 on, MariaDB from 10.6 on."""

    def __init__(self, address: Address, tenant_no: int) -> None:
        self._url = address.shown
        self._lease_us = round(address.lease_s * 1_000_000)
        self._tenant_no = tenant_no
        self._lane = WriteLane(address)
        self._took = False

    def take(
        self, worker: str, limit: int, *, workflows: Sequence[str] | None = None, but: Collection[str] = ()
    ) -> list[dict[str, Any]]:
        if workflows is not None and not workflows:
            return []
        me = worker[:64]
        try:
            con = self._lane.connection()
            do(con, "START TRANSACTION")
            free = self._free(con, me, _SPARE * limit, workflows, but)
            rows = self._claim(con, me, limit, free)
            if not free and self._took:
                do(con, _CLEAN, (self._tenant_no, me))
            do(con, "COMMIT")
            self._took = bool(free)
        except DatabaseError as exc:
            with suppress(DatabaseError):
                self._lane.undo()
            raise StoreRefused(self._url, f"{reason_of(exc)}; nothing was taken") from exc
        return rows

    def _free(
        self, con: Connection, me: str, limit: int, workflows: Sequence[str] | None, but: Collection[str]
    ) -> list[str]:
        of_these = "" if workflows is None else f"AND e.workflow IN {_marks(workflows)} "
        but_these = f"AND e.id NOT IN {_marks(but)} " if but else ""
        free = _FREE.format(open=_marks(OPEN), kinds=_marks(KINDS_THAT_RUN), workflows=of_these, but=but_these)
        given = (self._tenant_no, *OPEN, *KINDS_THAT_RUN, *(workflows or ()), *but, me, limit)
        return [id_ for (id_,) in ask(con, free, given)]

    def _claim(self, con: Connection, me: str, limit: int, ids: list[str]) -> list[dict[str, Any]]:
        ((version,),) = ask(con, "SELECT VERSION()")
        places = {id_: place for place, id_ in enumerate(ids)}
        lock = _LOCK_MARIADB if "MariaDB" in version else _LOCK
        locked: list[tuple[Any, ...]] = []
        while ids and len(locked) < limit:  # no more than are wanted: what is locked here, others pass over
            some, ids = ids[: limit - len(locked)], ids[limit - len(locked) :]
            found = ask(con, lock.format(ids=_marks(some)), (self._tenant_no, *some))
            locked += sorted(found, key=lambda row: places[row[0]])
        if not locked:
            return []
        names = sorted(f"claim/{row[0]}" for row in locked)
        for name in names:
            do(con, _CLAIM, (self._tenant_no, name, me, self._lease_us))
        mine = {name for (name,) in ask(con, _MINE.format(names=_marks(names)), (self._tenant_no, *names, me))}
        rows = (row for row in locked if f"claim/{row[0]}" in mine)
        return [dict(zip(("id", "workflow", "owner"), row, strict=True)) for row in rows]

    def close(self) -> None:
        self._lane.close()


def _marks(values: Collection[Any]) -> str:
    return f"({', '.join(['%s'] * len(values))})"
