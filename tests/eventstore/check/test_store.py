"""A store that is in order is proved, entirely, and what could not be checked is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from actum.events.merkle import Frontier
from actum.eventstore import ANY, Append, EventStore, open_store
from actum.eventstore.check.store import check_store
from actum.eventstore.check.verdict import Verification
from actum.eventstore.memory import MemoryStore
from actum.testing.builders import KEY, event, signed
from actum.testing.logs import fill, rebuild
from actum.testing.tampering import Tampered


def verify(tampered: Tampered, **options: Any) -> Verification:
    return tampered.verify(**{"keys": (KEY.verifier(),), "rebuild": rebuild} | options)


def failed(found: Verification) -> list[str]:
    return [check.name for check in found.checks if check.ok is False]


@pytest.mark.parametrize("opened", [lambda path: MemoryStore(), lambda path: open_store(f"sqlite:///{path}/x.db")])
def test_a_good_store_verifies(opened: Callable[[Path], EventStore], tmp_path: Path) -> None:
    """An untouched store passes every check, with root and size of its tree and a line for each thing proved."""
    store = opened(tmp_path)
    fill(store)

    found = check_store(store, keys=(KEY.verifier(),), rebuild=rebuild)

    assert (found.verdict, found.events, found.size, found.first_bad) == ("verified", 30, 30, None)
    assert found.root == Frontier.from_bytes(store.tree().frontier).root()
    assert [(check.name, check.ok) for check in found.checks] == [
        (name, True)
        for name in (
            "positions", "headers", "columns", "streams", "chains", "payloads",
            "tree", "checkpoints", "signatures", "projections",
        )
    ]  # fmt: skip
    store.close()


def test_the_json_is_the_contract() -> None:
    """`to_json` has exactly the promised keys and plain values."""
    store = MemoryStore()
    fill(store)
    shape = orjson.loads(orjson.dumps(check_store(store).to_json()))

    assert list(shape) == ["verdict", "events", "size", "root", "checks", "first_bad"]
    assert len(bytes.fromhex(shape["root"])) == 32
    assert all(list(check) == ["name", "ok", "detail"] for check in shape["checks"])


def test_an_empty_store_verifies() -> None:
    """A log without events has the empty tree, and is in order."""
    found = check_store(MemoryStore(), rebuild=rebuild)

    assert (found.verdict, found.events, found.size) == ("verified", 0, 0)


def test_what_was_not_checked_is_said() -> None:
    """Without keys, checkpoints or a way to rebuild, these checks say so, and do not fail."""
    store = MemoryStore()
    store.append([Append("s/a", 0, [event("a")])])
    unsure = {check.name: check.detail for check in check_store(store).checks if check.ok is None}
    assert set(unsure) == {"checkpoints", "signatures", "projections"}

    store.add_checkpoint(1, signed(store, 1))
    unsure = {check.name: check.detail for check in check_store(store).checks if check.ok is None}
    assert "no key was given" in unsure["signatures"]
    assert set(unsure) == {"signatures", "projections"}


def test_progress_is_told() -> None:
    """Progress goes up to the size of the log."""
    store = MemoryStore()
    store.append([Append("s/a", 0, [event(i) for i in range(2500)])])
    told: list[tuple[int, int]] = []

    check_store(store, progress=lambda done, all_: told.append((done, all_)))

    assert told == [(1000, 2500), (2000, 2500), (2500, 2500)]


def test_a_store_can_be_checked_while_it_is_written_to() -> None:
    """Appends during the check, also into known streams, are no fault: what was there at its begin is proved."""
    store = MemoryStore()
    fill(store)

    class Busy(MemoryStore):
        """Appends whenever it is asked for anything."""

        def __init__(self) -> None:
            self.__dict__ = store.__dict__
            self.count = 0

        def _write(self) -> None:
            self.count += 1
            stream = f"s/{'abcx'[self.count % 4]}"
            store.append([Append(stream, ANY, [event(f"busy{self.count}")])])

        def streams(self) -> Iterator[tuple[str, int, bytes]]:
            self._write()
            yield from super().streams()
            self._write()

        def read_raw(self, after: int = -1, limit: int | None = None) -> Iterator[Any]:
            self._write()
            yield from super().read_raw(after, limit)

    found = check_store(Busy(), keys=(KEY.verifier(),), rebuild=rebuild)

    assert (found.verdict, found.first_bad) == ("verified", None), found
    (projections,) = [check for check in found.checks if check.name == "projections"]
    assert projections.ok is None
    assert "written to" in projections.detail
    assert check_store(store).verdict == "verified"
