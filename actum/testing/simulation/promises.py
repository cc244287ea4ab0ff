"""The promises P1 to P8, each as a function of what is left when everything is over: the log, and what was done.

It knows nothing of how the engine works: it reads events and effects. So it serves a simulation in memory and a real
process that was killed alike. Each function raises `PromiseBroken` at the first event that breaks its promise.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from actum.engine.rules.folding import fold
from actum.engine.rules.views import rebuild
from actum.errors import BadInput
from actum.events import RecordedEvent
from actum.events.catalog import validate_facts
from actum.eventstore import EventStore
from actum.eventstore.check.store import check_store
from actum.eventstore.check.views import by_view, kept_rows
from actum.testing.harness.history import brief, key_of
from actum.testing.simulation.effects import Effect

__all__ = ["PROMISES", "Guard", "PromiseBroken", "Record", "check_promises"]


class PromiseBroken(AssertionError):
    """A promise of the engine or its store does not hold. `promise` is `P1` to `P8`, `event` the one it breaks on."""

    def __init__(self, promise: str, why: str, event: RecordedEvent | None = None, stream: str = "") -> None:
        self.promise = promise
        self.why = why
        self.event = event
        place = (
            f" at {event.stream} version {event.version}, {brief(event)}" if event else f" in {stream}" * bool(stream)
        )
        super().__init__(f"{promise} ({_SAID[promise]}) is broken{place}: {why}")


_SAID: Final = {
    "P1": "nothing acknowledged is lost",
    "P2": "nothing is changed unseen",
    "P3": "state is a fold",
    "P4": "one order, no gaps",
    "P5": "recorded before and after",
    "P6": "one owner",
    "P7": "undone in reverse",
    "P8": "no approval, no step",
}


class Guard(NamedTuple):
    """Calls of `step` need a grant of `approval` that was recorded before: one for all, or one for `each`."""

    step: str
    approval: str
    each: bool = False


@dataclass
class Record:
    """What is left of one simulation, or of processes that were killed."""

    store: EventStore
    effects: Sequence[Effect] = ()
    acknowledged: Sequence[tuple[int, Sequence[str]]] = ()
    """Appends whose answer was given: first position and the ids of the events."""
    seen: Sequence[tuple[int, str]] = ()
    """Position and id of what a reader has read, in the order in which it did."""
    wrong: Sequence[tuple[str, int, str]] = ()
    """What did not hold while it went on: promise, position of the last event then, why."""
    guards: Sequence[Guard] = ()
    said: Mapping[tuple[str, str], bool] | None = None
    """Whether people said yes, by execution and question, where that is known."""
    may_be_open: bool = False
    """Whether executions may be left open: then nothing is said of how they will end."""
    log: list[RecordedEvent] = field(default_factory=list)
    """Read from the store, unless it is given."""

    def __post_init__(self) -> None:
        self.log = self.log or list(self.store.read())
        self._streams: dict[str, list[RecordedEvent]] = {}
        for event in self.log:
            self._streams.setdefault(event.stream, []).append(event)

    def executions(self) -> Iterator[tuple[str, list[RecordedEvent]]]:
        """Every execution that was run here, by id, with its events."""
        for name, events in self._streams.items():
            if name.startswith("execution/") and events[0].facts.get("kind") != "import":
                yield name.removeprefix("execution/"), events


def check_promises(record: Record, *promises: str) -> None:
    """Check these promises, or all. Raises `PromiseBroken` for the first one that does not hold."""
    for name in promises or PROMISES:
        PROMISES[name](record)
        for promise, position, why in record.wrong:
            if promise == name:
                raise PromiseBroken(name, why, record.log[position] if 0 <= position < len(record.log) else None)


# -- the store ---------------------------------------------------------------------------------------------------------


def nothing_acknowledged_is_lost(record: Record) -> None:
    """P1: what an answer said was durable stands in the log, where the answer said."""
    for first, ids in record.acknowledged:
        found = [event.id for event in record.log[first : first + len(ids)]]
        if found != list(ids):
            there = record.log[first] if first < len(record.log) else None
            raise PromiseBroken("P1", f"acknowledged at position {first}: {list(ids)}; there now: {found}", there)


def nothing_is_changed_unseen(record: Record) -> None:
    """P2: bytes, chains and tree prove themselves, and every event's facts are of the catalogue."""
    found = check_store(record.store)
    if found.verdict != "verified":
        bad = found.first_bad
        event = record.log[bad.position] if bad and 0 <= bad.position < len(record.log) else None
        raise PromiseBroken("P2", str(bad or [check for check in found.checks if check.ok is False]), event)
    for event in record.log:
        try:
            validate_facts(event.type, event.facts)
        except BadInput as exc:
            raise PromiseBroken("P2", f"its facts are not of the catalogue: {exc}", event) from exc


