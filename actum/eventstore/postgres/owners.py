"""The workers' leases in a PostgreSQL store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from actum.errors import StoreRefused
from actum.eventstore.postgres.connection import DatabaseError, reason_of
from actum.eventstore.postgres.lease import HELD, Lease
from actum.eventstore.postgres.open import Address
from actum.eventstore.postgres.write import WriteLane

__all__ = ["WorkerLeases"]


_TELL: Final = "UPDATE leases SET about = %s WHERE tenant = %s AND name = %s"
_LIVING: Final = (
    "SELECT name, extract(epoch FROM until - clock_timestamp()), about FROM leases "
    "WHERE tenant = %s AND name LIKE 'worker/%%' AND until > clock_timestamp() ORDER BY name"
)


class WorkerLeases:
    """`Leases` in the table of the sequencer's. `ask` makes a query on a connection of its own."""

    def __init__(self, address: Address, tenant_no: int, ask: Callable[[str, Sequence[Any]], list[Any]]) -> None:
        self.seconds = address.lease_s
        self._url = address.shown
        self._tenant_no = tenant_no
        self._ask = ask
        self._lane = WriteLane(address)

    def take(self, worker: str, about: str | None = None) -> None:
        try:
            con = self._lane.connection()
            self._lease(worker).take(con)
            if about is not None:
                con.execute(_TELL, (about, self._tenant_no, f"worker/{worker}"))
        except DatabaseError as exc:
            self._lane.undo()
            raise StoreRefused(self._url, f"{reason_of(exc)}; worker {worker} has no lease") from exc

    def release(self, worker: str) -> None:
        try:
            self._lease(worker).release(self._lane.connection())
        except DatabaseError as exc:
            self._lane.undo()
            raise StoreRefused(self._url, f"{reason_of(exc)}; the lease of worker {worker} was not ended") from exc

    def held(self, worker: str) -> bool:
        return bool(self._ask(HELD, (self._tenant_no, f"worker/{worker}")))

    def living(self) -> list[tuple[str, float, str | None]]:
        return [(name[7:], float(left), about) for name, left, about in self._ask(_LIVING, (self._tenant_no,))]

    def close(self) -> None:
        self._lane.close()

    def _lease(self, worker: str) -> Lease:
        return Lease(self._tenant_no, f"worker/{worker}", worker[:64], self.seconds)
