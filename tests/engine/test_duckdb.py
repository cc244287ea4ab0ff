"""The engine on DuckDB: the executions of `test_crash.py`, killed at appends, and recovered by another process."""

from __future__ import annotations

from pathlib import Path

from tests.engine.killed import NEVER, Kill, Nursery


def test_killed_processes_are_recovered_by_the_next(tmp_path: Path) -> None:
    """Same ends as without a kill, and every promise held. One process at a time: that is all that DuckDB allows."""
    nursery = Nursery(f"duckdb:///{tmp_path}/log.duckdb", tmp_path)
    try:
        for kill in (Kill(1), Kill(3, "after"), Kill(12), Kill(20, "after")):
            assert nursery.begin([kill]) == [True]
        assert nursery.recover(Kill(5)) == [True]
        assert nursery.recover(NEVER) == [False]
        nursery.check()
    finally:
        nursery.close()