def state_is_a_fold(record: Record) -> None:
    """P3: every view, dropped and made again from the log, comes out equal."""
    kept = by_view(kept_rows(record.store))
    for view, rows in by_view(rebuild(record.log)).items():
        there = kept[view]
        for key in sorted(rows.keys() | there.keys()):
            if rows.get(key) != there.get(key):
                last = record._streams.get(f"execution/{key[0]}", [None])[-1]
                raise PromiseBroken("P3", f"view {view} has {there.get(key)}, the log gives {rows.get(key)}", last)


def one_order_no_gaps(record: Record) -> None:
    """P4: positions and versions are dense, no id comes twice, and no reader has skipped or seen what is not there."""
    versions: dict[str, int] = {}
    ids: set[str] = set()
    for position, event in enumerate(record.log):
        if event.position != position:
            raise PromiseBroken("P4", f"position {event.position} follows {position - 1}", event)
        if event.version != versions.get(event.stream, 0):
            raise PromiseBroken("P4", f"version {event.version} follows {versions.get(event.stream, 0) - 1}", event)
        if event.id in ids:
            raise PromiseBroken("P4", f"the id {event.id} comes twice", event)
        versions[event.stream] = event.version + 1
        ids.add(event.id)
    for nth, (position, id_) in enumerate(record.seen):
        if position != nth or record.log[position].id != id_:
            raise PromiseBroken("P4", f"a reader saw {id_} at {position} as its event number {nth}", record.log[nth])


# -- the engine --------------------------------------------------------------------------------------------------------

_ATTEMPT_ENDS: Final = ("completed", "failed", "timed_out", "in_doubt", "cancelled", "skipped")
_OVER: Final = ("execution.completed", "execution.failed", "execution.cancelled", "execution.continued")
_FROM_OUTSIDE: Final = (
    "approval.granted",
    "approval.rejected",
    "child.cancel_requested",
    "child.ended",
    "execution.cancel_requested",
    "input.received",
    "signal.received",
)
"""What another worker may append to an execution that is not its own: a word from outside."""
_ON_TAKING: Final = ("code.upgraded", "execution.parked", "replay.diverged")
"""What a worker says that takes an execution over, before its claim or, when it cannot go on with it, instead."""
_AFTER_THE_END: Final = ("execution.corrected", "intervention.recorded", "judgement.recorded")


class _Attempt(NamedTuple):
    started: RecordedEvent
    ended: RecordedEvent | None


def recorded_before_and_after(record: Record) -> None:
    """P5: an effect lies between its recorded start and its end, once; what completed never runs again.

    An attempt follows another only when that one's end, or that it is in doubt, is recorded; nothing that completed
    was never done; and after its end an execution records nothing but words about it.
    """
    made: dict[tuple[str, str, int], Effect] = {}
    attempts = {id_: _attempts(events) for id_, events in record.executions()}
    for effect in record.effects:
        about = f"attempt {effect.attempt} of {effect.key} in {effect.execution!r}"
        attempt = attempts.get(effect.execution, {}).get((effect.key, effect.attempt))
        if attempt is None or attempt.started.position >= effect.known:
            raise PromiseBroken("P5", f"{about} was made before its start was recorded", attempt and attempt.started)
        if (effect.execution, effect.key, effect.attempt) in made:
            raise PromiseBroken("P5", f"{about} was made twice", attempt.started)
        made[effect.execution, effect.key, effect.attempt] = effect
        ended = attempt.ended
        if ended is not None and ended.position < effect.known and _own(record, effect) and not _forced(record, effect):
            raise PromiseBroken("P5", f"{about} was made when its end was recorded already", ended)
    if record.effects:
        for id_, of in attempts.items():
            for (key, number), (_, ended) in of.items():
                if ended is not None and ended.type.endswith(".completed"):
                    done = made.get((id_, key, number))
                    if done is None or not done.done:
                        raise PromiseBroken("P5", f"attempt {number} is recorded as completed and was not done", ended)


