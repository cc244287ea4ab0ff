"""The last checkpoint, kept apart: a file and an S3 object hold to one protocol, and of two writers one wins."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from actum.errors import BadInput, CheckpointMoved, CheckpointRefused, StoreRefused, StoreUnavailable
from actum.eventstore.sealing.checkpoint_s3 import CheckpointObject
from actum.eventstore.sealing.checkpoint_store import (
    CheckpointFile,
    CheckpointStore,
    MemoryCheckpoint,
    open_checkpoint_store,
)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An S3 server on this machine."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture(params=["memory", "file", "s3"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> CheckpointStore:
    if request.param == "memory":
        return MemoryCheckpoint()
    if request.param == "file":
        return CheckpointFile(tmp_path / "apart" / "checkpoint")
    return _bucket(request, tmp_path.name)


def _bucket(request: pytest.FixtureRequest, key: str) -> CheckpointObject:
    request.getfixturevalue("_credentials")
    found = CheckpointObject(f"s3://apart/{key}", endpoint=request.getfixturevalue("endpoint"))
    found._s3.create_bucket(Bucket="apart")
    return found


def test_a_note_is_replaced_by_who_knows_the_last(kept: CheckpointStore) -> None:
    """The first is kept in place of nothing, each other in place of the one before."""
    assert kept.latest() is None
    kept.advance(None, "one — ü\n")
    kept.advance("one — ü\n", "two\n")

    assert kept.latest() == "two\n"


@pytest.mark.parametrize("before", [None, "one\n"])
def test_who_does_not_know_the_last_is_refused(kept: CheckpointStore, before: str | None) -> None:
    """Whoever believes in nothing, or in an older note, replaces nothing."""
    kept.advance(None, "one\n")
    kept.advance("one\n", "two\n")
    with pytest.raises(CheckpointMoved):
        kept.advance(before, "three\n")

    assert kept.latest() == "two\n"


def test_a_lost_note_is_not_made_up(kept: CheckpointStore) -> None:
    """When the note is gone, nobody's knowledge of it replaces it."""
    with pytest.raises(CheckpointMoved):
        kept.advance("one\n", "two\n")

    assert kept.latest() is None


_RACE = """
import sys
from pathlib import Path
from actum.errors import CheckpointMoved
from actum.eventstore.sealing.checkpoint_store import CheckpointFile
kept, me = CheckpointFile(Path(sys.argv[1])), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
won, number = [], 0
while number < 150:
    before = kept.latest()
    number = 1 + (0 if before is None else int(before.split()[0]))
    try:
        kept.advance(before, f"{number} {me}\\n")
        won.append(number)
    except CheckpointMoved:
        pass
print(*won)
"""


def test_of_two_processes_exactly_one_wins(tmp_path: Path) -> None:
    """Two processes that replace the same notes at the same time never both succeed, and never neither."""
    path = tmp_path / "checkpoint"
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _RACE, str(path), me], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for me in "ab"
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    first, second = ([int(turn) for turn in racer.communicate(timeout=60)[0].split()] for racer in racers)

    assert sorted(first + second) == list(range(1, 1 + max(first + second)))
    assert path.read_text().split()[0] == str(max(first + second))


def test_of_two_in_s3_exactly_one_wins(request: pytest.FixtureRequest) -> None:
    """Two clients that both read the same note: the second to write is refused, by the server."""
    one, two = _bucket(request, "race"), _bucket(request, "race")
    one.advance(None, "one\n")
    assert (one.latest(), two.latest()) == ("one\n", "one\n")
    two.advance("one\n", "two\n")
    with pytest.raises(CheckpointMoved):
        one.advance("one\n", "other\n")

    assert one.latest() == "two\n"


def test_an_answer_that_was_lost_is_no_defeat(request: pytest.FixtureRequest) -> None:
    """When the write landed and boto3 asked again, "moved" by oneself is success."""
    kept = _bucket(request, "lost")
    kept.advance(None, "one\n")
    kept.advance(None, "one\n")

    assert kept.latest() == "one\n"


def test_s3_that_cannot_be_reached_is_said(request: pytest.FixtureRequest) -> None:
    """A server that does not answer is told from one that refuses."""
    kept = _bucket(request, "x")
    gone = CheckpointObject("s3://apart/x", endpoint="http://127.0.0.1:9")
    with pytest.raises(StoreRefused, match="cannot be read"):
        gone.latest()
    with pytest.raises(StoreUnavailable):
        gone.advance(None, "one\n")
    nowhere = CheckpointObject("s3://no-such-bucket/x", endpoint=kept._s3.meta.endpoint_url)
    with pytest.raises(StoreRefused, match="NoSuchBucket"):
        nowhere.advance(None, "one\n")


def test_a_file_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    """A folder in its place and bytes that are no text are named; a half-written file of a dead process is no harm."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreRefused, match="cannot be read"):
        CheckpointFile(tmp_path / "folder").latest()
    (tmp_path / "bytes").write_bytes(b"\xff")
    with pytest.raises(CheckpointRefused, match="is not a note"):
        CheckpointFile(tmp_path / "bytes").latest()
    (tmp_path / "good.new").write_text("half a no")
    CheckpointFile(tmp_path / "good").advance(None, "one\n")
    assert (tmp_path / "good").read_text() == "one\n"


@pytest.mark.parametrize("url", ["s3://bucket", "s3:///key", "s3://bucket/folder/", "http://x/y"])
def test_a_place_with_a_typo_is_refused(url: str) -> None:
    """What names no object and no file is bad input."""
    with pytest.raises(BadInput):
        open_checkpoint_store(url)
