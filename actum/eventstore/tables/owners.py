"""Who is alive among the workers of many machines: each renews a lease in the database's time.

And what a worker may take: executions that are open, and whose owner is not alive.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, Final, NamedTuple, Protocol

import orjson

from actum.errors import StoreError

__all__ = ["KINDS_THAT_RUN", "OPEN", "LeaseOwners", "Leases", "Living"]

log = logging.getLogger("actum.eventstore")


OPEN: Final = ("running", "waiting", "compensating")
"""Statuses of executions that a worker should have."""
KINDS_THAT_RUN: Final = ("function", "graph", "asl", "serverless")


class Living(NamedTuple):
    """A worker that is alive: its name, for how long that is sure without another sign, and what it says of itself."""

    name: str
    left_s: float | None
    about: dict[str, Any]


class Leases(Protocol):
    """The workers' leases in one store's database. All but `close` raise `StoreError` when it does not answer."""

    seconds: float
    """How long a lease lasts that is not renewed."""

    def take(self, worker: str, about: str | None = None) -> None:
        """Take or renew a worker's lease, whoever had it: one that is started again takes its own back at once.

        `about` is what it says of itself; None leaves what it said.
        """

    def release(self, worker: str) -> None:
        """End a worker's lease at once."""

    def held(self, worker: str) -> bool:
        """Whether a worker's lease has not run out. May be called from any thread."""

    def living(self) -> list[tuple[str, float, str | None]]:
        """Every worker whose lease has not run out, for how many seconds, and what it says of itself."""

    def close(self) -> None:
        """Let go of the database. It may be used again."""


class LeaseOwners:
    """A worker is alive while its lease is renewed; a dead one is taken for alive for one lease at most.

    What makes taking over safe is the version of the execution's stream, so a worker that was only slow loses nothing
    but its executions. The store ends all leases that are held on it when it is closed: who held one can write nothing
    any more.
    """

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._held: set[str] = set()
        self._untold: dict[str, str] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def hold(self, worker: str) -> None:
        with self._lock:
            self._leases.take(worker)
            self._held.add(worker)
            if self._thread is None:
                self._stop.clear()
                self._thread = threading.Thread(target=self._renew, name="actum-worker-lease", daemon=True)
                self._thread.start()

    def release(self, worker: str) -> None:
        with self._lock:
            held = worker in self._held
            self._held.discard(worker)
            last = not self._held
        if last and self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None
        if not held:
            return
        with self._lock:
            try:
                self._leases.release(worker)
            except StoreError as exc:
                log.warning("a worker's lease could not be given back; it runs out", extra={"problem": str(exc)})
            if last:
                self._leases.close()

    def alive(self, worker: str) -> bool:
        if worker in self._held:
            return True
        return bool(worker) and self._leases.held(worker)

    def living(self) -> list[Living]:
        """Every worker that is alive."""
        return [
            Living(name, left_s, orjson.loads(about) if about else {}) for name, left_s, about in self._leases.living()
        ]

    def tell(self, worker: str, about: dict[str, Any]) -> None:
        """Say this of a worker, when its lease is renewed next."""
        self._untold[worker] = orjson.dumps(about).decode()

    def close(self) -> None:
        """End every lease that is held here, and stop renewing. The store calls it."""
        for worker in list(self._held):
            self.release(worker)

    def _renew(self) -> None:
        failing = False
        while not self._stop.wait(self._leases.seconds / 4):
            with self._lock:
                try:
                    for worker in self._held:
                        about = self._untold.get(worker)
                        self._leases.take(worker, about)
                        if about is not None and self._untold.get(worker) is about:
                            del self._untold[worker]
                except StoreError as exc:
                    if not failing:  # a database that is gone for good is not spoken of for ever
                        log.warning("leases cannot be renewed; trying until they can be", extra={"problem": str(exc)})
                    failing = True
                else:
                    if failing:
                        log.warning("leases are renewed again", extra={"workers": sorted(self._held)})
                    failing = False
