"""What a worker says of itself, beside its lease."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    kept = sa.String(4000).with_variant(sa.Text(), "postgresql")
    for dialect, collation in (("mysql", "utf8mb4_0900_bin"), ("mariadb", "utf8mb4_nopad_bin")):
        kept = kept.with_variant(mysql.TEXT(collation=collation), dialect)
    if op.get_bind().dialect.name in ("postgresql", "mysql", "mariadb"):  # elsewhere there are no leases
        op.add_column("leases", sa.Column("about", kept))
