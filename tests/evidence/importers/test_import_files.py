"""An import as a whole: all of it, once, or nothing."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actum.errors import BadInput, ImportRefused, StoreUnavailable
from actum.eventstore import Appended, EventStore, open_store
from actum.eventstore.protocol import Batch
from actum.evidence.importers import IMPORTERS, import_files

from .foreign_files import (
    check_log,
    minute,
    of_type,
    tau2_results,
    tau2_simulation,
    tau_run,
    write,
    xes_event,
    xes_log,
    xes_trace,
)

SMALL = {
    "tau-bench": [tau_run(0), tau_run(1, reward=0.0)],
    "tau2-bench": tau2_results(tau2_simulation("one"), tau2_simulation("two", reward=0.0)),
    "xes": xes_log(
        xes_trace("c", xes_event("a", minute(0)), xes_event("b", minute(1))),
        xes_trace("d", xes_event("a", minute(2))),
    ),
}


class Between:
    """A store in which something happens before, or after, an append that is counted from 0."""

    def __init__(self, store: EventStore, number: int, happens: Callable[[], None], *, after: bool = False) -> None:
        self._store = store
        self._left = number
        self._happens = happens
        self._after = after

    def append(self, batch: Batch) -> Appended:
        self._left -= 1
        if self._left == -1 and not self._after:
            self._happens()
        answer = self._store.append(batch)
        if self._left == -1 and self._after:
            self._happens()
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def many_cases(tmp_path: Path, number: int = 450) -> Path:
    traces = [xes_trace(f"c{i}", xes_event("a", minute(0)), xes_event("b", minute(1))) for i in range(number)]
    return write(tmp_path / "many.xes", xes_log(*traces))


def test_every_format_has_a_small_file() -> None:
    """What is promised of every format is tested of every format."""
    assert set(SMALL) == set(IMPORTERS)


@pytest.mark.parametrize("format", SMALL)
def test_importing_twice_adds_nothing(store: EventStore, tmp_path: Path, format: str) -> None:
    """The same content again, under another name, packed or not, at another time, changes nothing in the log."""
    one = write(tmp_path / "one", SMALL[format])
    first = import_files(store, format, [one], clock=lambda: 1_800_000_000_000_000).to_json()
    size = store.head()
    assert (first["executions"], first["already_there"], first["appended"]) == (2, 0, size)
    two = write(tmp_path / "two.gz", SMALL[format])
    again = import_files(store, format, [two], clock=lambda: 1_900_000_000_000_000).to_json()
    assert (again["executions"], again["events"], again["already_there"], again["appended"]) == (0, 0, 2, 0)
    assert store.head() == size
    check_log(store)


@pytest.mark.parametrize("format", SMALL)
def test_one_file_twice_in_one_import(store: EventStore, tmp_path: Path, format: str) -> None:
    """What stands in two files of one import is imported once, and counted as there already the second time."""
    one, two = write(tmp_path / "one", SMALL[format]), write(tmp_path / "two", SMALL[format])
    report = import_files(store, format, [one, two, one]).to_json()
    assert [(file["executions"], file["already_there"]) for file in report["files"]] == [(2, 0), (0, 2), (0, 2)]
    again = import_files(store, format, [one, one]).to_json()
    assert (again["already_there"], again["appended"]) == (4, 0)
    check_log(store)


def test_one_run_twice_in_one_file(store: EventStore, tmp_path: Path) -> None:
    """A record that stands twice in one file is one execution, in the first import and in the next."""
    path = write(tmp_path / "a.json", [tau_run(0), tau_run(1), tau_run(0)])
    report = import_files(store, "tau-bench", [path]).to_json()
    assert (report["executions"], report["already_there"]) == (2, 1)
    report = import_files(store, "tau-bench", [path]).to_json()
    assert (report["executions"], report["already_there"]) == (0, 3)
    check_log(store)


@pytest.mark.parametrize("format", SMALL)
def test_a_dry_run_writes_nothing(memory: EventStore, tmp_path: Path, format: str) -> None:
    """A dry run gives the counts of the import that would follow, and the log stays as it was."""
    path = write(tmp_path / "a", SMALL[format])
    dry = import_files(memory, format, [path], dry_run=True).to_json()
    assert (memory.head(), dry["dry_run"], dry["appended"]) == (0, True, 0)
    real = import_files(memory, format, [path]).to_json()
    assert {**dry, "dry_run": False, "appended": memory.head()} == real
    size = memory.head()
    dry = import_files(memory, format, [path], dry_run=True).to_json()
    assert (dry["executions"], dry["already_there"], memory.head()) == (0, 2, size)


@pytest.mark.parametrize("format", SMALL)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_any_cut_is_refused(memory: EventStore, tmp_path: Path, format: str, packed: bool) -> None:
    """Wherever a file is cut off, it is refused by name and nothing is written."""
    content = write(tmp_path / "a", SMALL[format]).read_bytes().rstrip()
    if packed:
        content = gzip.compress(content, mtime=0)
    path = tmp_path / "cut"
    for end in range(len(content)):
        path.write_bytes(content[:end])
        with pytest.raises(ImportRefused) as refused:
            import_files(memory, format, [path])
        assert refused.value.source == str(path)
    assert memory.head() == 0
    path.write_bytes(content)
    assert import_files(memory, format, [path]).to_json()["executions"] == 2


@pytest.mark.parametrize("format", SMALL)
def test_a_bad_file_stops_the_good_ones(memory: EventStore, tmp_path: Path, format: str) -> None:
    """Files are read before any is appended: one that is not whole keeps all of them out, whatever their order."""
    good, bad = write(tmp_path / "good", SMALL[format]), write(tmp_path / "bad", "[<")
    for paths in ([good, bad], [bad, good]):
        with pytest.raises(ImportRefused, match="bad"):
            import_files(memory, format, paths)
    assert memory.head() == 0


def _damaged(tmp_path: Path) -> Path:
    path = write(tmp_path / "damaged.gz", "x" * 1000)
    path.write_bytes(path.read_bytes()[:-8] + b"\x00" * 8)
    return path


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda folder: folder, "is a directory; name the files in it"),
        (lambda folder: folder / "none", "does not exist"),
        (lambda folder: write(folder / "empty", ""), "is empty"),
        (lambda folder: write(folder / "empty.gz", ""), "is empty"),
        (lambda folder: folder / "a\0b", "cannot be read"),
        (_damaged, "the packed data is damaged"),
    ],
)
def test_a_file_that_cannot_be_read(memory: EventStore, tmp_path: Path, make: Any, problem: str) -> None:
    """What is no readable file is refused by its path."""
    path = make(tmp_path)
    with pytest.raises(ImportRefused) as refused:
        import_files(memory, "xes", [path])
    assert refused.value.source == str(path)
    assert problem in str(refused.value)
    assert memory.head() == 0


def test_an_unknown_format(memory: EventStore, tmp_path: Path) -> None:
    """A format that there is not is refused with the nearest one there is."""
    with pytest.raises(BadInput, match=r"unknown import format 'tau_bench'; did you mean 'tau-bench'\?"):
        import_files(memory, "tau_bench", [tmp_path])


def test_no_file(memory: EventStore) -> None:
    """An import of nothing is a mistake, not an empty success."""
    with pytest.raises(BadInput, match="no file was named"):
        import_files(memory, "xes", [])


@pytest.mark.parametrize("landed", [False, True], ids=["lost", "landed"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_import_that_died_can_be_run_again(store: EventStore, tmp_path: Path, number: int, landed: bool) -> None:
    """Whichever append it died in, and whether or not that one landed, a second run completes it."""
    path = many_cases(tmp_path)

    def die() -> None:
        raise StoreUnavailable("the plug was pulled")

    with pytest.raises(StoreUnavailable):
        import_files(Between(store, number, die, after=landed), "xes", [path])
    there = len(of_type(store, "execution.completed"))
    assert there == min(450, 200 * (number + landed))
    report = import_files(store, "xes", [path]).to_json()
    assert (report["executions"], report["already_there"]) == (450 - there, there)
    assert len(of_type(store, "execution.started")) == len(of_type(store, "execution.completed")) == 450
    assert len(of_type(store, "import.done")) == 1
    check_log(store)


def test_two_imports_at_once(store: EventStore, tmp_path: Path) -> None:
    """When another import of the same runs is faster, nothing is there twice and both reports add up."""
    path = write(tmp_path / "a.json", [tau_run(number) for number in range(5)])
    part = write(tmp_path / "part.json", [tau_run(number) for number in range(2)])

    def other() -> None:
        import_files(store, "tau-bench", [part], clock=lambda: 1_800_000_000_000_000)

    report = import_files(Between(store, 0, other), "tau-bench", [path]).to_json()
    assert (report["executions"], report["already_there"]) == (3, 2)
    assert len(of_type(store, "execution.started")) == 5
    assert [note.facts["executions"] for note in of_type(store, "import.done")] == [2, 3]
    check_log(store)


def test_another_mapping_is_other_content(memory: EventStore, tmp_path: Path) -> None:
    """The same runs under a mapping that reads them differently are refused, unless it gives them another workflow."""
    path = write(tmp_path / "a.json", SMALL["tau-bench"])
    import_files(memory, "tau-bench", [path])
    size = memory.head()
    strict = write(tmp_path / "m.yaml", "success_reward: 2.0")
    with pytest.raises(ImportRefused, match=r"\$\[0\]: '0/0' .*with other content.*another workflow name"):
        import_files(memory, "tau-bench", [path], strict)
    with pytest.raises(ImportRefused):
        import_files(memory, "tau-bench", [path], strict, dry_run=True)
    assert memory.head() == size
    named = write(tmp_path / "n.yaml", "success_reward: 2.0\nworkflow: strict")
    assert import_files(memory, "tau-bench", [path], named).to_json()["executions"] == 2


def test_two_tenants_import_the_same_file(tmp_path: Path) -> None:
    """Tenants share nothing: the same file gives each of them all of its executions, under event ids of their own."""
    path = write(tmp_path / "a.json", SMALL["tau-bench"])
    ids: list[str] = []
    for tenant in ("one", "two"):
        store = open_store(f"sqlite:///{tmp_path}/shared.db", tenant)
        try:
            assert import_files(store, "tau-bench", [path]).to_json()["executions"] == 2
            check_log(store)
            ids += [event.id for event in store.read()]
        finally:
            store.close()
    assert len(set(ids)) == len(ids)


def test_the_import_is_noted_once(memory: EventStore, tmp_path: Path) -> None:
    """Each file that added something leaves one note in the system's stream, with digest, counts and name only."""
    folder = tmp_path / "alice"
    folder.mkdir()
    path = write(folder / "a.json", [*SMALL["tau-bench"], tau_run(9, reward=None)])
    import_files(memory, "tau-bench", [path])
    import_files(memory, "tau-bench", [path])
    (note,) = of_type(memory, "import.done")
    (started, _) = of_type(memory, "execution.started")
    assert note.stream == "system/default"
    assert note.facts["source"] == started.facts["source"]
    assert (note.facts["executions"], note.facts["events"], note.facts["already_there"]) == (2, 10, 0)
    assert note.value()["file"] == "a.json"
    assert note.value()["left_out"][0]["count"] == 1


