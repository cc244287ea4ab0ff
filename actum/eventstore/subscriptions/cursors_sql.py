"""Marks of consumers in a table of their own database, whatever SQLAlchemy can reach; SQLite files among them.

The table is made when it is not there. It is not the log's: a consumer needs no more than to read the log, and never
takes the lock of a writer to it. `docs/decisions/0010-a-position-lies-with-its-effects.md` says why.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    Connection,
    Engine,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    insert,
    make_url,
    select,
    update,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.schema import CreateTable

from actum.errors import CursorMoved, TargetUnavailable
from actum.eventstore.subscriptions.consumer import Mark

__all__ = ["NAME", "TEXT", "SqlCursors", "open_engine", "unavailable"]

# By itself MySQL takes names that differ in case for the same. This collation is one that each of its kinds has.
NAME: Final = String(256).with_variant(mysql.VARCHAR(256, collation="utf8mb4_bin"), "mysql", "mariadb")
TEXT: Final = Text().with_variant(mysql.TEXT(collation="utf8mb4_bin"), "mysql", "mariadb")

_metadata = MetaData()
_cursors = Table(
    "actum_cursors",
    _metadata,
    Column("tenant", NAME, primary_key=True),
    Column("name", NAME, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("event", String(36), nullable=False),
    Column("moved_us", BigInteger, nullable=False),
)


def _now_us() -> int:
    return time.time_ns() // 1000


class SqlCursors:
    """Marks in the table `actum_cursors`. A handler gets the connection whose transaction moves the mark.

    Statements on that connection are committed with the move; a handler must not commit or roll back by itself.
    """

    def __init__(self, engine: Engine, tenant: str = "default", clock: Callable[[], int] = _now_us) -> None:
        self.engine = engine
        self._tenant = tenant
        self._clock = clock
        make_table(engine, _cursors)

    def load(self, name: str) -> Mark | None:
        with unavailable(self.engine), self.engine.connect() as connection:
            return self._there(connection, name)

    def names(self) -> list[str]:
        """The consumers that have a mark, by name."""
        with unavailable(self.engine), self.engine.connect() as connection:
            found = connection.execute(select(_cursors.c.name).where(_cursors.c.tenant == self._tenant))
            return sorted(found.scalars())

    @contextmanager
    def moving(self, name: str, before: Mark, after: Mark) -> Iterator[Connection]:
        with unavailable(self.engine), self.engine.begin() as connection:
            # The move comes first: it takes the row's lock, so that a rival waits here and then finds it moved.
            self._move(connection, name, before, after)
            yield connection

    def _move(self, connection: Connection, name: str, before: Mark, after: Mark) -> None:
        mine = (_cursors.c.tenant == self._tenant) & (_cursors.c.name == name)
        new = {"position": after.position, "event": after.event, "moved_us": self._clock()}
        done = connection.execute(update(_cursors).where(mine, _cursors.c.position == before.position).values(new))
        if done.rowcount == 1:
            return
        there = self._there(connection, name)
        if there is not None:
            raise CursorMoved(name, before.position, there.position)
        try:
            connection.execute(insert(_cursors).values(tenant=self._tenant, name=name, **new))
        except IntegrityError as exc:  # a rival made the same first move
            raise CursorMoved(name, before.position, after.position) from exc

    def _there(self, connection: Connection, name: str) -> Mark | None:
        row = connection.execute(
            select(_cursors.c.position, _cursors.c.event).where(
                _cursors.c.tenant == self._tenant, _cursors.c.name == name
            )
        ).one_or_none()
        return None if row is None else Mark(row[0], row[1])


def open_engine(url: str | URL, connect: Mapping[str, Any] | None = None) -> Engine:
    """An engine for cursors: a SQLite file is made when it is not there, and waits half a minute for its lock.

    `connect` goes to the driver, for what the URL does not say (Any: each has its own arguments).
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return create_engine(parsed, connect_args={"timeout": 30})
    # MySQL by itself locks the gaps between rows: two consumers that make their first move at once would deadlock.
    return create_engine(parsed, connect_args=dict(connect or {}), pool_pre_ping=True, isolation_level="READ COMMITTED")


def make_table(engine: Engine, table: Table) -> None:
    """Make a table that is not there; several processes may do it at once."""
    for last in (False, True):
        try:
            with unavailable(engine), engine.begin() as connection:
                connection.execute(CreateTable(table, if_not_exists=True))
            return
        except (DBAPIError, TargetUnavailable):  # PostgreSQL: another process was making it just then
            if last:
                raise


@contextmanager
def unavailable(engine: Engine) -> Iterator[None]:
    """What the database says about itself is not about an event: it is tried again, with the same events."""
    try:
        yield
    except (OperationalError, InterfaceError) as exc:
        raise TargetUnavailable(engine.url.render_as_string(), f"the database does not answer ({exc.orig})") from exc
    except DBAPIError as exc:
        if not exc.connection_invalidated:
            raise
        raise TargetUnavailable(engine.url.render_as_string(), f"the connection was lost ({exc.orig})") from exc
