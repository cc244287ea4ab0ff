"""Proving an archive by itself, and against the log it came from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import starmap
from pathlib import Path
from typing import Final

from actum.archive.archiving import segments_of, system_events, trust_in
from actum.archive.places import ArchivePlace
from actum.archive.reading import ArchivedEvents
from actum.archive.segment import Segment, check_segment
from actum.archive.tiles import check_tiles
from actum.errors import ArchiveDamaged, CheckpointRefused
from actum.events.checkpoint import VerifierKey
from actum.events.epoch import Epoch, Epochs
from actum.events.rotation import Trust
from actum.eventstore import EventStore
from actum.eventstore.check.verdict import Bad, Check, Faults, Verdict, Verification
from actum.eventstore.check.workers import Workers
from actum.eventstore.sealing.sealer import epochs_in, origin_of

__all__ = ["check_archive", "with_archive"]

Progress = Callable[[int, int], None]

_EVERYTHING: Final = 1 << 62


def _silent(done: int, total: int) -> None:
    pass


def check_archive(
    place: ArchivePlace,
    tenant: str,
    keys: Sequence[VerifierKey] = (),
    *,
    store: EventStore | None = None,
    progress: Progress = _silent,
    workers: Workers | None = None,
) -> Verification:
    """Re-hash every segment to its signed root; with the log, also that it has archived just these.

    Needs nothing but the files and the keys: an auditor can run it without the log. The first wrong event is named.
    Without keys signatures are not checked, and the check of that name says so. Segments whose checkpoint belongs to an
    epoch that the log lost are named in the check `epochs`; then the verdict is "verified_with_gaps". With `workers`
    each segment is checked by one of them; the answer is the same.
    """
    gaps, hashes, payloads, signatures, recorded = map(
        Faults, ("segments", "headers", "payloads", "signatures", "recorded")
    )
    try:
        segments = segments_of(place, tenant)
    except ArchiveDamaged as exc:
        segments = []
        gaps.at(exc.position, None, None, exc.problem)
    total = sum(segment.count for segment in segments)
    own = ArchivedEvents(place, tenant).own(segments) if store is None else system_events(store)
    trust = trust_in(own, tenant, keys)
    names = set(place.names())
    missing = 0
    tasks = (
        (
            place.fetch(segment.name),
            trust,
            place.fetch(segment.payloads_name) if segment.payloads_name in names else None,
        )
        for segment in segments
    )
    outcomes = starmap(_outcome, tasks) if workers is None else workers.map(_outcome, tasks)
    for segment, outcome in zip(segments, outcomes, strict=True):
        match outcome:
            case CheckpointRefused():
                signatures.at(segment.first, None, None, f"the checkpoint of {segment.name}: {outcome}")
            case ArchiveDamaged():
                wrong = payloads if outcome.source.endswith(segment.payloads_name) else hashes
                wrong.at(outcome.position, None, None, f"{segment.name}: {outcome.problem}")
            case _:
                missing += outcome
        progress(segment.first + segment.count, total)
    lost = _under_lost_checkpoints(segments, epochs_in(own, origin_of(tenant), trust if keys else None, _EVERYTHING))
    files = f"{len(segments)} segment{'' if len(segments) == 1 else 's'}"
    if not segments and not gaps.count:
        gaps.at(0, None, None, "there is no segment here")
    checks = (
        gaps.check(f"{files} without a gap, {total:,} events from position 0 on"),
        hashes.check("every header and every column beside it gives the root that a checkpoint covers"),
        payloads.check(
            "every payload that is there gives the digest in its header"
            + (f"; {missing:,} that are not personal are not here" if missing else "")
        ),
        signatures.check("every checkpoint is signed by a key that was given, or that one of these handed over to")
        if keys
        else Check("signatures", None, "not checked: no key was given"),
        check_tiles(place, tenant, segments),
        _against(store, segments, recorded),
        *lost,
    )
    good: Verdict = "verified_with_gaps" if lost else "verified"
    found = [f.first for f in (gaps, hashes, payloads, signatures, recorded) if f.first is not None]
    first: Bad | None = min(found, key=lambda bad: bad.position, default=None)
    newest = segments[-1].signed if segments else None
    return Verification(
        "failed" if any(check.ok is False for check in checks) else good,
        total,
        0 if newest is None else newest.size,
        b"" if newest is None else newest.root,
        checks,
        first,
    )


def _outcome(path: Path, trust: Trust, payloads: Path | None) -> int | ArchiveDamaged | CheckpointRefused:
    """As `check_segment`, with what it raises as an answer."""
    try:
        return check_segment(path, trust, payloads)
    except (ArchiveDamaged, CheckpointRefused) as exc:
        return exc


def _under_lost_checkpoints(segments: Sequence[Segment], epochs: Epochs) -> list[Check]:
    """What is to be said of segments whose checkpoint the log has abandoned; nothing when there are none."""
    names: dict[Epoch, list[str]] = {}
    for segment in segments:
        with suppress(CheckpointRefused):
            epoch = epochs.lost(segment.signed)
            if epoch is not None:
                names.setdefault(epoch, []).append(segment.name)
    told = [
        f"the checkpoint of {found[0]}{f' and of {len(found) - 1} more' if found[1:] else ''} belongs to {epoch.loss()}"
        for epoch, found in names.items()
    ]
    return [Check("epochs", None, "; ".join(told))] if told else []


def with_archive(log: Verification, archive: Verification) -> Verification:
    """One report of a log and of its archive, whose checks are called `archive: …`; the first wrong event of both."""
    verdicts = {log.verdict, archive.verdict}
    worst: Verdict = next(v for v in ("failed", "verified_with_gaps", "verified") if v in verdicts)
    bad = [found.first_bad for found in (log, archive) if found.first_bad is not None]
    checks = [check._replace(name=f"archive: {check.name}") for check in archive.checks]
    first = min(bad, key=lambda one: one.position, default=None)
    return replace(log, verdict=worst, checks=(*log.checks, *checks), first_bad=first)


def _against(store: EventStore | None, segments: Sequence[Segment], faults: Faults) -> Check:
    if store is None:
        return Check("recorded", None, "not checked: the log was not at hand")
    there = {segment.first: segment for segment in segments}
    known = 0
    for event in store.read_stream(f"system/{store.tenant}"):
        if event.type != "segment.archived":
            continue
        known += 1
        segment = there.pop(event.facts["first"], None)
        if segment is None:
            faults.at(event.facts["first"], None, None, "the log says that this segment was archived; it is not here")
        elif segment.root.hex() != event.facts["root"]:
            faults.at(segment.first, None, None, "the log says that a segment with another root was archived")
    for first in there:
        faults.at(first, None, None, "this segment is here, but the log does not say that it was archived")
    return faults.check(f"all {known} segments that the log says it has archived, and no other")