def test_events_that_came_later_do_not_matter(store: EventStore, tmp_path: Path) -> None:
    """An imported execution that was judged or corrected since is still there already."""
    from actum.events import Actor, NewEvent, uuid7
    from actum.eventstore import EXISTS, Append

    path = write(tmp_path / "a.json", SMALL["tau-bench"])
    import_files(store, "tau-bench", [path])
    stream = of_type(store, "execution.started")[0].stream
    facts = {"supersedes": 5, "outcome": "failure"}
    at = "2026-01-01T00:00:00.000000Z"
    later = NewEvent("execution.corrected", facts, at, Actor("person", "p"), uuid7(0, 1))
    store.append([Append(stream, EXISTS, [later])])
    assert import_files(store, "tau-bench", [path]).to_json()["already_there"] == 2


def test_the_report_is_what_scripts_rely_on(memory: EventStore, tmp_path: Path) -> None:
    """The document has the promised keys, and what was left out has reason, count and first place."""
    path = write(tmp_path / "a.json", [tau_run(), tau_run(1, reward=None)])
    report = import_files(memory, "tau-bench", [path]).to_json()
    assert {"executions", "events", "already_there", "left_out"} <= set(report)
    assert report["left_out"] == [{"reason": "no reward: the outcome is unknown", "count": 1, "first": f"{path}: $[1]"}]


