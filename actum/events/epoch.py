"""Epochs of a log: after a restore that lost signed events, checkpoints go on under another origin. Pure.

The log says so itself, in a `log.restored` event that its key signed: which checkpoint was abandoned, and up to which
size the log still is what was signed. Checkpoints up to that size hold as before. Larger ones of the old origin are
named as lost, and nothing makes them good again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from actum.errors import CheckpointRefused
from actum.events.checkpoint import Checkpoint, SigningKey, VerifierKey, verify
from actum.events.note import base64_bytes, base64_text
from actum.events.rotation import Trust, is_signed_by, sign_text

__all__ = ["Epoch", "Epochs", "epoch_origin", "follow_epochs", "read_epoch", "restored_facts", "verify_of"]

_WHAT: Final = "new epoch"
_ROOT: Final = re.compile(r"[0-9a-f]{64}")


class Epoch(NamedTuple):
    """From the event at `position` on, checkpoints are under `origin`; `abandoned` was the last one of before."""

    number: int
    origin: str
    position: int
    abandoned: Checkpoint
    agreed_size: int
    """The largest signed size at which the log still gave the signed root."""
    found: Checkpoint
    """The log as it was when the epoch began."""
    key: VerifierKey
    reason: str

    def loss(self) -> str:
        """What was lost, for people."""
        reason = f" ({self.reason})" if self.reason else ""
        return (
            f"the lost epoch of {self.abandoned.origin}, abandoned at size {self.abandoned.size} "
            f"by event {self.position}{reason}"
        )


def epoch_origin(log: str, number: int) -> str:
    """The origin of a log's checkpoints in its epoch of this number: the log's own name in the first."""
    return log if number == 1 else f"{log}/epoch-{number}"


def verify_of(log: str, note: str, keys: Iterable[VerifierKey]) -> Checkpoint:
    """The checkpoint in a note that one of these keys signed, of this log in whichever epoch; raises as `verify`."""
    checkpoint = verify(note, keys)
    if checkpoint.origin != log and not re.fullmatch(re.escape(log) + r"/epoch-[0-9]+", checkpoint.origin):
        raise CheckpointRefused("checkpoint", f"is of the log {checkpoint.origin!r}, not of {log!r}")
    return checkpoint


def restored_facts(
    log: str, number: int, abandoned: Checkpoint, agreed_size: int, found: Checkpoint, key: SigningKey
) -> dict[str, Any]:
    """The facts of the `log.restored` event that begins this epoch."""
    facts = {
        "epoch": number,
        "origin": epoch_origin(log, number),
        "abandoned_origin": abandoned.origin,
        "abandoned_size": abandoned.size,
        "abandoned_root": abandoned.root.hex(),
        "agreed_size": agreed_size,
        "size": found.size,
        "root": found.root.hex(),
        "key": key.verifier().to_text(),
    }
    return facts | {"signature": base64_text(sign_text(key, _text(facts)))}


def read_epoch(position: int, facts: Mapping[str, Any], reason: str = "") -> Epoch:
    """The epoch that an event begins. Raises `CheckpointRefused` unless the key it names signed all of it."""
    key = VerifierKey.from_text(str(facts.get("key", "")))
    if not is_signed_by(key, base64_bytes(str(facts.get("signature", ""))), _text(facts)):
        raise CheckpointRefused(_WHAT, f"{key.name}+{key.id.hex()} did not sign it")
    origin = str(facts.get("origin"))
    abandoned = _checkpoint(facts, "abandoned_")
    found = _checkpoint({**facts, "origin": origin})
    number, agreed = facts.get("epoch"), facts.get("agreed_size")
    if type(number) is not int or type(agreed) is not int:
        raise CheckpointRefused(_WHAT, "its number or the size it agrees to is no integer")
    if not 0 <= agreed <= found.size <= position or agreed > abandoned.size:
        raise CheckpointRefused(
            _WHAT,
            f"at event {position} the log cannot have had {found.size} events and agreed up to size {agreed} "
            f"with what was signed up to size {abandoned.size}",
        )
    return Epoch(number, origin, position, abandoned, agreed, found, key, reason)


def _checkpoint(facts: Mapping[str, Any], prefix: str = "") -> Checkpoint:
    root = str(facts.get(f"{prefix}root"))
    if not _ROOT.fullmatch(root):
        raise CheckpointRefused(_WHAT, f"its {prefix}root is not 64 lower-case hex digits")
    size: Any = facts.get(f"{prefix}size")  # Any: whatever stood there; Checkpoint refuses what is no size
    return Checkpoint(str(facts.get(f"{prefix}origin")), size, bytes.fromhex(root))


def _text(facts: Mapping[str, Any]) -> bytes:
    # The first line has spaces and the second is no number: neither can be read as a checkpoint.
    names = ("epoch", "origin", "abandoned_origin", "abandoned_size", "abandoned_root", "agreed_size", "size", "root")
    return ("actum log restored v1\n" + "".join(f"{name} {facts.get(name)}\n" for name in names)).encode()


class Epochs(NamedTuple):
    """A log's name, and the epochs after the first, in their order."""

    log: str
    later: Sequence[Epoch] = ()

    @property
    def number(self) -> int:
        """The one that is in force."""
        return len(self.later) + 1

    def has(self, origin: str) -> bool:
        """Whether this is the log's origin in one of its epochs."""
        return origin == self.log or any(epoch.origin == origin for epoch in self.later)

    def origin_at(self, size: int) -> str:
        """The origin of a checkpoint of this size. The one that covers an epoch's event is the first of its origin."""
        return next((epoch.origin for epoch in reversed(self.later) if epoch.position < size), self.log)

    def lost(self, checkpoint: Checkpoint) -> Epoch | None:
        """The epoch that began because this checkpoint, of an origin of before, no longer is of the log."""
        for epoch in self.later:
            signed = epoch.abandoned
            if checkpoint.origin == signed.origin and epoch.agreed_size < checkpoint.size <= signed.size:
                return epoch if checkpoint.size < signed.size or checkpoint.root == signed.root else None
        return None


def follow_epochs(log: str, found: Iterable[Epoch], trust: Trust | None) -> tuple[Epochs, list[tuple[Epoch, str]]]:
    """The epochs that count, in the order of the log; and those that do not, with why.

    With `trust`, an epoch counts only if a key that was in force then signed it.
    """
    epochs, strangers = Epochs(log), list[tuple[Epoch, str]]()
    for epoch in found:
        number = epochs.number + 1
        if (epoch.number, epoch.origin) != (number, epoch_origin(log, number)):
            reason = f"it begins epoch {epoch.number} as {epoch.origin!r}; next would be {epoch_origin(log, number)!r}"
        elif not epochs.has(epoch.abandoned.origin):
            reason = f"it abandons a checkpoint of {epoch.abandoned.origin!r}, which is no origin of this log"
        elif trust is not None and epoch.key not in trust.keys_at(epoch.position):
            reason = f"{epoch.key.name}+{epoch.key.id.hex()}, which signed it, was not in force"
        else:
            epochs = epochs._replace(later=(*epochs.later, epoch))
            continue
        strangers.append((epoch, reason))
    return epochs, strangers
