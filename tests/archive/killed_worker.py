"""Archives, drops or restores in a process that kills itself at its n-th write: `killed_worker.py WHAT FOLDER N`."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from typing import Any

left = int(sys.argv[3])


def step() -> None:
    """One more write is about to be made, or was made just now."""
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


def around(function: Callable[..., Any]) -> Callable[..., Any]:
    def doing(*args: Any, **named: Any) -> Any:
        step()
        done = function(*args, **named)
        step()
        return done

    return doing


class Connection(sqlite3.Connection):
    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql.startswith(("INSERT", "UPDATE", "DELETE", "COMMIT")):
            step()
        return super().execute(sql, *values)


def main() -> None:
    from pathlib import Path

    from actum.archive import archive_log, drop_archived, restore
    from actum.archive.places import Folder
    from actum.eventstore import open_store
    from actum.eventstore.sealing.sealer import seal_log
    from actum.testing.builders import KEY
    from actum.testing.logs import rebuild

    connect = sqlite3.connect
    sqlite3.connect = lambda *args, **named: connect(*args, factory=Connection, **named)  # type: ignore[assignment]
    what, folder = sys.argv[1], Path(sys.argv[2])
    store: Any = open_store(f"sqlite:///{folder}/log.db")
    place = Folder(folder / "archive")
    os.link, os.fsync = around(os.link), around(os.fsync)
    keys = [KEY.verifier()]
    if what == "leave":
        archive_log(store, place, keys, segment_events=16)
        seal_log(store, KEY)
        drop_archived(store, place, keys)
    else:
        restore(store, place, keys, rebuild)
    store.close()


if __name__ == "__main__":
    main()
