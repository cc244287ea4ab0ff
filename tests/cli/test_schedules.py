"""`actum schedules`, as scripts rely on it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from .commands import Shell


def test_a_schedule_is_defined_looked_at_changed_and_removed(actum: Shell) -> None:
    """Each command says what it did, once as JSON; doing it again changes nothing."""
    words = ("schedules", "define", "nightly", "flows:twice", "--input", "21", "--cron", "30 2 * * *")
    defined = actum(*words, "--zone", "Europe/Berlin", "--json").json()
    again = actum(*words, "--zone", "Europe/Berlin", "--json").json()

    assert (defined["changed"], again["changed"]) == (True, False)
    assert defined["when"] == "30 2 * * * Europe/Berlin"
    assert defined["definition"]["input"] == 21
    listed = actum("schedules", "list", "--json").json()["schedules"]
    assert [(one["schedule"], one["status"]) for one in listed] == [("nightly", "active")]
    assert len(actum("schedules", "next", "nightly", "-n", "3", "--json").json()["next"]) == 3
    assert actum("schedules", "pause", "nightly", "--reason", "bank", "--json").json()["changed"]
    assert not actum("schedules", "pause", "nightly", "--json").json()["changed"]
    assert "paused" in actum("schedules", "list").out
    assert actum("schedules", "resume", "nightly", "--json").json()["changed"]
    assert actum("schedules", "remove", "nightly", "--json").json()["changed"]
    assert actum("schedules", "list", "--json").json() == {"schedules": []}


def test_what_is_triggered_or_filled_in_is_run_by_whoever_resumes(actum: Shell) -> None:
    """Both record beginnings; a second backfill of the same times begins nothing."""
    actum("schedules", "define", "daily", "flows:twice", "--input", "4", "--cron", "@daily")
    times = ("--from", "2026-11-01T00:00:00Z", "--to", "2026-11-03T12:00:00Z", "--json")

    filled = actum("schedules", "backfill", "daily", *times).json()
    again = actum("schedules", "backfill", "daily", *times).json()
    triggered = actum("schedules", "trigger", "daily", "--json").json()["execution"]
    resumed = actum("resume", "--json").json()["resumed"]

    ids = [f"daily@2026-11-0{day}T00:00:00Z" for day in (1, 2, 3)]
    assert (filled["begun"], filled["already_there"]) == (ids, [])
    assert (again["begun"], again["already_there"]) == ([], ids)
    assert sorted((one["id"], one["output"]) for one in resumed) == sorted((id_, 8) for id_ in [*ids, triggered])


def test_what_is_due_is_carried_out_once_and_seen_through(actum: Shell) -> None:
    """--once is for whoever has a clock of their own; an event is an occasion as well as a time is."""
    actum("schedules", "define", "after", "flows:told", "--on", "execution.completed", "--fact", "outcome=success")
    actum("run", "flows:twice", "--input", "1", "--id", "a")

    first = actum("schedules", "run", "--once", "--json").json()["begun"]

    assert [one["status"] for one in first] == ["completed"]
    assert actum("schedules", "run", "--once", "--json").json() == {"begun": []}
    shown = actum("schedules", "show", "after", "--json").json()
    assert [one["event"] for one in shown["past"]] == ["schedule.defined", "schedule.fired"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("define", "x", "flows:twice"), "by one of cron, every and on"),
        (("define", "x", "flows:twice", "--cron", "0 25 * * *"), "Bad hour"),
        (("define", "x", "flows:twicee", "--every", "5m"), "did you mean 'twice'"),
        (("define", "x", "flows:twice", "--on", "a.b", "--fact", "c"), "is not NAME=VALUE"),
        (("pause", "dayly"), "did you mean 'daily'"),
        (("backfill", "daily", "--from", "yesterday", "--to", "2026-11-03"), "--from"),
    ],
)
def test_wrong_use_is_two_and_changes_nothing(actum: Shell, words: tuple[str, ...], said: str) -> None:
    """Bad input gets one clear sentence, with the near miss, and nothing is written."""
    actum("schedules", "define", "daily", "flows:twice", "--input", "4", "--cron", "@daily")
    before = actum("schedules", "list", "--json").out

    ended = actum("schedules", *words)

    assert ended.code == 2, ended
    assert said in ended.err
    assert actum("schedules", "list", "--json").out == before


@pytest.mark.slow
def test_two_processes_at_the_same_time_begin_each_execution_once(actum: Shell) -> None:
    """Whoever is second finds it begun: there is no leader, and no execution twice."""
    actum("schedules", "define", "after", "flows:told", "--on", "execution.completed")
    for number in range(4):
        actum("run", "flows:twice", "--input", "1", "--id", f"a{number}")

    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: actum("schedules", "run", "--once", "--json"), range(2)))

    assert [ended.code for ended in both] == [0, 0], both
    begun = [one["id"] for ended in both for one in ended.json()["begun"]]
    while more := actum("schedules", "run", "--once", "--json").json()["begun"]:  # where one gave way to the other
        begun += [one["id"] for one in more]
    actum("resume")
    assert len(set(begun)) == len(begun)
    rows = actum("executions", "list", "--json").json()["executions"]
    assert sorted(row["status"] for row in rows) == ["completed"] * 8
    assert actum("verify").code == 0
