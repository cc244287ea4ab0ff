"""For pytest: `actum_harness`, `actum_simulate` and `actum_seeds`, and the options that choose seeds.

Whoever does not use them pays for one import of this file, which imports nothing of actum's before a fixture is asked
for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections import Counter

    from actum.engine.definitions import Code
    from actum.testing.harness.harness import Harness

__all__ = ["Seeds", "Simulate", "actum_harness", "actum_seeds", "actum_simulate"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("actum", "simulations of actum")
    group.addoption("--actum-seed", type=int, metavar="N", help="simulate under this seed only")
    group.addoption(
        "--actum-seeds",
        type=int,
        metavar="COUNT",
        help="how many seeds each simulation goes through (default: ACTUM_SEEDS, or what the test says)",
    )


class Seeds:
    """Called with a function, it calls that with each seed; the first that fails names the command to see it again."""

    def __init__(self, test: str, only: int | None, count: int | None) -> None:
        self.again = f"pytest {test!r} --actum-seed={{seed}}"
        self._only = only
        self._count = count

    def of(self, count: int, part: int = 0) -> list[int]:
        """So many seeds, unless the options say otherwise: of part 1 those behind those of part 0, and so on."""
        if self._only is not None:
            return [self._only]
        count = count if self._count is None else self._count
        return list(range(part * count, (part + 1) * count))

    def __call__(self, count: int, run: Callable[[int], None], part: int = 0) -> None:
        from actum.testing.simulation.simulate import each_seed

        each_seed(self.of(count, part), run, self.again)


class Simulate:
    """`simulate`, under the seeds that pytest's options say."""

    def __init__(self, seeds: Seeds) -> None:
        self._seeds = seeds

    def __call__(self, code: Code, workflow_input: Any = None, *, seeds: int = 200, **more: Any) -> Counter[str]:
        from actum.testing.simulation.simulate import simulate

        return simulate(code, workflow_input, seeds=self._seeds.of(seeds), again=self._seeds.again, **more)


@pytest.fixture
def actum_seeds(request: pytest.FixtureRequest) -> Seeds:
    """Which seeds to go through: `actum_seeds(200, run)` calls `run` with each."""
    option = request.config.getoption
    said = os.environ.get("ACTUM_SEEDS")
    count = option("--actum-seeds")
    return Seeds(request.node.nodeid, option("--actum-seed"), int(said) if count is None and said else count)


@pytest.fixture
def actum_simulate(actum_seeds: Seeds) -> Simulate:
    """`actum.testing.simulate`, with `--actum-seed` and `--actum-seeds` heeded."""
    return Simulate(actum_seeds)


@pytest.fixture
def actum_harness() -> Iterator[Harness]:
    """A `Harness`, closed when the test is over."""
    from actum.testing.harness.harness import Harness

    with Harness() as harness:
        yield harness
