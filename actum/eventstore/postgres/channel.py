"""NOTIFY and LISTEN: the sequencer says that the log has grown, and those who wait for it are woken.

It only saves looking. Nothing is missed for good where it cannot be said or heard: who waits looks now and then.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

from actum.errors import StoreError
from actum.eventstore.postgres.connection import Connection, DatabaseError, is_direct, wait_told

__all__ = ["hear", "say"]

_EAR_S = 0.5
"""How late it is seen that nobody wants to hear any more."""
_AGAIN_S = 1.0
"""How long after a connection was lost it is made again."""


def say(con: Connection, tenant_no: int) -> bool:
    """Wake those who listen to this tenant's log; False when the server does not know how.

    It must be a transaction of its own: a commit with NOTIFY in it waits for all others of the database.
    """
    try:
        con.execute(f"NOTIFY {_channel(tenant_no)}".encode())
    except DatabaseError:
        if con.closed:
            raise
        return False
    return True


def hear(connect: Callable[[], Connection], tenant_no: int, tell: Callable[[], None], over: Event) -> None:
    """Tell of what is said until it is over; returns before that where nothing can be heard.

    That is behind a pool, which would hear it in our place, and where a server does not know how.
    """
    while not over.is_set():
        con: Connection | None = None
        try:
            con = connect()
            if not is_direct(con):
                return
            con.execute(f"LISTEN {_channel(tenant_no)}".encode())
            tell()  # of what came before
            while not over.is_set():
                if wait_told(con, _EAR_S):
                    tell()
        except (DatabaseError, StoreError):
            if con is not None and not con.closed:
                return
            over.wait(_AGAIN_S)
        finally:
            if con is not None:
                con.close()


def _channel(tenant_no: int) -> str:
    return f"actum_{tenant_no}"
