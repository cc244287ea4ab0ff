"""A role for applications: it may add to the record, and cannot change it. Defence in depth; the proof is the tree."""

from __future__ import annotations

from actum.errors import BadInput, StoreRefused
from actum.eventstore.postgres.connection import DatabaseError, connect, reason_of
from actum.eventstore.postgres.open import parse_url
from actum.eventstore.tables.schema import NEVER_CHANGED, OWNERS_ONLY, tables_for

__all__ = ["grant_use", "grants_for"]


def grants_for(role: str) -> list[str]:
    """The statements that let a role read and append, and change only what is computed from the record."""
    quoted = '"' + role.replace('"', '""') + '"'
    changing = sorted(
        table.name for table in tables_for("postgresql") if table.name not in (*NEVER_CHANGED, *OWNERS_ONLY)
    )
    return [
        f"REVOKE ALL ON alembic_version, {', '.join([*NEVER_CHANGED, *OWNERS_ONLY, *changing])} FROM {quoted}",
        f"GRANT SELECT ON alembic_version, {', '.join(OWNERS_ONLY)} TO {quoted}",
        f"GRANT SELECT, INSERT ON {', '.join(NEVER_CHANGED)} TO {quoted}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {', '.join(changing)} TO {quoted}",
        f"GRANT USAGE ON SEQUENCE batches TO {quoted}",
    ]


def grant_use(url: str, role: str) -> list[str]:
    """Do so, in one transaction, as the owner of the tables; returns the statements."""
    if not role or "\0" in role:
        raise BadInput(f"{role!r} is not the name of a role")
    address = parse_url(url)
    statements = grants_for(role)
    con = connect(address.shown, address.parameters)
    try:
        con.execute("BEGIN")
        for statement in statements:
            con.execute(statement.encode())
        con.execute("COMMIT")
    except DatabaseError as exc:
        raise StoreRefused(address.shown, f"{reason_of(exc)}; nothing was granted") from exc
    finally:
        con.close()
    return statements
