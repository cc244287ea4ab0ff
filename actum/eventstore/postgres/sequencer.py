"""The sequencer: of all processes that have a store open, the one that holds the lease gives the positions.

Appends of its own process get theirs in their own transaction; this thread serves those of all others, and renews the
lease. When its process dies, the lease runs out and another takes it. Two at once do no harm: see `sequence.py`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from actum.errors import StoreError
from actum.eventstore.postgres.channel import say
from actum.eventstore.postgres.connection import Connection, DatabaseError, is_fence, pipeline
from actum.eventstore.postgres.lease import Lease
from actum.eventstore.postgres.open import Address
from actum.eventstore.postgres.sequence import Fence, place, take
from actum.eventstore.postgres.write import BEGIN, WriteLane

__all__ = ["Sequencer", "drain"]

log = logging.getLogger("actum.eventstore")

_POLL_S = (0.002, 0.03)
_SETTINGS = (
    "SELECT set_config('lock_timeout', '2000', true), CASE WHEN current_setting('synchronous_commit') = 'off' "
    "THEN set_config('synchronous_commit', 'on', true) END"
)


def drain(con: Connection, tenant_no: int) -> int:
    """Give positions to what waits, in one transaction; returns to how many batches.

    Raises `Fence` when a rival did so meanwhile: then nothing was done here.
    """
    try:
        with pipeline(con):
            con.execute(BEGIN)
            con.execute(_SETTINGS)
            frontier, waiting = take(con, tenant_no)
        if not waiting:
            con.execute("ROLLBACK")
            return 0
        with pipeline(con):
            place(con, tenant_no, frontier, waiting)
            con.execute("COMMIT")
    except BaseException as exc:
        if not con.closed:
            con.execute("ROLLBACK")
        if isinstance(exc, DatabaseError) and is_fence(exc):
            raise Fence from exc
        raise
    return len(waiting)


class Sequencer:
    """The thread of one open store. `woken` is called when positions were given."""

    def __init__(self, address: Address, tenant_no: int, lease: Lease, woken: Callable[[], None]) -> None:
        self._tenant_no = tenant_no
        self._lease = lease
        self._woken = woken
        self._lane = WriteLane(address)
        self._grown = False
        self._can_say = True
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"actum-sequencer {address.shown}", daemon=True)

    def start(self) -> None:
        """Take the lease when it is free, so that the first append need not wait; then go on in a thread."""
        try:
            self._lease.take(self._lane.connection())
        except DatabaseError as exc:
            log.warning("this process cannot give positions", extra={"problem": str(exc)})
            self._lane.undo()
        self._thread.start()

    def grown(self) -> None:
        """The log has grown: other processes are told soon, once for all that came until then."""
        self._grown = True

    def close(self) -> None:
        """End, and let the next one have the lease at once. What still waits is given its positions by that one."""
        self._stop.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        pause, longest = _POLL_S
        next_take = time.monotonic() + self._lease.seconds / 4
        while not self._stop.is_set():
            try:
                if time.monotonic() >= next_take:
                    self._lease.take(self._lane.connection())
                    next_take = time.monotonic() + self._lease.seconds / 4
                if self._grown and self._can_say and self._lease.ours():
                    self._grown = False
                    self._can_say = say(self._lane.connection(), self._tenant_no)
                if self._lease.ours() and self._serve():
                    pause = _POLL_S[0]
                    continue
                self._stop.wait(pause if self._lease.ours() else self._lease.seconds / 4)
                pause = min(pause * 1.3, longest)
            except Fence:
                self._lease.forget()
            except (DatabaseError, StoreError) as exc:
                log.warning("the sequencer cannot work", extra={"problem": str(exc)})
                self._lease.forget()
                self._lane.undo()
                self._stop.wait(min(self._lease.seconds / 4, 1.0))
        self._leave()

    def _serve(self) -> bool:
        con = self._lane.connection()
        if con.execute("SELECT 1 FROM pending WHERE tenant = %s LIMIT 1", (self._tenant_no,)).fetchone() is None:
            return False
        served = drain(con, self._tenant_no)
        if served:
            self._woken()
        return served > 0

    def _leave(self) -> None:
        try:
            if self._lease.ours():
                self._lease.release(self._lane.connection())
        except (DatabaseError, StoreError) as exc:
            log.warning("the lease could not be given back; it runs out", extra={"problem": str(exc)})
        finally:
            self._lane.close()