def test_progress_is_told(memory: EventStore, tmp_path: Path) -> None:
    """While files are read the total is unknown; then every batch is told, of all that is new."""
    told: list[tuple[int, int | None]] = []
    path = many_cases(tmp_path, 250)
    one = write(tmp_path / "one.xes", xes_log(xes_trace("x", xes_event("a", minute(0)))))
    import_files(memory, "xes", [path, one], progress=lambda done, total: told.append((done, total)))
    assert [done for done, total in told if total is None] == list(range(1, 252))
    assert [(done, total) for done, total in told if total is not None] == [
        (0, 251),
        (200, 251),
        (250, 251),
        (251, 251),
    ]


def test_the_file_may_go_away(memory: EventStore, tmp_path: Path) -> None:
    """What is imported is what was read and hashed, even if the file changes after it was read."""
    folder = tmp_path / "gone"
    folder.mkdir()
    path = write(folder / "a.xes", SMALL["xes"])

    def remove(done: int, total: int | None) -> None:
        if total is not None:
            shutil.rmtree(folder, ignore_errors=True)

    assert import_files(memory, "xes", [path], progress=remove).to_json()["executions"] == 2


@pytest.fixture(autouse=True)
def _no_file_left_open(recwarn: pytest.WarningsRecorder) -> Iterator[None]:
    yield
    assert not [str(warning.message) for warning in recwarn]
