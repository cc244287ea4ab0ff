"""A mapping whose memory stays small: some of it is in memory, the rest in a temporary file of nobody else.

For whoever folds a long log and keeps something for each stream. The file is made when it is first needed, where
`SQLITE_TMPDIR` or `TMPDIR` says, has no name by which another program could open it, and is gone with the process.
"""

from __future__ import annotations

import pickle
import sqlite3
import weakref
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, Generic, TypeVar

from actum.errors import NoTemporaryRoom

__all__ = ["Spilled", "in_step"]

_CACHE_KB: Final = 2_048

_Value = TypeVar("_Value")
_Other = TypeVar("_Other")


class Spilled(Generic[_Value]):
    """Texts and what is kept for each. At most `room` are in memory when `trim` returns, and the newest stay there.

    A value can be changed in place until the next call of a method. None is no value. What can be pickled can be kept.
    Every method may raise `NoTemporaryRoom`.
    """

    def __init__(self, room: int = 16_384) -> None:
        self.room = room
        self.recent: dict[str, _Value] = {}
        """Those in memory. To set one here, and to call `trim` soon, is quicker than to set it in the whole."""
        self._file: sqlite3.Connection | None = None

    def get(self, key: str) -> _Value | None:
        value = self.recent.get(key)
        if value is None and self._file is not None:
            found = self._ask("SELECT value FROM kept WHERE key = ?", (_bytes(key),)).fetchone()
            if found is not None:
                value = self.recent[key] = pickle.loads(found[0])
        return value

    def __setitem__(self, key: str, value: _Value) -> None:
        self.recent[key] = value
        if len(self.recent) > self.room:
            self.trim()

    def remove(self, key: str) -> None:
        self.recent.pop(key, None)
        if self._file is not None:
            self._ask("DELETE FROM kept WHERE key = ?", (_bytes(key),))

    def trim(self) -> None:
        """Write to the file what has no room, and half as much again, so that it is seldom done."""
        if len(self.recent) > self.room:
            oldest = list(islice(self.recent, len(self.recent) - self.room // 2))
            self._write(oldest)
            for key in oldest:
                del self.recent[key]

    def items(self) -> Iterator[tuple[str, _Value]]:
        """All of them, in the order of the texts. Nothing may be set meanwhile."""
        if self._file is None:
            yield from sorted(self.recent.items(), key=lambda item: item[0])
            return
        self._write(list(self.recent))
        for key, value in self._ask("SELECT key, value FROM kept ORDER BY key"):
            yield key.decode("utf-8", "surrogatepass"), pickle.loads(value)

    def __len__(self) -> int:
        if self._file is None:
            return len(self.recent)
        self._write(list(self.recent))
        return int(self._ask("SELECT count(*) FROM kept").fetchone()[0])

    def _write(self, keys: list[str]) -> None:
        rows = ((_bytes(key), pickle.dumps(self.recent[key], pickle.HIGHEST_PROTOCOL)) for key in keys)
        try:
            if self._file is None:
                self._file = _new_file()
                weakref.finalize(self, self._file.close)
            self._file.executemany("INSERT OR REPLACE INTO kept VALUES (?,?)", rows)
        except sqlite3.Error as exc:
            raise NoTemporaryRoom(str(exc)) from exc

    def _ask(self, sql: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        assert self._file is not None
        try:
            return self._file.execute(sql, values)
        except sqlite3.Error as exc:
            raise NoTemporaryRoom(str(exc)) from exc


def in_step(ours: Spilled[_Value], theirs: Spilled[_Other]) -> Iterator[tuple[str, _Value | None, _Other | None]]:
    """Every text of both, in order, with what each of them keeps for it."""
    rest = theirs.items()
    other = next(rest, None)
    for key, value in ours.items():
        while other is not None and other[0] < key:
            yield other[0], None, other[1]
            other = next(rest, None)
        if other is not None and other[0] == key:
            yield key, value, other[1]
            other = next(rest, None)
        else:
            yield key, value, None
    while other is not None:
        yield other[0], None, other[1]
        other = next(rest, None)


def _new_file() -> sqlite3.Connection:
    # The finalizer may run in any thread. Nothing is ever rolled back, and nothing read again after a crash.
    file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    file.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
    file.execute("PRAGMA journal_mode = OFF")
    file.execute("CREATE TABLE kept (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
    file.execute("BEGIN")
    return file


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")
