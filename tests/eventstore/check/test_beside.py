"""What stands beside the events, changed behind the store's back, is found and named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actum.events import RecordedEvent, leaf_hash
from actum.events.checkpoint import Checkpoint, SigningKey, sign
from actum.events.merkle import Frontier
from actum.eventstore import ANY, Append, ViewRow, open_store
from actum.eventstore.check.store import check_store
from actum.eventstore.check.verdict import Verification
from actum.eventstore.memory import MemoryStore
from actum.testing.builders import KEY, event
from actum.testing.clock import ManualClock
from actum.testing.logs import fill, rebuild
from actum.testing.tampering import Tampered


def verify(tampered: Tampered, **options: Any) -> Verification:
    return tampered.verify(**{"keys": (KEY.verifier(),), "rebuild": rebuild} | options)


def failed(found: Verification) -> list[str]:
    return [check.name for check in found.checks if check.ok is False]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE tree_state SET frontier = CAST(substr(frontier, 1, 8) || zeroblob(128) AS BLOB)", "positions 0 to 15"),
        ("UPDATE tree_state SET frontier = CAST(substr(frontier, 1, 104) || zeroblob(32) AS BLOB)", "28 to 29"),
        ("UPDATE tree_state SET frontier = x'00'", "cannot be read"),
        ("UPDATE tree_state SET frontier = 'text'", "cannot be read"),
        ("UPDATE tree_state SET size = 29", "says 29 events, but holds the hashes of 30"),
        ("UPDATE tree_state SET size = 'x'", "tree"),
        ("DELETE FROM tree_state", "covers 0 events, the log has 30"),
    ],
)
def test_a_changed_tree_state_is_found(tampered: Tampered, statement: str, said: str) -> None:
    """The tree's state must be that of the headers; where its hashes differ, the range under them is named."""
    tampered.sql(statement)

    found = verify(tampered)

    assert failed(found) == ["tree"]
    (tree,) = [check for check in found.checks if check.name == "tree"]
    assert said in tree.detail
    assert found.events == 30


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE streams SET last_leaf = zeroblob(32) WHERE name = 's/b'", "the head was changed"),
        ("UPDATE streams SET last_leaf = 'x' WHERE name = 's/b'", "the head was changed"),
        ("UPDATE streams SET version = 11 WHERE name = 's/b'", "its tail was cut off"),
        ("UPDATE streams SET version = 9 WHERE name = 's/b'", "or the head was changed"),
        ("UPDATE streams SET version = 'x' WHERE name = 's/b'", "or the head was changed"),
    ],
)
def test_a_changed_stream_head_is_found(tampered: Tampered, statement: str, said: str) -> None:
    """A head that does not fit its stream is named, at the stream's last event."""
    tampered.sql(statement)

    found = verify(tampered)

    assert failed(found) == ["streams"]
    assert found.first_bad is not None
    assert found.first_bad.stream == "s/b"
    assert said in found.first_bad.reason


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "UPDATE executions SET status = 'completed' WHERE id = 's/b'",
            "status is 'completed', the log gives 'running'",
        ),
        ("UPDATE executions SET wake_us = 5 WHERE id = 's/b'", "wake_us is 5, the log gives None"),
        ("DELETE FROM executions WHERE id = 's/b'", "key s/b: the row is missing"),
        ("UPDATE executions SET id = 's/z' WHERE id = 's/b'", "key s/z: the row does not follow from the log"),
        ("INSERT INTO approvals VALUES (0, 'e', 'a', 'w', 's', 's', 'r', NULL, 0)", "view approvals, key e/a"),
    ],
)
def test_a_changed_view_is_found(tampered: Tampered, statement: str, said: str) -> None:
    """A view row changed, added or removed is named by view and key; the log itself is proved all the same."""
    tampered.sql(statement)

    found = verify(tampered)

    assert (found.verdict, failed(found), found.first_bad) == ("failed", ["projections"], None)
    assert said in found.checks[-1].detail


def test_a_fold_that_fails_is_a_finding(tampered: Tampered) -> None:
    """When the views cannot be rebuilt the check says why, and everything else is still proved."""

    def broken(events: Iterator[RecordedEvent]) -> list[ViewRow]:
        next(events)
        raise ZeroDivisionError("a bug")

    found = verify(tampered, rebuild=broken)

    assert (failed(found), found.events) == (["projections"], 30)
    assert "ZeroDivisionError: a bug" in found.checks[-1].detail


