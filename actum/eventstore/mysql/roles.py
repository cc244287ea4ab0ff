"""A user for applications: it may add to the record, and cannot change it. Defence in depth; the proof is the tree.

TRUNCATE asks no trigger in MySQL. It needs the privilege to drop the table, which is not given here.
"""

from __future__ import annotations

import re
from typing import Final

from actum.errors import BadInput, StoreRefused
from actum.eventstore.mysql.connection import DatabaseError, ask, close, do, reason_of
from actum.eventstore.mysql.open import parse_url
from actum.eventstore.tables.schema import NEVER_CHANGED, OWNERS_ONLY, tables_for

__all__ = ["grant_use", "grants_for"]

_NAME: Final = re.compile(r"([^`'\"@\\\x00]{1,80})(?:@([\w.:%/-]{1,255}))?")


def grants_for(user: str) -> list[str]:
    """The statements that let a user or a role, `name` or `name@host`, read and append, and change only views.

    They are given on the tables: what the user may do in the whole database or on the whole server, it still may.
    """
    match = _NAME.fullmatch(user)
    if match is None:
        raise BadInput(f"{user!r} is not the name of a user or role: write name, or name@host")
    name, host = match.groups()
    quoted = f"'{name}'" if host is None else f"'{name}'@'{host}'"
    ours = sorted(table.name for table in tables_for("mysql"))
    verbs = dict.fromkeys(("alembic_version", *ours), "SELECT, INSERT, UPDATE, DELETE")
    verbs |= dict.fromkeys(NEVER_CHANGED, "SELECT, INSERT") | dict.fromkeys(("alembic_version", *OWNERS_ONLY), "SELECT")
    return [f"GRANT {verbs[name]} ON {name} TO {quoted}" for name in ("alembic_version", *ours)]


def grant_use(url: str, user: str) -> list[str]:
    """Do so; returns the statements. One that fails leaves those before it done, and the same again does the rest."""
    address = parse_url(url)
    statements = grants_for(user)
    con = address.connect()
    try:
        if "MariaDB" in ask(con, "SELECT VERSION()")[0][0]:
            do(con, "SET sql_mode = 'NO_AUTO_CREATE_USER'")  # else a user that is not there would be made, and let in
        for statement in statements:
            do(con, statement)
    except DatabaseError as exc:
        raise StoreRefused(address.shown, f"{reason_of(exc)}; not everything was granted") from exc
    finally:
        close(con)
    return statements
