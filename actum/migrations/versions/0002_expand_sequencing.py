"""Where a sequencer gives the positions: what waits for one, what has one, and who gives them. Not for files.

On MySQL positions are given in the transaction of the events too; there are leases, since many machines may share it.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    if dialect in ("duckdb", "sqlite"):
        return
    if dialect in ("mysql", "mariadb"):
        by_bytes = "utf8mb4_0900_bin" if dialect == "mysql" else "utf8mb4_nopad_bin"
        names, texts = mysql.VARCHAR(256, collation=by_bytes), mysql.TEXT(collation=by_bytes)
        _make_leases(names, texts, mysql.DATETIME(fsp=6))
        return
    text = sa.Text() if dialect == "postgresql" else sa.String(256)
    op.execute(sa.schema.CreateSequence(sa.Sequence("batches")))
    op.create_table(
        "log",
        sa.Column("seq", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("event", sa.BigInteger(), nullable=False, unique=True),
    )
    op.create_table(
        "pending",
        sa.Column("tenant", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("batch", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("leaves", sa.LargeBinary(), nullable=False),
    )
    _make_leases(text, text, sa.DateTime(timezone=True))
    if dialect == "postgresql":
        _guard()


def _make_leases(
    name: sa.types.TypeEngine[str], holder: sa.types.TypeEngine[str], until: sa.types.TypeEngine[datetime]
) -> None:
    op.create_table(
        "leases",
        sa.Column("tenant", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("name", name, primary_key=True),
        sa.Column("holder", holder, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("until", until, nullable=False),
    )


def _guard() -> None:
    """Defence in depth; the proof is the tree."""
    op.execute(
        "CREATE FUNCTION actum_never_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION '% are never changed: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = '42501'; END $$"
    )
    for table in ("events", "log", "checkpoints"):
        for verb, each in (("UPDATE", "ROW"), ("DELETE", "ROW"), ("TRUNCATE", "STATEMENT")):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"FOR EACH {each} EXECUTE FUNCTION actum_never_changed()"
            )
    # Rows come and go all the time, and a scan over what has gone is what a sequencer would wait for.
    op.execute(
        "ALTER TABLE pending SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, "
        "autovacuum_vacuum_cost_delay = 0)"
    )
