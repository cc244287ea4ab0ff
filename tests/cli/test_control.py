"""`actum executions pause|resume|cancel|retry|skip`, as people and scripts use them."""

from __future__ import annotations

from .commands import Shell


def test_a_waiting_execution_is_paused_and_goes_on(actum: Shell) -> None:
    """The pause shows, holds `actum resume` off, and ends by its own word."""
    actum("run", "flows:guarded", "--id", "a", "--input", "21")

    paused = actum("executions", "pause", "a", "--reason", "stock-taking", "--json")
    assert (paused.code, paused.json()) == (0, {"id": "a", "status": "paused", "runs": False, "events": 3})
    assert actum("executions", "list", "--status", "paused", "--json").json()["executions"][0]["id"] == "a"
    held = actum("resume", "a")
    assert (held.code, "actum executions resume a" in held.err) == (1, True)
    actum("approvals", "approve", "a")
    assert actum("resume", "--json").json() == {"resumed": [], "refused": {}}

    resumed = actum("executions", "resume", "a")
    assert (resumed.code, "actum resume a" in resumed.err) == (0, True)
    assert actum("resume", "a", "--json").json()["output"] == 42


def test_a_waiting_execution_is_cancelled_by_whoever_takes_it_up(actum: Shell) -> None:
    """The command says that nobody runs it and what does; then it has been cancelled, and cannot be again."""
    actum("run", "flows:guarded", "--id", "a", "--input", "21")

    asked = actum("executions", "cancel", "a", "--reason", "ordered twice")
    assert (asked.code, "actum resume a" in asked.err) == (0, True)
    ended = actum("resume", "a", "--json")
    assert (ended.code, ended.json()["status"], ended.json()["error"]["type"]) == (1, "cancelled", "CancelledError")
    assert "ordered twice" in actum("executions", "show", "a").out

    again = actum("executions", "cancel", "a")
    assert (again.code, "it has been cancelled" in again.err) == (2, True)


def test_force_ends_it_without_anybody(actum: Shell) -> None:
    """Nothing needs to run for it."""
    actum("run", "flows:guarded", "--id", "a", "--input", "21")

    ended = actum("executions", "cancel", "a", "--force", "--json")

    assert (ended.code, ended.json()["status"]) == (0, "cancelled")
    assert actum("verify").code == 0


def test_a_parked_step_is_skipped_with_a_result(actum: Shell) -> None:
    """A person saw that it had happened, and says what it gave."""
    actum("run", "flows:once", "--id", "a", "--input", "21")
    actum("resume", "a")
    assert actum("executions", "show", "a", "--json").json()["status"] == "parked"

    no_reason = actum("executions", "skip", "a", "deadly")
    wrong = actum("executions", "skip", "a", "deadly", "--reason", "seen", "--result", "{")
    assert (no_reason.code, wrong.code) == (2, 2)
    skipped = actum("executions", "skip", "a", "deadly", "--reason", "seen", "--result", "7", "--json").json()

    assert skipped["steps"] == ["deadly#0"]
    assert actum("resume", "a", "--json").json()["output"] == 7


def test_what_was_undone_is_not_retried(actum: Shell) -> None:
    """The refusal says why, and what to do instead."""
    actum("run", "flows:never", "--id", "a", "--input", "5")

    refused = actum("executions", "retry", "a")

    assert (refused.code, "fork it" in refused.err) == (2, True)


def test_a_failed_step_is_retried(actum: Shell) -> None:
    """From the failed step on, in a new process; here it fails again, which is an end like the first."""
    (actum.folder / "more.py").write_text(
        "from pathlib import Path\n"
        "from actum import step, workflow\n"
        "@step\n"
        "async def needs_file() -> str:\n"
        "    return Path('there').read_text()\n"
        "@workflow\n"
        "async def reads(ctx) -> str:\n"
        "    return await needs_file()\n"
    )
    assert actum("run", "more:reads", "--id", "a").code == 1
    (actum.folder / "there").write_text("found")

    asked = actum("executions", "retry", "a", "--reason", "the file is there now", "--json").json()
    ended = actum("resume", "a", "--json").json()

    assert asked["steps"] == ["needs_file#0"]
    assert (ended["status"], ended["output"]) == ("completed", "found")
    assert actum("verify").code == 0


def test_executions_are_found_by_tags_and_attributes(actum: Shell) -> None:
    """Filters compose; what is not NAME=VALUE is refused."""
    actum("run", "flows:twice", "--id", "a", "--input", "1", "--tag", "urgent", "--attribute", "items=3")
    actum("run", "flows:twice", "--id", "b", "--input", "1", "--tag", "urgent", "--priority", "5", "--timeout", "1h")

    def found(*words: str) -> list[str]:
        rows = actum("executions", "list", *words, "--json").json()["executions"]
        return sorted(row["id"] for row in rows)

    assert found("--tag", "urgent") == ["a", "b"]
    assert found("--tag", "urgent", "--attribute", "items=3") == ["a"]
    assert found("--attribute", "items=4") == []
    assert found("--tag", "urgent", "--priority", "5", "--status", "completed") == ["b"]
    assert found("--priority", "0") == ["a"]
    assert actum("executions", "list", "--attribute", "items").code == 2
    assert actum("run", "flows:twice", "--input", "1", "--attribute", "Items=3").code == 2
    shown = actum("executions", "show", "a", "--json").json()
    assert (shown["tags"], shown["attributes"], shown["priority"]) == (["urgent"], {"items": "3"}, 0)
