"""The places for large payloads, a folder and a bucket; and what an append leaves in one when its answer is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actum.errors import BadInput, StoreRefused, StoreUnavailable
from actum.events import NewEvent
from actum.eventstore import ANY, Append, Appended, Batch
from actum.eventstore.memory import MemoryStore
from actum.eventstore.payloads.blobs import BlobStore, FolderBlobs, open_blobs
from actum.eventstore.payloads.protection import Protection
from actum.eventstore.payloads.subjects_memory import MemoryRows
from actum.eventstore.payloads.vault import Vault
from actum.testing.builders import STREAM, event
from tests.eventstore.aws import endpoint_of

LARGE = b'"' + b"x" * (256 * 1024) + b'"'


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    yield from endpoint_of()


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    if request.param == "folder":
        return open_blobs(f"{tmp_path}/blobs")
    from actum.eventstore.payloads.blobs_s3 import BucketBlobs

    request.getfixturevalue("aws")
    found = BucketBlobs(f"s3://blobs/{tmp_path.name}/", endpoint=request.getfixturevalue("endpoint"))
    found._s3.create_bucket(Bucket="blobs")
    return found


def test_a_blob_is_put_got_listed_and_deleted(place: BlobStore) -> None:
    """Under its name, of its tenant; deleting what is not there is fine."""
    place.put("a/1", b"one")
    place.put("a/2", b"two")
    place.put("b/1", b"other")

    assert (place.get("a/1"), place.get("a/3"), place.get("c/1")) == (b"one", None, None)
    assert [name for name, _ in place.names("a")] == ["a/1", "a/2"]
    assert all(written_at > 1_600_000_000_000_000 for _, written_at in place.names("a"))
    place.delete("a/1")
    place.delete("a/1")
    assert place.get("a/1") is None
    assert [name for name, _ in place.names("a")] == ["a/2"]
    assert list(place.names("c")) == []


def test_a_store_keeps_large_payloads_there(place: BlobStore) -> None:
    """Written, read, swept and destroyed through the store, as with any place."""
    store = MemoryStore(vault=Vault(blobs=place))
    key = store.key_for("ada")
    large = event("a", payload=LARGE)
    large.key = key
    store.append([Append(STREAM, ANY, [large])])

    assert [e.payload for e in store.read()] == [LARGE]
    assert store.sweep_blobs(-3600) == []
    assert store.destroy_key(key) == 1
    assert list(place.names("default")) == []


def test_a_tenant_is_a_folder_whatever_its_name(tmp_path: Path) -> None:
    """A name with slashes or dots leads nowhere else."""
    store = MemoryStore("../up/there", vault=Vault(blobs=FolderBlobs(tmp_path / "blobs")))
    store.append([Append(STREAM, ANY, [event("a", payload=LARGE)])])

    assert [e.payload for e in store.read()] == [LARGE]
    assert [path.parent.name for path in tmp_path.rglob("*") if path.is_file()] == ["..%2Fup%2Fthere"]


def test_a_place_that_cannot_be_written_refuses_the_append(tmp_path: Path) -> None:
    """And nothing is in the log."""
    (tmp_path / "blobs").write_text("a file")
    store = MemoryStore(vault=Vault(blobs=FolderBlobs(tmp_path / "blobs")))
    with pytest.raises(StoreRefused, match="cannot be written"):
        store.append([Append(STREAM, ANY, [event("a", payload=LARGE)])])
    assert store.head() == 0


def test_a_bucket_that_is_not_there_refuses_the_append(aws: None, endpoint: str) -> None:
    """With the words of S3."""
    from actum.eventstore.payloads.blobs_s3 import BucketBlobs

    store = MemoryStore(vault=Vault(blobs=BucketBlobs("s3://nowhere", endpoint=endpoint)))
    with pytest.raises(StoreRefused, match="NoSuchBucket"):
        store.append([Append(STREAM, ANY, [event("a", payload=LARGE)])])
    with pytest.raises(BadInput, match="no bucket"):
        BucketBlobs("s3://")


@pytest.mark.parametrize("error", [StoreUnavailable("lost"), StoreRefused("s", "full"), RuntimeError("a bug")])
def test_only_an_unknown_answer_leaves_the_blob(tmp_path: Path, error: Exception) -> None:
    """After a lost answer the events may be there, so their blob stays; after a refusal it goes."""
    store = MemoryStore()
    rows = MemoryRows(store._changed, store._forget)
    place = FolderBlobs(tmp_path / "blobs")
    protection = Protection("memory://", "default", Vault(blobs=place), lambda: rows, lambda: 0)
    put: list[int] = []

    def write(batch: Batch) -> Appended:
        put.append(len(list(place.names("default"))))
        raise error

    def write_soon(batch: Batch, done: object) -> None:
        done(error)  # type: ignore[operator]

    answers: list[object] = []
    with pytest.raises(type(error)):
        protection.append(_large("a"), write)
    protection.append_soon(_large("b"), answers.append, write_soon)

    assert put == [1]
    assert answers == [error]
    assert len(list(place.names("default"))) == (2 if isinstance(error, StoreUnavailable) else 0)


def _large(name: str) -> Batch:
    made: NewEvent = event(name, payload=LARGE)
    return [Append(STREAM, ANY, [made])]
