"""Data keys and boxes in a SQLite file, and how what was removed leaves the file itself.

Removing rows is not enough. SQLite moves rows between pages as a tree grows and shrinks, and the place that a row left
keeps its bytes until something else is written there; `secure_delete` overwrites only what is deleted, not what was
moved before. So the pages are written anew: all of them where payloads lay plain, else those of the data keys alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from actum.errors import StoreRefused
from actum.eventstore.tables.subjects import SqlRows

__all__ = ["SQLiteRows"]

_SUBJECTS_ANEW = (
    "BEGIN IMMEDIATE",
    "CREATE TEMP TABLE kept AS SELECT * FROM subjects",  # in memory
    "DELETE FROM subjects",  # without a condition: every page of the table and its indexes is overwritten
    "INSERT INTO subjects SELECT * FROM kept",
    "DROP TABLE kept",
    "COMMIT",
)


class SQLiteRows(SqlRows):
    """`connect` gives a connection to the file that commits each statement by itself."""

    def __init__(self, url: str, tenant_no: int, connect: Callable[[], sqlite3.Connection], *, read_only: bool) -> None:
        super().__init__(url, tenant_no, self._open, read_only=read_only)
        self._connect = connect

    def scrub(self, *, thorough: bool) -> None:
        self._check_writable()
        try:
            with closing(self._connect()) as con:
                con.execute("PRAGMA secure_delete = ON")
                if thorough or self._plain_removed:
                    con.execute("PRAGMA temp_store = DEFAULT")  # the copy may be larger than memory
                    con.execute("VACUUM")
                else:
                    for statement in _SUBJECTS_ANEW:
                        con.execute(statement)
                # Pages as they were before stand in the write-ahead log, until it is emptied.
                busy, _, _ = con.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as exc:
            raise self._in_the_way(str(exc)) from exc
        if busy:
            raise self._in_the_way("somebody is reading it")
        self._plain_removed = False

    def _in_the_way(self, problem: str) -> StoreRefused:
        return StoreRefused(
            self._url,
            f"what was erased is removed, but the files could not be written anew ({problem}), and may still hold its "
            "bytes; run `actum erase --finish`",
        )

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
