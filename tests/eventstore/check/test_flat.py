"""A check with little memory says exactly what one with plenty says, about any log; and it does need little."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from hypothesis import HealthCheck, settings
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.eventstore import ANY, Append, open_store
from actum.eventstore.check.store import check_store
from actum.eventstore.check.workers import Workers
from actum.eventstore.sealing.record import seal_streams
from actum.eventstore.sqlite.store import SQLiteStore
from actum.testing.builders import KEY, event, execution_row, signed
from actum.testing.clock import ManualClock
from actum.testing.logs import rebuild
from actum.testing.tampering import Tampered
from tests.eventstore.check.changes import CHANGES, COVERINGS

KEYS = (KEY.verifier(),)
ROOMS = (1, 2, 3)


def log_of(path: Path, streams: list[str]) -> None:
    """An event for each of these, every second with a payload; where all streams end; and a checkpoint."""
    store = SQLiteStore(f"sqlite:///{path}", clock=ManualClock())
    batch = []
    for n, stream in enumerate(streams):
        new = event(n, payload=b"{}" if n % 2 else None)
        batch.append(Append(stream, ANY, [new], [execution_row(stream, error_type=new.id)]))
    store.append(batch)
    seal_streams(store, ManualClock())
    store.add_checkpoint(10, signed(store, 10))
    store.close()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@forall(
    order=st.lists(st.sampled_from("abcdef"), min_size=29, max_size=29),
    changed=st.lists(st.tuples(st.sampled_from(sorted(CHANGES)), st.integers(0, 29)), max_size=3),
    covered_by=st.sampled_from(sorted(COVERINGS)),
    together=st.booleans(),
)
def test_whatever_is_changed_the_answer_is_the_same(
    tmp_path: Path,
    workers: Workers,
    order: list[str],
    changed: list[tuple[str, int]],
    covered_by: str,
    together: bool,
) -> None:
    """Any changes of any log are found and named with room for one stream, for two or three, and for all."""
    path = tmp_path / f"{uuid4()}.db"
    log_of(path, [f"s/{letter}" for letter in order])
    tampered = Tampered(path)
    for what, at in changed:
        with suppress(
            IndexError, TypeError, AssertionError, ValueError, sqlite3.Error
        ):  # of what an earlier change took away
            CHANGES[what](tampered, at)
    with suppress(IndexError, TypeError):
        COVERINGS[covered_by](tampered)
    store = open_store(tampered.url + "?mode=ro")
    plenty, *little = (
        check_store(store, keys=KEYS, rebuild=rebuild, workers=workers if together else None, room=room)
        for room in (1_000, *ROOMS)
    )
    store.close()
    path.unlink()

    assert little == [plenty] * len(ROOMS)
