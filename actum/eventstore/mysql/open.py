"""From a URL to a MySQL or MariaDB database with our tables in today's schema, or a clear refusal."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from actum.errors import BadInput, StoreRefused
from actum.eventstore.mysql.connection import Connection, DatabaseError, ask, close, connect, reason_of
from actum.eventstore.tables.server_url import ServerUrl, parse_server_url
from actum.migrations import HEAD, JOURNAL, REVISIONS

__all__ = ["Address", "check_packets", "create_or_upgrade", "parse_url", "prepare", "revision_at", "revision_of"]

_OURS: Final = {"mode": "rw", "busy_timeout": "5", "lease": "2"}
_SECONDS: Final = ("connect_timeout", "read_timeout", "write_timeout")
_SWITCHES: Final = ("ssl_disabled", "ssl_verify_cert", "ssl_verify_identity")
_TEXTS: Final = ("ssl_ca", "ssl_cert", "ssl_key", "ssl_key_password", "unix_socket")
_PACKET: Final = 1 << 20


class Address(NamedTuple):
    """What a store URL says."""

    shown: str
    """The URL without the password: for messages."""
    parameters: dict[str, Any]
    """What the driver needs to connect. Any: each has its own type."""
    read_only: bool
    busy_s: float
    """How long an append waits for another process's commit."""
    lease_s: float
    """After so long without a sign of life, a worker is taken for dead."""

    def connect(self, *, read_only: bool = False) -> Connection:
        """A connection; raises `StoreRefused` when there is no way in."""
        return connect(self.shown, self.parameters, self.busy_s, read_only=read_only or self.read_only)


def parse_url(url: str) -> Address:
    """`mysql://user:password@host:port/database` or the same with `mariadb://`, then our options and the driver's."""
    parts = parse_server_url(url, "mysql://user@host/database", _OURS, (*_SECONDS, *_SWITCHES, *_TEXTS))
    parameters: dict[str, Any] = {"database": parts.database, "host": parts.host or "127.0.0.1", "port": parts.port}
    if parts.user:
        parameters["user"] = parts.user
    if parts.password:
        parameters["password"] = parts.password.encode()  # the driver would write it in Latin-1
    for name, value in parts.drivers.items():
        if name in _SECONDS:
            parameters[name] = parts.seconds(name, least=0.001)
        else:
            parameters[name] = _switch(parts, name) if name in _SWITCHES else value
    if "ssl_ca" in parameters:
        parameters.setdefault("ssl_verify_cert", True)  # who names an authority wants its word
    return Address(
        parts.shown,
        parameters,
        parts.is_read_only(),
        parts.seconds("busy_timeout"),
        parts.seconds("lease", least=0.1),
    )


def _switch(parts: ServerUrl, name: str) -> bool:
    value = parts.drivers[name]
    if value not in ("true", "false"):
        raise BadInput(f"{parts.shown!r}: {name} is true or false, not {value!r}")
    return value == "true"


BLANK: Final = "blank"


def revision_of(address: Address) -> str | None:
    """The revision of our tables, `BLANK` when there are none, None when another program's are in their place.

    Tables whose making was cut off are as good as none: who makes them goes on from there.
    """
    con = address.connect(read_only=True)
    try:
        there = {
            name
            for (name,) in ask(
                con,
                "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() "
                "AND table_name IN ('alembic_version', 'tree_state', 'events', %s)",
                (JOURNAL,),
            )
        }
        row = ask(con, "SELECT version_num FROM alembic_version") if "alembic_version" in there else []
    except DatabaseError as exc:
        raise StoreRefused(address.shown, f"{reason_of(exc)}; nothing was read") from exc
    finally:
        close(con)
    if row:
        return str(row[0][0]) if {"tree_state", "events"} <= there else None
    return BLANK if JOURNAL in there or not {"tree_state", "events"} & there else None


def revision_at(url: str) -> str | None:
    """The schema revision of the store at a URL; None when there is none."""
    found = revision_of(parse_url(url))
    return None if found == BLANK else found


def prepare(address: Address) -> None:
    """Make our tables when they are not there.

    Raises `StoreRefused` when another program's tables are in their place, and for a schema that is older (run
    `actum db upgrade`) or newer than this program.
    """
    found = revision_of(address)
    if found == BLANK:
        if address.read_only:
            raise StoreRefused(address.shown, "there is no store in this database")
        _upgrade(address)
    elif found is None:
        raise StoreRefused(
            address.shown, "another program's tables are where the store's would be; name another database"
        )
    elif found in REVISIONS[:-1]:
        raise StoreRefused(address.shown, f"is of schema {found}, this program needs {HEAD}; run `actum db upgrade`")
    elif found != HEAD:
        raise StoreRefused(
            address.shown,
            f"was written by a newer version (schema {found}, this program knows {HEAD}); upgrade actum to open it",
        )


def check_packets(address: Address, con: Connection) -> None:
    """Raise `StoreRefused` for a server that cannot take the largest event there may be."""
    ((most,),) = ask(con, "SELECT @@max_allowed_packet")
    if most < _PACKET:
        raise StoreRefused(
            address.shown,
            f"its max_allowed_packet is {most:,} bytes, and an event may need {_PACKET:,}; set it higher on the server",
        )


def create_or_upgrade(url: str) -> tuple[str | None, str]:
    """Bring the database to today's schema; returns the revision before, None for no tables, and after.

    Raises `StoreRefused` as `prepare` does, but for a store that is merely older.
    """
    address = parse_url(url)
    found = revision_of(address)
    if found == BLANK or found in REVISIONS[:-1]:
        return _upgrade(address)
    prepare(address)
    return found, HEAD


def _upgrade(address: Address) -> tuple[str | None, str]:
    from sqlalchemy import URL  # with Alembic, only when a schema is made

    from actum.migrations.upgrade import upgrade

    con = address.connect()
    try:
        ((version,),) = ask(con, "SELECT VERSION()")
    except DatabaseError as exc:
        raise StoreRefused(address.shown, f"{reason_of(exc)}; nothing was changed") from exc
    finally:
        close(con)
    dialect = "mariadb+pymysql" if "MariaDB" in version else "mysql+pymysql"
    try:
        return upgrade(URL.create(dialect), charset="utf8mb4", **address.parameters)
    except StoreRefused as exc:
        raise StoreRefused(address.shown, exc.problem) from exc
