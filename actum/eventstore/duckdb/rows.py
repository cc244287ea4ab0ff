"""Data keys and boxes in a DuckDB file, and how what was removed leaves the file itself.

DuckDB lets two transactions go on until one of them would overwrite what the other has changed. So that no box comes
under a key while it is destroyed, whoever writes here takes the tree's row first, as every append does: of two at once
the later one is told before it has written anything, and begins again.

Removing rows is not enough. DuckDB keeps removed rows beside others, and what it writes anew goes to free blocks, while
the old ones keep their bytes. So the tables are written anew, and then every free block is overwritten. A block that is
not full ends in whatever was in memory, also just removed bytes; that is why all of it is done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TypeVar

import duckdb
from duckdb_engine import ConnectionWrapper
from sqlalchemy import Connection, create_engine, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from actum.errors import StoreRefused
from actum.eventstore.payloads.subjects import KeyRow, Which
from actum.eventstore.tables.schema import tree_state
from actum.eventstore.tables.subjects import SqlRows

__all__ = ["DuckDBRows"]

_PLAIN_TOO: Final = ("subjects", "protected", "payloads")
_ROUNDS: Final = 2
_ANEW: Final = (
    "CREATE TEMP TABLE kept AS SELECT * FROM {table}",
    "DELETE FROM {table}",
    "INSERT INTO {table} SELECT * FROM kept",
    "DROP TABLE kept",
)
_LEFT: Final = (
    "SELECT (SELECT coalesce(sum(count), 0) FROM pragma_storage_info('{table}') "
    "WHERE column_id = 0 AND segment_type <> 'VALIDITY') > (SELECT count(*) FROM {table})"
)
"""Whether rows that were removed are still stored: somebody may still see them."""
_NUMBERS_A_BLOCK: Final = 32_768
_MORE_BLOCKS: Final = 3
_FILL: Final = "CREATE OR REPLACE TABLE filler AS SELECT hash(range) AS number FROM range(?)"
"""Numbers that cannot be compressed."""

T = TypeVar("T")


class DuckDBRows(SqlRows):
    """`connect` gives a connection to the file that this process has open, for a thread of its own."""

    def __init__(
        self, url: str, tenant_no: int, connect: Callable[[], duckdb.DuckDBPyConnection], *, read_only: bool
    ) -> None:
        super().__init__(
            url,
            tenant_no,
            lambda: create_engine("duckdb://", creator=lambda: ConnectionWrapper(connect()), poolclass=QueuePool),
            read_only=read_only,
        )
        self._connect = connect

    def add(self, row: KeyRow) -> None:
        _until_first(lambda: super(DuckDBRows, self).add(row))

    def rewrap(self, key: str, before: bytes | None, after: bytes) -> bool:
        return _until_first(lambda: super(DuckDBRows, self).rewrap(key, before, after))

    def destroy(self, key: str, at: str) -> bool:
        return _until_first(lambda: super(DuckDBRows, self).destroy(key, at))

    def remove(self, which: Which) -> int:
        return _until_first(lambda: super(DuckDBRows, self).remove(which))

    def scrub(self, *, thorough: bool) -> None:
        self._check_writable()
        tables = _PLAIN_TOO if thorough or self._plain_removed else _PLAIN_TOO[:1]
        try:
            with self._connect() as con:
                for _ in range(_ROUNDS):
                    con.execute("CHECKPOINT")  # rows that were only in memory would go to the file as they are, removed
                    for table in tables:
                        _write_anew(con, table)
                    con.execute("CHECKPOINT")
                    for table in tables:
                        if con.execute(_LEFT.format(table=table)).fetchall() != [(False,)]:
                            raise self._in_the_way("somebody is reading or writing it")
                    _overwrite_free_blocks(con)
        except duckdb.Error as exc:
            raise self._in_the_way(str(exc).split("\n")[0]) from exc
        self._plain_removed = False

    def _in_the_way(self, problem: str) -> StoreRefused:
        return StoreRefused(
            self._url,
            f"what was erased is removed, but the file could not be written anew ({problem}), and may still hold its "
            "bytes; run `actum erase --finish`",
        )

    @contextmanager
    def _transaction(self, *, writes: bool = False) -> Iterator[Connection]:
        with super()._transaction(writes=writes) as con:
            if writes:
                ours = tree_state.c.tenant == self._tenant_no
                con.execute(update(tree_state).where(ours).values(size=tree_state.c.size))
            yield con


def _write_anew(con: duckdb.DuckDBPyConnection, table: str) -> None:
    while True:
        con.execute("BEGIN")
        try:
            for statement in _ANEW:
                con.execute(statement.format(table=table))
            con.execute("COMMIT")
            return
        except duckdb.TransactionException:  # somebody removed one of the rows meanwhile
            with suppress(duckdb.Error):
                con.execute("ROLLBACK")


def _overwrite_free_blocks(con: duckdb.DuckDBPyConnection) -> None:
    ((free,),) = con.execute("SELECT sum(free_blocks) FROM pragma_database_size()").fetchall()
    con.execute(_FILL, ((int(free) + _MORE_BLOCKS) * _NUMBERS_A_BLOCK,))
    con.execute("CHECKPOINT")
    con.execute("DROP TABLE filler")
    con.execute("CHECKPOINT")


def _until_first(do: Callable[[], T]) -> T:
    """Do it again whenever another transaction was first; each time that happens, one of them has committed."""
    while True:
        try:
            return do()
        except StoreRefused as exc:
            cause = exc.__cause__
            if not (isinstance(cause, DBAPIError) and isinstance(cause.orig, duckdb.TransactionException)):
                raise
