"""Wrapping data keys: by a key in a file, and by one in AWS KMS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actum.errors import BadInput, KeyRingRefused
from actum.eventstore.memory import MemoryStore
from actum.eventstore.payloads.key_ring import FileKeyRing, KeyRing, open_key_ring
from actum.eventstore.payloads.vault import Vault
from tests.eventstore.aws import endpoint_of

DATA_KEY = bytes(range(32))
KEY = "0d5f5c0e-6c8f-4c55-8e0c-5a0a1d3f2b11"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    yield from endpoint_of()


@pytest.fixture(params=["file", "awskms"])
def ring(request: pytest.FixtureRequest, tmp_path: Path) -> KeyRing:
    if request.param == "file":
        return open_key_ring(f"file:{tmp_path}/ring")
    import boto3

    request.getfixturevalue("aws")
    endpoint = request.getfixturevalue("endpoint")
    key = boto3.client("kms", region_name="eu-central-1", endpoint_url=endpoint).create_key()["KeyMetadata"]["KeyId"]
    return open_key_ring(f"awskms:{key}?region=eu-central-1&endpoint={endpoint}")


def test_what_was_wrapped_is_unwrapped(ring: KeyRing) -> None:
    """For the same tenant and id; and the wrapped form does not hold the key."""
    wrapped = ring.wrap(DATA_KEY, "default", KEY)

    assert ring.unwrap(wrapped, "default", KEY) == DATA_KEY
    assert DATA_KEY not in wrapped


@pytest.mark.parametrize(("tenant", "key"), [("other", KEY), ("default", KEY.replace("0", "1"))], ids=["tenant", "id"])
def test_a_wrapped_key_is_bound_to_its_tenant_and_id(ring: KeyRing, tenant: str, key: str) -> None:
    """Moved into another tenant's row, or under another id, it is refused."""
    wrapped = ring.wrap(DATA_KEY, "default", KEY)
    with pytest.raises(KeyRingRefused):
        ring.unwrap(wrapped, tenant, key)


def test_what_was_altered_is_refused(ring: KeyRing) -> None:
    """One bit is enough."""
    wrapped = ring.wrap(DATA_KEY, "default", KEY)
    with pytest.raises(KeyRingRefused):
        ring.unwrap(wrapped[:-1] + bytes([wrapped[-1] ^ 1]), "default", KEY)


def test_the_file_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    """A second opening loads the same key."""
    wrapped = FileKeyRing(tmp_path / "ring").wrap(DATA_KEY, "default", KEY)

    assert FileKeyRing(tmp_path / "ring").unwrap(wrapped, "default", KEY) == DATA_KEY
    assert (tmp_path / "ring").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "nonsense\n", "00 aGVsbG8=\n", "0011aabb !\n"])
def test_what_is_no_key_ring_is_refused(tmp_path: Path, text: str) -> None:
    """The error names the file."""
    (tmp_path / "ring").write_text(text)
    with pytest.raises(KeyRingRefused, match=r"ring: is not a key ring"):
        FileKeyRing(tmp_path / "ring")


@pytest.mark.parametrize("url", ["", "file:", "awskms:", "vault:x", "ring"])
def test_what_names_no_key_ring_is_refused(url: str) -> None:
    """The error says what does."""
    with pytest.raises(BadInput, match="file:PATH"):
        open_key_ring(url)
    with pytest.raises(BadInput, match=r"unknown option 'regoin'; did you mean 'region'"):
        open_key_ring("awskms:alias/x?regoin=x")


def test_kms_that_cannot_be_reached_is_refused(aws: None) -> None:
    """With its own words; no data key comes of it."""
    ring = open_key_ring("awskms:alias/x?region=eu-central-1&endpoint=http://127.0.0.1:9")
    ring._kms.meta.config.retries = {"max_attempts": 0}  # type: ignore[attr-defined]
    with pytest.raises(KeyRingRefused, match="cannot be wrapped"):
        ring.wrap(DATA_KEY, "default", KEY)


def test_turning_the_ring_keeps_every_payload(tmp_path: Path) -> None:
    """A new key wraps, all data keys are wrapped by it, the old one goes: a copy of the old ring opens nothing more."""
    from tests.conformance.test_store_payloads import new, put

    path = tmp_path / "ring"
    ring = FileKeyRing(path)
    store = MemoryStore(vault=Vault(ring))
    for name in ("ada", "bob", "eve"):
        put(store, new(name, b"1", key=store.key_for(name)))
    store.destroy_key(store.key_for("eve"))
    old = tmp_path / "old"
    old.write_bytes(path.read_bytes())
    ring.turn()

    assert store.rewrap_keys() == 2
    ring.drop_old()
    assert [e.payload for e in store.read()] == [b"1", b"1", None]
    assert len(path.read_text().splitlines()) == 1
    (row, *_) = store._rows.of("ada")
    assert row.wrapped is not None
    with pytest.raises(KeyRingRefused, match="another key ring"):
        FileKeyRing(old).unwrap(row.wrapped, "default", row.key)
