"""What executions are found by, and in which order they are taken up. Older programs leave both empty."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(length: int) -> sa.types.TypeEngine[str]:
    """Text, as in 0001."""
    kept = sa.String(length).with_variant(sa.Text(), "postgresql")
    for dialect, collation in (("mysql", "utf8mb4_0900_bin"), ("mariadb", "utf8mb4_nopad_bin")):
        kept = kept.with_variant(mysql.TEXT(collation=collation), dialect)
    return kept


def upgrade() -> None:
    op.add_column("executions", sa.Column("priority", _Big))
    op.add_column("executions", sa.Column("labels", _text(16_384)))
