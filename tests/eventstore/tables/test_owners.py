"""The leases of workers on database servers: who holds them, and for how long they are renewed."""

from __future__ import annotations

import logging
from threading import Event
from typing import Any

import pytest

from actum.errors import StoreRefused
from actum.eventstore import open_store


@pytest.fixture(params=["postgres", "mysql"])
def address(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


class Renewals:
    """Counts how often leases are taken or renewed, and what is said of their workers; fails as long as `away`."""

    def __init__(self, owners: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.said: list[str | None] = []
        self.away = False
        self._count, self._wanted, self._reached = 0, 0, Event()
        take = owners._leases.take

        def counted(worker: str, about: str | None = None) -> None:
            self._count += 1
            self.said.append(about)
            if self._count >= self._wanted:
                self._reached.set()
            if self.away:
                raise StoreRefused("here", "the database is gone")
            take(worker, about)

        monkeypatch.setattr(owners._leases, "take", counted)

    def more(self, count: int) -> None:
        """Wait for so many more, and for what is said of the one before the last."""
        self._reached.clear()
        self._wanted = self._count + count
        assert self._reached.wait(60)


def test_a_store_that_is_closed_gives_its_leases_back(address: str) -> None:
    """An engine that was never closed keeps nobody waiting, and its leases' thread ends with the store."""
    store, other = open_store(f"{address}?lease=60"), open_store(address)
    owners = store.owners()  # type: ignore[attr-defined]
    owners.hold("w-1")
    owners.hold("w-2")
    thread = owners._thread
    alive = other.owners().alive  # type: ignore[attr-defined]
    assert alive("w-1")
    assert alive("w-2")

    store.close()

    assert not alive("w-1")
    assert not alive("w-2")
    assert not thread.is_alive()
    owners.release("w-1")  # the engine is closed after its store
    with pytest.raises(StoreRefused, match="closed"):
        store.owners()  # type: ignore[attr-defined]
    other.close()


def test_a_database_that_is_gone_is_spoken_of_once(
    address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Renewing is tried again and again; that it fails is said at first, and that it succeeds again."""
    caplog.set_level(logging.WARNING, "actum.eventstore")
    store = open_store(f"{address}?lease=0.2")
    owners = store.owners()  # type: ignore[attr-defined]
    renewals = Renewals(owners, monkeypatch)
    owners.hold("w-1")

    renewals.away = True
    renewals.more(5)
    renewals.away = False
    renewals.more(3)
    store.close()

    said = [record.message for record in caplog.records if record.name == "actum.eventstore"]
    assert said == ["leases cannot be renewed; trying until they can be", "leases are renewed again"]


def test_what_a_worker_says_is_written_once(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has not changed is not written again with every renewal."""
    store = open_store(f"{address}?lease=0.2")
    owners = store.owners()  # type: ignore[attr-defined]
    renewals = Renewals(owners, monkeypatch)
    owners.hold("w-1")

    owners.tell("w-1", {"under_way": 3})
    renewals.more(5)

    assert [about for about in renewals.said if about is not None] == ['{"under_way":3}']
    store.close()