def _attempts(events: list[RecordedEvent]) -> dict[tuple[str, int], _Attempt]:
    """Every attempt by key and number; a compensation's key ends in `/undo`. Holds their order to the rules."""
    found: dict[tuple[str, int], _Attempt] = {}
    last: dict[str, int] = {}
    over = ""
    forced = False
    for event in events:
        noun, _, verb = event.type.partition(".")
        forced = forced or bool(event.facts.get("force"))
        # Who ends an execution by force does not wait for those that are telling it of their own end just then.
        told = forced and event.type == "child.ended"
        if over and event.type not in _AFTER_THE_END and not told and not event.facts.get("reopened"):
            raise PromiseBroken("P5", f"recorded behind {over}", event)
        if event.type in _OVER:
            over = event.type
        elif event.facts.get("reopened"):
            over = ""
        if noun not in ("step", "compensation") or verb in ("requested", "ended"):
            continue
        key = key_of(event) + ("/undo" if noun == "compensation" else "")
        if verb == "started":
            before = found.get((key, last.get(key, 0)))
            if before is not None and before.ended is None and noun == "step":
                raise PromiseBroken("P5", "the attempt before it has neither ended nor is it in doubt", event)
            if before is not None and before.ended is not None and before.ended.type.endswith(".completed"):
                raise PromiseBroken("P5", f"it had completed at version {before.ended.version}", event)
            last[key] = event.facts["attempt"]
            found[key, last[key]] = _Attempt(event, None)
        elif verb in _ATTEMPT_ENDS and (key, last.get(key, 0)) in found:
            attempt = found[key, last[key]]
            if attempt.ended is not None and attempt.ended.type == "step.completed":
                raise PromiseBroken("P5", f"it had completed at version {attempt.ended.version}", event)
            # What was in doubt may be settled by a hook or a person: that is its end.
            found[key, last[key]] = attempt._replace(ended=event)
    return found


def _own(record: Record, effect: Effect) -> bool:
    """Whether its worker owned the execution, as far as the log went then: one that has lost it may not know yet."""
    return _owner(
        event for event in record._streams[f"execution/{effect.execution}"] if event.position < effect.known
    ) in (
        "",
        effect.worker,
    )


def _forced(record: Record, effect: Effect) -> bool:
    """Whether a person has ended it at once: its worker may not have heard of it."""
    return any(event.facts.get("force") for event in record._streams[f"execution/{effect.execution}"])


def _owner(events: Iterable[RecordedEvent]) -> str:
    owner = ""
    for event in events:
        if event.type == "execution.claimed":
            owner = event.facts["worker"]
        elif event.type == "execution.started" and event.actor.kind == "worker":
            owner = event.actor.ref
    return owner


def one_owner(record: Record) -> None:
    """P6: what a worker writes to an execution is its own from the claim on, until another worker claims it."""
    allowed = (*_FROM_OUTSIDE, *_ON_TAKING)
    for _, events in record.executions():
        owner = ""
        for event in events:
            if event.type == "execution.claimed" and event.actor.ref != event.facts["worker"]:
                raise PromiseBroken("P6", f"{event.actor.ref} claimed it for {event.facts['worker']}", event)
            if event.type in ("execution.claimed", "execution.started"):
                owner = _owner((event,)) or owner
            elif event.actor.kind == "worker" and event.actor.ref != owner and event.type not in allowed:
                raise PromiseBroken("P6", f"{event.actor.ref} wrote it, and {owner or 'nobody'} owned it", event)


