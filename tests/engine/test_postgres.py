"""The engine on PostgreSQL: the workflows of `test_crash.py`, killed at appends, and recovered by another process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from actum.eventstore import open_store
from tests.engine.world import sound


def live(url: str, journal: Path, *kills: tuple[int, str]) -> list[int]:
    """One process after the other, each killed at this append, before or after it landed; how each ended."""
    jobs = [[{"url": url, "lines": str(journal), "kill_at": at, "mode": mode}] for at, mode in kills]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("crash_worker.py"))],
        input="".join(json.dumps(job) + "\n" for job in jobs),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [code for line in done.stdout.splitlines() for code in json.loads(line)]


def lives_on(store_url: str, journal: Path, at: int, mode: str) -> None:
    """Kill a process at this append, let the next one finish, and look at everything that both have left."""
    url = store_url + "?lease=0.3"
    assert live(url, journal, (at, mode), (10**9, "before")) == [-9, 0]

    lines: list[Any] = [json.loads(line) for line in journal.read_text().splitlines()]
    assert lines[-1] == [
        "ended",
        {"order": [6, 22, 3], "trip": ["failed", "OSError", "step 'board': no seats"], "release": "shipped for p-1"},
    ]
    effects = Counter(tuple(rest) for what, *rest in lines if what == "effect")
    assert set(effects.values()) == {1}
    store = open_store(url)
    log = [event.id for event in store.read()]
    for what, *rest in lines:
        if what == "durable":
            first, ids = rest
            assert log[first : first + len(ids)] == ids, "durable, and gone"
    sound(store)
    store.close()


@pytest.mark.parametrize(("at", "mode"), [(1, "before"), (3, "after"), (7, "before"), (12, "after"), (17, "before")])
def test_a_killed_process_is_recovered_by_the_next(postgres: str, tmp_path: Path, at: int, mode: str) -> None:
    """Same ends as without a kill; every effect was made once an attempt; the log is sound, views included."""
    lives_on(postgres, tmp_path / "journal", at, mode)
