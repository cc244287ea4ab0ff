"""Who gets what now. Pure but for the book, which it writes the grants into.

- All of a step's needs are given at once, or none: nobody holds a part and waits for the rest.
- Those of a higher rank come first; among equals, each share gets of every pool in proportion to its weight, by start
  time fair queueing with one clock a pool; within a share, the oldest.
- Who is the first that a pool has too little for is *first in line* there and stays it: what comes free is kept for
  it, and only a higher rank goes before. So a big need is met after at most as much was given back as it lacks. What
  others need elsewhere, or what is left beside it, is given meanwhile.
- What a preemptible execution holds is asked back for those of a higher rank that wait for it: of the lowest rank
  first, among equals what was given last, and nothing where that would not be enough.
- Who waits for a quota of its own or for a breaker keeps nothing from others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from actum.engine.resources.book import Ask, Book
from actum.engine.resources.breaking import Gate
from actum.engine.resources.declared import Resources
from actum.engine.resources.rate import take, wait_us

__all__ = ["Granted", "settle"]

_SCALE = 1_000_000_000
"""What a whole pool counts on its clock."""


class Granted(NamedTuple):
    asks: list[Ask]
    due_us: int | None
    """When more may be given though nobody gives anything back: a token comes, a breaker may be tried."""
    reclaimed: dict[str, tuple[int, int]]
    """What is asked back: who holds it → the rank of who waits for it."""


def settle(book: Book, rules: Resources, gates: Mapping[str, Gate], now_us: int) -> Granted:
    """Give all that can be given now, and write it into the book, to the worker that asks."""
    return _Pass(book, rules, gates, now_us).run()


class _Pass:
    def __init__(self, book: Book, rules: Resources, gates: Mapping[str, Gate], now_us: int) -> None:
        self._book = book
        self._rules = rules
        self._gates = gates
        self._now_us = now_us
        self._free = {pool.name: pool.capacity for pool in rules.pools.values()}
        self._quotas: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self._probes: defaultdict[str, int] = defaultdict(int)
        for ask in book.held():
            self._hold(ask)
        self._kept: dict[str, Ask] = {}
        self._dues: list[int] = []
        self._shares: defaultdict[str, set[str]] = defaultdict(set)

    def run(self) -> Granted:
        book = self._book
        first = set(book.first.values())
        lines: defaultdict[tuple[object, ...], list[tuple[bool, int, str, str, Ask]]] = defaultdict(list)
        for worker, part in book.parts.items():
            for ask in part.waiting.values():
                lines[ask.line].append((ask.id not in first, ask.at_us, ask.id, worker, ask))
                for name in ask.units:
                    self._shares[name].add(ask.share)
        for line in lines.values():
            line.sort(reverse=True, key=lambda one: one[:4])
        turns = [(*self._turn(line[-1]), key) for key, line in lines.items()]
        heapify(turns)
        granted: list[Ask] = []
        while turns:
            turn = heappop(turns)
            line = lines[turn[-1]]
            now = (*self._turn(line[-1]), turn[-1])
            if now > turn:  # its share has got something meanwhile
                heappush(turns, now)
                continue
            *_, worker, ask = line[-1]
            if not self._may(ask):
                continue  # nobody overtakes in its line
            line.pop()
            granted.append(given := ask._replace(granted_us=self._now_us))
            part = book.parts[worker]
            del part.waiting[ask.id]
            part.held[ask.id] = given
            self._give(given)
            if line:
                heappush(turns, (*self._turn(line[-1]), turn[-1]))
        book.first = {name: ask.id for name, ask in self._kept.items()}
        return Granted(granted, min(self._dues, default=None), self._reclaim())

    def _turn(self, one: tuple[bool, int, str, str, Ask]) -> tuple[tuple[int, int], bool, int, int, str]:
        later, at_us, id_, _, ask = one
        return (ask.rank, later, max((self._start(name, ask.share) for name in ask.units), default=0), at_us, id_)

    def _start(self, name: str, share: str) -> int:
        clock = self._book.clocks.get(name, 0)
        return max(clock, self._book.finish.get(name, {}).get(share, 0))

    # -- what there is -----------------------------------------------------------------------------------------------

    def _may(self, ask: Ask) -> bool:
        """Whether all of it can be given now. Else it keeps what it is the first to lack, or is blocked for itself."""
        if not self._passes(ask) or not self._has_quota(ask):
            return False
        lacks = False
        for name, amount in ask.units.items():
            if name in self._free:
                before = self._kept.get(name)
                lacks |= self._free[name] - (0 if before is None else before.units[name]) < amount
            elif name in self._rules.limits:
                wait = wait_us(self._rules.limits[name], self._book.arrivals.get(name, 0), self._now_us, amount)
                lacks |= wait > 0 or name in self._kept
                if wait:
                    self._dues.append(self._now_us + wait)
            else:
                return False  # another worker knows what that is
        if lacks:
            for name in ask.units:
                self._kept.setdefault(name, ask)
        return not lacks

    def _reclaim(self) -> dict[str, tuple[int, int]]:
        holders = [ask for ask in self._book.held() if ask.preemptible]
        if not holders:
            return {}
        holders.sort(key=lambda ask: (ask.rank, ask.granted_us, ask.id), reverse=True)
        found: dict[str, tuple[int, int]] = {}
        free = dict(self._free)
        for ask in sorted(self._book.waiting(), key=lambda one: (one.rank, one.at_us, one.id)):
            if not holders or ask.rank >= holders[0].rank:
                break
            if not self._passes(ask) or not self._has_quota(ask):
                continue
            if any(name not in self._free and name not in self._rules.limits for name in ask.units):
                continue
            lacks = {name: amount - free[name] for name, amount in ask.units.items() if amount > free.get(name, amount)}
            back: list[Ask] = []
            for holder in holders:
                if not lacks or holder.rank <= ask.rank:
                    break
                if lacks.keys().isdisjoint(holder.units):
                    continue
                back.append(holder)
                given = {name: left - holder.units.get(name, 0) for name, left in lacks.items()}
                lacks = {name: left for name, left in given.items() if left > 0}
            if not lacks:
                for holder in back:
                    holders.remove(holder)
                    found[holder.id] = ask.rank
                    for name in holder.units.keys() & free.keys():
                        free[name] += holder.units[name]
            for name in ask.units.keys() & free.keys():  # what is there is kept for it
                free[name] = max(0, free[name] - ask.units[name])
        return found

    def _passes(self, ask: Ask) -> bool:
        """Whether the breaker before it lets it through."""
        if not ask.breaker:
            return True
        gate, breaker = self._gates.get(ask.breaker), self._rules.breakers.get(ask.breaker)
        if gate is None or breaker is None:
            return False
        if gate.status == "open":
            self._dues.append(max(gate.since_us + breaker.open_for_us, self._now_us + 1))
            return False
        return gate.status == "closed" or self._probes[ask.breaker] < breaker.probes

    def _has_quota(self, ask: Ask) -> bool:
        return all(
            self._quotas[quota.pool, quota.per, ask.by.get(quota.per, "")] + ask.units[quota.pool] <= quota.at_most
            for quota in self._rules.quotas
            if quota.pool in ask.units
        )

    def _hold(self, ask: Ask) -> None:
        for name, amount in ask.units.items():
            if name in self._free:
                self._free[name] -= amount
        for quota in self._rules.quotas:
            if quota.pool in ask.units:
                self._quotas[quota.pool, quota.per, ask.by.get(quota.per, "")] += ask.units[quota.pool]
        if ask.breaker:
            gate = self._gates.get(ask.breaker)
            if gate is not None and ask.granted_us >= gate.since_us:
                self._probes[ask.breaker] += 1

    # -- what is given -----------------------------------------------------------------------------------------------

    def _give(self, ask: Ask) -> None:
        book, rules = self._book, self._rules
        self._hold(ask)
        for name, amount in ask.units.items():
            limit = rules.limits.get(name)
            if limit is not None:
                book.arrivals[name] = take(limit, book.arrivals.get(name, 0), self._now_us, amount)
            whole = limit.count if limit is not None else rules.pools[name].capacity
            cost = amount * _SCALE // whole
            weights = rules.weights
            finish = book.finish.setdefault(name, {})
            finish[ask.share] = self._start(name, ask.share) + max(1, cost // weights.get(ask.share, 1))
            together = sum(weights.get(share, 1) for share in self._shares[name] | {ask.share})
            clock = book.clocks[name] = book.clocks.get(name, 0) + max(1, cost // together)
            for share in [share for share, far in finish.items() if far <= clock]:
                del finish[share]
