"""What custodians write into `system/<tenant>`: holds placed and lifted, and how long payloads are kept."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Literal

from actum.errors import BadInput, VersionConflict, near_miss
from actum.events import Actor, NewEvent, canonical, parse_instant, to_text, uuid7
from actum.eventstore.custody.erasures import Custody, read_custody
from actum.eventstore.custody.retention import Policy
from actum.eventstore.protocol import ANY, Append, EventStore

__all__ = ["check_reason", "lift_hold", "place_hold", "policy_of", "record", "set_retention"]

Clock = Callable[[], int]


def place_hold(
    store: EventStore,
    *,
    reason: str,
    by: Actor,
    clock: Clock,
    subject: str | None = None,
    execution: str | None = None,
    until: str | None = None,
) -> str:
    """Forbid every erasure of a subject's payloads, of an execution's, or of all; the hold's id.

    A subject without a data key gets one, so that the hold covers what is filed under it from now on. Raises
    `BadInput` for no reason, a reason that names the subject, or a time that is over; then nothing is written.
    """
    check_reason(reason, subject)
    facts: dict[str, Any] = {}
    if until is not None:
        end_us = parse_instant(until, "until", zone_when_absent=True)
        if end_us <= clock():
            raise BadInput(f"until: {until} is over; nothing was written")
        facts["until"] = to_text(end_us)
    if subject is not None:
        facts["keys"] = sorted({*store.keys_of(subject), store.key_for(subject)})
    if execution is not None:
        facts["streams"] = [f"execution/{execution}"]
    if not facts.keys() - {"until"}:
        facts["everything"] = True
    return record(store, clock, "hold.placed", [facts], by, {"reason": reason})[0]


def lift_hold(store: EventStore, hold: str, *, reason: str, by: Actor, clock: Clock) -> None:
    """End a hold. Raises `BadInput` when there is none of this id, or it was lifted; then nothing is written."""
    check_reason(reason, None)
    while True:
        custody = read_custody(store)
        known = [one.id for one in custody.holds]
        if hold not in known:
            raise BadInput(f"there is no hold {hold!r} to lift{near_miss(hold, known)}; nothing was written")
        try:
            record(store, clock, "hold.lifted", [{"hold": hold}], by, {"reason": reason}, expected=custody.version)
        except VersionConflict:
            continue  # somebody wrote to the stream meanwhile, perhaps to lift it
        return


def set_retention(store: EventStore, policy: Policy, *, by: Actor, clock: Clock) -> None:
    """Put a policy in force, in place of the one before. Nothing is destroyed by that alone."""
    facts = {"policy": "retention", "digest": policy.digest}
    record(store, clock, "policy.changed", [facts], by, policy.to_json(), payload_class="public")


def policy_of(custody: Custody) -> Policy | None:
    """The retention policy in force. Raises `BadInput` when it cannot be read, or is not what its event says."""
    if custody.policy is None:
        return None
    policy = Policy.from_json(custody.policy.value, "the policy in force")
    if policy.digest != custody.policy.digest:
        raise BadInput("the policy in force does not give the digest in its event; run `actum verify`")
    return policy


def record(
    store: EventStore,
    clock: Clock,
    type_: str,
    facts: Sequence[dict[str, Any]],
    by: Actor,
    said: dict[str, Any],
    *,
    payload_class: Literal["public", "business"] = "business",
    expected: int = ANY,
) -> list[str]:
    """Append an event of this type for each of the facts; their ids. Raises as `EventStore.append`."""
    now = clock()
    events = [
        NewEvent(
            type_,
            one,
            to_text(now),
            by,
            id=uuid7(now, random.getrandbits(62)),
            payload=canonical(said),
            payload_class=payload_class,
        )
        for one in facts
    ]
    store.append([Append(f"system/{store.tenant}", expected, events)])
    return [event.id for event in events]


def check_reason(reason: str, subject: str | None) -> None:
    """Refuse no reason, and one that names the subject, with `BadInput`."""
    if not reason.strip():
        raise BadInput("say for what reason; nothing was written")
    if subject is not None and subject.casefold() in reason.casefold():
        raise BadInput(
            "the reason names the subject, and it would stay when the subject is erased; nothing was written"
        )
