"""Erasure and the archive: what is destroyed is in neither, with and without the archive at hand, and stays away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pyarrow.parquet as pq
import pytest

from actum.archive import WholeStore, archive_log, check_archive, drop_archived, restore
from actum.archive.places import ArchivePlace, Folder
from actum.engine.rules.views import rebuild
from actum.errors import ErasureRefused, EventsArchived, StoreRefused
from actum.events import Actor
from actum.eventstore import ANY, Append, EventStore, MemoryCursors, Subscription, open_store
from actum.eventstore.check.store import check_store
from actum.eventstore.custody.custodian import place_hold, set_retention
from actum.eventstore.custody.erasing import erase_subject, finish
from actum.eventstore.custody.retaining import run_retention
from actum.eventstore.custody.retention import Policy
from actum.eventstore.floor import HotStore
from actum.eventstore.subscriptions.consumer import AtLeastOnce
from actum.testing.builders import KEY, event, execution_row
from actum.testing.clock import NOON_US

from .conftest import SEGMENT, sign

KEYS = [KEY.verifier()]
OFFICER = Actor("person", "p-dpo")
ANNA, BERT = "anna@example.org", "bert@example.org"
FAR_US = NOON_US + 1_000 * 86_400_000_000
SECRET = b"the secret of "


@pytest.fixture(params=["memory", "sqlite", "sqlite under a key ring", "postgresql"])
def hot(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HotStore]:
    """Two archived segments: executions of two people in turn, with plain payloads between; the newest have ended."""
    url = f"sqlite:///{tmp_path}/log.db"
    keys = ""
    if request.param == "memory":
        url = "memory://"
    elif request.param == "postgresql":
        from actum.testing.postgres import wipe

        url = request.getfixturevalue("postgres")
        wipe(url)
    elif request.param.endswith("ring"):
        keys = f"file:{tmp_path}/ring"
    store = cast(HotStore, open_store(url, keys=keys))
    write(store)
    yield store
    store.close()


def write(store: EventStore) -> None:
    for i in range(20):
        new = event(i, payload=b'{"n":"%s%d"}' % (SECRET, i))
        new.payload_class = "business"
        if i % 4 < 2:
            new = replace(new, key=store.key_for((ANNA, BERT)[i % 4]), payload_class="personal")
        id_ = f"e-{i % 4}"
        rows = [execution_row(id_, status="completed", ended_at=new.at)]
        store.append([Append(f"execution/{id_}", ANY, [new], rows)])
    sign(store)


def leave(store: HotStore, place: ArchivePlace) -> WholeStore:
    archive_log(store, place, KEYS, segment_events=SEGMENT)
    sign(store)
    assert len(drop_archived(store, place, KEYS)) == 2
    return WholeStore(store, place)


def erase(store: EventStore, subject: str = ANNA, **options: Any) -> Any:
    return erase_subject(store, subject, basis="gdpr-17", reason="asked", by=OFFICER, clock=lambda: FAR_US, **options)


def retain(store: EventStore, *words: str) -> None:
    set_retention(store, Policy.from_words(words), by=OFFICER, clock=lambda: FAR_US)
    run_retention(store, by=OFFICER, clock=lambda: FAR_US)


def there(store: EventStore) -> set[int]:
    """The positions of the twenty events whose payloads can be read."""
    return {e.position for e in store.read(limit=20) if e.payload is not None}


def detail(store: EventStore, name: str = "payloads") -> str:
    found = check_store(store, keys=KEYS)
    assert found.verdict != "failed", found
    return next(check.detail for check in found.checks if check.name == name)


ALL = set(range(20))
OF_ANNA = {i for i in ALL if i % 4 == 0}
OF_BERT = {i for i in ALL if i % 4 == 1}


def test_payloads_whose_events_have_left_are_read_with_them(hot: HotStore, folder: Folder) -> None:
    """Plain ones come from the archive, those under a data key from the store that they never left."""
    whole = leave(hot, folder)

    assert there(whole) == ALL
    assert [e.value()["n"] for e in whole.read_stream("execution/e-0")] == [
        f"the secret of {i}" for i in range(0, 20, 4)
    ]


@pytest.mark.parametrize("at_hand", [True, False], ids=["with the archive", "without"])
def test_a_subject_is_erased_wherever_its_events_are(hot: HotStore, folder: Folder, at_hand: bool) -> None:
    """The keys and what is under them are destroyed; the log says how many it counted, and from where on."""
    whole = leave(hot, folder)
    found = erase(whole if at_hand else hot)

    assert there(whole) == ALL - OF_ANNA
    said = [e.facts for e in whole.read(types=["payload.erased"])]
    assert [(one["payloads"], one.get("counted_from")) for one in said] == [(5, None) if at_hand else (1, 16)]
    assert found.counted_from == (0 if at_hand else 16)
    assert detail(whole).endswith("; 5 were erased, as the log says")
    assert detail(hot).endswith("; 1 was erased, as the log says")
    assert check_archive(folder, "default", KEYS, store=hot).verdict == "verified"
    assert erase(hot).keys == ()

    restore(hot, folder, KEYS, rebuild)
    assert there(hot) == ALL - OF_ANNA
    assert detail(hot).endswith("; 5 were erased, as the log says")


def test_what_may_stand_against_an_erasure_must_be_read_for_it(hot: HotStore, folder: Folder) -> None:
    """Without the archive nobody can say whether a held execution is of the subject: so nothing is erased."""
    whole = leave(hot, folder)
    place_hold(hot, reason="a case", by=OFFICER, clock=lambda: FAR_US, execution="e-0")

    for force in (False, True):
        with pytest.raises(EventsArchived, match="'execution/e-0' is in the archive"):
            erase(hot, BERT, force=force)
    with pytest.raises(ErasureRefused):
        erase(whole, ANNA)
    assert there(whole) == ALL
    erase(whole, BERT)
    assert there(whole) == ALL - OF_BERT


def test_an_execution_under_way_whose_beginning_left_must_be_read(hot: HotStore, folder: Folder) -> None:
    """It may have payloads of the subject that are in no header here."""
    whole = leave(hot, folder)
    hot.append([Append("execution/e-3", ANY, [event("more")], [execution_row("e-3", status="running")])])

    with pytest.raises(EventsArchived, match="'execution/e-3' is in the archive"):
        erase(hot)
    assert there(whole) == ALL
    erase(whole)
    assert there(whole) == ALL - OF_ANNA


# -- retention -----------------------------------------------------------------------------------------------------


def in_files(place: ArchivePlace) -> set[int]:
    """The positions whose payloads are in the archive's files."""
    names = [name for name in place.names() if name.endswith(".payloads.parquet")]
    return {at for name in names for at in pq.read_table(place.fetch_again(name)).column("position").to_pylist()}


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest) -> ArchivePlace:
    return cast(ArchivePlace, request.getfixturevalue("folder" if request.param == "folder" else "s3_place"))


