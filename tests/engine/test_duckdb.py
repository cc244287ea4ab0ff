"""The engine on DuckDB: the workflows of `test_crash.py`, killed at appends, and recovered by another process."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from actum.eventstore import open_store
from tests.engine.test_postgres import live
from tests.engine.world import sound


@pytest.mark.parametrize(("at", "mode"), [(1, "before"), (3, "after"), (7, "before"), (12, "after")])
def test_a_killed_process_is_recovered_by_the_next(tmp_path: Path, at: int, mode: str) -> None:
    """Same ends as without a kill; every effect was made once an attempt; the log is sound, views included."""
    url = f"duckdb:///{tmp_path}/log.duckdb"
    assert live(url, tmp_path / "journal", (at, mode), (10**9, "before")) == [-9, 0]

    lines: list[Any] = [json.loads(line) for line in (tmp_path / "journal").read_text().splitlines()]
    assert lines[-1] == [
        "ended",
        {"order": [6, 22, 3], "trip": ["failed", "OSError", "step 'board': no seats"], "release": "shipped for p-1"},
    ]
    effects = Counter(tuple(rest) for what, *rest in lines if what == "effect")
    assert set(effects.values()) == {1}
    store = open_store(url)
    sound(store)
    store.close()
