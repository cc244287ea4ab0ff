"""Which executions nobody runs, for many workers at once: each gets others."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from actum.errors import StoreRefused
from actum.eventstore.postgres.connection import DatabaseError, reason_of, texts
from actum.eventstore.postgres.open import Address
from actum.eventstore.postgres.write import WriteLane
from actum.eventstore.tables.owners import KINDS_THAT_RUN, OPEN

__all__ = ["WorkQueue"]

_FREE: Final = """
  SELECT e.tenant, e.id FROM executions e
  WHERE e.tenant = %(tenant)s AND e.status = ANY(%(open)s) AND e.kind = ANY(%(kinds)s)
    AND (%(workflows)s::text[] IS NULL OR e.workflow = ANY(%(workflows)s::text[])) AND NOT e.id = ANY(%(but)s)
    AND (e.owner IS NULL OR NOT EXISTS (SELECT FROM leases w
      WHERE w.tenant = e.tenant AND w.name = 'worker/' || e.owner AND w.until > clock_timestamp()))
    AND NOT EXISTS (SELECT FROM leases c WHERE c.tenant = e.tenant AND c.name = 'claim/' || e.id
      AND c.until > clock_timestamp() AND c.holder <> %(worker)s)
"""
# A row that another worker looks at in this instant is passed over; what it took stays its own for one lease, within
# which its claim is in the log. A worker that looked before that was committed finds the name taken, and gets nothing.
_TAKE: Final = f"""
WITH free AS ({_FREE}
  ORDER BY coalesce(e.priority, 0) DESC, e.started_at, e.id LIMIT %(limit)s FOR UPDATE OF e SKIP LOCKED
), mine AS (
  INSERT INTO leases AS l (tenant, name, holder, epoch, until)
  SELECT tenant, 'claim/' || id, %(worker)s, 1, clock_timestamp() + make_interval(secs => %(seconds)s) FROM free
  ON CONFLICT (tenant, name) DO UPDATE SET holder = excluded.holder, until = excluded.until, epoch = l.epoch + 1
  WHERE l.until < clock_timestamp() OR l.holder = excluded.holder RETURNING name
)
SELECT e.id, e.workflow, e.owner FROM mine JOIN executions e ON e.tenant = %(tenant)s AND 'claim/' || e.id = mine.name
ORDER BY coalesce(e.priority, 0) DESC, e.started_at, e.id
"""
# Only when nothing is free at all: where others are just taking, a claim of this worker may not be in the log yet.
_ANY_FREE: Final = f"SELECT 1 WHERE EXISTS ({_FREE})"
_CLEAN: Final = "DELETE FROM leases WHERE tenant = %(tenant)s AND name LIKE 'claim/%%' AND holder = %(worker)s"


class WorkQueue:
    """The queue of one tenant, as one worker sees it."""

    def __init__(self, address: Address, tenant_no: int) -> None:
        self._url = address.shown
        self._seconds = address.lease_s
        self._tenant_no = tenant_no
        self._lane = WriteLane(address)
        self._took = False

    def take(
        self, worker: str, limit: int, *, workflows: Sequence[str] | None = None, but: Collection[str] = ()
    ) -> list[dict[str, Any]]:
        values = {
            "tenant": self._tenant_no,
            "open": texts(list(OPEN)),
            "kinds": texts(list(KINDS_THAT_RUN)),
            "workflows": None if workflows is None else texts(list(workflows)),
            "but": texts(list(but)),
            "worker": worker[:64],
            "limit": limit,
            "seconds": self._seconds,
        }
        try:
            con = self._lane.connection()
            rows = con.execute(_TAKE.encode(), values).fetchall()
            if rows:
                self._took = True
            elif self._took and con.execute(_ANY_FREE.encode(), values).fetchone() is None:
                con.execute(_CLEAN.encode(), values)
                self._took = False
        except DatabaseError as exc:
            self._lane.undo()
            raise StoreRefused(self._url, f"{reason_of(exc)}; nothing was taken") from exc
        return [dict(zip(("id", "workflow", "owner"), row, strict=True)) for row in rows]

    def close(self) -> None:
        self._lane.close()