def _note(store_size: int, root: bytes, key: SigningKey = KEY) -> str:
    return sign(Checkpoint(key.name, store_size, root), key)


OTHER = SigningKey.generate("actum/other", seed=bytes(32))
SAME_NAME = SigningKey.generate(KEY.name, seed=bytes(32))


@pytest.mark.parametrize(
    ("size", "note", "which", "said"),
    [
        (20, _note(20, bytes(32)), ["checkpoints"], "positions 10 to 19 do not give the root"),
        (31, _note(31, bytes(32)), ["checkpoints"], "the checkpoint of size 31 covers it"),
        (25, _note(24, bytes(32)), ["checkpoints"], "kept for size 25 is of size 24"),
        (25, "no note at all", ["checkpoints", "signatures"], "cannot be read"),
        (25, b"bytes", ["checkpoints", "signatures"], "cannot be read"),
    ],
)
def test_a_wrong_checkpoint_is_found(tampered: Tampered, size: int, note: str, which: list[str], said: str) -> None:
    """A checkpoint must be a note about this log, of the size it is kept for, and no larger than the log."""
    tampered.sql("INSERT OR REPLACE INTO checkpoints VALUES (0, ?, ?)", size, note)

    found = verify(tampered)

    assert failed(found) == which
    (checkpoints,) = [check for check in found.checks if check.name == "checkpoints"]
    assert said in checkpoints.detail


@pytest.mark.parametrize(
    ("key", "said"), [(OTHER, "no known key signed it"), (SAME_NAME, "no known key signed it"), (None, "is wrong")]
)
def test_a_wrong_signature_is_found(tampered: Tampered, key: SigningKey | None, said: str) -> None:
    """A checkpoint with the right root, but by another key or with a bad signature, is not believed."""
    ((note,),) = tampered.sql("SELECT note FROM checkpoints WHERE size = 20")
    if key is None:
        forged = note[:-10] + ("A" if note[-10] != "A" else "B") + note[-9:]
    else:
        tampered_root = Frontier()
        tampered_root.extend([leaf_hash(tampered.header(i)) for i in range(20)])
        forged = _note(20, tampered_root.root(), key)
    tampered.sql("UPDATE checkpoints SET note = ? WHERE size = 20", forged)

    found = verify(tampered)

    assert failed(found) == ["signatures"]
    assert said in {check.name: check.detail for check in found.checks}["signatures"]


def test_other_tenants_events_do_not_matter(tmp_path: Path) -> None:
    """Each tenant's log is proved for itself: damage in one is none in the other."""
    url = f"sqlite:///{tmp_path}/two.db"
    for tenant in ("default", "two"):
        store = open_store(url, tenant)
        fill(store)
        store.close()
    tampered = Tampered(tmp_path / "two.db")
    tampered.change((1 << 40) + 5, b'"success"', b'"failure"')

    assert verify(tampered).verdict == "verified"
    two = open_store(url, "two")
    found = check_store(two)
    assert found.first_bad is not None
    assert found.first_bad[:3] == (5, "s/c", 1)
    two.close()


def test_a_damaged_page_is_a_finding(original: bytes, tmp_path: Path) -> None:
    """When SQLite itself cannot read on, the verdict says from which position."""
    path = tmp_path / "log.db"
    broken = bytearray(original)
    at = original.index(b'"stream":"s/b","tenant":"default","type":"step.completed","v":1,"version":5}')
    page = at // 4096 * 4096
    broken[page : page + 8] = b"\xff" * 8
    path.write_bytes(broken)
    store = open_store(f"sqlite:///{path}?mode=ro")

    found = check_store(store)

    assert found.verdict == "failed"
    assert found.first_bad is not None
    store.close()


def test_the_clock_may_run_backwards() -> None:
    """Recorded times that go back are no fault by themselves: clocks are set back."""
    clock = ManualClock()
    store = MemoryStore(clock=clock)
    for i in range(4):
        store.append([Append("s/a", ANY, [event(i)], [ViewRow("executions", ("x",), None)])])
        clock.move_s(-60)

    assert check_store(store).verdict == "verified"
