"""Proving what the log says of itself: key rotations, recorded checkpoints, cosignatures, time stamps, stream ends.

What is believed comes from outside: the log's key, the witnesses' keys, the authorities' roots, and the checkpoint
that is kept apart from the log. What was not given is not checked, and the answer says so.
"""

from __future__ import annotations

import base64
import contextlib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from actum.errors import ActumError, CheckpointRefused, StoreError, TimestampRefused
from actum.events import RecordedEvent, to_text
from actum.events.checkpoint import VerifierKey, parse_unverified, verify
from actum.events.cosignature import WitnessKey, open_cosigned
from actum.events.epoch import Epoch, Epochs, follow_epochs, read_epoch
from actum.events.manifest import StreamEnd, root_of_ends
from actum.events.note import split_note
from actum.events.rotation import Rotation, Trust, follow, read_rotation
from actum.events.timestamp import check_stamp
from actum.eventstore.check.checkpoints import Roots
from actum.eventstore.check.verdict import Check, Faults, count
from actum.eventstore.protocol import EventStore, RawEvent
from actum.eventstore.sealing.sealer import origin_of, system_stream

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["Seals", "Trusted", "latest_in"]

_SKEW_US = 60_000_000  # clocks of a log and of an authority that differ by less than this prove nothing


@dataclass(frozen=True)
class Trusted:
    """What the caller believes, all of it from outside the store."""

    keys: Sequence[VerifierKey] = ()
    witnesses: Sequence[WitnessKey] = ()
    roots: Sequence[Certificate] = ()
    """Root certificates of time-stamping authorities."""
    kept: str | None = None
    """The note in the checkpoint store."""
    kept_at: str = ""
    """Where that is; empty when there is no such store."""


