"""DuckDB sees every event once, archived or not, and can change nothing."""

from __future__ import annotations

import pytest

from actum.archive import Analytics, archive_log
from actum.archive.places import Folder
from actum.errors import BadInput
from actum.eventstore import ANY, Append, EventStore, open_store
from actum.testing.builders import KEY, event

from .conftest import SEGMENT
from .test_check import as_format_1

KEYS = [KEY.verifier()]


def seen(folder: Folder, store: EventStore) -> list[tuple[object, ...]]:
    with Analytics(folder, store) as analytics:
        return analytics.query("SELECT position, stream, version, id, type FROM events ORDER BY position")[1]


def test_every_event_is_there_once(log: EventStore, folder: Folder) -> None:
    """Before anything is archived, and after: the same rows, and those that recorded the archiving."""
    rows = [(e.position, e.stream, e.version, e.id, e.type) for e in log.read()]
    assert seen(folder, log) == rows

    archive_log(log, folder, KEYS, segment_events=SEGMENT)
    assert seen(folder, log) == [(e.position, e.stream, e.version, e.id, e.type) for e in log.read()]


def test_facts_can_be_asked_for(log: EventStore, folder: Folder) -> None:
    """As JSON, over archive and tail alike."""
    archive_log(log, folder, KEYS, segment_events=SEGMENT)
    with Analytics(folder, log) as analytics:
        names, rows = analytics.query(
            "SELECT facts->>'outcome' AS outcome, count(*) AS n FROM events WHERE type = 'step.completed' GROUP BY 1"
        )
    assert (names, rows) == (["outcome", "n"], [("success", 20)])


def test_reports_need_not_parse(log: EventStore, folder: Folder) -> None:
    """Facts that reports are made of are columns, with one answer from old files, new files and the log's tail."""
    archive_log(log, folder, KEYS, segment_events=SEGMENT)
    as_format_1(folder.path / "000000000000.parquet")
    facts = {"step": "charge", "occurrence": 0, "attempt": 2, "tool": "bank", "outcome": "success", "duration_us": 7}
    log.append([Append("s/0", ANY, [event("timed", **facts)])])

    with Analytics(folder, log) as analytics:
        asked = "SELECT position, step, outcome, attempt, duration_us, tool FROM events ORDER BY position"
        rows = [row for row in analytics.query(asked)[1] if row[1] is not None]

    assert [tuple(row) for row in rows] == [
        (e.position, *(e.head["facts"].get(name) for name in ("step", "outcome", "attempt", "duration_us", "tool")))
        for e in log.read(types=["step.completed"])
    ]
    assert {row[0] // SEGMENT for row in rows} == {0, 1, 2}


def test_an_empty_log_is_an_empty_table(folder: Folder) -> None:
    """No special case for nothing."""
    assert seen(folder, open_store("memory://")) == []


@pytest.mark.parametrize(
    "sql",
    [
        "COPY events TO '{folder}/x.csv'",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT 1; SELECT 2",
        "",
        "ATTACH '{folder}/x.db'",
        "SET enable_external_access = true",
        "DROP VIEW events",
        "SELEC 1",
        "SELECT nothing FROM events",
    ],
)
def test_only_a_question_is_answered(log: EventStore, folder: Folder, sql: str) -> None:
    """Whatever writes, reaches outside or is no query is refused, and the archive stays as it was."""
    archive_log(log, folder, KEYS, segment_events=SEGMENT)
    before = sorted(path.name for path in folder.path.iterdir())
    with Analytics(folder, log) as analytics:
        with pytest.raises(BadInput):
            analytics.query(sql.format(folder=folder.path))
        assert analytics.query("SELECT count(*) FROM events")[1] == [(log.head(),)]
    assert sorted(path.name for path in folder.path.iterdir()) == before
