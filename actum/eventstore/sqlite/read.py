"""The reading half of the SQLite store: any number of threads, each query on a connection of its own."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from actum.errors import StoreRefused
from actum.eventstore.payloads.protection import Protection
from actum.eventstore.payloads.subjects import KeyRows
from actum.eventstore.payloads.vault import open_vault
from actum.eventstore.tables.read import TableReader

__all__ = ["SQLiteReader"]


@contextmanager
def _reading(
    url: str, tenant: str, path: Path, busy_s: float, tenant_no: int, vault: tuple[str, str]
) -> Iterator[SQLiteReader]:
    reader = SQLiteReader(url, tenant, path, read_only=True, busy_s=busy_s)
    reader._tenant_no, reader._base = tenant_no, tenant_no << 40
    reader._protection = Protection(url, tenant, open_vault(*vault), reader._open_rows, lambda: 0)
    try:
        yield reader
    finally:
        reader._drop_idle()
        reader._protection.close()


def _decode_anyhow(text: bytes) -> str:
    return text.decode(errors="replace")


class SQLiteReader(TableReader):
    """One tenant's log in one SQLite file, for reading. `tenant_no` is set by who opens it."""

    def __init__(self, url: str, tenant: str, path: Path, *, read_only: bool, busy_s: float) -> None:
        super().__init__(url, tenant)
        self.path = path.absolute()  # the process may change its folder before the next connection is made
        self._read_only = read_only
        self._busy_s = busy_s
        self._idle: list[sqlite3.Connection] = []

    def _is_damage(self, exc: StoreRefused) -> bool:
        return getattr(exc.__cause__, "sqlite_errorcode", None) == sqlite3.SQLITE_CORRUPT

    def elsewhere(self) -> Callable[[], AbstractContextManager[SQLiteReader]]:
        """What opens this log for reading in another process; it can be sent there."""
        vault = self._protection.vault.names()
        return partial(_reading, self.url, self.tenant, self.path, self._busy_s, self._tenant_no, vault)

    def _open_rows(self) -> KeyRows:
        from actum.eventstore.sqlite.rows import SQLiteRows  # with SQLAlchemy, only when payloads are kept apart

        if self._closed:
            raise StoreRefused(self.url, "the store is closed")
        return SQLiteRows(self.url, self._tenant_no, self._connect, read_only=self._read_only)

    def _ask(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """All rows of one query. The connection is this query's alone; it goes back for the next one, of any thread."""
        if self._closed:
            raise StoreRefused(self.url, "the store is closed")
        try:
            con = self._idle.pop()
        except IndexError:
            con = self._connect()
            con.execute("PRAGMA query_only = ON")
        try:
            try:
                rows = con.execute(sql, values).fetchall()
            except sqlite3.OperationalError as exc:
                if "decode" not in str(exc):
                    raise
                con.text_factory = _decode_anyhow  # somebody put other bytes there: to be found, not stumbled over
                rows = con.execute(sql, values).fetchall()
                con.text_factory = str
        except sqlite3.Error as exc:
            con.close()
            raise self._refusal(exc, "nothing was read") from exc
        self._idle.append(con)
        if self._closed:
            self._drop_idle()
        return rows

    def _hear_others(self, over: threading.Event) -> None:
        """By `data_version`, which says whether another connection has committed, and reads no table."""
        con = self._connect()

        def version() -> int:
            try:
                return int(con.execute("PRAGMA data_version").fetchone()[0])
            except sqlite3.Error as exc:
                raise self._refusal(exc, "nothing was read") from exc

        try:
            self._hear_by_looking(over, version, 0.05)
        finally:
            con.close()

    def _drop_idle(self) -> None:
        while self._idle:
            try:
                self._idle.pop().close()
            except IndexError:
                return  # another thread took it first

    def _connect(self) -> sqlite3.Connection:
        """A connection for any thread (each is used by one at a time) with the settings that the promises need."""
        target = f"file:{quote(str(self.path))}" + ("?mode=ro" if self._read_only else "?mode=rw")
        try:
            con = sqlite3.connect(
                target,
                uri=True,
                isolation_level=None,
                timeout=self._busy_s,
                check_same_thread=False,
                cached_statements=256,
            )
            con.execute("PRAGMA synchronous = FULL")
            con.execute("PRAGMA temp_store = MEMORY")
        except sqlite3.Error as exc:
            raise self._refusal(exc, "nothing was written") from exc
        return con

    def _refusal(self, exc: sqlite3.Error, outcome: str) -> StoreRefused:
        text = str(exc)
        if "locked" in text or "busy" in text:
            return StoreRefused(self.url, f"is locked by another process (waited {self._busy_s:g} s); {outcome}")
        if "readonly" in text:
            return StoreRefused(self.url, f"is read-only; {outcome}")
        if "full" in text:
            return StoreRefused(self.url, f"the disk is full; {outcome}. Make room and append again.")
        if "malformed" in text:
            return StoreRefused(self.url, f"the file is damaged ({text}); {outcome}. Keep it as it is.")
        return StoreRefused(self.url, f"{text}; {outcome}")
