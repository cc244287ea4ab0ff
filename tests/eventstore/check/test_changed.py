"""One event changed behind the store's back is found, and named."""

from __future__ import annotations

from typing import Any

import pytest

from actum.eventstore.check.verdict import Verification
from actum.testing.builders import KEY
from actum.testing.logs import STREAMS, rebuild
from actum.testing.tampering import Tampered


def verify(tampered: Tampered, **options: Any) -> Verification:
    return tampered.verify(**{"keys": (KEY.verifier(),), "rebuild": rebuild} | options)


def failed(found: Verification) -> list[str]:
    return [check.name for check in found.checks if check.ok is False]


@pytest.mark.parametrize("position", [0, 2, 13, 27, 29])
@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"outcome":"success"', b'"outcome":"failure"'), (b'"kind":"worker"', b'"kind":"person"'), (b'"v":1', b'"v":2')],
)
def test_a_changed_header_is_found(tampered: Tampered, position: int, old: bytes, new: bytes) -> None:
    """An event with other content, wherever in its stream, is named with position, stream and version."""
    tampered.change(position, old, new)

    found = verify(tampered)

    assert found.verdict == "failed"
    assert found.first_bad is not None
    assert found.first_bad[:3] == (position, STREAMS[position % 3], position // 3)


def test_a_changed_header_is_found_in_a_forged_tree_too(tampered: Tampered) -> None:
    """Making the tree's state fit a changed event does not help: the stream's next event holds the old hash."""
    tampered.change(6, b'"success"', b'"failure"')
    tampered.fix_tree()

    found = verify(tampered)

    assert found.first_bad is not None
    assert found.first_bad[:3] == (6, "s/a", 2)
    assert "position 9" in found.first_bad.reason
    assert failed(found) == ["chains", "checkpoints"]


def test_a_rewritten_chain_is_found_by_the_tree(tampered: Tampered) -> None:
    """A changed event with every later link of its stream made to fit is still not what the tree covers."""
    tampered.rewrite_stream([14, 17, 20, 23, 26, 29], b'"success"', b'"failure"')

    found = verify(tampered, keys=())

    assert failed(found) == ["tree", "checkpoints"]
    assert found.first_bad is not None
    assert (found.first_bad.position, found.first_bad.stream) == (0, None)
    assert "positions 0 to 15" in found.first_bad.reason


def test_a_whole_rewrite_is_found_by_a_signed_checkpoint(tampered: Tampered) -> None:
    """Who rewrites chain, tree and heads still has the checkpoints signed before: the range is named."""
    tampered.rewrite_stream([14, 17, 20, 23, 26, 29], b'"success"', b'"failure"')
    tampered.fix_tree()

    found = verify(tampered)

    assert failed(found) == ["checkpoints"]
    assert found.first_bad is not None
    assert found.first_bad.position == 10
    assert "positions 10 to 19 do not give the root of the checkpoint of size 20" in found.first_bad.reason


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'{"actor":{"kind":"worker","ref":"w-1"},"at"', b'{"actor":{"ref":"w-1","kind":"worker"},"at"'),
        (b'"success"', b'"s\\u0075ccess"'),
        (b'"attempt":1', b'"attempt":1.0'),
        (b'"attempt":1', b'"attempt": 1'),
        (b'"attempt":1', b'"attempt":2,"attempt":1'),
        (b'"attempt":1', b'"attempt":1e0'),
    ],
    ids=["key order", "escape", "1.0", "space", "duplicate key", "1e0"],
)
@pytest.mark.parametrize("forged", [False, True], ids=["as is", "tree and heads forged"])
def test_other_bytes_of_equal_meaning_are_found(tampered: Tampered, old: bytes, new: bytes, forged: bool) -> None:
    """A header that means the same but is written otherwise is not the one that was written."""
    tampered.change(29, old, new)
    if forged:
        tampered.fix_tree()
        tampered.fix_streams()

    found = verify(tampered, keys=())

    assert found.verdict == "failed"
    assert found.first_bad is not None
    assert found.first_bad[:3] == (29, "s/c", 9)
    if forged:
        assert failed(found) == ["headers"]


@pytest.mark.parametrize(
    ("old", "new", "which"),
    [
        (b'"tenant":"default"', b'"tenant":"another"', "headers"),
        (b'"v":1,', b'"v":2,', "headers"),
        (b'"size":8', b'"size":9', "payloads"),
        (b'"digest":"hmac-sha256:', b'"digest":"hmac-sha255:', "payloads"),
        (b',"size":8', b"", "payloads"),
    ],
)
def test_a_forged_header_must_fit_all_the_same(tampered: Tampered, old: bytes, new: bytes, which: str) -> None:
    """With tree and heads forged too, the header must still be of this tenant and format and know its payload."""
    tampered.change(29, old, new)
    tampered.fix_tree()
    tampered.fix_streams()

    found = verify(tampered, keys=(), rebuild=None)

    assert failed(found) == [which]


@pytest.mark.parametrize("bad", [b"", b"{}", b"[]", b"\xff", b"null", b'{"v":1}', "text", 5, b"[" * 2000])
def test_a_header_of_any_nonsense_is_found(tampered: Tampered, bad: object) -> None:
    """Whatever stands in place of a header, checking goes on to the end and names the event."""
    tampered.sql("UPDATE events SET header = ? WHERE seq = 4", bad)

    found = verify(tampered)

    assert (found.verdict, found.events) == ("failed", 30)
    assert found.first_bad is not None
    assert found.first_bad[:3] == (4, "s/b", 1)
    assert "headers" in failed(found)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE events SET type = 'step.failed' WHERE seq = 7", "type"),
        ("UPDATE events SET id = randomblob(16) WHERE seq = 7", "id"),
        ("UPDATE events SET id = 'text' WHERE seq = 7", "id"),
        ("UPDATE events SET version = 99 WHERE seq = 7", "version"),
        ("UPDATE events SET version = 'x' WHERE seq = 7", "version"),
        ("UPDATE events SET stream = 0, version = 77 WHERE seq = 7", "stream"),
        ("UPDATE events SET stream = 12345 WHERE seq = 7", "stream"),
    ],
)
def test_a_changed_column_is_found(tampered: Tampered, statement: str, said: str) -> None:
    """A column that does not say what its header says is named, and only this: the header itself is proved."""
    tampered.sql(statement)

    found = verify(tampered, rebuild=None)

    assert failed(found) == ["columns"]
    assert found.first_bad is not None
    assert found.first_bad.position == 7
    assert f"its {said} is" in found.first_bad.reason


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE payloads SET data = CAST('{\"n\":8}' AS BLOB) WHERE seq = 9", "was changed"),
        ("UPDATE payloads SET salt = zeroblob(32) WHERE seq = 9", "was changed"),
        ("UPDATE payloads SET salt = salt || x'00' WHERE seq = 9", "right length"),
        ("UPDATE payloads SET salt = substr(salt, 1, 31) WHERE seq = 9", "right length"),
        ("UPDATE payloads SET data = 'text' WHERE seq = 9", "as bytes"),
        ("DELETE FROM payloads WHERE seq = 9", "payload is missing"),
        ("UPDATE payloads SET seq = 8 WHERE seq = 9", "does not know"),
    ],
)
def test_a_changed_payload_is_found(tampered: Tampered, statement: str, said: str) -> None:
    """Payload and salt must be there and give the header's digest; where there should be none, there is none."""
    tampered.sql(statement)

    found = verify(tampered)

    assert failed(found) == ["payloads"]
    assert found.first_bad is not None
    assert found.first_bad.position == (8 if "SET seq" in statement else 9)
    assert said in found.first_bad.reason
