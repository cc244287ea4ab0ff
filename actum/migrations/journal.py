"""Upgrades that can be cut off at any statement: MySQL commits each change of the schema by itself.

Before a statement that changes the schema is executed, its digest is kept. The next upgrade meets the same statements
in the same order. Where one complains that its work is done, and its digest was kept by an upgrade that was cut off,
then it is; without the digest, somebody else's table is in the way.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection, Engine, event

from actum.migrations import JOURNAL

__all__ = ["end_journal", "keep_journal"]

_CHANGES_SCHEMA: Final = re.compile(r"\s*(CREATE|ALTER|DROP|RENAME)\b", re.IGNORECASE)
_DONE_BEFORE: Final = frozenset({1050, 1051, 1060, 1061, 1091, 1359, 1360, 1826})
"""MySQL's numbers for what is there already, or is gone already: tables, columns, keys, triggers."""
_MAKE: Final = f"CREATE TABLE IF NOT EXISTS {JOURNAL} (digest CHAR(64) NOT NULL PRIMARY KEY) ENGINE = InnoDB"


def keep_journal(engine: Engine) -> None:
    """From the first change of the schema on, keep the journal, on the connections of this engine."""
    begun = set[str]()  # by this upgrade

    # Any: the driver's cursor, and the parameters that it takes.
    def execute(cursor: Any, statement: str, parameters: Any, context: object) -> bool:
        if not _CHANGES_SCHEMA.match(statement) or JOURNAL in statement:
            return False
        if not begun:
            cursor.execute(_MAKE)
        digest = sha256(statement.encode()).hexdigest()
        fresh = cursor.execute(f"INSERT IGNORE INTO {JOURNAL} VALUES (%s)", (digest,)) == 1 or digest in begun
        begun.add(digest)
        cursor.connection.commit()
        try:
            cursor.execute(statement, parameters)
        except engine.dialect.loaded_dbapi.Error as exc:
            if exc.args[0] in _DONE_BEFORE and not fresh:
                return True
            cursor.execute(f"DELETE FROM {JOURNAL} WHERE digest = %s", (digest,))
            cursor.connection.commit()
            raise
        return True

    event.listen(engine, "do_execute", execute)


def end_journal(connection: Connection) -> None:
    """The upgrade is done. This commits what is still open, as every change of the schema does."""
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {JOURNAL}")
