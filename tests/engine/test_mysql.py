"""The engine on MySQL: the executions of `test_crash.py`, killed at appends, and recovered by another process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.killed import NEVER, Kill, Nursery


@pytest.mark.slow
def test_killed_processes_are_recovered_by_the_next(mysql: str, tmp_path: Path) -> None:
    """Same ends as without a kill, and every promise held."""
    nursery = Nursery(mysql, tmp_path)
    try:
        killed = nursery.begin([Kill(1), Kill(7), Kill(12, "after"), Kill(20, "after")])
        assert all(killed)
        assert nursery.recover(NEVER) == [False]
        nursery.check()
    finally:
        nursery.close()
