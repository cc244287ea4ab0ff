"""What is kept and for how long: erasures, legal holds, policies (`system/<tenant>`). Never personal: keys are ids."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from actum.events.facts import Count, Digest, Facts, Instant, Name

__all__ = ["EVENTS"]


class PayloadErased(Facts):
    """These payloads are to be gone from here on: recorded first, destroyed then. Payload: `{"reason": …}`.

    It reaches every payload, or part of one, that fulfils all that is said: is under the data key `key`; was recorded
    before `before`; is of the class `payload_class`; is of an event of the type `event_type`, and of none of
    `except_types`. With a key alone it reaches what is appended later too; with `before`, only what is below this
    event, not in a stream in `spared`, and not in a stream `system/…` or `workflow/…`; nor then what a hold that is
    in force at this event covers.

    `payloads` and `executions` are how many were found, from position `counted_from` on where what is before that was
    in an archive and not read. `forced`: it was done although the holds in `against` were
    in force, and `running` executions had not ended.
    """

    type = "payload.erased"
    basis: Name
    key: Name | None = None
    before: Instant | None = None
    payload_class: Literal["public", "business", "personal"] | None = None
    event_type: Name | None = None
    except_types: list[Name] | None = None
    spared: list[Name] | None = None
    payloads: Count
    executions: Count
    counted_from: Count | None = None
    forced: bool | None = None
    against: list[Name] | None = None
    running: Count | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.key is None and self.before is None:
            raise ValueError("names neither a key nor a time")
        return self


class HoldPlaced(Facts):
    """Nothing of this may be erased until the hold is lifted, or until `until`. Its id is this event's id.

    It covers what is under one of the data keys `keys`, what stands in one of the streams `streams`, or everything.
    Payload: `{"reason": …}`.
    """

    type = "hold.placed"
    keys: list[Name] | None = None
    streams: list[Name] | None = None
    everything: bool | None = None
    until: Instant | None = None


class HoldLifted(Facts):
    """Payload: `{"reason": …}`."""

    type = "hold.lifted"
    hold: Name


class PolicyChanged(Facts):
    """From here on this policy is in force. Payload: the policy, of which `digest` is the digest."""

    type = "policy.changed"
    policy: Literal["retention"]
    digest: Digest


EVENTS: tuple[type[Facts], ...] = (PayloadErased, HoldPlaced, HoldLifted, PolicyChanged)
