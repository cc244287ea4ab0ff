"""An execution's record in words, for tests to compare; differences are shown as such."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import ndiff
from types import EllipsisType
from typing import Protocol

from actum.events import RecordedEvent

__all__ = ["History", "assert_history", "assert_steps", "brief", "events_of", "history", "key_of", "steps_of_history"]


class History(Protocol):
    """Whatever has a record: a flow of the harness, what `run` gives."""

    @property
    def events(self) -> Sequence[RecordedEvent]: ...


_NOUNS = {"compensation": "step"}


def key_of(event: RecordedEvent) -> str:
    """What the event is about: `charge#0`, behind its scope if it has one; empty when it is about the execution."""
    facts = event.facts
    kind = event.type.partition(".")[0]
    noun = _NOUNS.get(kind, kind)
    if noun not in facts or "occurrence" not in facts:
        return ""
    scope = f"{facts['scope']}/" if "scope" in facts else ""
    return f"{scope}{facts[noun]}#{facts['occurrence']}"


def brief(event: RecordedEvent) -> str:
    """An event in a few words: `step.started charge#0`, with the attempt when it is not the first."""
    key = key_of(event)
    if not key:
        return event.type
    attempt = event.facts.get("attempt", 1)
    return f"{event.type} {key}" + (f" ({attempt})" if attempt > 1 else "")


def history(of: History | Iterable[RecordedEvent]) -> list[str]:
    """The events of one execution in words, in order."""
    return [brief(event) for event in events_of(of)]


def steps_of_history(of: History | Iterable[RecordedEvent]) -> list[str]:
    """How every attempt ended, in order: `charge completed`, `charge failed`, `charge (2) completed`, `undo charge`.

    A name that is called more than once has its number: `charge#1 completed`. Behind `undo` stands what was undone;
    `undo charge failed` could not be.
    """
    words: list[str] = []
    for event in events_of(of):
        noun, _, verb = event.type.partition(".")
        if noun not in ("step", "compensation") or verb in ("started", "retry_scheduled", "requested", "ended"):
            continue
        name = key_of(event).removesuffix("#0")
        attempt = event.facts.get("attempt", 1)
        numbered = name + (f" ({attempt})" if attempt > 1 else "")
        if noun == "step":
            words.append(f"{numbered} {verb.replace('_', ' ')}")
        else:
            words.append(f"undo {numbered}" + ("" if verb == "completed" else f" {verb}"))
    return words


def assert_history(of: History | Iterable[RecordedEvent], expected: Sequence[str | EllipsisType]) -> None:
    """Raise `AssertionError`, with the difference, unless the record is this; `...` stands for any events, or none."""
    _compare("history", history(of), expected)


def assert_steps(of: History | Iterable[RecordedEvent], expected: Sequence[str | EllipsisType]) -> None:
    """The same for the attempts of steps and compensations, in the words of `steps_of_history`."""
    _compare("steps", steps_of_history(of), expected)


def _compare(what: str, found: list[str], expected: Sequence[str | EllipsisType]) -> None:
    if _fits(found, expected):
        return
    wanted = ["..." if isinstance(one, EllipsisType) else one for one in expected]
    shown = "\n".join(line for line in ndiff(wanted, found) if not line.startswith("?"))
    raise AssertionError(f"the {what} differs from what was expected (-), it has (+):\n{shown}")


def _fits(found: list[str], expected: Sequence[str | EllipsisType]) -> bool:
    """Whether the words are these, with any number of others where `...` stands."""
    places = {0}
    for one in expected:
        if isinstance(one, EllipsisType):
            places = set(range(min(places), len(found) + 1)) if places else set()
        else:
            places = {place + 1 for place in places if place < len(found) and found[place] == one}
    return len(found) in places


def events_of(of: History | Iterable[RecordedEvent]) -> Iterable[RecordedEvent]:
    """The events themselves, of whatever has them."""
    return of if isinstance(of, Iterable) else of.events
