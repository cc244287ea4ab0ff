"""Data keys and boxes in a SQL database, for every backend that has one: the tables `subjects` and `protected`.

Nothing of this is on the path of an append, so it is SQLAlchemy throughout; appends write their boxes themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from actum.errors import StoreRefused
from actum.events import id_bytes, id_text
from actum.eventstore.payloads.subjects import PLAIN, KeyRow, Which
from actum.eventstore.tables.schema import log, payloads, protected, subjects

__all__ = ["SqlRows"]

_AT_ONCE = 500  # values in one statement
_ROW = (
    subjects.c.key,
    subjects.c.subject,
    subjects.c.wrapped,
    subjects.c.created_at,
    subjects.c.destroyed_at,
)


class SqlRows:
    """One tenant's. `open_engine` is called when it is first needed; `in_log` says that `log` has the positions."""

    def __init__(
        self,
        url: str,
        tenant_no: int,
        open_engine: Callable[[], Engine],
        *,
        in_log: bool = False,
        read_only: bool = False,
    ) -> None:
        self._url = url
        self._tenant_no = tenant_no
        self._open_engine = open_engine
        self._in_log = in_log
        self._read_only = read_only
        self._plain_removed = False
        """Whether something that lay plain was removed and the files not written anew since."""

    @cached_property
    def _engine(self) -> Engine:
        return self._open_engine()

    def close(self) -> None:
        """Let go of the connections, if there are any."""
        if "_engine" in self.__dict__:
            self._engine.dispose()

    @property
    def _ours(self) -> ColumnElement[bool]:
        return subjects.c.tenant == self._tenant_no

    # -- keys ----------------------------------------------------------------------------------------------------

    def find(self, keys: Collection[str]) -> list[KeyRow]:
        found: list[KeyRow] = []
        with self._transaction() as con:
            for some in _some([id_bytes(key) for key in keys]):
                found += map(_key_row, con.execute(select(*_ROW).where(self._ours, subjects.c.key.in_(some))))
        return found

    def of(self, subject: str) -> list[KeyRow]:
        with self._transaction() as con:
            return [
                _key_row(row) for row in con.execute(select(*_ROW).where(self._ours, subjects.c.subject == subject))
            ]

    def all(self) -> Iterator[KeyRow]:
        after = ("", b"")
        while True:
            later = (subjects.c.created_at > after[0]) | (
                (subjects.c.created_at == after[0]) & (subjects.c.key > after[1])
            )
            query = select(*_ROW).where(self._ours, later).order_by(subjects.c.created_at, subjects.c.key)
            with self._transaction() as con:
                rows = [_key_row(row) for row in con.execute(query.limit(_AT_ONCE))]
            yield from rows
            if len(rows) < _AT_ONCE:
                return
            after = (rows[-1].created_at, id_bytes(rows[-1].key))

    def add(self, row: KeyRow) -> None:
        values = {**row._asdict(), "key": id_bytes(row.key), "tenant": self._tenant_no}
        try:
            with self._transaction(writes=True) as con:
                con.execute(insert(subjects).values(values))
        except IntegrityError:
            return  # another process was quicker, and the subject has its key

    def rewrap(self, key: str, before: bytes | None, after: bytes) -> bool:
        same = and_(self._ours, subjects.c.key == id_bytes(key), subjects.c.destroyed_at.is_(None))
        old = subjects.c.wrapped.is_(None) if before is None else subjects.c.wrapped == before
        with self._transaction(writes=True) as con:
            return con.execute(update(subjects).where(same, old).values(wrapped=after)).rowcount == 1

    def destroy(self, key: str, at: str) -> bool:
        this = and_(self._ours, subjects.c.key == id_bytes(key))
        with self._transaction(writes=True) as con:
            live = and_(this, subjects.c.destroyed_at.is_(None))
            con.execute(update(subjects).where(live).values(subject=None, wrapped=None, destroyed_at=at))
            return con.execute(select(subjects.c.key).where(this)).first() is not None

    # -- boxes ---------------------------------------------------------------------------------------------------

    def places(self, which: Which) -> list[str]:
        with self._transaction() as con:
            found: list[str] = []
            for condition in self._conditions(con, which):
                query = select(protected.c.place).where(condition, protected.c.place.is_not(None))
                found += con.execute(query).scalars()
            return found

    def in_use(self, places: Collection[str]) -> set[str]:
        used: set[str] = set()
        with self._transaction() as con:
            for some in _some(list(places)):
                ours = and_(protected.c.tenant == self._tenant_no, protected.c.place.in_(some))
                used.update(con.execute(select(protected.c.place).where(ours)).scalars())
        return used

    def remains(self, keys: Collection[str]) -> set[str]:
        found: set[bytes] = set()
        with self._transaction() as con:
            for some in _some([id_bytes(key) for key in keys]):
                alive = and_(self._ours, subjects.c.key.in_(some), subjects.c.destroyed_at.is_(None))
                found.update(map(bytes, con.execute(select(subjects.c.key).where(alive)).scalars()))
                boxed = and_(protected.c.tenant == self._tenant_no, protected.c.key.in_(some))
                found.update(map(bytes, con.execute(select(protected.c.key).where(boxed).distinct()).scalars()))
        return {id_text(key) for key in found}

    def remove(self, which: Which) -> int:
        gone: set[int] = set()
        plain = 0
        with self._transaction(writes=True) as con:
            for condition in self._conditions(con, which):
                found = con.execute(select(protected.c.seq, protected.c.form).where(condition)).all()
                gone.update(seq for seq, _ in found)
                plain += sum(form == PLAIN for _, form in found)
                con.execute(delete(protected).where(condition))
            for some in _some(self._seqs(con, which.beside)):
                beside = con.execute(select(payloads.c.seq).where(payloads.c.seq.in_(some))).scalars().all()
                gone.update(beside)
                plain += len(beside)
                con.execute(delete(payloads).where(payloads.c.seq.in_(some)))
        self._plain_removed = self._plain_removed or plain > 0
        return len(gone)

    def scrub(self, *, thorough: bool) -> None:
        """A backend whose files keep what was removed from them does more."""
        self._check_writable()

    def _check_writable(self) -> None:
        if self._read_only:
            raise StoreRefused(self._url, "is opened read-only; nothing was written")

    def _in_the_way(self, problem: str) -> StoreRefused:
        return StoreRefused(
            self._url,
            f"what was erased is removed, but its tables could not be written anew ({problem}), and their files may "
            "still hold its bytes; run `actum erase --finish` as their owner",
        )

    def _conditions(self, con: Connection, which: Which) -> Iterator[ColumnElement[bool]]:
        ours = protected.c.tenant == self._tenant_no
        if which.key is not None:
            yield and_(ours, protected.c.key == id_bytes(which.key))
        if which.part is not None:
            ours = and_(ours, protected.c.part == which.part)
        for some in _some(self._seqs(con, which.positions)):
            yield and_(ours, protected.c.seq.in_(some))

    def _seqs(self, con: Connection, positions: Collection[int]) -> list[int]:
        """The numbers under which the payloads of the events at these positions lie."""
        base = self._tenant_no << 40
        seqs = [base + position for position in sorted(positions) if 0 <= position < 1 << 40]
        if not self._in_log:
            return seqs
        found: list[int] = []
        for some in _some(seqs):
            found += con.execute(select(log.c.event).where(log.c.seq.in_(some))).scalars()
        return found

    @contextmanager
    def _transaction(self, *, writes: bool = False) -> Iterator[Connection]:
        if writes:
            self._check_writable()
        try:
            with self._engine.execution_options(actum_writes=writes).begin() as con:
                yield con
        except IntegrityError:
            raise
        except DBAPIError as exc:
            raise StoreRefused(self._url, f"{str(exc.orig).splitlines()[0]}; ask again") from exc


def _key_row(row: Any) -> KeyRow:  # Any: a row of any driver
    return KeyRow(id_text(bytes(row[0])), row[1], None if row[2] is None else bytes(row[2]), row[3], row[4])


def _some(values: list[Any]) -> Iterator[list[Any]]:
    rest = iter(values)
    while some := list(islice(rest, _AT_ONCE)):
        yield some
