"""Bring a database to today's schema, or say how far it is."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.ddl.impl import DefaultImpl
from alembic.runtime.migration import MigrationContext
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from actum.errors import StoreRefused
from actum.migrations import HEAD, REVISIONS
from actum.migrations.journal import end_journal, keep_journal

__all__ = ["current_revision", "upgrade"]

_TURNS = 0x6163_7475_6D  # the lock under which upgrades of one PostgreSQL database take turns: "actum"


class _DuckDB(DefaultImpl):
    """All that Alembic needs to know of DuckDB; it finds the class by the dialect's name."""

    __dialect__ = "duckdb"
    transactional_ddl = True


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config


def current_revision(connection: Connection) -> str | None:
    """The revision the database is at; None for a database without our tables."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(url: str | URL, **connect: Any) -> tuple[str | None, str]:
    """Run every revision the database lacks, in one transaction; returns the revision before and after.

    `connect` is for the driver (Any: each has its own arguments).

    Safe to call from several processes at once: one does it, the others wait and find it done. Raises `StoreRefused`,
    and changes nothing, when the database is newer than this program or is no database. MySQL knows no transaction
    for this: an upgrade that fails or is cut off there is completed by the next one.
    """
    engine = create_engine(url, poolclass=NullPool, connect_args=connect)
    shown = engine.url.render_as_string()  # without the password
    if engine.dialect.name == "sqlite":
        _with_whole_transactions(engine)
    on_mysql = engine.dialect.name in ("mysql", "mariadb")
    if on_mysql:
        keep_journal(engine)
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_TURNS})")
            elif on_mysql:
                _take_turns(connection, shown)
            before = current_revision(connection)
            if before is not None and before not in REVISIONS:
                raise StoreRefused(
                    shown,
                    f"was written by a newer version (schema {before}, this program knows {HEAD}); upgrade actum",
                )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Alembic's own, about reflection on SQLite
                command.upgrade(_config(connection), "head")
            if on_mysql:
                end_journal(connection)
    except DBAPIError as exc:
        left = "what was changed stays, and the next upgrade goes on from there" if on_mysql else "nothing was changed"
        raise StoreRefused(shown, f"cannot be upgraded: {str(exc.orig).splitlines()[0]}; {left}") from exc
    finally:
        engine.dispose()
    return before, HEAD


def _take_turns(connection: Connection, shown: str) -> None:
    """On MySQL, hold a lock of the connection until it is closed; waits a minute for another upgrade to end."""
    got = connection.exec_driver_sql("SELECT GET_LOCK(CONCAT('actum upgrade ', MD5(DATABASE())), 60)").scalar()
    if got != 1:
        raise StoreRefused(shown, "another process is upgrading it (waited 60 s); nothing was changed")
    connection.exec_driver_sql("SET default_storage_engine = InnoDB")


def _with_whole_transactions(engine: Engine) -> None:
    """Put SQLite's schema changes into the transaction too: the driver by itself commits each one on its own.

    `BEGIN IMMEDIATE` also makes two processes that create the same file take turns.
    """

    @event.listens_for(engine, "connect")
    def leave_transactions_to_us(connection: Any, _: object) -> None:  # Any: the driver's connection
        connection.isolation_level = None
        connection.execute("PRAGMA busy_timeout = 30000")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
