"""Data keys and boxes in a SQLite file: what is removed is overwritten, in the file and in the write-ahead log."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from actum.errors import StoreRefused
from actum.eventstore.subjects import Which
from actum.eventstore.subjects_sql import SqlRows

__all__ = ["SQLiteRows"]


class SQLiteRows(SqlRows):
    """`connect` gives a connection to the file that commits each statement by itself."""

    def __init__(self, url: str, tenant_no: int, connect: Callable[[], sqlite3.Connection], *, read_only: bool) -> None:
        super().__init__(url, tenant_no, self._open)
        self._connect = connect
        self._read_only = read_only

    def destroy(self, key: str, at: str) -> bool:
        self._check_writable()
        return super().destroy(key, at)

    def remove(self, which: Which) -> int:
        self._check_writable()
        gone = super().remove(which)
        # Pages as they were before stand in the write-ahead log until it is emptied. A reader may keep us from it;
        # then the next checkpoint does it.
        with closing(self._connect()) as con:
            con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return gone

    def _check_writable(self) -> None:
        if self._read_only:
            raise StoreRefused(self._url, "is opened read-only; nothing was destroyed")

    def _open(self) -> Engine:
        def connect() -> sqlite3.Connection:
            con = self._connect()
            con.execute("PRAGMA secure_delete = ON")
            return con

        engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool)

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:  # the driver leaves transactions to us
            # Who reads first and then writes would be refused when another has written in between.
            writes = connection.get_execution_options().get("actum_writes")
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

        return engine
