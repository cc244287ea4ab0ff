"""Tiles in a folder, and proofs out of a store: made with and without tiles, refused when anything was changed."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from actum.errors import BadInput, CheckpointRefused, StoreDamaged
from actum.events.checkpoint import Checkpoint, SigningKey, sign, verify
from actum.events.merkle import root_of
from actum.events.tlog_proof import verify_event
from actum.eventstore.memory import MemoryStore
from actum.eventstore.protocol import Append
from actum.eventstore.sealing.proving import find_event, prove_event, witness_request
from actum.eventstore.sealing.sealer import seal_log
from actum.eventstore.sealing.tile_folder import TileFolder
from actum.testing.builders import KEY, event, event_id

VKEY = KEY.verifier()
GOLDEN = Path(__file__).parents[2] / "golden/formats/tiles"


def grown(store: MemoryStore, to: int) -> str:
    start = store.head()
    store.append([Append("s/a", start, [event(i) for i in range(start, to)])])
    assert seal_log(store, KEY) is not None
    return store.checkpoints()[-1][1]


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    made = MemoryStore()
    grown(made, 700)
    return made


@pytest.fixture
def folder(store: MemoryStore, tmp_path: Path) -> TileFolder:
    made = TileFolder(tmp_path / "tiles")
    made.extend(store, store.checkpoints()[-1][1])
    return made


def test_a_folder_grows_with_the_log(tmp_path: Path) -> None:
    """Written in steps or at once, the folder proves itself at every step."""
    store, folder = MemoryStore(), TileFolder(tmp_path)
    for size in (1, 255, 256, 257, 600):
        before = store.head()
        assert folder.extend(store, grown(store, size)) == size - before
        assert folder.check().size == size
    assert folder.extend(store, store.checkpoints()[-1][1]) == 0


def test_the_golden_folder_is_read() -> None:
    """What was once published proves itself for ever, under the documented key."""
    key = SigningKey.generate("actum/default", seed=sha256(b"golden").digest())
    folder = TileFolder(GOLDEN)

    assert folder.check() == verify(folder.note() or "", [key.verifier()])


@pytest.mark.parametrize("name", ["tile/0/000", "tile/0/002.p/188", "tile/1/000.p/2", "tile/entries/001", "checkpoint"])
@pytest.mark.parametrize("how", ["changed", "cut", "gone"])
def test_every_changed_file_is_found(folder: TileFolder, name: str, how: str) -> None:
    """A file changed, cut or removed makes the folder fail."""
    path = folder.path / name
    data = path.read_bytes()
    if how == "gone":
        path.unlink()
    elif name == "checkpoint":
        path.write_bytes(data.replace(b"\n700\n", b"\n699\n") if how == "changed" else data[:40])
    else:
        path.write_bytes(data[:-1] + (bytes([data[-1] ^ 1]) if how == "changed" else b""))

    with pytest.raises(CheckpointRefused):
        folder.check()


def test_a_checkpoint_of_another_tree_is_not_published(store: MemoryStore, tmp_path: Path) -> None:
    """The tiles must give the root that was signed, else `checkpoint` stays as it was."""
    folder = TileFolder(tmp_path)
    with pytest.raises(StoreDamaged, match="does not give the root"):
        folder.extend(store, sign(Checkpoint(KEY.name, 700, bytes(32)), KEY))
    with pytest.raises(StoreDamaged, match="event is missing"):
        folder.extend(store, sign(Checkpoint(KEY.name, 701, bytes(32)), KEY))
    assert folder.note() is None


def test_a_folder_of_another_log_or_size_is_refused(store: MemoryStore, folder: TileFolder) -> None:
    """A folder goes on only with its own log, and only forward."""
    root = root_of(one.leaf for one in store.read(limit=699))
    with pytest.raises(CheckpointRefused, match="is of the log 'actum/default', not of 'actum/other'"):
        folder.extend(store, sign(Checkpoint("actum/other", 699, root), KEY))
    with pytest.raises(CheckpointRefused, match="is of size 700 already"):
        folder.extend(store, sign(Checkpoint(KEY.name, 699, root), KEY))


@pytest.mark.parametrize("position", [0, 255, 256, 511, 699])
@pytest.mark.parametrize("tiled", [False, True], ids=["leaves", "tiles"])
def test_an_event_is_proved(store: MemoryStore, folder: TileFolder, position: int, tiled: bool) -> None:
    """The proof holds under the log's key, and is the same from tiles as from all leaves."""
    proof = prove_event(store, position, folder if tiled else None)

    assert proof.extra is not None
    assert verify_event(proof, proof.extra, [VKEY], origin=KEY.name).size == 700
    assert proof == prove_event(store, position)


def test_proofs_out_of_tiles_do_not_read_the_log(store: MemoryStore, folder: TileFolder) -> None:
    """With tiles, one event is read, and no more than a tile a level."""
    read: list[str] = []
    whole = folder.read
    folder.read = lambda tile: (read.append(tile.path()), whole(tile))[1]  # type: ignore[method-assign]
    prove_event(store, 300, folder)

    assert sorted(read) == ["tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2"]


def test_wrong_tiles_give_no_proof(store: MemoryStore, folder: TileFolder) -> None:
    """A proof is checked before it is given, so a changed tile cannot make a wrong one."""
    path = folder.path / "tile/0/001"
    path.write_bytes(bytes(len(path.read_bytes())))
    with pytest.raises(StoreDamaged):
        prove_event(store, 300, folder)


def test_an_event_is_found_by_what_one_has() -> None:
    """A position, a place in a stream, or an id; anything else is refused, saying what to name."""
    store = MemoryStore()
    grown(store, 5)

    assert [find_event(store, which) for which in ("3", "s/a@3", event_id(3))] == [3, 3, 3]
    for which in ("s/a@9", "s/b@0", "what"):
        with pytest.raises(BadInput):
            find_event(store, which)


def test_what_is_not_signed_yet_is_not_proved() -> None:
    """An event after the last checkpoint, or none at all, is bad input that says what to do."""
    store = MemoryStore()
    grown(store, 3)
    store.append([Append("s/a", 3, [event(3)])])
    with pytest.raises(BadInput, match="the last checkpoint covers 3 events; run `actum seal`"):
        prove_event(store, 3)
    with pytest.raises(BadInput, match="the log has no event 9"):
        prove_event(store, 9)


@pytest.mark.parametrize("old_size", [0, 1, 256, 300, 700])
def test_a_witness_gets_checkpoint_and_proof(store: MemoryStore, folder: TileFolder, old_size: int) -> None:
    """The request is what C2SP witnesses take: the old size, the proof, and the note."""
    text = witness_request(store, old_size, folder if old_size < 700 else None)
    head, _, note = text.partition("\n\n")

    assert head.split("\n")[0] == f"old {old_size}"
    assert verify(note, [VKEY]).size == 700
    assert bool(head.split("\n")[1:]) == (old_size not in (0, 700))