@dataclass
class Seals:
    """The log's own words, read before its events are; what they say is held against the events as these pass."""

    trusted: Trusted
    epochs: Epochs
    """The log's name, and once `follow` was called the epochs that it has."""
    rotated: list[RecordedEvent] = field(default_factory=list)
    restored: list[RecordedEvent] = field(default_factory=list)
    manifests: list[RecordedEvent] = field(default_factory=list)
    recorded: list[RecordedEvent] = field(default_factory=list)
    stamped: list[RecordedEvent] = field(default_factory=list)
    found_manifests: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    latest: list[tuple[int, str]] = field(default_factory=list)
    """(first position, latest recorded time) of each page that holds an event recorded later than all before it."""

    @classmethod
    def read(cls, store: EventStore, size: int, trusted: Trusted) -> Seals:
        """The system stream up to this size. One that cannot be read gives nothing: the pass finds why."""
        seals = cls(trusted, Epochs(origin_of(store.tenant)))
        kinds = {
            "key.rotated": seals.rotated,
            "log.restored": seals.restored,
            "streams.sealed": seals.manifests,
            "checkpoint.signed": seals.recorded,
        }
        with contextlib.suppress(StoreError):
            for event in store.read_stream(system_stream(store.tenant)):
                if event.type in kinds and event.position < size:
                    kinds[event.type].append(event)
        seals.stamped = [event for event in seals.recorded if _payload(event).get("stamp")]
        return seals

    def sizes(self) -> list[int]:
        """The sizes of the log that something here claims to know."""
        sizes = [event.facts.get("size") for event in (*self.recorded, *self.restored)]
        if self.trusted.kept is not None:
            with contextlib.suppress(CheckpointRefused):
                sizes.append(parse_unverified(self.trusted.kept).size)
        return [size for size in sizes if type(size) is int]

    def stops(self) -> list[int]:
        """The sizes at which the ends of all streams are wanted, in order."""
        sizes = {event.facts.get("size") for event in self.manifests}
        return sorted(size for size in sizes if type(size) is int and size > 0)

    def streams_were(self, size: int, ends: Iterable[tuple[str, int, str | None]]) -> None:
        """Take the ends of all streams, by name, as the events gave them at this size."""
        self.found_manifests[size] = root_of_ends(
            StreamEnd(name, count, bytes.fromhex(leaf or "")) for name, count, leaf in ends
        )

    def take(self, rows: Sequence[RawEvent]) -> None:
        """Note when events were recorded; only needed when there are time stamps to hold that against."""
        if self.stamped and rows:
            self.note([(rows[0].position, latest_in(rows))])

    def note(self, pages: Iterable[tuple[int, str]]) -> None:
        """Note the latest recorded time of each page, by the position of its first event."""
        for first, latest in pages:
            if not self.latest or latest > self.latest[-1][1]:
                self.latest.append((first, latest))

    # -- afterwards -----------------------------------------------------------------------------------------------

    def trust(self, faults: Faults) -> tuple[Trust, Check | None]:
        """The keys that count, and whether every rotation is one: signed by both keys, the old one being in force."""
        rotations: list[Rotation] = []
        for event in self.rotated:
            try:
                rotation = read_rotation(event.position, event.facts)
                if rotation.origin != self.epochs.log:
                    raise CheckpointRefused(
                        "key rotation", f"is of the log {rotation.origin!r}, not of {self.epochs.log!r}"
                    )
                rotations.append(rotation)
            except CheckpointRefused as exc:
                faults.at(event.position, event.stream, event.version, str(exc))
        trust, strangers = follow(self.trusted.keys, rotations)
        if not self.rotated:
            return trust, None
        if not self.trusted.keys:
            return trust, faults.check(
                f"{count(len(rotations), 'rotation')} signed by both keys; no key was given to follow"
            )
        versions = {event.position: event.version for event in self.rotated}
        for rotation in strangers:
            reason = (
                f"key rotation: {rotation.old.name}+{rotation.old.id.hex()} was not in force, so it cannot hand over"
            )
            faults.at(rotation.position, self.rotated[0].stream, versions[rotation.position], reason)
        return trust, faults.check(f"{count(len(rotations), 'rotation')}, each signed by both keys: {trust.named()}")

    def follow(self, roots: Roots, trust: Trust, faults: Faults) -> Check | None:
        """The epochs that count, and what was lost before each. A log that lost nothing has no such line.

        One that nobody in force signed, or that says what the log never was, is a fault and gives nothing up.
        """
        found: list[Epoch] = []
        places = {event.position: event for event in self.restored}
        for event in self.restored:
            try:
                epoch = read_epoch(event.position, event.facts, str(_payload(event).get("reason", "")))
            except CheckpointRefused as exc:
                faults.at(event.position, event.stream, event.version, str(exc))
                continue
            known = roots.known.get(epoch.found.size)
            if epoch.found.size < roots.start:
                found.append(epoch)  # of events that are in the archive; the check of that name says so
            elif known is None or known.root() != epoch.found.root:
                reason = f"it begins an epoch of a log of {epoch.found.size} events with another root than they give"
                faults.at(event.position, event.stream, event.version, reason)
            else:
                found.append(epoch)
        self.epochs, strangers = follow_epochs(self.epochs.log, found, trust if self.trusted.keys else None)
        for epoch, reason in strangers:
            event = places[epoch.position]
            faults.at(event.position, event.stream, event.version, reason)
        if not self.restored:
            return None
        if faults.count:
            return faults.check("")
        unsure = "" if self.trusted.keys else "; no key was given, so nobody vouches for that"
        return Check("epochs", None, f"{'; '.join(map(_given_up, self.epochs.later))}{unsure}")

    def check_recorded(self, roots: Roots, faults: Faults) -> Check | None:
        """Whether each checkpoint that the log recorded as an event is of this log."""
        for event in self.recorded:
            size, root = event.facts.get("size"), event.facts.get("root")
            known = roots.known.get(size) if type(size) is int and size <= event.position else None
            reason = ""
            if known is None:
                reason = f"it records a checkpoint of size {size}, which the log did not have then"
            elif known.root().hex() != root:
                reason = f"it records a checkpoint of size {size} with a root that the events do not give"
            else:
                reason = self._note_problem(event)
            if reason:
                faults.at(event.position, event.stream, event.version, reason)
        if not self.recorded:
            return None
        return faults.check(
            f"all {len(self.recorded)} are of this log; the last covers {self.recorded[-1].facts['size']}"
        )

    def _note_problem(self, event: RecordedEvent) -> str:
        if event.payload is None:
            return ""
        try:
            note = parse_unverified(str(_payload(event).get("note")))
        except CheckpointRefused as exc:
            return f"its note cannot be read ({exc})"
        if (note.size, note.root.hex()) != (event.facts["size"], event.facts["root"]):
            return "its note is of another checkpoint than its facts"
        return ""

    def notes(self) -> list[tuple[int, str]]:
        """The notes in the log's own events."""
        return [
            (event.facts["size"], _payload(event)["note"])
            for event in self.recorded
            if type(event.facts.get("size")) is int and isinstance(_payload(event).get("note"), str)
        ]

    def check_kept(self, roots: Roots, trust: Trust, faults: Faults) -> Check | None:
        """Whether the log still holds what the checkpoint store says was signed."""
        if not self.trusted.kept_at:
            return None
        if self.trusted.kept is None:
            return Check("kept checkpoint", None, f"{self.trusted.kept_at}: nothing was kept there yet")
        try:
            kept = parse_unverified(self.trusted.kept)
            lost = roots.lost(kept, self.epochs)
            if self.trusted.keys and lost is not None:
                verify(self.trusted.kept, trust.spans)
            elif self.trusted.keys:
                verify(self.trusted.kept, trust.keys_at(kept.size), origin=self.epochs.origin_at(kept.size))
        except CheckpointRefused as exc:
            faults.beside(f"{self.trusted.kept_at}: is not to be believed ({exc})")
            return faults.check("")
        if lost is not None:
            return Check("kept checkpoint", None, f"{self.trusted.kept_at}: belongs to {lost.loss()}; nothing since")
        if kept.size > roots.size:
            reason = f"the log forked or was cut: {kept.size} events were signed, and it ends before this one"
            faults.at(roots.size, None, None, reason)
        elif kept.size not in roots.known:
            return Check("kept checkpoint", None, f"{self.trusted.kept_at}: is of events that are in the archive")
        elif roots.known[kept.size].root() != kept.root:
            faults.beside(
                f"the log forked: its first {kept.size} events do not give the root that was signed and kept apart"
            )
        return faults.check(f"the log begins with what was kept apart at size {kept.size} ({self.trusted.kept_at})")

    def check_witnesses(self, notes: Sequence[tuple[int, str]], roots: Roots, faults: Faults) -> Check | None:
        """Whether the cosignatures of known witnesses are right, and of this log."""
        if not self.trusted.witnesses:
            others = sum(_has_others(note, self.trusted.keys) for _, note in notes)
            said = f"not checked: no witness's key was given for the signatures on {others} checkpoints"
            return Check("witnesses", None, said) if others else None
        seen: dict[str, tuple[int, int]] = {}
        for size, note in notes:
            try:
                found = open_cosigned(note, self.trusted.witnesses)
                checkpoint = parse_unverified(note)
            except CheckpointRefused as exc:
                faults.beside(f"checkpoint of size {size}: {exc}")
                continue
            known = roots.known.get(checkpoint.size)
            ours = self.epochs.has(checkpoint.origin) and roots.lost(checkpoint, self.epochs) is None
            if found and ours and (known is None or known.root() != checkpoint.root):
                names = ", ".join(cosignature.by.name for cosignature in found)
                faults.beside(
                    f"{names} cosigned another log: the root at size {checkpoint.size} is not the one they saw"
                )
            for cosignature in found:
                seen[cosignature.by.name] = max(seen.get(cosignature.by.name, (-1, 0)), (size, cosignature.at_s))
        missing = [key.name for key in self.trusted.witnesses if key.name not in seen]
        if missing and not faults.count:
            return Check("witnesses", None, f"no checkpoint bears a cosignature of {', '.join(missing)}")
        said = ", ".join(
            f"{name} saw size {size}" + (f" at {to_text(at_s * 1_000_000)}" if 0 < at_s < 2**37 else "")
            for name, (size, at_s) in sorted(seen.items())
        )
        return faults.check(said)

    def check_stamps(self, store: EventStore, faults: Faults) -> Check | None:
        """Whether every time stamp is right, and nothing it covers was recorded after it."""
        if not self.stamped:
            return None
        if not self.trusted.roots:
            unsure = f"not checked: no authority's root was given for the {len(self.stamped)} there"
            return Check("time stamps", None, unsure)
        said = ""
        for event in self.stamped:
            payload = _payload(event)
            try:
                response = base64.b64decode(str(payload["stamp"]), validate=True)
                stamp = check_stamp(response, str(payload.get("note")), self.trusted.roots)
            except (TimestampRefused, ValueError) as exc:
                faults.at(event.position, event.stream, event.version, str(exc))
                continue
            size = event.facts["size"]
            said = f"the last says that {size} events were there at {to_text(stamp.at_us)} ({stamp.authority})"
            late = self._recorded_after(store, stamp.at_us + stamp.accuracy_us + _SKEW_US, size)
            if late is not None:
                position, recorded = late
                reason = (
                    f"it says it was recorded at {recorded}, but the checkpoint of size {size}, which covers it, was "
                    f"time-stamped at {to_text(stamp.at_us)}: the log's clock was wrong, or the event is forged"
                )
                faults.at(position, None, None, reason)
        return faults.check(f"{len(self.stamped)} are right; {said}")

    def _recorded_after(self, store: EventStore, at_us: int, size: int) -> tuple[int, str] | None:
        """Position and time of the first event recorded after this, among the first `size`: in its page, read again."""
        limit = to_text(at_us)
        i = bisect_right(self.latest, limit, key=lambda entry: entry[1])
        if i == len(self.latest) or self.latest[i][0] >= size:
            return None
        later = ((row.position, _recorded_at(row)) for row in store.read_raw(self.latest[i][0] - 1))
        found = next((event for event in later if event[1] > limit), None)
        return found if found is not None and found[0] < size else None

    def check_manifests(self, faults: Faults) -> Check | None:
        """Whether the ends of all streams were where the log said they were."""
        for event in self.manifests:
            facts = event.facts
            found = self.found_manifests.get(facts.get("size", -1))
            if found is None or facts["size"] > event.position:
                reason = f"it records the streams of a log of {facts.get('size')} events, which the log had not then"
                faults.at(event.position, event.stream, event.version, reason)
            elif (found[0], found[1].hex()) != (facts.get("streams"), facts.get("root")):
                reason = (
                    f"it records {facts.get('streams')} streams that did not end so when the log had {facts['size']}"
                )
                faults.at(event.position, event.stream, event.version, reason)
        if not self.manifests:
            return None
        last = self.manifests[-1].facts
        return faults.check(
            f"{count(len(self.manifests), 'time')}, last {last['streams']} streams at size {last['size']}, and each "
            "ended there"
        )


