"""Where an archive may lie: a folder, and S3 over real HTTP. A file that is there is never written again."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from actum.archive import archive_log, check_archive, segment, segments_of
from actum.archive.places import ArchivePlace, Bucket, Folder, open_place
from actum.errors import ArchiveDamaged, BadInput, StoreRefused
from actum.eventstore import EventStore
from actum.testing.builders import KEY

from .conftest import SEGMENT


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> ArchivePlace:
    if request.param == "folder":
        return open_place(str(tmp_path / "archive"))
    return open_place(f"{request.getfixturevalue('s3')}/{tmp_path.name}")


def test_what_is_put_is_fetched(place: ArchivePlace, tmp_path: Path) -> None:
    """Byte for byte, and listed in order."""
    for name in ("b.parquet", "a.parquet"):
        (tmp_path / name).write_bytes(name.encode() * 1000)
        place.put(name, tmp_path / name)

    assert place.names() == ["a.parquet", "b.parquet"]
    assert place.fetch("b.parquet").read_bytes() == b"b.parquet" * 1000


def test_a_name_is_written_once(place: ArchivePlace, tmp_path: Path) -> None:
    """The same content again is fine; other content is refused, and the first stays."""
    first, other = tmp_path / "first", tmp_path / "other"
    first.write_bytes(b"first")
    other.write_bytes(b"other")
    place.put("a.parquet", first)
    place.put("a.parquet", first)

    with pytest.raises(ArchiveDamaged, match=r"a\.parquet is there with other content; nothing was written"):
        place.put("a.parquet", other)
    assert place.fetch("a.parquet").read_bytes() == b"first"


def test_the_end_of_a_file_is_read_alone(place: ArchivePlace, tmp_path: Path) -> None:
    """The last bytes, or all there are: of a short file, and of an empty one."""
    for name, size in (("a.parquet", 1000), ("b.parquet", 3), ("c.parquet", 0)):
        (tmp_path / name).write_bytes(bytes(size - 1) + b"x" if size else b"")
        place.put(name, tmp_path / name)
    fresh = open_place(place.url)

    assert [fresh.end_of(name, 5) for name in place.names()] == [b"\0\0\0\0x", b"\0\0x", b""]


def test_segments_are_listed_without_fetching_them(
    log: EventStore, s3_place: ArchivePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a segment says of itself stands at its end; where that is longer than thought, the file is fetched."""
    archive_log(log, s3_place, [KEY.verifier()], segment_events=SEGMENT)
    known = segments_of(s3_place, "default")
    fresh = cast(Bucket, open_place(s3_place.url))
    monkeypatch.setattr(fresh, "fetch", lambda name: pytest.fail(f"{name} was fetched"))

    assert [one.first for one in known] == [0, 8]
    assert segments_of(fresh, "default") == known
    monkeypatch.setattr(segment, "_FOOTER", 100)
    assert segments_of(open_place(s3_place.url), "default") == known


def test_what_is_not_there_is_named(place: ArchivePlace) -> None:
    """An empty place has no names, and a missing file says which."""
    assert place.names() == []
    with pytest.raises((ArchiveDamaged, StoreRefused)):
        place.fetch("a.parquet")


def test_a_log_is_archived_and_verified_there(place: ArchivePlace, log: EventStore) -> None:
    """The whole way: written, read back, proved."""
    archive_log(log, place, [KEY.verifier()], segment_events=SEGMENT)

    assert check_archive(place, "default", [KEY.verifier()], store=log).verdict == "verified"


def test_urls_that_name_no_archive_are_refused(tmp_path: Path) -> None:
    """A typo is said, not made into a folder."""
    with pytest.raises(BadInput, match="is no archive"):
        open_place("s4://bucket")
    with pytest.raises(BadInput, match="names no bucket"):
        open_place("s3://")
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="is a file"):
        Folder(tmp_path / "file")


def test_a_bucket_that_is_not_there_is_named(s3: str, log: EventStore) -> None:
    """One sentence, and nothing is recorded."""
    with pytest.raises(StoreRefused, match="s3://no-such-bucket"):
        archive_log(log, Bucket("s3://no-such-bucket"), [KEY.verifier()], segment_events=SEGMENT)
    assert log.head() == 20
