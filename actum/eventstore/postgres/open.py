"""From a URL to a PostgreSQL database with our tables in today's schema, or a clear refusal."""

from __future__ import annotations

from typing import Final, NamedTuple

from actum.errors import BadInput, StoreRefused
from actum.eventstore.postgres.connection import DatabaseError, connect, is_missing_table, reason_of
from actum.eventstore.tables.server_url import parse_server_url
from actum.migrations import HEAD, REVISIONS

__all__ = ["Address", "create_or_upgrade", "parse_url", "prepare", "revision_at", "revision_of"]

_OURS: Final = {"mode": "rw", "busy_timeout": "5", "lease": "2", "answer_timeout": "15"}
_LIBPQ: Final = (
    "application_name",
    "channel_binding",
    "connect_timeout",
    "gssencmode",
    "host",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "options",
    "passfile",
    "password",
    "port",
    "service",
    "sslcert",
    "sslcrl",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
)


class Address(NamedTuple):
    """What a store URL says."""

    shown: str
    """The URL without the password: for messages."""
    parameters: dict[str, str]
    """What libpq needs to connect."""
    read_only: bool
    busy_s: float
    """How long an append waits for a stream that another transaction holds."""
    lease_s: float
    """After so long without a sign of life, another process may take over."""
    answer_s: float
    """How long an append that is durable waits for its positions."""


def parse_url(url: str) -> Address:
    """`postgresql://user:password@host:port/database`, then our options and those of libpq."""
    if not url.startswith("postgresql://"):
        raise BadInput(f"{url!r} is not a PostgreSQL store; write postgresql://user@host/database")
    parts = parse_server_url(url, "postgresql://user@host/database", _OURS, _LIBPQ)
    named = {"host": parts.host, "port": parts.port, "user": parts.user, "password": parts.password}
    parameters = {"dbname": parts.database, "connect_timeout": "10", "application_name": "actum"}
    parameters |= {name: str(value) for name, value in named.items() if value} | parts.drivers
    return Address(
        parts.shown,
        parameters,
        parts.is_read_only(),
        parts.seconds("busy_timeout"),
        parts.seconds("lease", least=0.1),
        parts.seconds("answer_timeout"),
    )


BLANK: Final = "blank"


def revision_of(address: Address) -> str | None:
    """The revision of our tables, `BLANK` when there are none, None when another program's are in their place."""
    con = connect(address.shown, address.parameters)
    try:
        found = con.execute(
            "SELECT to_regclass('alembic_version')::text, to_regclass('tree_state')::text, to_regclass('events')::text"
        ).fetchone()
        versions, tree, events = found or (None, None, None)
        if versions is None:
            return BLANK if tree is None and events is None else None
        row = con.execute("SELECT version_num FROM alembic_version").fetchone()
        if tree is None or events is None:
            return None if row is not None or tree is not None or events is not None else BLANK
        return str(row[0]) if row is not None else None
    except DatabaseError as exc:
        if is_missing_table(exc):
            return BLANK
        raise StoreRefused(address.shown, f"{reason_of(exc)}; nothing was read") from exc
    finally:
        con.close()


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
    if found == HEAD:
        return
    if found == BLANK:
        if address.read_only:
            raise StoreRefused(address.shown, "there is no store in this database")
        _upgrade(address)
        return
    if found is None:
        raise StoreRefused(
            address.shown,
            "another program's tables are where the store's would be; name another database, or a schema of its own "
            "with ?options=-csearch_path%3DNAME",
        )
    if found in REVISIONS:
        raise StoreRefused(address.shown, f"is of schema {found}, this program needs {HEAD}; run `actum db upgrade`")
    raise StoreRefused(
        address.shown,
        f"was written by a newer version (schema {found}, this program knows {HEAD}); upgrade actum to open it",
    )


def create_or_upgrade(url: str) -> tuple[str | None, str]:
    """Bring the database to today's schema; returns the revision before, None for no tables, and after.

    Raises `StoreRefused` as `prepare` does, but for a store that is merely older.
    """
    address = parse_url(url)
    found = revision_of(address)
    if found == BLANK or (found in REVISIONS and found != HEAD):
        return _upgrade(address)
    prepare(address)
    return found, HEAD


def _upgrade(address: Address) -> tuple[str | None, str]:
    from sqlalchemy import URL  # with Alembic, only when a schema is made

    from actum.migrations.upgrade import upgrade

    try:
        return upgrade(URL.create("postgresql+psycopg"), prepare_threshold=None, **address.parameters)
    except StoreRefused as exc:
        raise StoreRefused(address.shown, exc.problem) from exc
