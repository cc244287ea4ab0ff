"""What the workers of a MySQL store share, in a row that is locked while one of them changes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from actum.errors import StoreRefused
from actum.eventstore.mysql.connection import DatabaseError, ask, reason_of
from actum.eventstore.mysql.connection import do as run
from actum.eventstore.mysql.open import Address
from actum.eventstore.mysql.write import WriteLane

__all__ = ["KeptBook"]

_MAKE: Final = "INSERT IGNORE INTO resources (tenant, version, book) VALUES (%s, 0, '')"
_LOCK: Final = "SELECT book FROM resources WHERE tenant = %s FOR UPDATE"
_NOW: Final = "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
_KEEP: Final = "UPDATE resources SET book = %s, version = version + 1 WHERE tenant = %s"
_READ: Final = "SELECT book FROM resources WHERE tenant = %s"
_VERSION: Final = "SELECT version FROM resources WHERE tenant = %s"


class KeptBook:
    """`SharedBook` of one tenant, on a connection of its own."""

    def __init__(self, address: Address, tenant_no: int) -> None:
        self._url = address.shown
        self._tenant_no = tenant_no
        self._lane = WriteLane(address)
        self._made = False

    def change(self, do: Callable[[bytes, int], bytes]) -> None:
        try:
            con = self._lane.connection()
            if not self._made:
                run(con, _MAKE, (self._tenant_no,))
                self._made = True
            run(con, "START TRANSACTION")
            ((kept,),) = ask(con, _LOCK, (self._tenant_no,))
            ((now_us,),) = ask(con, _NOW)
            after = do(kept, now_us)
            if after != kept:
                run(con, _KEEP, (after, self._tenant_no))
            run(con, "COMMIT")
        except DatabaseError as exc:
            self._lane.undo()
            raise self._away(exc) from exc
        except BaseException:
            self._lane.undo()
            raise

    def read(self) -> tuple[bytes, int]:
        rows = self._ask(_READ, (self._tenant_no,))
        ((now_us,),) = self._ask(_NOW, ())
        return (rows[0][0] if rows else b""), now_us

    def version(self) -> int:
        rows = self._ask(_VERSION, (self._tenant_no,))
        return rows[0][0] if rows else 0

    def close(self) -> None:
        self._lane.close()

    def _ask(self, sql: str, values: tuple[Any, ...]) -> list[Any]:
        try:
            return ask(self._lane.connection(), sql, values)
        except DatabaseError as exc:
            self._lane.undo()
            raise self._away(exc) from exc

    def _away(self, exc: DatabaseError) -> StoreRefused:
        return StoreRefused(self._url, f"{reason_of(exc)}; what workers share is as it was")
