"""kill -9 at every append: real processes on real stores, and what the next process makes of what is left.

Every process begins executions of its own and is killed at another append, before it or when it has landed. Then one
process after the other recovers what all of them have left, killed on the way as well, until the last sees all to their
ends. The log and the journal of all processes are held to every promise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from actum.eventstore import open_store
from tests.engine.killed import MODES, NEVER, Kill, Nursery

pytestmark = pytest.mark.slow
STORES = ("sqlite", "postgresql")
SIDE_BY_SIDE = 10
DURING_RECOVERY = {"sqlite": (1, 2, 3, 5, 8, 13, 21, 34), "postgresql": (1, 3, 8, 21)}  # there, each waits for a lease

Place = Callable[[str], Nursery]


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    opened: list[Nursery] = []

    def on(kind: str) -> Nursery:
        url = f"sqlite:///{tmp_path}/log.db"
        if kind == "postgresql":
            url = request.getfixturevalue("postgres") + "?lease=0.3"
        open_store(url).close()
        opened.append(Nursery(url, tmp_path))
        return opened[-1]

    yield on
    for nursery in opened:
        nursery.close()


def killed_everywhere(nursery: Nursery) -> int:
    """Kill processes at the first append, the second, and so on, in both ways, until they get by without; how many."""
    at = 0
    while True:
        kills = [Kill(at + nth // 2 + 1, MODES[nth % 2]) for nth in range(SIDE_BY_SIDE)]
        killed = nursery.begin(kills)
        at += SIDE_BY_SIDE // 2
        if not all(killed):
            return len(nursery.sets)


@pytest.mark.parametrize("kind", STORES)
def test_a_kill_at_any_append_changes_nothing(place: Place, kind: str) -> None:
    """Same outputs, same compensations in the same order; nothing durable is lost and nothing done is done again."""
    nursery = place(kind)
    assert nursery.begin([NEVER]) == [False]

    assert killed_everywhere(nursery) > 60, "there is more to this than so few appends"
    assert nursery.recover(NEVER) == [False]

    nursery.check()


@pytest.mark.parametrize("kind", STORES)
def test_a_kill_during_recovery_changes_nothing(place: Place, kind: str) -> None:
    """Whoever recovers may be killed as well, early or late, and so may the next, again and again."""
    nursery = place(kind)
    nursery.begin([Kill(at, MODES[at % 2]) for at in range(2, 40, 7)])

    for nth, at in enumerate(DURING_RECOVERY[kind]):
        assert nursery.recover(Kill(at, MODES[nth % 2])) == [True]
    assert nursery.recover(NEVER) == [False]

    nursery.check()


@pytest.mark.parametrize("kind", STORES)
def test_two_that_recover_at_once_are_one(place: Place, kind: str) -> None:
    """Each execution has one owner at a time: nobody's step runs in both, and both hear the same results."""
    nursery = place(kind)
    nursery.begin([Kill(4), Kill(14), Kill(24, "after")])

    assert nursery.recover(NEVER, NEVER) == [False, False]

    nursery.check()
