"""Leases in the database's time: who gives positions, and which workers are alive.

A lease is taken by whoever comes first, renewed while its holder lives, and free after so many seconds without
renewal. Each taking over counts `epoch` up. A lease is politeness, not safety: what it stands for is fenced elsewhere.
"""

from __future__ import annotations

import time
from typing import Final

from actum.eventstore.postgres.connection import Connection

__all__ = ["HELD", "Lease"]

_TAKE = """
INSERT INTO leases AS l (tenant, name, holder, epoch, until)
VALUES (%(tenant)s, %(name)s, %(holder)s, 1, clock_timestamp() + make_interval(secs => %(seconds)s))
ON CONFLICT (tenant, name) DO UPDATE SET holder = excluded.holder, until = excluded.until,
  epoch = l.epoch + CASE WHEN l.holder = excluded.holder THEN 0 ELSE 1 END
WHERE l.holder = excluded.holder OR l.until < clock_timestamp() RETURNING epoch
"""


class Lease:
    """One lease, as one holder sees it."""

    def __init__(self, tenant_no: int, name: str, holder: str, seconds: float) -> None:
        self.seconds = seconds
        self.epoch = 0
        """How often the lease has changed hands, when this holder got it last."""
        self._values = {"tenant": tenant_no, "name": name, "holder": holder, "seconds": seconds}
        self._sure_until = 0.0

    def take(self, con: Connection) -> bool:
        """Take the lease, or renew it; False when another one holds it."""
        asked = time.monotonic()  # before the database's clock was read, so never too hopeful
        row = con.execute(_TAKE, self._values).fetchone()
        self._sure_until = 0.0 if row is None else asked + self.seconds * 0.8
        if row is not None:
            self.epoch = row[0]
        return row is not None

    def ours(self) -> bool:
        """Whether the lease was ours a moment ago and has not run out since. Asks nobody."""
        return time.monotonic() < self._sure_until

    def forget(self) -> None:
        """Take it for lost, until it is taken again."""
        self._sure_until = 0.0

    def release(self, con: Connection) -> None:
        """Let the next one have it at once."""
        self.forget()
        con.execute(
            "UPDATE leases SET until = clock_timestamp() - interval '1 second' "
            "WHERE tenant = %(tenant)s AND name = %(name)s AND holder = %(holder)s",
            self._values,
        )


HELD: Final = "SELECT 1 FROM leases WHERE tenant = %s AND name = %s AND until > clock_timestamp()"
"""One row when anybody holds the lease of this tenant and name now."""
