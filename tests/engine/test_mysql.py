"""The engine on MySQL: the workflows of `test_crash.py`, killed at appends, and recovered by another process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.test_postgres import lives_on


@pytest.mark.parametrize(("at", "mode"), [(1, "before"), (7, "before"), (12, "after")])
def test_a_killed_process_is_recovered_by_the_next(mysql: str, tmp_path: Path, at: int, mode: str) -> None:
    """Same ends as without a kill; every effect was made once an attempt; the log is sound, views included."""
    lives_on(mysql, tmp_path / "journal", at, mode)
