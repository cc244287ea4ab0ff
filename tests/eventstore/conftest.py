"""A small filled store in the hands of a forger."""

from __future__ import annotations

from pathlib import Path

import pytest

from actum.eventstore import open_store
from actum.testing.logs import fill
from actum.testing.tampering import Tampered


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("original") / "log.db"
    store = open_store(f"sqlite:///{path}")
    fill(store)
    store.close()
    return path.read_bytes()


@pytest.fixture
def tampered(original: bytes, tmp_path: Path) -> Tampered:
    path = tmp_path / "log.db"
    path.write_bytes(original)
    return Tampered(path)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that only a server on this machine takes."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
