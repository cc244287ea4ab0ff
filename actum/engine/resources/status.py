"""What there is, who has it, and who waits: as far as the book and the log say."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from actum.engine.resources.book import Ask, Book
from actum.engine.resources.breaking import CLOSED, fold_gate
from actum.engine.resources.declared import Resources
from actum.engine.resources.rate import wait_us
from actum.engine.resources.shelf import shelf_of
from actum.events import to_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from actum.eventstore import EventStore

__all__ = ["resources_status"]


def resources_status(
    store: EventStore, rules: Resources, now_us: Callable[[], int], alive: Callable[[str], bool]
) -> dict[str, Any]:
    """`pools`, `limits` and `breakers`, as plain JSON.

    Without settings there are no capacities, and nothing but what is in use, waited for, or was ever opened.
    """
    shelf = shelf_of(store, now_us)
    try:
        book, now = shelf.read()
    finally:
        shelf.close()
    parts = {worker: part for worker, part in book.parts.items() if alive(worker)}
    book = Book(parts, book.arrivals, book.clocks, book.finish, book.first, book.breakers)
    held = list(book.held())
    used: Counter[str] = Counter()
    for ask in held:
        used.update(ask.units)
    waiting: Counter[str] = Counter()
    since: dict[str, int] = {}
    for part in parts.values():
        for name, (number, since_us) in part.lines.items():
            waiting[name] += number
            since[name] = min(since.get(name, since_us), since_us)
    named = {*used, *(name for name in waiting if not name.startswith("breaker "))} - rules.limits.keys()
    pools = []
    for name in sorted({*rules.pools, *named}):
        pool = rules.pools.get(name)
        pools.append(
            {
                "pool": name,
                "unit": pool.unit or None if pool else None,
                "capacity": pool.capacity if pool else None,
                "in_use": used[name],
                "waiting": waiting[name],
                "longest_wait_us": _wait(since.get(name), now),
                "queue": pool.queue if pool else None,
                "held_by": _holders(held, name),
            }
        )
    limits = [
        {
            "limit": name,
            "count": limit.count,
            "per_us": limit.per_us,
            "burst": limit.burst,
            "next_in_us": wait_us(limit, book.arrivals.get(name, 0), now, 1),
            "waiting": waiting[name],
            "longest_wait_us": _wait(since.get(name), now),
        }
        for name, limit in sorted(rules.limits.items())
    ]
    return {"pools": pools, "limits": limits, "breakers": _breakers(store, rules, waiting, since, now)}


def _breakers(
    store: EventStore, rules: Resources, waiting: Counter[str], since: dict[str, int], now: int
) -> list[dict[str, Any]]:
    opened = {name.removeprefix("breaker/") for name, _, _ in store.streams() if name.startswith("breaker/")}
    found = []
    for name in sorted({*rules.breakers, *opened}):
        gate = fold_gate(CLOSED, store.read_stream(f"breaker/{name}"))
        breaker = rules.breakers.get(name)
        found.append(
            {
                "breaker": name,
                "state": gate.status,
                "since": to_text(gate.since_us) if gate.version else None,
                "half_open_at": to_text(gate.since_us + breaker.open_for_us)
                if breaker is not None and gate.status == "open"
                else None,
                "waiting": waiting[f"breaker {name}"],
                "longest_wait_us": _wait(since.get(f"breaker {name}"), now),
            }
        )
    return found


def _wait(since_us: int | None, now_us: int) -> int | None:
    return None if since_us is None else max(0, now_us - since_us)


def _holders(held: list[Ask], name: str) -> list[dict[str, Any]]:
    return [
        {"execution": ask.id.partition("/")[0], "step": ask.id.partition("/")[2], "amount": ask.units[name]}
        for ask in sorted(held, key=lambda ask: ask.granted_us)
        if name in ask.units
    ]
