"""The reading half of the MySQL store: any number of threads, each query on a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, ClassVar

from actum.errors import StoreRefused
from actum.eventstore.mysql.connection import Connection, DatabaseError, ask, close, is_lost, marked, reason_of
from actum.eventstore.mysql.open import Address
from actum.eventstore.payloads.protection import Protection
from actum.eventstore.payloads.subjects import KeyRows
from actum.eventstore.payloads.vault import open_vault
from actum.eventstore.tables.read import TableReader

__all__ = ["MySQLReader"]


@contextmanager
def _reading(address: Address, tenant: str, tenant_no: int, vault: tuple[str, str]) -> Iterator[MySQLReader]:
    reader = MySQLReader(address._replace(read_only=True), tenant)
    reader._tenant_no, reader._base = tenant_no, tenant_no << 40
    reader._protection = Protection(reader.url, tenant, open_vault(*vault), reader._open_rows, lambda: 0)
    try:
        yield reader
    finally:
        reader._drop_idle()
        reader._protection.close()


class MySQLReader(TableReader):
    """One tenant's log in one MySQL database, for reading. `_tenant_no` and `_base` are set by who opens it."""

    _key: ClassVar[str] = "`key`"
    _poll_s: ClassVar[tuple[float, float]] = (0.002, 0.02)

    def __init__(self, address: Address, tenant: str) -> None:
        super().__init__(address.shown, tenant)
        self._address = address
        self._idle: list[Connection] = []

    def _hear_others(self, over: threading.Event) -> None:
        self._hear_by_looking(over, self.head, 0.5)

    def elsewhere(self) -> Callable[[], AbstractContextManager[MySQLReader]]:
        """What opens this log for reading in another process; it can be sent there."""
        return partial(_reading, self._address, self.tenant, self._tenant_no, self._protection.vault.names())

    def _open_rows(self) -> KeyRows:
        from actum.eventstore.mysql.rows import MySQLRows  # with SQLAlchemy, only when payloads are kept apart

        if self._closed:
            raise StoreRefused(self.url, "the store is closed")
        return MySQLRows(self._address, self._tenant_no)

    def _ask(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """All rows of one query. The connection is this query's alone; it goes back for the next one, of any thread."""
        sql = marked(sql)
        while True:
            if self._closed:
                raise StoreRefused(self.url, "the store is closed")
            try:
                con, fresh = self._idle.pop(), False
            except IndexError:
                con, fresh = self._address.connect(read_only=True), True
            try:
                rows = ask(con, sql, values)
            except DatabaseError as exc:
                gone = is_lost(exc, con)
                close(con)
                if gone and not fresh:
                    continue  # it had died unnoticed, as those kept from before may all have
                raise StoreRefused(self.url, f"{reason_of(exc)}; nothing was read") from exc
            except BaseException:
                close(con)
                raise
            self._idle.append(con)
            if self._closed:
                self._drop_idle()
            return rows

    def _drop_idle(self) -> None:
        while self._idle:
            try:
                close(self._idle.pop())
            except IndexError:
                return  # another thread took it first