def latest_in(rows: Sequence[RawEvent]) -> str:
    """The latest time that an event of these says it was recorded at."""
    return max(map(_recorded_at, rows), default="")


def _recorded_at(row: RawEvent) -> str:
    if not isinstance(row.header, bytes):
        return ""
    # The last such key is the header's own: facts come before it, and no text after it holds a bare quote.
    at = row.header.rfind(b'"recorded_at":"') + 15
    return row.header[at : at + 27].decode("ascii", "replace")


def _has_others(note: str, keys: Sequence[VerifierKey]) -> bool:
    """Whether a note bears more signatures than the log's own one."""
    with contextlib.suppress(CheckpointRefused):
        names = {key.name for key in keys}
        return len([s for s in split_note(note)[1] if s.by[0] not in names]) > (0 if names else 1)
    return False


def _given_up(epoch: Epoch) -> str:
    signed, holds = epoch.abandoned, epoch.agreed_size
    reason = f": {epoch.reason}" if epoch.reason else ""
    return (
        f"event {epoch.position} begins epoch {epoch.number}: {signed.size} events were signed, the log is what was "
        f"signed only up to size {holds}, so up to "
        f"{count(signed.size - holds, 'event')} {'is' if signed.size - holds == 1 else 'are'} lost or replaced{reason}"
    )


def _payload(event: RecordedEvent) -> dict[str, Any]:
    try:
        value = event.value()
    except (ValueError, ActumError):
        return {}
    return value if isinstance(value, dict) else {}
