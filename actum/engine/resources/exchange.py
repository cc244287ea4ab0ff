"""One worker's turn at the book: it says what it has and wants, everybody is given what they can have, and it reads
what is its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from actum.engine.resources.book import Ask, Book, Counted, Part
from actum.engine.resources.breaking import Answer, Gate, count
from actum.engine.resources.declared import Resources
from actum.engine.resources.granting import settle

__all__ = ["Gates", "Said", "Turn", "exchange"]

Gates = Callable[[str], Gate]
"""What a breaker is, by its name, as its stream says now."""
Say = Callable[[str, str, int, dict[str, object]], Gate]
"""Record an event of a breaker, at this time; returns what it is then."""


@dataclass(slots=True)
class Said:
    """What a worker says: all that it holds; the first of each line that waits; how many wait, and since when."""

    worker: str
    held: dict[str, Ask]
    waiting: Sequence[Ask]
    lines: dict[str, tuple[int, int]] = field(default_factory=dict)
    answers: Sequence[Answer] = ()
    returned: Set[str] = frozenset()
    """What it has given back; of that it may ask for the same again."""


class Turn(NamedTuple):
    granted: list[Ask]
    """What it holds now, and did not know of."""
    due_in_us: int | None
    gates: dict[str, Gate]
    lines: dict[str, int]
    """Pool → how many wait, at other workers."""
    reclaimed: dict[str, tuple[int, int]] = {}  # noqa: RUF012 - never changed
    """What it is to give back between two steps: id → the rank of who waits for it."""


def exchange(
    book: Book, said: Said, rules: Resources, now_us: int, alive: Callable[[str], bool], gates: Gates, say: Say
) -> Turn:
    for worker in [worker for worker in book.parts if worker != said.worker and not alive(worker)]:
        del book.parts[worker]
    part = book.parts.setdefault(said.worker, Part())
    asked = {ask.id for ask in said.waiting} - said.returned
    kept = {id_: ask for id_, ask in part.held.items() if id_ in asked}  # given to it in the turn of another
    part.held = {**said.held, **kept}
    part.waiting = {ask.id: ask for ask in said.waiting if ask.id not in part.held}
    part.lines = said.lines
    stand = _gates(book, said, rules, now_us, gates, say)
    settled = settle(book, rules, stand, now_us)
    granted = [ask for id_, ask in part.held.items() if id_ not in said.held]
    lines: dict[str, int] = {}
    for worker, other in book.parts.items():
        if worker != said.worker:
            for name, (number, _) in other.lines.items():
                lines[name] = lines.get(name, 0) + number
    if not (part.held or part.waiting or part.lines):
        del book.parts[said.worker]
    due = None if settled.due_us is None else max(0, settled.due_us - now_us)
    mine = {id_: rank for id_, rank in settled.reclaimed.items() if id_ in part.held}
    return Turn(granted, due, stand, lines, mine)


def _gates(book: Book, said: Said, rules: Resources, now_us: int, gates: Gates, say: Say) -> dict[str, Gate]:
    """Every breaker that matters now, after the answers that came in and the time that has passed."""
    named = {ask.breaker for ask in (*book.waiting(), *book.held())} | {answer.breaker for answer in said.answers}
    stand = {name: gates(name) for name in named if name in rules.breakers}
    for answer in said.answers:
        breaker = rules.breakers.get(answer.breaker)
        if breaker is None:
            continue
        counted = book.breakers.setdefault(breaker.name, Counted())
        follows = count(breaker, stand[breaker.name], counted, answer)
        if follows:
            facts: dict[str, object] = {"breaker": breaker.name}
            if follows == "breaker.closed":
                facts["successes"] = counted.successes
            else:
                facts["failures"] = max(1, len(counted.failures))
                if answer.error_type:
                    facts["error_type"] = answer.error_type
            stand[breaker.name] = say(breaker.name, follows, now_us, facts)
    for name in {ask.breaker for ask in book.waiting()} & stand.keys():
        gate = stand[name]
        if gate.status == "open" and now_us >= gate.since_us + rules.breakers[name].open_for_us:
            stand[name] = say(name, "breaker.half_opened", now_us, {"breaker": name})
    return stand
