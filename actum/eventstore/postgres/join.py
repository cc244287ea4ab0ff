"""Appending inside somebody else's transaction: the events come with it, or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from actum.errors import BadInput, StoreRefused, StoreUnavailable, VersionConflict
from actum.eventstore.expected import check_batch, names_in
from actum.eventstore.payloads.protection import Protection
from actum.eventstore.postgres.connection import (
    Connection,
    DatabaseError,
    constraint_of,
    driver_connection,
    in_transaction,
    is_lost,
    is_value,
    pipeline,
    reason_of,
    savepoint,
)
from actum.eventstore.postgres.group import Group, heads_of
from actum.eventstore.postgres.write import recorded_before
from actum.eventstore.protocol import Batch

if TYPE_CHECKING:
    from sqlalchemy import Connection as AlchemyConnection

__all__ = ["Joined", "join"]


class Joined(NamedTuple):
    """An append that will be there when its transaction is committed: the events' numbers and the new versions."""

    events: Sequence[int]
    versions: Mapping[str, int]


def join(
    connection: AlchemyConnection, url: str, tenant: str, tenant_no: int, protection: Protection, now: str, batch: Batch
) -> Joined:
    """Append in the connection's transaction, behind a savepoint; see `PostgresStore.append_in`."""
    ids = check_batch(batch, protection.limit_bytes)
    if not connection.in_transaction():
        raise BadInput("append_in needs a connection with a transaction begun; nothing was written")
    con = driver_connection(connection.connection.driver_connection)
    if con is None:
        raise BadInput(
            f"append_in needs a connection of the psycopg driver, not {connection.dialect.driver!r}; "
            "nothing was written"
        )
    if not in_transaction(con):
        raise BadInput(
            "append_in needs a transaction that can be committed: this connection is in autocommit mode, or its "
            "transaction has failed; nothing was written"
        )
    for last in (False, False, True):
        try:
            with savepoint(con):
                return _join(con, url, tenant, tenant_no, protection, now, batch, ids)
        except DatabaseError as exc:
            if is_lost(exc, con):
                raise StoreUnavailable(reason_of(exc)) from exc
            if is_value(exc):
                raise BadInput(f"{reason_of(exc)}; nothing was written") from exc
            if constraint_of(exc) == "events_by_id" and (before := recorded_before(con, tenant_no, protection, batch)):
                return Joined(*before)
            if constraint_of(exc) != "streams_by_name" or last:  # made by another process since we looked: look again
                raise StoreRefused(url, f"{reason_of(exc)}; nothing was written") from exc
    raise AssertionError("the last try returns or raises")


def _join(
    con: Connection,
    url: str,
    tenant: str,
    tenant_no: int,
    protection: Protection,
    now: str,
    batch: Batch,
    ids: list[bytes],
) -> Joined:
    row = con.execute("SELECT no FROM tenants WHERE name = %s", (tenant,)).fetchone()
    if row is None or row[0] != tenant_no:
        raise BadInput(f"append_in needs a connection to the store's own database, {url}; nothing was written")
    with pipeline(con):
        heads, _, numbers = heads_of(con, tenant_no, names_in([batch]), 1, wait=True)
    group = Group(tenant, tenant_no, now, heads)
    try:
        written = group.add(batch, ids, numbers[0])
    except VersionConflict:
        before = recorded_before(con, tenant_no, protection, batch)
        if before is None:
            raise
        return Joined(*before)
    with pipeline(con):
        group.write(con, pending=True)
    return Joined(*written)
