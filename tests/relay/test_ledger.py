"""What relays keep about themselves: bounded, and each tenant's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from actum.eventstore.subscriptions.cursors_sql import open_engine
from actum.relay import Ledger
from actum.relay import ledger as module
from actum.relay.webhook_log import Delivered


def made(number: int) -> Delivered:
    return Delivered(f"e{number}", number, number, 1, "delivered", 204, 1, "")


def test_the_delivery_log_keeps_the_latest_attempts(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older attempts are forgotten, so that the table does not grow for ever; other relays' are left."""
    monkeypatch.setattr(module, "_KEPT", 50)
    ledger.delivered("other", made(0))
    for i in range(201):
        ledger.delivered("a", made(i))

    kept = [one.position for one in ledger.deliveries("a", 1000)]
    assert kept == list(range(200, 149, -1))
    assert len(ledger.deliveries("other")) == 1


def test_tenants_have_relays_of_their_own(tmp_path: Path) -> None:
    """The same name in one database is another relay for another tenant."""
    engine = open_engine(f"sqlite:///{tmp_path}/cursors.db")
    one, other = Ledger(engine, "one"), Ledger(engine, "other")
    one.enrol("a", "here", ("step.completed", "timer.set"))
    other.enrol("a", "there", None)
    one.failed("a", "broken")

    assert [(r.target, r.types, r.state) for r in one.relays()] == [
        ("here", ("step.completed", "timer.set"), "failing")
    ]
    assert [(r.target, r.types, r.state) for r in other.relays()] == [("there", None, "working")]
