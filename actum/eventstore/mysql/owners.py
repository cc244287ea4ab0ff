"""The workers' leases in a MySQL store, in the database's time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from actum.errors import StoreRefused
from actum.eventstore.mysql.connection import DatabaseError, do, reason_of
from actum.eventstore.mysql.open import Address
from actum.eventstore.mysql.write import WriteLane

__all__ = ["WorkerLeases"]

_TAKE: Final = (
    "INSERT INTO leases (tenant, name, holder, epoch, until, about) "
    "VALUES (%s, %s, %s, 1, UTC_TIMESTAMP(6) + INTERVAL %s MICROSECOND, %s) "
    "ON DUPLICATE KEY UPDATE until = VALUES(until), about = coalesce(VALUES(about), about)"
)
_RELEASE: Final = "UPDATE leases SET until = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND WHERE tenant = %s AND name = %s"
_LIVING: Final = (
    "SELECT name, TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), until) / 1000000, about FROM leases "
    "WHERE tenant = ? AND name LIKE 'worker/%%' AND until > UTC_TIMESTAMP(6) ORDER BY name"
)
_HELD: Final = "SELECT 1 FROM leases WHERE tenant = ? AND name = ? AND until > UTC_TIMESTAMP(6)"


class WorkerLeases:
    """`Leases` of this tenant. `ask` makes a query on a connection of its own."""

    def __init__(self, address: Address, tenant_no: int, ask: Callable[[str, Sequence[Any]], list[Any]]) -> None:
        self.seconds = address.lease_s
        self._url = address.shown
        self._tenant_no = tenant_no
        self._ask = ask
        self._lane = WriteLane(address)

    def take(self, worker: str, about: str | None = None) -> None:
        self._do(_TAKE, worker, worker[:64], round(self.seconds * 1_000_000), about)

    def release(self, worker: str) -> None:
        self._do(_RELEASE, worker)

    def held(self, worker: str) -> bool:
        return bool(self._ask(_HELD, (self._tenant_no, f"worker/{worker}")))

    def living(self) -> list[tuple[str, float, str | None]]:
        return [(name[7:], float(left), about) for name, left, about in self._ask(_LIVING, (self._tenant_no,))]

    def close(self) -> None:
        self._lane.close()

    def _do(self, sql: str, worker: str, *values: object) -> None:
        try:
            do(self._lane.connection(), sql, (self._tenant_no, f"worker/{worker}", *values))
        except DatabaseError as exc:
            self._lane.undo()
            raise StoreRefused(self._url, f"{reason_of(exc)}; the lease of worker {worker} is as it was") from exc
