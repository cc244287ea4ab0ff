"""Killed at any write, by a signal that cannot be caught: what is there is right, and the next run does the rest."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from actum.archive import WholeStore, check_archive
from actum.archive.places import Folder
from actum.eventstore import RawEvent, open_store
from actum.eventstore.check.store import check_store
from actum.eventstore.floor import HotStore
from actum.eventstore.sealing.sealer import seal_log
from actum.testing.builders import KEY

from .conftest import grow

KEYS = [KEY.verifier()]
WORKER = Path(__file__).with_name("killed_worker.py")


def run(what: str, folder: Path, kill_at: int) -> bool:
    """Whether it came to its end before that write."""
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    ended = subprocess.run(
        [sys.executable, str(WORKER), what, str(folder), str(kill_at)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
    return ended.returncode == 0


def read(folder: Path) -> tuple[int, list[RawEvent]]:
    """The floor, and the first 40 events as store and archive give them together."""
    store = cast(HotStore, open_store(f"sqlite:///{folder}/log.db"))
    try:
        return store.floor().size, list(WholeStore(store, Folder(folder / "archive")).read_raw(limit=40))
    finally:
        store.close()


def made(folder: Path) -> list[RawEvent]:
    store = open_store(f"sqlite:///{folder}/log.db")
    grow(store, 0, 40)
    seal_log(store, KEY)
    rows = list(store.read_raw())
    store.close()
    return rows


@pytest.mark.slow
def test_leaving_is_killed_at_each_write(tmp_path: Path) -> None:
    """Copying, putting, recording, raising the floor, deleting rows: every run gets one write further than the last."""
    rows = made(tmp_path)
    kills, floors = 0, set()
    while not run("leave", tmp_path, 1 + kills):
        kills += 1
        floor, found = read(tmp_path)
        floors.add(floor)
        assert found == rows
        assert kills < 200
    assert kills > 10
    assert read(tmp_path) == (32, rows)
    store = cast(HotStore, open_store(f"sqlite:///{tmp_path}/log.db"))
    folder = Folder(tmp_path / "archive")
    said = [(e.type, e.facts["first"]) for e in store.read_stream("system/default")]
    assert sorted(said) == [
        ("segment.archived", 0), ("segment.archived", 16), ("segment.dropped", 0), ("segment.dropped", 16)
    ]  # fmt: skip
    assert check_store(WholeStore(store, folder), keys=KEYS).verdict == "verified"
    assert check_archive(folder, "default", KEYS, store=WholeStore(store, folder)).verdict == "verified"
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize("lost", [False, True], ids=["left", "lost store"])
def test_restoring_is_killed_at_each_write(tmp_path: Path, lost: bool) -> None:
    """Into the store that the events left, and into a new one in its place."""
    rows = made(tmp_path)
    assert run("leave", tmp_path, 0)
    if lost:
        for path in tmp_path.glob("log.db*"):
            path.unlink()
        rows = [r._replace(salt=None, payload=None) if r.position % 9 == 0 else r for r in rows[:32]]
    kills = 0
    while not run("restore", tmp_path, 1 + kills):
        kills += 1
        store = open_store(f"sqlite:///{tmp_path}/log.db")
        size = store.head()
        store.close()
        if size:
            assert read(tmp_path)[1][: len(rows)] == rows
        assert kills < 100
    assert kills > 5
    store = cast(HotStore, open_store(f"sqlite:///{tmp_path}/log.db"))
    assert store.floor().size == 0
    assert list(store.read_raw(limit=len(rows))) == rows
    types = [e.type for e in store.read(31, types=["segment.restored", "log.rebuilt"])]
    assert types == (["log.rebuilt"] if lost else ["segment.restored", "segment.restored"])
    found = check_store(store, keys=KEYS)
    assert found.verdict == ("verified_with_gaps" if lost else "verified"), found
    store.close()
