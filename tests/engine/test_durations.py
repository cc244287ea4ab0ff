"""Durations as people write them."""

from __future__ import annotations

from typing import Any

import pytest

from actum.engine.durations import seconds
from actum.errors import BadInput


@pytest.mark.parametrize(
    ("written", "value"),
    [("30s", 30), ("5m", 300), ("2h", 7200), ("1d", 86400), ("1w", 604800), ("250ms", 0.25), ("1h30m", 5400)]
    + [("1.5h", 5400), (" 10 s ", 10), ("1h 30m", 5400), (2, 2), (0.5, 0.5)],
)
def test_durations_are_read_in_seconds(written: Any, value: float) -> None:
    """Units can be combined; a bare number is seconds."""
    assert seconds(written) == pytest.approx(value)


@pytest.mark.parametrize(
    "written", ["", "30", "s", "5 min", "-5s", "5s x", 0, -1, True, None, float("nan"), 1e9, "0s", []]
)
def test_what_is_no_duration_is_refused(written: Any) -> None:
    """Nothing is guessed: the error shows how durations are written."""
    with pytest.raises(BadInput):
        seconds(written)
