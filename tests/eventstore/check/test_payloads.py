"""What a forger can do to payloads that are kept apart is found, and named."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from actum.eventstore import ANY, Append, open_store
from actum.eventstore.check.store import check_store
from actum.testing.builders import STREAM, event

ORDER = b'{"name":"Ada","total":7}'


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("DELETE FROM protected WHERE part = 1", "the personal part of its payload is missing"),
        ("DELETE FROM protected WHERE part = 0", "its payload is missing"),
        ("UPDATE protected SET data = zeroblob(10) WHERE part = 1", "the personal part of its payload was changed"),
        (
            "UPDATE protected SET data = CAST(substr(data, 1, 40) || 'xx' AS BLOB) WHERE part = 0",
            "its payload or its salt was changed",
        ),
        ("UPDATE protected SET key = NULL WHERE part = 1", "is under the data key None"),
        ("UPDATE protected SET part = 1 - part", "under the data key"),
        (
            "INSERT INTO payloads SELECT seq, substr(data, 1, 32), substr(data, 33) FROM protected WHERE part = 0;"
            "DELETE FROM protected",
            "the personal part of its payload is missing",
        ),
    ],
    ids=[
        "personal gone",
        "rest gone",
        "personal overwritten",
        "rest changed",
        "without key",
        "swapped",
        "moved beside",
    ],
)
def test_harm_to_a_part_is_found_and_named(tmp_path: Path, harm: str, said: str) -> None:
    """With the event's position, whatever was done to the rows."""
    url, keys = f"sqlite:///{tmp_path}/log.db", f"file:{tmp_path}/ring"
    store = open_store(url, keys=keys)
    order = event("b", payload=ORDER)
    order.personal, order.key = ["/name"], store.key_for("ada")
    store.append([Append(STREAM, ANY, [event("a", payload=b"1"), order])])
    assert check_store(store).verdict == "verified"
    store.close()
    con = sqlite3.connect(tmp_path / "log.db")
    if harm.startswith("UPDATE protected SET part"):
        con.execute("UPDATE protected SET part = part + 5")
        harm = "UPDATE protected SET part = 6 - part"
    con.executescript(harm)
    con.commit()
    con.close()
    store = open_store(url, keys=keys)
    found = check_store(store)
    store.close()

    assert found.verdict == "failed"
    assert found.first_bad is not None
    assert (found.first_bad.position, found.first_bad.stream) == (1, STREAM)
    assert said in found.first_bad.reason
