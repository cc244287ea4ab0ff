"""What we once wrote, we can always read: every event type in every schema it ever had."""

from __future__ import annotations

import hmac
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from actum.events import CURRENT, RecordedEvent, canonical, leaf_hash, payload_digest
from actum.events.canonical import check_facts
from actum.events.catalog import MODELS, validate_facts

HERE = Path(__file__).parent
FOLDER = HERE / "events"
FILES = sorted(FOLDER.glob("*.json"))


def load(path: Path) -> tuple[dict[str, Any], RecordedEvent]:
    kept = json.loads(path.read_text("utf-8"))
    payload = kept["payload"].encode() if "payload" in kept else None
    salt = bytes.fromhex(kept["salt"]) if "salt" in kept else None
    return kept, RecordedEvent(0, kept["header"].encode(), payload, salt)


def test_every_schema_has_a_golden_file() -> None:
    """For every type there is one file per schema from 1 to today's, and no other; `make.py` writes missing ones."""
    wanted = {f"{type_}.v{n}.json" for type_, today in CURRENT.items() for n in range(1, today + 1)}

    assert {path.name for path in FILES} == wanted


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_event_reads_as_it_was_written(path: Path) -> None:
    """The kept bytes hash to the kept leaf, are canonical, commit to the payload, and are what the file is called."""
    kept, event = load(path)

    assert path.stem == f"{event.type}.v{event.head['schema']}"
    assert leaf_hash(event.header).hex() == kept["leaf"]
    assert canonical(event.head) == event.header
    assert rfc8785.dumps(json.loads(event.header)) == event.header
    if event.payload is None:
        assert "payload" not in event.head
        assert event.salt is None
    else:
        assert event.salt is not None
        about = event.head["payload"]
        assert about["size"] == len(event.payload)
        assert about["digest"] == payload_digest(event.salt, event.payload)
        assert about["digest"] == "hmac-sha256:" + hmac.new(event.salt, event.payload, "sha256").hexdigest()
        assert event.value() == json.loads(event.payload)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_golden_facts_fit_todays_model(path: Path) -> None:
    """After upcasting, the facts of every event ever written are facts that today's code takes."""
    _, event = load(path)

    validate_facts(event.type, event.facts)
    check_facts(event.facts, "facts")


@pytest.mark.parametrize("type_", sorted(MODELS))
def test_todays_golden_files_are_complete(type_: str) -> None:
    """The file of today's schema shows every field that the model has, so that none can change unseen."""
    _, event = load(FOLDER / f"{type_}.v{CURRENT[type_]}.json")

    assert set(event.facts) == set(MODELS[type_].model_fields)


def test_golden_streams_are_chained() -> None:
    """Every golden event after its stream's first names the leaf of another golden event, one version before it."""
    by_leaf = {kept["leaf"]: event for kept, event in map(load, FILES)}
    for event in by_leaf.values():
        if event.version == 0:
            assert event.prev is None
        else:
            assert event.prev is not None
            before = by_leaf[event.prev]
            assert (before.stream, before.version) == (event.stream, event.version - 1)


def test_a_golden_decision_names_what_was_shown() -> None:
    """The granted example is bound to the payload of its request, as decisions are."""
    _, request = load(FOLDER / "approval.requested.v1.json")
    _, granted = load(FOLDER / "approval.granted.v1.json")

    assert granted.facts["shown"] == request.head["payload"]["digest"]


def make(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(HERE / "make.py"), str(folder)], capture_output=True, text=True, check=False
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "events"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_make_writes_what_is_missing_as_it_was(copy: Path) -> None:
    """Today's files, when they are lost, come out again byte for byte."""
    for type_, today in CURRENT.items():
        (copy / f"{type_}.v{today}.json").unlink()
    done = make(copy)

    assert (done.returncode, done.stdout) == (0, "")
    assert contents(copy) == contents(FOLDER)


def test_make_never_changes_a_golden_file(copy: Path) -> None:
    """When today's code would write another event, that file is named and nothing is written, missing ones included."""
    changed = copy / f"step.completed.v{CURRENT['step.completed']}.json"
    changed.write_text(changed.read_text("utf-8").replace("412000", "412001"), "utf-8")
    (copy / f"timer.set.v{CURRENT['timer.set']}.json").unlink()
    before = contents(copy)
    done = make(copy)

    assert done.returncode == 1
    assert f"{changed}: today's code writes another event than the one kept; nothing was written" in done.stderr
    assert contents(copy) == before
