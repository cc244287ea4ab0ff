"""`actum executions signal`: from any process, once, and visible until it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from .commands import Shell

FLOW = """
from actum import workflow

@workflow
async def waits(ctx):
    return [await ctx.wait_signal("paid"), await ctx.child(inner, 2)]

@workflow
async def inner(ctx, n):
    return n
"""


@pytest.fixture
def begun(actum: Shell, tmp_path: Path) -> Shell:
    (tmp_path / "waiting.py").write_text(FLOW)
    actum("run", "waiting:waits", "--id", "w", "--no-wait")
    return actum


def test_a_signal_from_another_process_moves_the_workflow_on(begun: Shell) -> None:
    """Recorded by one process, read by another; what is not read is shown, and children are too."""
    sent = begun("executions", "signal", "w", "paid", "--value", "12", "--signal-id", "a", "--by", "shop", "--json")
    begun("executions", "signal", "w", "paid", "--value", "12", "--signal-id", "a")
    begun("executions", "signal", "w", "other", "--value", '"text"')
    ended = begun("resume", "w", "--json").json()
    shown = begun("executions", "show", "w", "--json").json()

    assert (sent.json()["execution"], sent.json()["by"]) == ("w", "shop")
    assert (ended["status"], ended["output"]) == ("completed", [12, 2])
    assert [(one["signal"], one["value"]) for one in shown["unread_signals"]] == [("other", "text")]
    assert shown["children"] == [{"key": "inner#0", "execution": "w.inner-0", "outcome": "success"}]
    assert begun("executions", "show", "w.inner-0", "--json").json()["parent"] == "w"
    page = begun("executions", "show", "w").out
    assert "unread signal other" in page
    assert "w.inner-0 (success)" in page


def test_bad_signals_are_refused(begun: Shell) -> None:
    """With what is wrong, and nothing is written."""
    for arguments, says in (
        (("w", "paid", "--value", "{"), "no JSON"),
        (("x", "paid"), "no execution 'x'"),
        (("w", "a/b"), "name of a signal"),
    ):
        refused = begun("executions", "signal", *arguments)
        assert (refused.code, says in refused.err) == (2, True), refused.err
