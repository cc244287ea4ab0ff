"""Earlier releases beside this one: their writers go on while the schema is upgraded, and what both wrote verifies.

`previous/NAME-REVISION.zip` is the code of an earlier release as it was, without the parts that no store needs:
`git archive --format=zip COMMIT actum/{__init__,errors}.py actum/{events,eventstore,migrations}`. It is never changed.
Each release of which people have stores adds one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from actum.errors import VersionConflict
from actum.events import NewEvent
from actum.eventstore import ANY, STORES, Append, EventStore, open_store
from actum.eventstore.check.store import check_store
from actum.migrations import HEAD, REVISIONS
from actum.migrations.upgrade import _config, upgrade
from actum.testing.builders import batch, event, event_id, signed
from actum.testing.postgres import database
from tests.migrations.test_upgrade import shape

PREVIOUS = sorted((Path(__file__).parent / "previous").glob("*.zip"))

OLD = """
import json, sys
from actum.errors import ActumError, VersionConflict
from actum.events import Actor, NewEvent
from actum.eventstore import ANY, Append, open_store
from actum.eventstore.check import check_store
from uuid import UUID, uuid5
import actum.migrations

def event(name):
    facts = {"step": name, "occurrence": 0, "attempt": 1, "outcome": "success"}
    return NewEvent("step.completed", facts, "2026-11-21T12:00:00.000000Z", Actor("worker", "old"), id=name,
                    payload=b'"of the old program"')

def conflict():
    try:
        store.append([Append("s/both", 0, [event(order["event"])])])
    except VersionConflict as exc:
        return exc.actual

try:
    store = open_store(sys.argv[1])
except ActumError as exc:
    print(json.dumps({"refused": str(exc)}), flush=True)
    sys.exit()
print(json.dumps({"revision": actum.migrations.HEAD}), flush=True)
for line in sys.stdin:
    order = json.loads(line)
    if order["do"] == "append":
        answer = store.append([Append(order["stream"], ANY, [event(order["event"])])]).first_position
    elif order["do"] == "conflict":
        answer = conflict()
    elif order["do"] == "read":
        answer = [event.id for event in store.read()]
    elif order["do"] == "checkpoint":
        store.add_checkpoint(order["size"], order["note"])
        answer = [size for size, _ in store.checkpoints()]
    else:
        found = check_store(store)
        answer = [found.verdict, found.events, [check for check in found.checks if check.ok is False]]
    print(json.dumps(answer), flush=True)
store.close()
"""


class OldProgram:
    """A process that runs an earlier release on a store, and does what it is told."""

    def __init__(self, code: Path, url: str) -> None:
        packages = [path for path in sys.path if "site-packages" in path]
        self._process = subprocess.Popen(
            [sys.executable, "-c", OLD, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=code,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(code), *packages])},
        )
        self.opened: dict[str, str] = self._answer()

    def __call__(self, do: str, **rest: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **rest}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the old program ended"
        return json.loads(line)

    def close(self) -> None:
        self._process.communicate(timeout=30)


CASES = [
    (zipped, scheme)
    for zipped in PREVIOUS
    for scheme, module in (("sqlite", "sqlite"), ("postgresql", "postgres"))
    if f"actum/eventstore/{module}.py" in zipfile.ZipFile(zipped).namelist()
]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0].stem}-{case[1]}")
def old_and_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """The unpacked code of an earlier release, and the URL of a place where no store is yet."""
    zipped, scheme = request.param
    with zipfile.ZipFile(zipped) as archive:
        archive.extractall(tmp_path / "old")
    if scheme == "sqlite":
        yield tmp_path / "old", f"sqlite:///{tmp_path}/log.db"
    else:
        request.getfixturevalue("postgres_url")  # skips, loudly, where no server is
        with database() as url:
            yield tmp_path / "old", url


def migrate(url: str) -> tuple[str | None, str]:
    if url.startswith("sqlite"):
        from actum.eventstore.sqlite.open import create_or_upgrade
    else:
        from actum.eventstore.postgres.open import create_or_upgrade
    return create_or_upgrade(url)


def test_the_previous_release_runs_on_the_expanded_schema(old_and_url: tuple[Path, str]) -> None:
    """A process of it appends, reads and verifies before, during and after the upgrade, beside today's writers.

    Today's events are of a type that has had one schema only: an event of a newer one is refused by name.
    """
    code, url = old_and_url
    old = OldProgram(code, url)
    assert "refused" not in old.opened
    names = [event_id(f"e{i}") for i in range(8)]
    for i in range(3):
        assert old("append", stream="s/both", event=names[i]) == i
    assert migrate(url) == (old.opened["revision"], HEAD)
    assert old("append", stream="s/both", event=names[3]) == 3
    store = open_store(url)
    store.append([Append("s/both", ANY, [fired("e4")])])
    store.append([Append("s/new", ANY, [fired("e5")])])
    assert old("append", stream="s/both", event=names[6]) == 6
    assert old("append", stream="s/new", event=names[7]) == 7
    with pytest.raises(VersionConflict):
        store.append(batch("x", stream="s/both", expected=5))
    assert old("conflict", event=event_id("y")) == 6
    assert old("checkpoint", size=8, note=signed(store, 8)) == [8]

    assert old("read") == [e.id for e in store.read()] == names
    assert [e.payload for e in store.read_stream("s/both", 5)] == [b'"of the old program"']
    assert old("verify") == ["verified", 8, []]
    assert check_store(store).verdict == "verified"
    old.close()
    store.close()
    again = OldProgram(code, url)
    if old.opened["revision"] == HEAD:
        assert again("read") == names
    else:
        assert f"schema {HEAD}" in again.opened["refused"]
        assert "upgrade actum" in again.opened["refused"]
    again.close()
    late(open_store(url))


def fired(name: str) -> NewEvent:
    return event(name, "timer.fired", timer="nap", occurrence=0, late_us=5)


def late(store: EventStore) -> None:
    assert store.append(batch("late")).first_position == 8
    assert check_store(store).verdict == "verified"
    store.close()


def alchemy(url: str) -> str:
    return url.replace("postgresql:", "postgresql+psycopg:")


@pytest.mark.parametrize("scheme", sorted(set(STORES) & {"sqlite", "postgresql"}))
@pytest.mark.parametrize("start", REVISIONS)
def test_every_step_leads_to_the_same_schema(
    request: pytest.FixtureRequest, tmp_path: Path, scheme: str, start: str
) -> None:
    """A store that was made at any revision and upgraded later has the schema of one that was made today."""
    if scheme == "postgresql":
        request.getfixturevalue("postgres_url")
        with database() as stepped, database() as fresh:
            _compare(alchemy(stepped), alchemy(fresh), start)
    else:
        _compare(f"sqlite:///{tmp_path}/stepped.db", f"sqlite:///{tmp_path}/fresh.db", start)


def _compare(stepped: str, fresh: str, start: str) -> None:
    engine = create_engine(stepped, poolclass=NullPool)
    with engine.begin() as connection:
        command.upgrade(_config(connection), start)
    engine.dispose()
    assert upgrade(stepped) == (start, HEAD)
    upgrade(fresh)
    assert shape(stepped) == shape(fresh)
