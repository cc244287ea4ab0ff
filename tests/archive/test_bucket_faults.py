"""A bucket whose answers get lost, before the write landed and after; and one whose objects were changed since."""

from __future__ import annotations

from typing import Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError

from actum.archive import WholeStore, archive_log, check_archive, drop_archived, restore
from actum.archive.places import ArchivePlace, Bucket
from actum.engine.rules.views import rebuild
from actum.errors import ArchiveDamaged, StoreRefused
from actum.eventstore import EventStore
from actum.eventstore.check.store import check_store
from actum.eventstore.floor import HotStore
from actum.testing.builders import KEY

from .conftest import SEGMENT, sign

KEYS = [KEY.verifier()]


def breaking(bucket: Bucket, call: str, at: int, landed: bool) -> Any:
    """The bucket's client with its n-th call of this kind answered by nobody."""
    real = getattr(bucket._s3, call)
    calls = 0

    def asked(*args: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls != at:
            return real(*args, **named)
        if landed:
            real(*args, **named)
        raise EndpointConnectionError(endpoint_url="http://nowhere")

    return asked


@pytest.mark.parametrize("at", [1, 2, 3, 4])
@pytest.mark.parametrize("landed", [False, True], ids=["lost", "landed"])
def test_a_put_without_an_answer_is_made_good(
    log: EventStore, s3_place: ArchivePlace, at: int, landed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether or not it landed, the next run leaves one copy of each, and records each once."""
    bucket = cast(Bucket, s3_place)
    monkeypatch.setattr(bucket._s3, "put_object", breaking(bucket, "put_object", at, landed))
    with pytest.raises(StoreRefused, match="did not answer"):
        archive_log(log, bucket, KEYS, segment_events=SEGMENT)
    monkeypatch.undo()
    archive_log(log, Bucket(bucket.url), KEYS, segment_events=SEGMENT)

    assert len(bucket.names()) == 4
    assert [e.facts["first"] for e in log.read_stream("system/default")] == [0, 8]
    assert check_archive(Bucket(bucket.url), "default", KEYS, store=log).verdict == "verified"


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_nothing_leaves_while_the_bucket_does_not_answer(
    log: EventStore, s3_place: ArchivePlace, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that cannot be fetched again proves nothing; what left before stays away, and the next run goes on."""
    bucket, hot = cast(Bucket, s3_place), cast(HotStore, log)
    archive_log(log, bucket, KEYS, segment_events=SEGMENT)
    sign(log)
    rows = list(log.read_raw(limit=22))
    monkeypatch.setattr(bucket._s3, "download_file", breaking(bucket, "download_file", at, False))
    with pytest.raises(StoreRefused, match="did not answer"):
        drop_archived(hot, bucket, KEYS)
    monkeypatch.undo()
    assert hot.floor().size == (0 if at < 3 else 8)
    assert list(WholeStore(hot, Bucket(bucket.url)).read_raw(limit=22)) == rows

    drop_archived(hot, bucket, KEYS)
    assert hot.floor().size == 16
    assert list(WholeStore(hot, Bucket(bucket.url)).read_raw(limit=22)) == rows
    assert check_store(WholeStore(hot, bucket), keys=KEYS).verdict == "verified"
    restore(hot, bucket, KEYS, rebuild)
    assert list(hot.read_raw(limit=22)) == rows


def test_what_was_fetched_before_does_not_count(log: EventStore, s3_place: ArchivePlace) -> None:
    """An object that was changed after it was fetched and checked is fetched again before its events leave."""
    bucket, hot = cast(Bucket, s3_place), cast(HotStore, log)
    archive_log(log, bucket, KEYS, segment_events=SEGMENT)
    sign(log)
    bucket.fetch("000000000000.parquet")
    other = bucket.fetch("000000000008.parquet")
    bucket._s3.put_object(Bucket="evidence", Key=f"{bucket._prefix}000000000000.parquet", Body=other.read_bytes())

    with pytest.raises(ArchiveDamaged, match="holds events from 8 on"):
        drop_archived(hot, bucket, KEYS)
    assert hot.floor().size == 0