def undone_in_reverse(record: Record) -> None:
    """P7: compensations run in reverse order of completion, those of a group side by side, and none is left out.

    What completed behind the last pivot is undone when its execution failed, or was cancelled and is to be undone; what
    could not be is named.
    """
    for id_, events in record.executions():
        begun: dict[str, RecordedEvent] = {}
        done: dict[str, RecordedEvent] = {}
        undone: dict[str, RecordedEvent] = {}
        open_: set[str] = set()
        for event in events:
            key = key_of(event)
            if event.type == "step.started":
                begun[key] = event
            elif event.type == "step.completed":
                done[key] = event
            elif event.type == "compensation.started" and event.facts["attempt"] == 1:
                if key not in done:
                    raise PromiseBroken("P7", "it had not completed", event)
                undone[key] = event
                _check_order(key, begun, done, undone, open_)
                open_.add(key)
            elif event.type == "compensation.completed" or (event.type == "compensation.failed" and _final(event)):
                open_.discard(key)
        if not record.may_be_open or fold(id_, events).ended:
            _check_nothing_left(id_, events, begun, done)


def _check_order(
    key: str,
    begun: Mapping[str, RecordedEvent],
    done: Mapping[str, RecordedEvent],
    undone: Mapping[str, RecordedEvent],
    open_: Collection[str],
) -> None:
    """Nothing that completed before it, and that is not of its group, was undone before it, or is being undone.

    Nothing is undone that completed before a pivot.
    """
    group = begun[key].facts.get("undo_group")
    for other, event in undone.items():
        if other == key or (group and group == begun[other].facts.get("undo_group")):
            continue
        if done[other].position < done[key].position < event.position:
            raise PromiseBroken("P7", f"{other} completed before it, and was undone first", undone[key])
        if other in open_:
            raise PromiseBroken("P7", f"{other} is not of its group, and is being undone", undone[key])
    for other, event in done.items():
        if begun[other].facts.get("pivot") and done[key].position < event.position < undone[key].position:
            raise PromiseBroken("P7", f"it completed before the pivot {other}", undone[key])


def _final(event: RecordedEvent) -> bool:
    return bool(event.facts.get("final"))


def _check_nothing_left(
    id_: str, events: list[RecordedEvent], begun: Mapping[str, RecordedEvent], done: Mapping[str, RecordedEvent]
) -> None:
    state = fold(id_, events)
    if not state.ended:
        raise PromiseBroken("P5", f"{id_!r} never came to its end", events[-1])
    forced = any(event.facts.get("force") for event in events)
    undoes = state.status in ("failed", "cancelled") and state.cancel_compensate and not forced
    pivot = max((event.position for key, event in done.items() if begun[key].facts.get("pivot")), default=-1)
    for one in state.steps.values():
        can_be = one.status == "completed" and one.compensation is not None
        left = one.undo in ("started", "retry") or (undoes and can_be and not one.undo)
        if left and not forced and not (not one.undo and one.key in done and done[one.key].position < pivot):
            raise PromiseBroken("P7", f"{one.key} completed and was left {one.undo or 'not undone'}", events[-1])
        if (one.undo == "failed") != (one.key in state.uncompensated):
            raise PromiseBroken("P7", f"that {one.key} could not be undone is not said", events[-1])
        if one.status in ("started", "in_doubt"):
            raise PromiseBroken("P5", f"{one.key} was left {one.status}", events[-1])


def no_approval_no_step(record: Record) -> None:
    """P8: no attempt of a guarded step starts before the grant that it needs is recorded, and a grant is a yes."""
    for id_, events in record.executions():
        for event in events:
            if (
                event.type == "approval.granted"
                and record.said is not None
                and not record.said.get((id_, key_of(event)))
            ):
                raise PromiseBroken("P8", "nobody said yes", event)
        for guard in record.guards:
            granted, calls = 0, set[str]()
            for event in events:
                key = key_of(event)
                name = key.rpartition("/")[2].partition("#")[0]
                if event.type == "approval.granted" and name == guard.approval:
                    granted += 1
                elif event.type == "step.started" and name == guard.step:
                    calls.add(key)
                    if granted < (len(calls) if guard.each else 1):
                        raise PromiseBroken("P8", f"nobody had granted {guard.approval!r}", event)


PROMISES: Final[dict[str, Callable[[Record], None]]] = {
    "P1": nothing_acknowledged_is_lost,
    "P2": nothing_is_changed_unseen,
    "P3": state_is_a_fold,
    "P4": one_order_no_gaps,
    "P5": recorded_before_and_after,
    "P6": one_owner,
    "P7": undone_in_reverse,
    "P8": no_approval_no_step,
}
