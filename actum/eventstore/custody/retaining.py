"""Retention carried out: what the policy in force says of each payload, what is due, and its destruction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from actum.errors import BadInput, VersionConflict
from actum.events import Actor, to_text
from actum.eventstore.custody.custodian import policy_of, record
from actum.eventstore.custody.erasing import drop, not_ended
from actum.eventstore.custody.erasures import KEPT_ALWAYS, Custody, read_custody
from actum.eventstore.custody.holds import pieces_of
from actum.eventstore.custody.retention import Policy, Rule
from actum.eventstore.protocol import EventStore

__all__ = ["RuleState", "Standing", "look", "run_retention"]

_SPARED_BYTES: Final = 48 * 1024
"""How many names of streams fit into a header."""

Clock = Callable[[], int]


@dataclass(slots=True)
class RuleState:
    """What one rule is about, as of now. Payloads that are erased are not counted."""

    rule: Rule
    before: str
    kept: int = 0
    oldest: str | None = None
    """When the oldest payload that is kept was recorded."""
    held: int = 0
    """Past their time, and kept because of a hold."""
    due: Counter[str] = field(default_factory=Counter)
    """Payloads past their time that nothing holds, by stream."""
    spared: tuple[str, ...] = ()
    """Of these streams, those whose executions have not ended: they are kept until then."""

    @property
    def to_go(self) -> int:
        """How many payloads a run destroys now."""
        return self.due.total() - sum(self.due[stream] for stream in self.spared)

    @property
    def next_due(self) -> str | None:
        """When the oldest payload is past its time; in the past when it is."""
        return None if self.oldest is None else self.rule.keep.after(self.oldest)


@dataclass(frozen=True, slots=True)
class Standing:
    """The policy in force, and where each of its rules stands. `policy` is None when none was ever set."""

    custody: Custody
    policy: Policy | None
    rules: tuple[RuleState, ...]
    without_rule: int
    """Payloads that no rule is about: they are kept."""


def look(store: EventStore, now: str) -> Standing:
    """Read the log once; nothing is changed. `system/…` and `workflow/…` explain the log, and no rule is theirs."""
    custody = read_custody(store)
    policy = policy_of(custody)
    if policy is None:
        return Standing(custody, None, (), 0)
    states = {rule: RuleState(rule, rule.keep.before(now)) for rule in policy.rules}
    holds = custody.holds.in_force(now)
    without = 0
    for event in store.read(payloads=False):
        for piece in pieces_of(event.position, event.head):
            if piece.stream.startswith(KEPT_ALWAYS) or custody.erasures.reaching(piece) is not None:
                continue
            rule = policy.rule_of(piece.type, piece.payload_class)
            if rule is None:
                without += 1
                continue
            state = states[rule]
            state.kept += 1
            if state.oldest is None or piece.recorded_at < state.oldest:
                state.oldest = piece.recorded_at
            if piece.recorded_at < state.before:
                if any(hold.covers(piece) for hold in holds):
                    state.held += 1
                else:
                    state.due[piece.stream] += 1
    due = {stream for state in states.values() for stream in state.due}
    running = {f"execution/{id_}" for id_ in not_ended(store, {s.removeprefix("execution/") for s in due})}
    for state in states.values():
        state.spared = tuple(sorted(running.intersection(state.due)))
    return Standing(custody, policy, tuple(states.values()), without)


def run_retention(store: EventStore, *, by: Actor, clock: Clock) -> Standing:
    """Destroy what is past its time by the policy in force and that no hold covers; where it stood before.

    The log says first, by one event for each rule, what goes. Executions that have not ended keep theirs. Raises
    `BadInput`, and nothing is done, when no policy was set, or more executions would have to be spared than an
    event can name.
    """
    while True:
        standing = look(store, to_text(clock()))
        if standing.policy is None:
            raise BadInput("no retention policy was set, so nothing is ever due; see `actum retention set`")
        due = [state for state in standing.rules if state.to_go]
        if not due:
            break
        facts = [_facts(state, standing.policy) for state in due]
        said = {"policy": standing.policy.digest}
        try:
            record(store, clock, "payload.erased", facts, by, said, expected=standing.custody.version)
        except VersionConflict:
            continue  # perhaps a hold was placed meanwhile: look again
        break
    # What the log says goes now, and not what was counted above. When there is nothing new it is the run before
    # this one that is looked at again, because it may have been killed on its way.
    rules = read_custody(store).erasures.rules()
    drop(store, [rule for rule in rules if rule.at == rules[-1].at])
    store.scrub()
    return standing


def _facts(state: RuleState, policy: Policy) -> dict[str, Any]:
    if sum(len(stream) + 3 for stream in state.spared) > _SPARED_BYTES:
        raise BadInput(
            f"{len(state.spared):,} executions have not ended and hold payloads that are due by the rule {state.rule}, "
            "more than an event can name; finish or cancel some of them. Nothing was erased."
        )
    facts: dict[str, Any] = {
        "basis": "retention",
        "before": state.before,
        "payloads": state.to_go,
        "executions": sum(s.startswith("execution/") for s in state.due.keys() - set(state.spared)),
    }
    if state.rule.event_type is not None:
        facts["event_type"] = state.rule.event_type
    else:
        facts["payload_class"] = state.rule.payload_class
        if policy.types:
            facts["except_types"] = policy.types
    if state.spared:
        facts["spared"] = list(state.spared)
    return facts
