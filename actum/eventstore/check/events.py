"""Proving events one after the other: what each header says, against its columns and its stream. Pure.

Which event was changed is decided by who vouches for whom: an event's leaf hash stands in the next event of its
stream (`prev`), and the last one's in the stream's head. A changed event breaks the link that leaves it; a changed
`prev` breaks the one that comes in, too. So after a broken link the next one tells which of the two it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from sys import maxsize
from typing import Any, Final, NamedTuple

import orjson

from actum.events.envelope import VERSION
from actum.eventstore.check.bytes import hmac_sha256, holds_float
from actum.eventstore.check.erasures import Gone
from actum.eventstore.check.payloads import PayloadScan
from actum.eventstore.check.verdict import Faults
from actum.eventstore.protocol import RawEvent
from actum.eventstore.spilled import Spilled, in_step

__all__ = ["ROOM", "EventScan"]

ROOM: Final = 16_384
"""Ends of streams in memory: some 8 MB."""

_SORTED: Final = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER


class _Last(NamedTuple):
    """The end of a stream so far."""

    events: int
    leaf: str | None
    position: int
    before: tuple[int, int] | None
    """Position and version of the event before, when the link from there to here is broken."""


_NEW: Final = _Last(0, None, -1, None)
_UNREADABLE: Final = object()
_PLAIN: Final = frozenset({str, int, bool, type(None)})


class EventScan:
    """Takes raw events in the order of the log, and collects what is wrong with them."""

    def __init__(
        self,
        tenant: str,
        start: int = 0,
        rebuilt: int = 0,
        gone: Gone | None = None,
        *,
        room: int = ROOM,
    ) -> None:
        """`room`: of how many streams the end is kept in memory; that of the others lies in a temporary file."""
        self._tenant = tenant
        self._start = start  # events before this position are elsewhere
        self.payloads = PayloadScan(rebuilt, gone)
        self._lasts = Spilled[tuple[int, str | None, int, tuple[int, int] | None]](room)
        self.at = start
        """The position that comes next."""
        self.events = 0
        self.positions = Faults("positions")
        self.headers = Faults("headers")
        self.columns = Faults("columns")
        self.streams = Faults("streams")
        self.chains = Faults("chains")
        self.backwards: int | None = None
        """The first position recorded earlier than the one before it: a hint, since clocks may be set back."""
        self._recorded_at = ""
        self._entered: dict[str, tuple[int, str | None]] | None = None
        self._first = 0
        self._began_at = ""
        self._lost: list[tuple[int, int]] = []
        self._holes: list[tuple[str, int, int]] = []

    @property
    def named(self) -> int:
        """How many streams there are."""
        return len(self._lasts)

    def ends(self) -> Iterator[tuple[str, int, str | None]]:
        """Every stream so far, by name: how many events it has, and the leaf of the last one in hex."""
        return ((stream, last[0], last[1]) for stream, last in self._lasts.items())

    def take(self, rows: Sequence[RawEvent]) -> list[bytes]:
        """Check events; returns their leaf hashes. All that is usual is settled here, the rest in `_look_closely`."""
        leaves: list[bytes] = []
        lasts, tenant, loads, dumps, form = self._lasts.recent, self._tenant, orjson.loads, orjson.dumps, _SORTED
        last_of, enter, gone = lasts.get, self._enter, self.payloads.gone
        at, recorded_at, payloads, until = self.at, self._recorded_at, 0, gone.until
        for row in rows:
            position, stream, version, id_, kind, header, salt, payload = row
            try:
                leaf = sha256(b"\x00" + header).digest()
                head = loads(header)
                last = last_of(stream) or enter(stream, head)
                about = head.get("payload")
                good = (
                    position == at
                    and dumps(head, None, form) == header
                    and head["id"] == id_
                    and head["type"] == kind
                    and head["stream"] == stream
                    and head["version"] == version == last[0]
                    and head["tenant"] == tenant
                    and head["v"] == VERSION
                    and head.get("prev") == last[1]
                    and last[3] is None
                    and (_PLAIN.issuperset(map(type, head["facts"].values())) or not holds_float(head["facts"]))
                    and (
                        salt is payload is None
                        if about is None
                        else salt is not None
                        and type(payload) is bytes
                        and "personal" not in head
                        and about["digest"] == "hmac-sha256:" + hmac_sha256(salt, payload)
                        and about["size"] == len(payload)
                        and (head["recorded_at"] >= until or not gone.reaches_plain(position, head))
                    )
                )
                now = head["recorded_at"]
                if now < recorded_at and self.backwards is None:
                    self.backwards = position
                recorded_at = now
            except (ValueError, TypeError, KeyError, AttributeError):
                good = False
            if good:
                lasts[stream] = (version + 1, leaf.hex(), position, None)
                if about is not None:
                    payloads += 1
            else:
                self.at = at
                leaf = self._look_closely(row)
            at = position + 1
            leaves.append(leaf)
        self.at, self._recorded_at = at, recorded_at
        self.events += len(leaves)
        self.payloads.count += payloads
        self._lasts.trim()
        return leaves

    # -- a stretch of the log by itself ---------------------------------------------------------------------------

    def begin_at(self, position: int) -> None:
        """Take a stretch of the log alone, from this position on. How its streams came so far, `join` will settle."""
        self.at = self._first = position
        self._entered = {}
        self._lasts = Spilled(maxsize)  # it is short, and goes to another process

    def _enter(self, stream: str, head: dict[str, Any]) -> tuple[int, str | None, int, tuple[int, int] | None]:
        """The end of a stream that is not in memory: none of a new one, or what its first event in the stretch says."""
        known = self._lasts.get(stream)
        if known is not None:
            return known
        if self._entered is None:
            return _NEW
        if not self._entered:
            self._began_at = head["recorded_at"]
        self._entered[stream] = head["version"], head.get("prev")
        self._lasts.recent[stream] = last = (head["version"], head.get("prev"), -1, None)
        return last

    def join(self, stretch: EventScan) -> bool:
        """Go on with what was found of the stretch that comes next.

        False when anything in it or at the seam is not as it should be; only taking its events then says what.
        """
        entered = stretch._entered or {}
        if (
            stretch._first != self.at
            or any(faults.count for faults in stretch.faults())
            or any(last[3] is not None for last in stretch._lasts.recent.values())
            or any((self._lasts.get(stream) or _NEW)[:2] != link for stream, link in entered.items())
        ):
            return False
        if self.backwards is None:
            self.backwards = stretch._first if stretch._began_at < self._recorded_at else stretch.backwards
        self._recorded_at = stretch._recorded_at
        self._lasts.recent |= stretch._lasts.recent
        self._lasts.trim()
        self.at = stretch.at
        self.events += stretch.events
        self.payloads.join(stretch.payloads)
        return True

    def faults(self) -> tuple[Faults, ...]:
        """What is wrong with the events, by check."""
        return self.positions, self.headers, self.columns, self.streams, self.chains, self.payloads.faults

    # -- one event that is not as usual --------------------------------------------------------------------------

    def _look_closely(self, row: RawEvent) -> bytes:
        header = row.header
        if row.position != self.at:
            self._lose(row.position)
            self.positions.at(self.at, None, None, _are_missing(self.at, row.position))
        if not isinstance(header, bytes):
            self.headers.at(row.position, row.stream, row.version, "its header is not stored as bytes")
            header = str(header).encode(errors="replace")
        leaf = sha256(b"\x00" + header).digest()
        known = self.headers.count + self.columns.count
        head = self._header(row, header)
        self._begin(head)
        stream, version = self._columns(row, head)
        bad_itself = self.headers.count + self.columns.count > known
        prev = _UNREADABLE if head is None else head.get("prev")
        self._link(row.position, stream, version, prev, leaf.hex(), bad_itself=bad_itself)
        if head is not None:
            self.payloads.look(row, stream, version, head)
        return leaf

    def _begin(self, head: dict[str, Any] | None) -> None:
        """The first event here of a stream that began below the floor says where it goes on; the tree says whether."""
        if not self._start or head is None or not isinstance(head.get("stream"), str):
            return
        stream, version, prev = head["stream"], head.get("version"), head.get("prev")
        if type(version) is int and version and isinstance(prev, str) and self._lasts.get(stream) is None:
            self._lasts.recent[stream] = (version, prev, -1, None)

    def _last(self, stream: str) -> _Last:
        return _Last(*(self._lasts.get(stream) or _NEW))

    def _header(self, row: RawEvent, header: bytes) -> dict[str, Any] | None:
        def bad(reason: str) -> None:
            self.headers.at(row.position, row.stream, row.version, reason)

        try:
            head = orjson.loads(header)
        except ValueError as exc:
            bad(f"its header is not JSON ({exc})")
            return None
        if not isinstance(head, dict):
            bad("its header is not a JSON object")
            return None
        try:
            canonical = orjson.dumps(head, option=_SORTED) == header and not holds_float(head)
        except TypeError:
            canonical = False
        if not canonical:
            bad("its header is not in canonical form, so these are not the bytes that were written")
        if head.get("v") != VERSION:
            bad(f"its header is of format {head.get('v')!r}; this program checks format {VERSION}")
        if head.get("tenant") != self._tenant:
            bad(f"its header names the tenant {head.get('tenant')!r}, this is the log of {self._tenant!r}")
        if not isinstance(head.get("recorded_at"), str):
            bad("its header does not say when it was recorded")
        return head

    def _columns(self, row: RawEvent, head: dict[str, Any] | None) -> tuple[str, int]:
        """Stream and version: the header's where they fit the stream's end, else the columns'."""
        if head is None:
            return str(row.stream), row.version if type(row.version) is int else -1
        for name, value in (("stream", row.stream), ("version", row.version), ("id", row.id), ("type", row.type)):
            if head.get(name) != value:
                reason = f"its {name} is {head.get(name)!r}, but its row says {value!r}"
                self.columns.at(row.position, row.stream, row.version, reason)
        stream, version = head.get("stream"), head.get("version")
        if isinstance(stream, str) and type(version) is int:
            last = self._last(stream)
            if version == last.events and head.get("prev") == last.leaf:
                return stream, version
        return str(row.stream), row.version if type(row.version) is int else -1

    def _link(self, position: int, stream: str, version: int, prev: object, leaf: str, *, bad_itself: bool) -> None:
        """Put the event at the end of its stream. Of two events that do not fit, the next link tells which is wrong."""
        last = self._last(stream)
        before = None
        if version > last.events:
            self._hole(stream, last.events, version - last.events)
            reason = f"version {last.events} of the stream should come here, so events before this one are missing"
            self.streams.at(position, stream, version, reason)
        elif version < last.events:
            reason = f"version {last.events} of the stream should come here, so this one is out of place"
            self.streams.at(position, stream, version, reason)
        elif prev in (last.leaf, _UNREADABLE):
            self._settle(stream, last, vouched=True)
        elif last.before is not None:
            self._settle(stream, last, vouched=False)
        elif bad_itself or last.events == 0:
            self.chains.at(position, stream, version, "it does not hold the hash of the event before it in its stream")
        else:
            before = (last.position, last.events - 1)
        self._lasts.recent[stream] = _Last(version + 1, leaf, position, before)

    def _settle(self, stream: str, last: _Last, *, vouched: bool) -> None:
        """A link into `last` was broken: if what follows vouches for `last`, the one before it was changed."""
        if last.before is None:
            return
        position, version = last.before
        reason = f"it was changed: its stream's next event, at position {last.position}, holds the hash of other bytes"
        if not vouched:
            position, version = last.position, last.events - 1
            reason = "it was changed: it fits neither what comes before nor what follows"
        self.chains.at(position, stream, version, reason)

    # -- the end of the log --------------------------------------------------------------------------------------

    def finish(self, heads: Spilled[tuple[int, bytes]], moved: Mapping[str, int], *, same_tree: bool) -> None:
        """Hold the ends of all streams against the heads that the store keeps.

        `same_tree`: the events give the tree that the store keeps, so it is not they who were changed. `moved`: the
        lowest count of events that each stream had while the heads were being read, for those that grew meanwhile.
        """
        for stream, found, head in in_step(self._lasts, heads):
            count, leaf = head or (0, None)
            if found is None:
                self._head_without_events(stream, count)
                continue
            last = _Last(*found)
            if stream in moved and moved[stream] <= count < last.events:
                self._settle(stream, last, vouched=True)
                continue
            fits = count == last.events and leaf is not None and bytes(leaf).hex() == last.leaf
            self._settle(stream, last, vouched=fits or count != last.events)
            if fits or (last.before is not None and count == last.events):
                continue
            self._head_differs(stream, last, count, same_tree=same_tree)
        self._name_what_is_lost()

    def _head_without_events(self, stream: str, count: int) -> None:
        if not self._start:  # or its events may be below
            self._hole(stream, 0, count)
            self.streams.at(self.at, stream, 0, f"the stream's head says {count} events, the log has none of them")

    def _head_differs(self, stream: str, last: _Last, count: int, *, same_tree: bool) -> None:
        if count > last.events:
            self._hole(stream, last.events, count - last.events)
            reason = f"the stream's head says {count} events, the log ends after {last.events}: its tail was cut off"
            self.streams.at(self.at, stream, last.events, reason)
        elif count < last.events:
            reason = f"the stream's head says {count} events, so this one was added, or the head was changed"
            self.streams.at(last.position, stream, last.events - 1, reason)
        elif same_tree:
            reason = "the stream's head has another hash, but the tree agrees with the event: the head was changed"
            self.streams.at(last.position, stream, last.events - 1, reason)
        else:
            reason = "it was changed: the stream's head holds the hash of other bytes"
            self.chains.at(last.position, stream, last.events - 1, reason)

    def _hole(self, stream: str, version: int, count: int) -> None:
        if len(self._holes) < 2:  # of more than one nothing is said
            self._holes.append((stream, version, count))

    def _lose(self, until: int) -> None:
        if len(self._lost) < 2:
            self._lost.append((self.at, until))

    def _name_what_is_lost(self) -> None:
        """When one hole in one stream is as wide as the hole in the positions, it is the same hole."""
        if len(self._lost) != 1 or len(self._holes) != 1 or self.positions.first is None:
            return
        (start, end), (stream, version, count) = self._lost[0], self._holes[0]
        if end - start == count:
            self.positions.first = self.positions.first._replace(stream=stream, version=version)

    def lost_tail(self, end: int) -> None:
        """The tree covers positions up to `end`, but the log stops before."""
        self._lose(end)
        self.positions.at(self.at, None, None, f"{_are_missing(self.at, end)}; the tree covers {end} events")


def _are_missing(start: int, end: int) -> str:
    return "it is missing" if end - start == 1 else f"positions {start} to {end - 1} are missing"