@pytest.fixture
def log() -> HotStore:
    store = cast(HotStore, open_store("memory://"))
    write(store)
    return store


BUSINESS = ALL - OF_ANNA - OF_BERT


def test_retention_reaches_what_is_in_the_archive(log: HotStore, place: ArchivePlace) -> None:
    """Its files are written anew without those payloads; all is proved as before, and nothing comes back."""
    whole = leave(log, place)
    assert in_files(place) == {i for i in BUSINESS if i < 16}
    retain(whole, "business=1y")

    assert in_files(place) == set()
    assert there(whole) == ALL - BUSINESS
    assert detail(whole).endswith("; 10 were erased, as the log says")
    assert check_archive(place, "default", KEYS, store=log).verdict == "verified"
    restore(log, place, KEYS, rebuild)
    assert there(log) == ALL - BUSINESS
    assert detail(log).endswith("; 10 were erased, as the log says")


def test_what_has_not_left_yet_goes_from_both(log: HotStore, place: ArchivePlace) -> None:
    """A segment that was copied and is still in the store has two copies of each payload."""
    archive_log(log, place, KEYS, segment_events=SEGMENT)
    retain(WholeStore(log, place), "business=1y")

    assert (in_files(place), there(log)) == (set(), ALL - BUSINESS)
    sign(log)
    assert len(drop_archived(log, place, KEYS)) == 2
    assert detail(WholeStore(log, place)).endswith("; 10 were erased, as the log says")


def test_payloads_that_no_rule_reaches_stay_in_the_archive(log: HotStore, place: ArchivePlace) -> None:
    """Only what is erased is left out of the new file."""
    whole = leave(log, place)
    place_hold(log, reason="a case", by=OFFICER, clock=lambda: FAR_US, execution="e-3")
    retain(whole, "business=1y")

    held = {i for i in BUSINESS if i % 4 == 3}
    assert in_files(place) == {i for i in held if i < 16}
    assert there(whole) == ALL - BUSINESS | held
    assert check_store(whole, keys=KEYS).verdict == "verified"


