"""What the workers of a PostgreSQL store share, in a row that is locked while one of them changes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from actum.errors import StoreRefused
from actum.eventstore.postgres.connection import DatabaseError, reason_of
from actum.eventstore.postgres.open import Address
from actum.eventstore.postgres.write import BEGIN, WriteLane

__all__ = ["KeptBook"]

_MAKE: Final = "INSERT INTO resources (tenant, version, book) VALUES (%s, 0, '') ON CONFLICT DO NOTHING"
_LOCK: Final = "SELECT book FROM resources WHERE tenant = %s FOR UPDATE"
_NOW: Final = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_KEEP: Final = "UPDATE resources SET book = %s, version = version + 1 WHERE tenant = %s"
_READ: Final = "SELECT book FROM resources WHERE tenant = %s"
_VERSION: Final = "SELECT version FROM resources WHERE tenant = %s"


class KeptBook:
    """`SharedBook` of one tenant, on a connection of its own."""

    def __init__(self, address: Address, tenant_no: int) -> None:
        self._url = address.shown
        self._tenant_no = tenant_no
        self._lane = WriteLane(address)

    def change(self, do: Callable[[bytes, int], bytes]) -> None:
        try:
            con = self._lane.connection()
            con.execute(BEGIN)
            row = con.execute(_LOCK, (self._tenant_no,)).fetchone()
            if row is None:
                con.execute(_MAKE, (self._tenant_no,))
                row = con.execute(_LOCK, (self._tenant_no,)).fetchone()
            assert row is not None
            ((now_us,),) = con.execute(_NOW, ()).fetchall()
            before = bytes(row[0])
            after = do(before, now_us)
            if after != before:
                con.execute(_KEEP, (after, self._tenant_no))
            con.execute("COMMIT")
        except DatabaseError as exc:
            self._lane.undo()
            raise self._away(exc) from exc
        except BaseException:
            self._lane.undo()
            raise

    def read(self) -> tuple[bytes, int]:
        rows = self._ask(_READ, (self._tenant_no,))
        ((now_us,),) = self._ask(_NOW, ())
        return (bytes(rows[0][0]) if rows else b""), now_us

    def version(self) -> int:
        rows = self._ask(_VERSION, (self._tenant_no,))
        return int(rows[0][0]) if rows else 0

    def close(self) -> None:
        self._lane.close()

    def _ask(self, sql: str, values: tuple[Any, ...]) -> list[Any]:
        try:
            return list(self._lane.connection().execute(sql, values).fetchall())
        except DatabaseError as exc:
            self._lane.undo()
            raise self._away(exc) from exc

    def _away(self, exc: DatabaseError) -> StoreRefused:
        return StoreRefused(self._url, f"{reason_of(exc)}; what workers share is as it was")
