"""Data keys and boxes in PostgreSQL, and how what was removed leaves the tables' files."""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from actum.eventstore.tables.subjects import SqlRows

__all__ = ["PostgresRows"]

_PLAIN_TOO = ("subjects", "protected", "payloads")
_NOW = "SELECT CAST(pg_current_xact_id() AS text)"
_OLDER = (
    "SELECT pg_snapshot_xmin(pg_current_snapshot()) <= CAST(:now AS xid8) OR EXISTS (SELECT FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND greatest(age(backend_xmin), age(backend_xid)) > age(CAST(CAST(:now AS xid8) AS xid)))"
)
_PATIENCE_S = 30
_MINE = "SELECT bool_and(pg_has_role(relowner, 'USAGE')) FROM pg_class WHERE oid = ANY(CAST(:names AS regclass[]))"


class PostgresRows(SqlRows):
    """A removed row stays in its page until a VACUUM FULL writes the table to another file and drops this one.

    The names of subjects and the wrapped keys lie in a small table, which is always written anew; the tables of
    payloads only where payloads lay plain. Nobody can use a table meanwhile.
    """

    def __init__(self, url: str, tenant_no: int, open_engine: Callable[[], Engine]) -> None:
        super().__init__(url, tenant_no, open_engine, in_log=True)

    def scrub(self, *, thorough: bool) -> None:
        anew = _PLAIN_TOO if thorough or self._plain_removed else _PLAIN_TOO[:1]
        try:
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as con:
                if not con.execute(text(_MINE), {"names": list(anew)}).scalar():  # VACUUM would only warn
                    raise self._in_the_way("this role does not own the tables")
                self._wait_for_older(con)
                for table in _PLAIN_TOO:
                    con.execute(text(f"VACUUM {'FULL ' if table in anew else ''}{table}"))
        except DBAPIError as exc:
            raise self._in_the_way(str(exc.orig).splitlines()[0]) from exc
        self._plain_removed = False

    def _wait_for_older(self, con: Connection) -> None:
        """A transaction that began before the rows were removed may still see them, so VACUUM would keep them."""
        now = con.execute(text(_NOW)).scalar()
        deadline = time.monotonic() + _PATIENCE_S
        while con.execute(text(_OLDER), {"now": now}).scalar():
            if time.monotonic() > deadline:
                raise self._in_the_way(f"an older transaction has been open for {_PATIENCE_S} s")
            time.sleep(0.02)