def test_a_copy_that_retention_did_not_reach_is_found_and_brings_nothing_back(log: HotStore, folder: Folder) -> None:
    """Retention without the archive leaves its copies: checks name them, restoring passes them by, `finish` ends it."""
    archive_log(log, folder, KEYS, segment_events=SEGMENT)
    retain(log, "business=1y")
    sign(log)
    drop_archived(log, folder, KEYS)
    whole = WholeStore(log, folder)

    found = check_store(whole, keys=KEYS)
    assert found.verdict == "failed"
    assert found.first_bad is not None
    assert "`actum erase --finish` completes that" in found.first_bad.reason
    restore(log, folder, KEYS, rebuild)
    assert there(log) == ALL - BUSINESS
    drop_archived(log, folder, KEYS)
    assert finish(whole).payloads == len({i for i in BUSINESS if i < 16})
    assert in_files(folder) == set()
    assert check_store(whole, keys=KEYS).verdict == "verified"
    assert finish(whole).payloads == 0


@pytest.mark.parametrize("landed", [False, True], ids=["lost", "landed"])
def test_a_removal_that_broke_off_is_completed_by_the_next(
    log: HotStore, folder: Folder, landed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before or after a file was replaced: each file is whole, and the next run does the rest."""
    whole = leave(log, folder)
    real: Callable[[str, Path], None] = folder.replace

    def breaking(name: str, path: Path) -> None:
        if landed:
            real(name, path)
        raise KeyboardInterrupt

    monkeypatch.setattr(folder, "replace", breaking)
    with pytest.raises(KeyboardInterrupt):
        retain(whole, "business=1y")
    monkeypatch.undo()
    assert check_archive(folder, "default", KEYS).verdict == "verified"
    run_retention(WholeStore(log, folder), by=OFFICER, clock=lambda: FAR_US)

    assert in_files(folder) == set()
    assert check_store(WholeStore(log, folder), keys=KEYS).verdict == "verified"


def test_damage_is_not_written_away(log: HotStore, folder: Folder) -> None:
    """A file that is not what was archived is left as it is, and named."""
    from actum.errors import ArchiveDamaged

    whole = leave(log, folder)
    path = folder.path / "000000000000.payloads.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[-1]["data"] = b"{}"
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), path)
    before = path.read_bytes()

    with pytest.raises(ArchiveDamaged, match="does not give the digest"):
        retain(whole, "business=1y")
    assert path.read_bytes() == before


def test_archiving_goes_on_after_a_crash_and_an_erasure(log: HotStore, folder: Folder) -> None:
    """Payloads that a killed run left without their segment are made again from what the store has now."""

    class Dies(Folder):
        def put(self, name: str, path: Path) -> None:
            if name == "000000000000.parquet":
                raise StoreRefused(self.url, "is full")
            super().put(name, path)

    with pytest.raises(StoreRefused):
        archive_log(log, Dies(folder.path), KEYS, segment_events=SEGMENT)
    retain(log, "business=1y")
    sign(log)
    assert len(archive_log(log, folder, KEYS, segment_events=SEGMENT)) == 2
    assert in_files(folder) == set()
    assert check_archive(folder, "default", KEYS, store=log).verdict == "verified"


def test_a_store_made_again_says_what_was_erased_and_what_was_never_archived(hot: HotStore, folder: Folder) -> None:
    """Both are missing; only what no event explains is called lost, and no payload is called a fault."""
    erase(hot)
    for i in range(20, 24):
        hot.append([Append("s/more", ANY, [event(i)])])
    sign(hot)
    archive_log(hot, folder, KEYS, segment_events=SEGMENT)
    again = cast(HotStore, open_store("memory://"))
    restore(again, folder, KEYS, rebuild)

    assert detail(again).endswith("; 5 were erased, as the log says")
    assert "5 payloads never left the lost store" in detail(again, "restored")


# -- who reads the log from its beginning ----------------------------------------------------------------------------


def test_a_new_subscriber_begins_in_the_archive_or_is_told_where_it_is(log: HotStore, folder: Folder) -> None:
    """Without the archive nothing is delivered and nothing is skipped; with it every event comes once, in order."""
    whole = leave(log, folder)
    seen: list[int] = []
    consumer = AtLeastOnce(MemoryCursors(), "mail", lambda events: seen.extend(e.position for e in events))

    with pytest.raises(EventsArchived, match="Set ACTUM_ARCHIVE"):
        Subscription(log, "mail", consumer).catch_up()
    assert seen == []
    Subscription(whole, "mail", consumer).catch_up()
    assert seen == list(range(whole.head()))
