"""SQLite files and folders that a user may not use: each refusal says what is not allowed, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from actum.eventstore import open_store
from actum.eventstore.check.store import check_store
from actum.testing.builders import batch

APPEND = """
import os, sys, tempfile
from actum.errors import StoreRefused
from actum.eventstore import open_store
from actum.testing.builders import batch
with tempfile.TemporaryDirectory() as folder:  # everything is imported before the rights to do so are gone
    store = open_store(f"sqlite:///{folder}/log.db")
    store.append(batch("a"))
    store.close()
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    store = open_store(sys.argv[1])
    print("opened")
    store.append(batch("b"))
except StoreRefused as exc:
    print(exc)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may enter, with a store of one event. pytest's own folders are closed to them."""
    folder = Path(tempfile.mkdtemp(prefix="actum-permissions-"))
    store = open_store(f"sqlite:///{folder}/log.db")
    store.append(batch("a"))
    store.close()
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("folder_mode", "file_mode", "name", "said"),
    [
        (0o555, 0o666, "log.db", "log.db cannot be opened: this user may not write to the folder {}, and SQLite needs"),
        (0o555, 0o666, "new.db", "new.db cannot be made: this user may not write to the folder {}, and SQLite needs"),
        (0o777, 0o000, "log.db", "log.db cannot be opened: this user may not read it"),
        (0o777, 0o444, "log.db", "log.db: is read-only; nothing was written"),
        (0o000, 0o666, "log.db", "the folder {} may not be entered by this user"),
    ],
    ids=["folder", "new file", "unreadable", "read-only", "closed folder"],
)
def test_what_a_user_may_not_do_is_named(folder: Path, folder_mode: int, file_mode: int, name: str, said: str) -> None:
    """The sentence says what is not allowed, where; no file is made or changed, and the store verifies afterwards."""
    (folder / "log.db").chmod(file_mode)
    folder.chmod(folder_mode)
    done = subprocess.run(
        [sys.executable, "-c", APPEND, f"sqlite:///{folder}/{name}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    folder.chmod(0o755)
    (folder / "log.db").chmod(0o644)

    assert done.returncode == 0, done.stderr
    assert said.format(folder) in done.stdout
    assert not (folder / "new.db").exists()
    store = open_store(f"sqlite:///{folder}/log.db")
    assert (store.head(), check_store(store).verdict) == (1, "verified")
    store.close()
