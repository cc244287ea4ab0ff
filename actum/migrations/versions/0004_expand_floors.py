"""Events that have left for the archive: up to which position, which stream's are where, and that they may go."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_bytes = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")


def upgrade() -> None:
    dialect = op.get_bind().dialect.name

    def refers(target: str) -> list[sa.ForeignKey]:
        return [sa.ForeignKey(target)] if dialect == "sqlite" else []  # as in 0001

    op.create_table(
        "floors",
        sa.Column("tenant", _Big, *refers("tenants.no"), primary_key=True, autoincrement=False),
        sa.Column("position", _Big, nullable=False),
        sa.Column("frontier", _bytes, nullable=False),
        sa.CheckConstraint("position >= 0", name="floors_position"),
    )
    op.create_table(
        "departed",
        sa.Column("tenant", _Big, *refers("tenants.no"), primary_key=True, autoincrement=False),
        sa.Column("stream", _Big, *refers("streams.no"), primary_key=True, autoincrement=False),
        sa.Column("start", _Big, primary_key=True, autoincrement=False),
        sa.Column("until", _Big, nullable=False),
        sa.Column("segment", _Big, nullable=False),
    )
    if dialect == "sqlite":
        _guard_sqlite()
    elif dialect == "postgresql":
        _guard_postgresql()
    elif dialect in ("mysql", "mariadb"):
        _guard_mysql()


def _guard_sqlite() -> None:
    op.execute("DROP TRIGGER events_no_delete")
    op.execute(
        "CREATE TRIGGER events_no_delete BEFORE DELETE ON events WHEN OLD.seq >= (OLD.tenant << 40) + "
        "coalesce((SELECT position FROM floors WHERE tenant = OLD.tenant), 0) "
        "BEGIN SELECT RAISE(ABORT, 'events are never changed: DELETE refused'); END"
    )


def _guard_mysql() -> None:
    op.execute("DROP TRIGGER events_no_delete")
    op.execute(
        "CREATE TRIGGER events_no_delete BEFORE DELETE ON events FOR EACH ROW "
        "IF OLD.seq >= (OLD.tenant << 40) + coalesce((SELECT position FROM floors WHERE tenant = OLD.tenant), 0) "
        "THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'events are never changed: DELETE refused'; END IF"
    )


def _guard_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION actum_only_below_floor() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE at bigint; BEGIN "
        "IF TG_TABLE_NAME = 'log' THEN at := OLD.seq; "
        "ELSE SELECT l.seq INTO at FROM log l WHERE l.event = OLD.seq; END IF; "
        "IF EXISTS (SELECT FROM floors f WHERE f.tenant = at >> 40 AND at < (f.tenant << 40) + f.position) "
        "THEN RETURN OLD; END IF; "
        "RAISE EXCEPTION '% are never changed: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = '42501'; END $$"
    )
    for table in ("events", "log"):
        op.execute(f"DROP TRIGGER {table}_no_delete ON {table}")
        op.execute(
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION actum_only_below_floor()"
        )
