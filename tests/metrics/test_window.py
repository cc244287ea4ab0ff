"""Windows: how they are read, and what is refused."""

from __future__ import annotations

import pytest

from actum.errors import BadInput
from actum.metrics import Window
from tests.metrics.builders import DAY, HOUR, MINUTE, NOON_US


@pytest.mark.parametrize(
    ("text", "length_us"), [("7d", 7 * DAY), ("24h", 24 * HOUR), ("90m", 90 * MINUTE), ("4w", 28 * DAY)]
)
def test_a_length_ends_now(text: str, length_us: int) -> None:
    """A rolling window reaches from so long ago up to now, and is labelled as it was asked for."""
    assert Window.parse(text, NOON_US) == Window(NOON_US - length_us, NOON_US, text)


def test_two_times_are_taken_as_they_are() -> None:
    """FROM/TO may be dates or times, in UTC unless they carry an offset."""
    window = Window.parse("2025-12-01/2025-12-01T14:00:00+02:00", 0)

    assert window.to_json()["from"] == "2025-12-01T00:00:00.000000Z"
    assert window.to_json()["to"] == "2025-12-01T12:00:00.000000Z"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("7 days", "neither a length"),
        ("", "neither a length"),
        ("0d", "empty"),
        ("yesterday/2025-12-01", "FROM"),
        ("2025-12-01/", "TO"),
        ("2025-12-02/2025-12-01", "not after its beginning"),
        ("2025-12-01/2025-12-01", "not after its beginning"),
        ("999999999d", "year 1"),
    ],
)
def test_a_window_that_cannot_be_is_refused(text: str, says: str) -> None:
    """The refusal says what is wrong with which part."""
    with pytest.raises(BadInput, match=says):
        Window.parse(text, NOON_US)
