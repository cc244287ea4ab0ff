"""Metrics for people: nothing cut, nothing rounded into a certainty, no data in words."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from actum.cli.metrics_units import ratio, seconds
from actum.cli.metrics_view import render, render_explain
from actum.metrics import METRICS, Window, compute
from tests.metrics.builders import NOON_US, SECOND, Log


def shown(document: dict[str, Any], width: int = 120, *, explain: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    (render_explain if explain else render)(document, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def line(text: str, start: str) -> str:
    return next(found for found in text.splitlines() if found.strip().startswith(start))


@pytest.fixture
def log() -> Log:
    log = Log()
    log.start("a", task="t")
    log.tool("a", duration_us=450)
    log.step("a", "failed")
    log.step("a", "completed", attempt=2)
    log.succeed("a", 24.524, cost_nanousd=116_649_500)
    log.start("b", task="t")
    log.fail("b", 2_080_457.537)
    log.start("c")
    log.cancel("c")
    log.start("[bold]d", 5)
    return log


def test_a_rate_shows_its_counts_and_interval(log: Log) -> None:
    """Value with unit, good of valid, 95 % interval and what was left out stand in one line."""
    found = " ".join(line(shown(compute(log.events).to_json(), 200), "Success Rate (SR)").split())

    assert found.startswith("Success Rate (SR) 0.500 1 of 2 0.013 to 0.987 1 cancelled by users left out;")


def test_times_are_in_seconds_to_the_millisecond(log: Log) -> None:
    """24.524 s is printed as it is, with how it was found."""
    text = shown(compute(log.events, workflow="flow").to_json())

    assert "24.524 s" in line(text, "p50")
    assert "0.450 ms" in line(text, "p50")
    assert "2,080,457.537 s" in line(text, "p50")
    assert "TCL, WCT, WCT successes, WCT failures: by nearest rank" in text


def test_no_data_is_spelled_out() -> None:
    """An empty log shows every metric with the words, and no rate of 0 or 1 anywhere."""
    text = shown(compute([]).to_json())

    for metric in METRICS.values():
        if metric.kind in ("rate", "probability", "per_k", "average", "mean_time"):
            assert "no data" in line(text, metric.title), metric.name
    assert "no data" in line(text, "p50")
    assert " 0.000 " not in text
    assert " 1.000 " not in text


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_no_number_is_ever_cut(log: Log, width: int) -> None:
    """From 60 columns on every value, count and bound is whole; notes move below the table, then intervals."""
    wide, narrow = (shown(compute(log.events).to_json(), at) for at in (300, width))

    assert "…" not in narrow
    for number in ("2,080,457.537 s", "0.116650 USD", "24.524 s", "0.013 to 0.987", "1 of 2"):
        assert number in wide
        assert number in " ".join(narrow.split())
    assert "1 cancelled by users" in " ".join(narrow.split())


def test_groups_follow_under_their_own_heading(log: Log) -> None:
    """With --by each value has its own heading, and says so when there is none."""
    assert "tool: search" in shown(compute(log.events, by="tool").to_json())
    assert "No event carries a model" in shown(compute(log.events, by="model").to_json())


def test_the_heading_says_what_the_numbers_are_about(log: Log) -> None:
    """Position, window and workflow are the first line."""
    window = Window(NOON_US, NOON_US + 60 * SECOND, "1m")

    text = shown(compute(log.events, window=window, workflow="flow").to_json())

    assert text.splitlines()[0] == ("as of event 9, 2025-12-01 12:00:00 UTC to 2025-12-01 12:01:00 UTC, workflow flow")


def test_what_was_put_right_is_said(log: Log) -> None:
    """Duplicates and the like are named in the last line; when there are none, nothing is."""
    assert "Left out or put right: 1 duplicate." in shown(compute([*log.events, log.events[0]]).to_json())
    assert "Left out" not in shown(compute(log.events).to_json())


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_opens_to_formula_counts_and_events(log: Log, name: str) -> None:
    """An explanation holds the formula, the position it was computed at, and the positions of the events."""
    for events in (log.events, []):
        text = shown(compute(events, explain=name).explain(name), 400, explain=True)

        assert METRICS[name].title in text
        assert METRICS[name].formula in text
        assert ("as of event 9, whole log" if events else "empty log") in text


def test_positions_are_drawn_together_and_long_lists_end(log: Log) -> None:
    """Runs are written as ranges; past two hundred positions the rest is counted."""
    explained = compute(log.events, explain="SR").explain("SR")

    assert "0–2, 7" in shown(explained | {"positions": [0, 1, 2, 7], "events": 4}, explain=True)
    many = shown(explained | {"positions": list(range(0, 1000, 2)), "events": 500}, explain=True)
    assert "and 300 more" in " ".join(many.split())


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0.000"), (1, "1.000"), (0.42, "0.420"), (0.9995, "0.9995"), (0.0004, "0.0004"), (1 - 1e-12, "< 1")],
)
def test_a_share_is_never_rounded_into_a_certainty(share: float, text: str) -> None:
    """Only none of them is 0, and only all of them is 1."""
    assert ratio(share) == text


@pytest.mark.parametrize(("value", "text"), [(0, "0.000 s"), (0.00045, "0.450 ms"), (2800.432, "2,800.432 s")])
def test_seconds(value: float, text: str) -> None:
    """Seconds to the millisecond, and milliseconds below ten of them."""
    assert seconds(value) == text


def test_names_from_the_log_are_not_markup(log: Log) -> None:
    """A workflow called [red] is printed as such."""
    log.start("x", workflow="[red]")
    log.succeed("x")

    text = shown(compute(log.events, workflow="[red]", by="workflow").to_json())

    assert "workflow [red]" in text
    assert "workflow: [red]" in text
