"""Data keys and boxes in MySQL, and how what was removed leaves the tables' files."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Engine, create_engine

from actum.eventstore.mysql.connection import DatabaseError, ask, close, do, reason_of
from actum.eventstore.mysql.open import Address
from actum.eventstore.tables.subjects import SqlRows

__all__ = ["MySQLRows"]

_PLAIN_TOO: Final = ("subjects", "protected", "payloads")


class MySQLRows(SqlRows):
    """A removed row stays in its page until the table is written to another file, and this one is deleted.

    The names of subjects and the wrapped keys lie in a small table, which is always written anew; the tables of
    payloads only where payloads lay plain. What the server keeps for all tables together (its logs of changes, of what
    to undo, and for replicas) it overwrites in its own time, and no statement makes it.
    """

    def __init__(self, address: Address, tenant_no: int) -> None:
        super().__init__(address.shown, tenant_no, self._open)
        self._address = address

    def scrub(self, *, thorough: bool) -> None:
        con = self._address.connect()
        try:
            if not ask(con, "SELECT @@innodb_file_per_table")[0][0]:
                raise self._in_the_way("innodb_file_per_table is off, so tables have no files of their own")
            for table in _PLAIN_TOO if thorough or self._plain_removed else _PLAIN_TOO[:1]:
                do(con, f"ALTER TABLE {table} FORCE")  # OPTIMIZE does the same, but failing is not an error there
        except DatabaseError as exc:
            raise self._in_the_way(reason_of(exc)) from exc
        finally:
            close(con)
        self._plain_removed = False

    def _open(self) -> Engine:
        return create_engine("mysql+pymysql://", creator=self._address.connect, isolation_level="READ COMMITTED")
