"""Who is alive among the workers of many machines: each renews a lease in the database's time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from actum.errors import StoreError, StoreRefused
from actum.eventstore.postgres_connection import DatabaseError, reason_of
from actum.eventstore.postgres_lease import HELD, Lease
from actum.eventstore.postgres_open import Address
from actum.eventstore.postgres_write import WriteLane

__all__ = ["LeaseOwners"]

log = logging.getLogger("actum.eventstore")


class LeaseOwners:
    """A worker is alive while its lease is renewed; a dead one is taken for alive for one lease at most.

    What makes taking over safe is the version of the execution's stream, so a worker that was only slow loses nothing
    but its executions.
    """

    def __init__(self, address: Address, tenant_no: int, ask: Callable[[str, Sequence[Any]], list[Any]]) -> None:
        self._url = address.shown
        self._ask = ask
        self._seconds = address.lease_s
        self._tenant_no = tenant_no
        self._lane = WriteLane(address)
        self._leases: dict[str, Lease] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def hold(self, worker: str) -> None:
        # The holder is the worker itself: one that is started again takes its own back at once.
        lease = Lease(self._tenant_no, f"worker/{worker}", worker[:64], self._seconds)
        with self._lock:
            try:
                lease.take(self._lane.connection())
            except DatabaseError as exc:
                self._lane.undo()
                raise StoreRefused(self._url, f"{reason_of(exc)}; worker {worker} has no lease") from exc
            self._leases[worker] = lease
            if self._thread is None:
                self._stop.clear()
                self._thread = threading.Thread(target=self._renew, name="actum-worker-lease", daemon=True)
                self._thread.start()

    def release(self, worker: str) -> None:
        with self._lock:
            lease = self._leases.pop(worker, None)
            last = not self._leases
        if last and self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None
        if lease is None:
            return
        with self._lock:
            try:
                lease.release(self._lane.connection())
            except (DatabaseError, StoreError) as exc:
                log.warning("a worker's lease could not be given back; it runs out", extra={"problem": str(exc)})
            if last:
                self._lane.close()

    def alive(self, worker: str) -> bool:
        if worker in self._leases:
            return True
        if not worker:
            return False
        return bool(self._ask(HELD, (self._tenant_no, f"worker/{worker}")))

    def _renew(self) -> None:
        while not self._stop.wait(self._seconds / 4):
            with self._lock:
                try:
                    for lease in self._leases.values():
                        lease.take(self._lane.connection())
                except (DatabaseError, StoreError) as exc:
                    log.warning("a worker's lease could not be renewed", extra={"problem": str(exc)})
                    self._lane.undo()
