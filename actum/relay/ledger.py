"""What relays keep about themselves beside their marks: where they deliver, what is wrong, and each webhook attempt."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from actum.errors import BadInput
from actum.eventstore.subscriptions.cursors_sql import NAME, TEXT, SqlCursors, make_table, unavailable
from actum.relay.webhook_log import Delivered

__all__ = ["Ledger", "RelayRow"]

_KEPT = 10_000  # attempts per relay; older ones are forgotten

_metadata = MetaData()
_relays = Table(
    "actum_relays",
    _metadata,
    Column("tenant", NAME, primary_key=True),
    Column("name", NAME, primary_key=True),
    Column("target", TEXT, nullable=False),
    Column("types", TEXT),
    Column("state", String(16), nullable=False),
    Column("failures", Integer, nullable=False),
    Column("problem", TEXT),
    Column("problem_us", BigInteger),
)
_deliveries = Table(
    "actum_deliveries",
    _metadata,
    Column("tenant", NAME, primary_key=True),
    Column("relay", NAME, primary_key=True),
    Column("no", BigInteger, primary_key=True, autoincrement=False),
    Column("event", String(36), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("status", Integer),
    Column("duration_us", BigInteger, nullable=False),
    Column("problem", TEXT, nullable=False),
    Index("actum_deliveries_by_event", "tenant", "event"),
)


class RelayRow(NamedTuple):
    """A relay as it last said about itself. `problem` is the last one there was; `failures` are those since it worked.

    `state` is `working`, `failing` or `ended` (the target wants no more, or the relay met an error it cannot wait out).
    """

    name: str
    target: str
    types: tuple[str, ...] | None
    state: str
    failures: int
    problem: str | None
    problem_us: int | None


def _now_us() -> int:
    return time.time_ns() // 1000


class Ledger:
    """The relays of one tenant, in the database that holds their marks. Raises `TargetUnavailable` as that does."""

    def __init__(self, engine: Engine, tenant: str = "default", clock: Callable[[], int] = _now_us) -> None:
        self.cursors = SqlCursors(engine, tenant, clock)
        self._engine = engine
        self._tenant = tenant
        self._clock = clock
        for table in (_relays, _deliveries):
            make_table(engine, table)

    def enrol(self, name: str, target: str, types: tuple[str, ...] | None) -> None:
        """Say that a relay is at work. Raises `BadInput` when this name delivers to another target."""
        mine = (_relays.c.tenant == self._tenant) & (_relays.c.name == name)
        asked = None if types is None else "\n".join(types)
        for _ in range(2):
            with unavailable(self._engine), self._engine.begin() as connection:
                there = connection.execute(select(_relays.c.target).where(mine)).scalar_one_or_none()
                if there is not None:
                    if there != target:
                        raise BadInput(
                            f"relay {name!r} delivers to {there}, not to {target}; give this one another name"
                        )
                    connection.execute(update(_relays).where(mine).values(types=asked, state="working", failures=0))
                    return
                row = {"tenant": self._tenant, "name": name, "target": target, "types": asked}
                try:
                    connection.execute(insert(_relays).values(**row, state="working", failures=0))
                    return
                except IntegrityError:  # another process enrolled it just then: look again
                    connection.rollback()

    def failed(self, name: str, problem: str, *, ended: bool = False) -> None:
        """Keep what is wrong with a relay."""
        self._set(name, failures=_relays.c.failures + 1, problem=problem[:2000], problem_us=self._clock(),
                  state="ended" if ended else "failing")  # fmt: skip

    def recovered(self, name: str) -> None:
        """Say that a relay delivers again; the last problem stays to be read."""
        self._set(name, failures=0, state="working")

    def _set(self, name: str, **values: object) -> None:
        mine = (_relays.c.tenant == self._tenant) & (_relays.c.name == name)
        with unavailable(self._engine), self._engine.begin() as connection:
            connection.execute(update(_relays).where(mine).values(**values))

    def relays(self) -> list[RelayRow]:
        """Every relay, by name."""
        asked = select(_relays).where(_relays.c.tenant == self._tenant).order_by(_relays.c.name)
        with unavailable(self._engine), self._engine.connect() as connection:
            return [
                RelayRow(
                    row.name,
                    row.target,
                    None if row.types is None else tuple(row.types.split("\n")),
                    row.state,
                    row.failures,
                    row.problem,
                    row.problem_us,
                )
                for row in connection.execute(asked)
            ]

    def delivered(self, name: str, made: Delivered) -> None:
        """Keep an attempt, and forget those that are too long ago."""
        mine = (_deliveries.c.tenant == self._tenant) & (_deliveries.c.relay == name)
        with unavailable(self._engine), self._engine.begin() as connection:
            last = connection.execute(select(func.coalesce(func.max(_deliveries.c.no), -1)).where(mine)).scalar_one()
            connection.execute(
                insert(_deliveries).values(tenant=self._tenant, relay=name, no=last + 1, **made._asdict())
            )
            if last % 100 == 99:
                connection.execute(delete(_deliveries).where(mine, _deliveries.c.no <= last - _KEPT))

    def deliveries(self, name: str, limit: int = 100) -> list[Delivered]:
        """The latest attempts of a relay, the newest first."""
        asked = (
            select(*(_deliveries.c[column] for column in Delivered._fields))
            .where(_deliveries.c.tenant == self._tenant, _deliveries.c.relay == name)
            .order_by(_deliveries.c.no.desc())
            .limit(limit)
        )
        with unavailable(self._engine), self._engine.connect() as connection:
            return [Delivered(*row) for row in connection.execute(asked)]
