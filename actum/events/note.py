"""The C2SP signed note: a text, an empty line, and signature lines. Who may sign, and what, is for others to say.

Each note has exactly one spelling here: what reads also refuses every other way of writing the same thing. All
refusals are `CheckpointRefused`. `docs/formats/checkpoint.md` is the normative description.
"""

from __future__ import annotations

import base64
import re
from typing import Final, NamedTuple

from actum.errors import CheckpointRefused

__all__ = [
    "Signature",
    "base64_bytes",
    "base64_text",
    "check_characters",
    "name_problem",
    "signature_line",
    "split_note",
    "with_signatures",
]

_SIGNATURE_LINE: Final = re.compile(r"— (?P<name>[^ ]+) (?P<signature>[^ ]+)")
_NOT_IN_NOTES: Final = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_NOTE_LIMIT_CHARS = 1_000_000
_SIGNATURE_LIMIT = 100


class Signature(NamedTuple):
    """One signature line. It says who signed; whether that is true is for a key to tell."""

    by: tuple[str, bytes]
    """The key's name and id."""
    value: bytes


def split_note(note: str) -> tuple[str, list[Signature]]:
    """The text of a note and its signatures, none of them checked."""
    if len(note) > _NOTE_LIMIT_CHARS:
        raise CheckpointRefused("note", f"is over the limit of {_NOTE_LIMIT_CHARS:,} characters")
    check_characters(note)
    text, blank, block = note.rpartition("\n\n")
    if not blank:
        raise CheckpointRefused("note", "has no blank line between text and signatures; it was cut, or is no note")
    if not block.endswith("\n"):
        raise CheckpointRefused("note", "does not end in a signature line and its newline; it was cut")
    lines = block.split("\n")[:-1]
    if len(lines) > _SIGNATURE_LIMIT:
        raise CheckpointRefused("note", f"has {len(lines)} signatures, over the limit of {_SIGNATURE_LIMIT}")
    return text + "\n", [_read_signature(line) for line in lines]


def signature_line(name: str, key_id: bytes, signature: bytes) -> str:
    """One signature as it stands in a note, its newline included."""
    return f"— {name} {base64_text(key_id + signature)}\n"


def with_signatures(note: str, other: str) -> str:
    """The note with those signature lines of another note of the same text that it does not have yet."""
    text, mine = split_note(note)
    theirs_text, theirs = split_note(other)
    if text != theirs_text:
        raise CheckpointRefused(
            "note", "the two notes are not of the same text, so their signatures do not go together"
        )
    return note + "".join(signature_line(*s.by, s.value) for s in theirs if s not in mine)


def _read_signature(line: str) -> Signature:
    match = _SIGNATURE_LINE.fullmatch(line)
    raw = base64_bytes(match["signature"]) if match else None
    if match is None or name_problem(match["name"]) or raw is None or len(raw) < 5:
        raise CheckpointRefused("note", f"the line {line[:80]!r} is not a signature line: '— name base64'")
    return Signature((match["name"], raw[:4]), raw[4:])


def name_problem(name: str) -> str:
    """What keeps this from being the name of a key or log; empty when nothing does."""
    if not name:
        return "is empty"
    if "+" in name or _NOT_IN_NOTES.search(name) or any(map(str.isspace, name)):
        return "holds white space, a plus, a control character or invalid Unicode"
    return ""


def check_characters(text: str) -> None:
    """Refuse a text that no note can hold."""
    if _NOT_IN_NOTES.search(text):
        raise CheckpointRefused("note", "holds a control character or invalid Unicode; only newlines are allowed")


def base64_text(raw: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(raw).decode()


def base64_bytes(text: str) -> bytes | None:
    """The bytes, or None unless the text is exactly how `base64_text` writes them."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:  # covers binascii.Error, and text that is not ASCII
        return None
    return raw if base64_text(raw) == text else None
