"""What the workers of a store share: one row a tenant, which they change one after the other."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name not in ("postgresql", "mysql", "mariadb"):  # elsewhere it lies beside the store
        return
    kept = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")
    op.create_table(
        "resources",
        sa.Column("tenant", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("book", kept, nullable=False),
    )
