"""Real servers to deliver to. Where one is missing its tests are skipped, loudly; in CI they fail."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from actum.eventstore.subscriptions.cursors_sql import open_engine
from actum.relay import Ledger

from .receiver import Receiver


def server(variable: str, default: str) -> str:
    """The URL of a server, if something answers there."""
    url = os.environ.get(variable, default)
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=2).close()
    except OSError as exc:
        missing = f"SERVER ABSENT: nothing answers at {url} ({exc}); set {variable}"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return url


@pytest.fixture(scope="session")
def nats_url() -> str:
    return server("ACTUM_NATS", "nats://127.0.0.1:4222")


@pytest.fixture(scope="session")
def redis_url() -> str:
    return server("ACTUM_REDIS", "redis://127.0.0.1:6379")


@pytest.fixture
def unique() -> str:
    """A name that nothing else uses."""
    return f"actum_test_{uuid4().hex[:12]}"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(open_engine(f"sqlite:///{tmp_path}/cursors.db"))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as there:
        yield there
