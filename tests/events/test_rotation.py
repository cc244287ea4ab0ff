"""Key rotation: both keys sign, trust follows, and a key that was replaced signs nothing more."""

from __future__ import annotations

from typing import Any

import pytest

from actum.errors import CheckpointRefused
from actum.events.catalog import validate_facts
from actum.events.checkpoint import SigningKey
from actum.events.rotation import Rotation, follow, read_rotation, rotation_facts

ORIGIN = "actum/default"
A, B, C, X, Y = (SigningKey.generate(ORIGIN, seed=bytes([i]) * 32) for i in range(5))


def rotation(position: int, old: SigningKey, new: SigningKey) -> Rotation:
    return read_rotation(position, rotation_facts(ORIGIN, old, new))


def facts(**changed: Any) -> dict[str, Any]:
    return rotation_facts(ORIGIN, A, B) | changed


def test_a_rotation_by_both_keys_is_read() -> None:
    """What both keys signed is a rotation, and its facts are what the catalogue takes."""
    validate_facts("key.rotated", facts())

    assert read_rotation(7, facts()) == (7, ORIGIN, A.verifier(), B.verifier())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"old_signature": facts()["new_signature"]}, "signed by only one key: the old key actum/default"),
        ({"new_signature": ""}, "signed by only one key: the new key actum/default"),
        ({"origin": "actum/other"}, "neither key signed it"),
        ({"new": C.verifier().to_text()}, "neither key signed it"),
        ({"old": "no key"}, "not of the form"),
    ],
)
def test_what_not_both_signed_is_refused(changed: dict[str, Any], said: str) -> None:
    """A rotation signed by one key, or of something else, is refused, and says who did not sign."""
    with pytest.raises(CheckpointRefused, match=said):
        read_rotation(7, facts(**changed))


@pytest.mark.parametrize("pinned", [A, B, C])
def test_any_key_of_the_chain_leads_to_all(pinned: SigningKey) -> None:
    """From the first, a middle or the last key one knows which key may sign which sizes."""
    trust, strangers = follow([pinned.verifier()], [rotation(4, A, B), rotation(9, B, C)])

    assert strangers == []
    assert [trust.keys_at(size) for size in (1, 4, 5, 9, 10, 99)] == [[key.verifier()] for key in (A, A, B, B, C, C)]


def test_a_strangers_rotation_counts_for_nothing() -> None:
    """Whoever can append, but has no key in force, cannot hand over."""
    theirs = rotation(2, X, Y)
    trust, strangers = follow([A.verifier()], [theirs, rotation(4, A, B)])

    assert strangers == [theirs]
    assert trust.keys_at(9) == [B.verifier()]


def test_a_replaced_key_cannot_hand_over_again() -> None:
    """A key stolen after its time cannot start a second chain."""
    later = rotation(9, A, X)
    trust, strangers = follow([A.verifier()], [rotation(4, A, B), later])

    assert strangers == [later]
    assert trust.keys_at(20) == [B.verifier()]


def test_no_key_comes_back() -> None:
    """A key that was replaced is not put in force again, by whomever."""
    back = rotation(9, B, A)

    assert follow([A.verifier()], [rotation(4, A, B), back])[1] == [back]


def test_without_a_pinned_key_nobody_is_trusted() -> None:
    """Rotations alone prove nothing."""
    assert follow([], [rotation(4, A, B)])[0].spans == {}
