"""`actum import`, `metrics`, `export`, `verify` and `db`, on real records and on a store that somebody altered."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from .commands import Shell


def test_tau_bench_gives_its_published_figures(actum: Shell, data: Path) -> None:
    """200 real airline runs: SR 0.420, pass^1..4 as on the leaderboard, 48 transfers, 73 of 1,164 tool errors."""
    file = str(data / "agent_traces/tau_bench/gpt-4o-airline.json.gz")

    imported = actum("import", "tau-bench", file, "--json").json()
    again = actum("import", "tau-bench", file, "--json").json()
    answer = actum("metrics", "--json").json()
    found = answer["metrics"]

    assert (imported["executions"], again["executions"], again["already_there"]) == (200, 0, 200)
    assert (again["events"], again["appended"]) == (0, 0)
    rate = found["success_rate"]
    assert (rate["good"], rate["valid"], rate["ratio"], rate["ci_method"]) == (84, 200, 0.42, "clopper_pearson")
    assert 0.35 < rate["ci_lower"] < 0.42 < rate["ci_upper"] < 0.5
    assert [round(found["pass_hat_k"][k], 3) for k in "1234"] == [0.420, 0.273, 0.220, 0.200]
    assert found["human_intervention_rate"]["good"] == 48
    assert (found["tool_error_rate"]["good"], found["tool_error_rate"]["valid"]) == (73, 1164)
    assert found["workflow_completion_time"]["p50_s"] is None  # the source has no times: no data, never 0
    assert actum("verify").code == 0
    table = actum("metrics").out
    assert "0.420" in table
    assert "73 of 1,164" in table


def test_tau2_bench_three_files_are_three_trials(actum: Shell, data: Path) -> None:
    """120 real retail runs: 93 of 120, pass^3 0.625, WCT p50 24.524 s by nearest rank, 10.84841 USD."""
    files = sorted(
        str(path) for path in (data / "agent_traces/tau2_bench").glob("retail_gpt-4o_policy-t4o_run*.json.gz")
    )

    imported = actum("import", "tau2-bench", *files, "--json").json()
    found = actum("metrics", "--json").json()["metrics"]

    assert imported["executions"] == 120
    assert (found["success_rate"]["good"], found["success_rate"]["valid"]) == (93, 120)
    assert [round(found["pass_hat_k"][k], 3) for k in "123"] == [0.775, 0.675, 0.625]
    assert round(found["workflow_completion_time"]["p50_s"], 3) == 24.524
    assert found["workflow_completion_time"]["count"] == 120
    assert (found["tool_error_rate"]["good"], found["tool_error_rate"]["valid"]) == (67, 1022)
    assert "24.524 s" in actum("metrics").out
    assert actum("verify").code == 0


def test_receipt_has_all_its_cases_and_events(actum: Shell, data: Path) -> None:
    """The permit log: 1,434 cases, 8,577 events, and the store verifies."""
    file = str(data / "event_logs/receipt.xes.gz")

    answer = actum("import", "xes", file, "--json").json()

    assert (answer["executions"], answer["events"], answer["left_out"]) == (1434, 8577, [])
    verdict = actum("verify", "--json")
    assert (verdict.code, verdict.json()["verdict"]) == (0, "verified")
    assert verdict.json()["events"] == verdict.json()["size"] == answer["appended"]


@pytest.mark.parametrize("format_", ["tau-bench", "tau2-bench", "xes"])
def test_a_bad_file_imports_nothing(actum: Shell, format_: str) -> None:
    """A truncated file, a directory, a missing one: one sentence that names it, exit code 2, and no store is made."""
    (actum.folder / "cut.json").write_text('[{"task_id": 1, "rew')
    (actum.folder / "folder").mkdir()

    for name in ("cut.json", "folder", "missing.json"):
        ended = actum("import", format_, name)
        assert ended.code == 2, ended
        assert name in ended.err
    assert not (actum.folder / "actum.db").exists()


XES = """<log><trace><string key="concept:name" value="claim-1"/>
<event><string key="concept:name" value="pay"/><date key="time:timestamp" value="2026-03-01T09:00:00Z"/></event>
</trace></log>"""


def test_a_dry_run_makes_nothing_not_even_a_store(actum: Shell) -> None:
    """`import --dry-run` says what would come, with a store or without, and leaves folder and log as they were."""
    (actum.folder / "claims.xes").write_text(XES)
    before = sorted(path.name for path in actum.folder.iterdir())

    without = actum("import", "xes", "claims.xes", "--dry-run")

    assert (without.code, without.out.strip()) == (0, "1 execution would be imported, from 1 source event")
    assert sorted(path.name for path in actum.folder.iterdir()) == before
    assert actum("import", "xes", "claims.xes").code == 0
    length = len(actum("events", "list", "--json").json()["events"])
    assert actum("import", "xes", "claims.xes", "--dry-run", "--json").json()["already_there"] == 1
    assert len(actum("events", "list", "--json").json()["events"]) == length


def test_metrics_without_data_say_so(actum: Shell) -> None:
    """An empty log has no rates: null for programs, "no data" for people."""
    actum("db", "upgrade")

    found = actum("metrics", "--json").json()["metrics"]

    assert found["success_rate"] is None or found["success_rate"]["ratio"] is None
    assert "no data" in actum("metrics").out


def test_metrics_as_of_a_position_do_not_change(actum: Shell) -> None:
    """What was known at a position is the same for ever."""
    actum("run", "flows:twice", "--input", "1")
    head = actum("metrics", "--json").json()["as_of"]
    before = actum("metrics", "--as-of", str(head), "--json").json()["metrics"]["success_rate"]
    actum("run", "flows:never", "--input", "1")

    after = actum("metrics", "--as-of", str(head), "--json").json()["metrics"]["success_rate"]
    now = actum("metrics", "--json").json()["metrics"]["success_rate"]

    assert after == before
    assert (now["good"], now["valid"]) == (1, 2)


def test_export_prometheus_prints_the_same_counts(actum: Shell) -> None:
    """The exposition says what `actum metrics` says."""
    actum("run", "flows:twice", "--input", "1")
    actum("run", "flows:never", "--input", "1")

    text = actum("export", "prometheus").out

    assert 'actum_workflow_executions_total{outcome="success",workflow="twice"} 1.0' in text
    assert 'actum_workflow_executions_total{outcome="failure",workflow="never"} 1.0' in text


def test_one_altered_byte_is_refused_and_named(actum: Shell) -> None:
    """verify fails with exit code 1 and says which event of which stream is not what was written."""
    actum("run", "flows:twice", "--id", "a", "--input", "21")
    con = sqlite3.connect(actum.folder / "actum.db")
    con.execute("DROP TRIGGER events_no_update")
    (position, header) = con.execute("SELECT seq, header FROM events WHERE type = 'step.completed'").fetchone()
    con.execute("UPDATE events SET header = ? WHERE seq = ?", (header.replace(b"success", b"succese"), position))
    con.commit()
    con.close()

    ended = actum("verify", "--json")
    answer = ended.json()

    assert (ended.code, answer["verdict"]) == (1, "failed")
    assert (answer["first_bad"]["position"], answer["first_bad"]["stream"]) == (position, "execution/a")
    assert set(answer) >= {"verdict", "events", "size", "root", "checks", "first_bad"}
    assert "FAILED" in actum("verify").out


def test_a_kept_checkpoint_must_still_be_in_the_log(actum: Shell) -> None:
    """A checkpoint that an auditor kept convicts a log that was rewritten after it, whoever holds the keys."""
    actum("run", "flows:twice", "--id", "a", "--input", "21")
    con = sqlite3.connect(actum.folder / "actum.db")
    (note,) = con.execute("SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1").fetchone()
    con.close()
    (actum.folder / "kept").write_text(note)
    key = (actum.folder / "actum.db.vkey").read_text().strip()
    good = actum("verify", "--checkpoint", "kept", "--key", key, "--json")
    for left in actum.folder.glob("actum.db*"):
        if left.is_file() and not left.name.endswith(("signing-key", "vkey")):
            left.unlink()
    actum("run", "flows:twice", "--id", "a", "--input", "22")

    rewritten = actum("verify", "--checkpoint", "kept", "--key", key, "--json")

    assert (good.code, good.json()["keys"]) == (0, "given")
    assert rewritten.code == 1


def test_a_newer_store_is_refused_with_its_version(actum: Shell) -> None:
    """A store that a newer program has written is not touched, and its version is named."""
    actum("run", "flows:twice", "--input", "1")
    con = sqlite3.connect(actum.folder / "actum.db")
    con.execute("UPDATE alembic_version SET version_num = '9000'")
    con.commit()
    con.close()

    for words in (("run", "flows:twice"), ("metrics",), ("db", "upgrade")):
        ended = actum(*words)
        assert ended.code == 3, ended
        assert "9000" in ended.err


def test_db_upgrade_makes_a_store_and_then_has_nothing_to_do(actum: Shell) -> None:
    """db upgrade is safe to run always; db check says whether it is needed."""
    absent = actum("db", "check")
    assert (absent.code, "there is no store there" in absent.err + absent.out) == (1, True)
    assert actum("db", "upgrade", "--json").json()["before"] is None
    assert actum("db", "upgrade", "--json").json()["before"] == actum("db", "check", "--json").json()["needed"]
    fits = actum("db", "check")
    assert (fits.code, "which is what this program needs" in fits.err + fits.out) == (0, True)


@pytest.mark.parametrize(("found", "said"), [("0001", "run `actum db upgrade`"), ("9999", "use a newer actum")])
def test_db_check_says_which_of_the_two_is_older(actum: Shell, found: str, said: str) -> None:
    """A store that is newer than the program is not to be upgraded by it."""
    actum("db", "upgrade")
    con = sqlite3.connect(actum.folder / "actum.db")
    con.execute("UPDATE alembic_version SET version_num = ?", (found,))
    con.commit()
    con.close()

    checked = actum("db", "check")
    assert checked.code == 1
    assert said in checked.err + checked.out


def test_a_cached_report_is_the_report(actum: Shell) -> None:
    """With --cache the numbers are those without, before and after the log has grown, and whatever the file holds."""
    cache = actum.folder / "metrics.cache"
    for _ in range(2):
        actum("run", "flows:twice", "--input", "3")
        assert actum("metrics", "--json", "--cache", "metrics.cache").json() == actum("metrics", "--json").json()
    kept = cache.read_bytes()
    assert actum("metrics", "--json", "--cache", "metrics.cache").json() == actum("metrics", "--json").json()
    assert cache.read_bytes() == kept  # nothing new, nothing written
    cache.write_bytes(kept[:-5])
    assert actum("metrics", "--json", "--cache", "metrics.cache").json() == actum("metrics", "--json").json()
    refused = actum("metrics", "--cache", "metrics.cache", "--window", "7d")
    assert (refused.code, "for the whole log" in refused.err) == (2, True)
