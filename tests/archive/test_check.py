"""Whatever is changed in an archive is found, and the first wrong event is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from actum.archive import archive_log, check_archive, with_archive
from actum.archive.places import Folder
from actum.archive.segment import NAMES
from actum.events.checkpoint import SigningKey
from actum.eventstore import EventStore
from actum.eventstore.check.store import check_store
from actum.eventstore.check.verdict import Bad, Verification
from actum.eventstore.check.workers import Workers
from actum.testing.builders import KEY

from .conftest import SEGMENT

KEYS = [KEY.verifier()]


@pytest.fixture(autouse=True)
def filled(log: EventStore, folder: Folder) -> None:
    archive_log(log, folder, KEYS, segment_events=SEGMENT)


def change(path: Path, row: int, column: str, to: Callable[[Any], Any]) -> None:
    """Write the file again with one value changed and its own word for it kept."""
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[row][column] = to(rows[row][column])
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


def about(path: Path, **changes: Any) -> None:
    """Change what the file says of itself."""
    table = pq.read_table(path)
    said = orjson.loads(table.schema.metadata[b"actum.segment"]) | changes
    pq.write_table(table.replace_schema_metadata({b"actum.segment": orjson.dumps(said)}), path)


def failed(folder: Folder, store: EventStore | None = None) -> dict[str, str]:
    found = check_archive(folder, "default", KEYS, store=store)
    assert (found.verdict == "failed") == any(check.ok is False for check in found.checks)
    return {check.name: check.detail for check in found.checks if check.ok is False}


def test_a_good_archive_is_verified(log: EventStore, folder: Folder) -> None:
    """By itself, and against the log."""
    alone = check_archive(folder, "default", KEYS)
    assert (alone.verdict, alone.events, alone.size) == ("verified", 16, 20)
    assert [check.ok for check in alone.checks] == [True, True, True, True, True, None]
    assert [check.ok for check in check_archive(folder, "default", KEYS, store=log).checks] == [True] * 6
    assert [check.ok for check in check_archive(folder, "default").checks] == [True, True, True, None, True, None]


@pytest.mark.parametrize("name", ["000000000000.parquet", "000000000000.payloads.parquet"])
def test_no_changed_byte_changes_what_is_read(folder: Folder, name: str) -> None:
    """Wherever a byte is changed: it is found, or payloads are said to be missing, or the same is read as before."""
    path = folder.path / name
    raw = path.read_bytes()
    rows = pq.read_table(path).to_pylist()
    found = 0
    for at in range(0, len(raw), 7):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1 << at % 8]) + raw[at + 1 :])
        checks = check_archive(folder, "default", KEYS).checks
        if any(check.ok is False or "are not here" in check.detail for check in checks):
            found += 1
        else:
            assert pq.read_table(path).to_pylist() == rows, at
    assert found > 50
    path.write_bytes(raw)
    assert failed(folder) == {}


@pytest.mark.parametrize("row", [0, 5, 7])
def test_a_changed_header_is_found(folder: Folder, row: int) -> None:
    """The header no longer gives the root, though its columns agree."""
    change(folder.path / "000000000008.parquet", row, "header", lambda h: h.replace('"occurrence":0', '"occurrence":1'))

    assert failed(folder) == {
        "headers": "event 8: 000000000008.parquet: its headers do not give its root: one was changed, added or removed"
    }


@pytest.mark.parametrize(
    ("column", "to"),
    [
        ("position", lambda v: v + 1),
        ("type", lambda v: "step.failed"),
        ("at_us", lambda v: v - 1),
        ("stream", str.upper),
        ("outcome", lambda v: "failure"),
        ("workflow", lambda v: "checkout"),
        ("duration_us", lambda v: 7),
    ],
)
def test_a_changed_column_is_found(folder: Folder, column: str, to: Callable[[Any], Any]) -> None:
    """What queries read must be what was hashed."""
    change(folder.path / "000000000000.parquet", 3, column, to)

    assert failed(folder) == {"headers": "event 3: 000000000000.parquet: its columns do not say what its header says"}


def as_format_1(path: Path) -> None:
    """Write the file as the first release did: without columns of facts."""
    table = pq.read_table(path)
    kept = table.select(NAMES[1])
    pq.write_table(kept.replace_schema_metadata(table.schema.metadata), path, write_page_checksum=True)
    about(path, format=1)


def test_the_first_format_is_still_proved(folder: Folder) -> None:
    """A file of format 1 is checked by its own columns; it may not have those of format 2, nor lack its own."""
    as_format_1(folder.path / "000000000008.parquet")
    assert failed(folder) == {}

    change(folder.path / "000000000008.parquet", 3, "type", lambda _: "step.failed")
    assert "event 11" in failed(folder)["headers"]
    about(folder.path / "000000000000.parquet", format=1)
    assert "event 0: 000000000000.parquet: its columns are" in failed(folder)["headers"]


def test_a_format_to_come_is_refused_by_number(folder: Folder) -> None:
    """A file of a later program is not guessed at."""
    about(folder.path / "000000000000.parquet", format=3)

    assert "is of format 3; this program reads 1 and 2" in failed(folder)["segments"]


def test_a_changed_payload_is_found(folder: Folder) -> None:
    """By the digest in its header."""
    change(folder.path / "000000000000.payloads.parquet", 1, "data", lambda _: b'{"n":7}')

    assert "event 6" in failed(folder)["payloads"]


def test_a_segment_without_its_payloads_is_stated(folder: Folder) -> None:
    """They may have been erased, or never produced: a stated gap, not a failure."""
    folder.fetch("000000000000.payloads.parquet").unlink()

    found = check_archive(folder, "default", KEYS)
    assert found.verdict == "verified"
    assert "2 that are not personal are not here" in found.checks[2].detail


def test_a_missing_segment_is_found(log: EventStore, folder: Folder) -> None:
    """A gap by itself; a missing end by what the log recorded."""
    folder.fetch("000000000008.parquet").unlink()
    assert failed(folder) == {}
    assert failed(folder, log) == {"recorded": "event 8: the log says that this segment was archived; it is not here"}

    folder.fetch("000000000000.parquet").rename(folder.path / "000000000008.parquet")
    assert list(failed(folder)) == ["segments"]


def test_a_forged_root_is_found(folder: Folder) -> None:
    """A root that fits changed headers is not in the signed tree."""
    about(folder.path / "000000000000.parquet", root="00" * 32)

    assert "its root is not in the tree that its checkpoint signed" in failed(folder)["headers"]


def test_a_forged_checkpoint_is_found(folder: Folder) -> None:
    """A note of another key, however well everything fits it."""
    from actum.events.checkpoint import Checkpoint, sign

    path = folder.path / "000000000000.parquet"
    said = orjson.loads(pq.read_schema(path).metadata[b"actum.segment"])
    stranger = SigningKey.generate("actum/default", seed=bytes(32))
    about(
        path, count=8, proof=[], checkpoint=sign(Checkpoint("actum/default", 8, bytes.fromhex(said["root"])), stranger)
    )

    assert list(failed(folder)) == ["signatures"]


def test_another_tenants_segment_is_found(folder: Folder) -> None:
    """One log a tenant, one archive a log."""
    about(folder.path / "000000000008.parquet", tenant="acme")

    assert "is of tenant 'acme', not 'default'" in failed(folder)["segments"]


def test_a_root_that_the_log_did_not_record_is_found(log: EventStore, folder: Folder, tmp_path: Path) -> None:
    """An archive of another log that happens to be in its place."""
    from actum.eventstore import open_store

    from .conftest import grow, sign

    other = open_store("memory://")
    grow(other, 100, 16)
    sign(other)
    there = Folder(tmp_path / "other")
    archive_log(other, there, KEYS, segment_events=SEGMENT)

    assert "with another root" in failed(there, log)["recorded"]


def test_an_empty_archive_proves_nothing(tmp_path: Path) -> None:
    """A wrong path must not look like a good archive."""
    assert failed(Folder(tmp_path / "nowhere")) == {"segments": "event 0: there is no segment here"}


def test_several_processes_say_the_same(log: EventStore, folder: Folder) -> None:
    """Segments checked by others, good or damaged in any of their ways: the answer is the same."""
    with Workers(2) as workers:

        def both() -> tuple[Verification, Verification]:
            alone, together = (check_archive(folder, "default", KEYS, store=log, workers=w) for w in (None, workers))
            return alone, together

        alone, together = both()
        assert (alone, alone.verdict) == (together, "verified")
        change(folder.path / "000000000008.parquet", 5, "header", lambda h: h.replace('"success"', '"failure"'))
        change(folder.path / "000000000000.payloads.parquet", 1, "data", lambda _: b'{"n":7}')
        alone, together = both()
        assert (alone, alone.verdict) == (together, "failed")
        stranger = [SigningKey.generate("actum/default", seed=bytes(32)).verifier()]
        alone, together = (check_archive(folder, "default", stranger, workers=w) for w in (None, workers))
        assert alone == together
        assert [check.name for check in alone.checks if check.ok is False] == ["signatures"]


def test_one_report_of_log_and_archive(log: EventStore, folder: Folder) -> None:
    """The archive's checks stand beside the log's; the first wrong event of both is the one that is named."""
    good, archived = check_store(log), check_archive(folder, "default", KEYS)
    one = with_archive(good, archived)
    assert (one.verdict, one.events, one.root) == ("verified", good.events, good.root)
    assert [check.name for check in one.checks[-6:]] == [f"archive: {check.name}" for check in archived.checks]

    change(folder.path / "000000000008.parquet", 2, "stream", str.upper)
    wrong = with_archive(good, check_archive(folder, "default", KEYS))
    assert wrong.verdict == "failed"
    assert wrong.first_bad is not None
    assert wrong.first_bad.position == 10
    earlier = replace(good, verdict="failed", first_bad=Bad(3, "s/0", 1, "it was changed"))
    assert with_archive(earlier, check_archive(folder, "default", KEYS)).first_bad == earlier.first_bad
