"""Where a sequencer gives the positions: what waits for one, what has one, and who gives them. Not for files."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name in ("duckdb", "sqlite"):
        return  # positions are given in the transaction of the events
    text = sa.Text() if op.get_bind().dialect.name == "postgresql" else sa.String(256)
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
    op.create_table(
        "leases",
        sa.Column("tenant", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("name", text, primary_key=True),
        sa.Column("holder", text, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        _guard()


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
