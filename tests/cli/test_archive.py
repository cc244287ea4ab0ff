"""`actum archive`, as a person and a script use it."""

from __future__ import annotations

from .commands import Shell

XES = "<log>{}</log>"
TRACE = """<trace><string key="concept:name" value="claim-{0}"/><event><string key="concept:name" value="pay"/>
<date key="time:timestamp" value="2026-03-01T09:00:00Z"/></event></trace>"""


def fill(actum: Shell) -> None:
    """Ten claims of three events each, and the event that says they were imported."""
    (actum.folder / "claims.xes").write_text(XES.format("".join(TRACE.format(i) for i in range(10))))
    assert actum("import", "xes", "claims.xes").code == 0


def test_a_log_is_archived_listed_proved_and_asked(actum: Shell) -> None:
    """The whole way in four commands, each of which says what it did."""
    fill(actum)
    ran = actum("archive", "run", "there", "--segment", "8", "--json").json()
    assert [(one["first"], one["count"], one["size"]) for one in ran["archived"]] == [
        (0, 8, 31),
        (8, 8, 31),
        (16, 8, 31),
    ]
    assert (ran["events"], ran["tail"]) == (24, 10)

    assert actum("archive", "list", "there", "--json").json()["segments"] == ran["archived"]
    verified = actum("archive", "verify", "there", "--json")
    assert (verified.code, verified.json()["verdict"], verified.json()["events"]) == (0, "verified", 24)
    asked = actum("archive", "query", "there", "SELECT count(*) AS n FROM events", "--json").json()
    assert asked == {"columns": ["n"], "rows": [[34]]}
    assert actum("verify", "--json").json()["verdict"] == "verified"


def test_an_auditor_needs_the_files_and_the_key_alone(actum: Shell) -> None:
    """Without the log; and with a byte of a header changed: exit code 1, and the file is named."""
    fill(actum)
    actum("archive", "run", "there", "--segment", "8")
    key = (actum.folder / "actum.db.vkey").read_text().strip()
    for file in actum.folder.glob("actum.db*"):
        if file.is_file():
            file.unlink()
    alone = actum("archive", "verify", "there", "--no-log", "--key", key)
    assert alone.code == 0, alone.err

    file = actum.folder / "there" / "000000000008.parquet"
    raw = bytearray(file.read_bytes())
    raw[60] ^= 1  # in the first column's data
    file.write_bytes(raw)
    altered = actum("archive", "verify", "there", "--no-log", "--key", key)
    assert altered.code == 1
    assert "000000000008.parquet" in altered.out


def test_the_log_and_its_archive_are_proved_in_one_report(actum: Shell) -> None:
    """`verify --archive` says both, with one process or several; exit code 1 when either is wrong."""
    fill(actum)
    actum("archive", "run", "there", "--segment", "8")
    reports = [actum("verify", "--archive", "there", "--jobs", jobs, "--json") for jobs in ("1", "2")]
    assert [report.code for report in reports] == [0, 0], reports[0].err
    assert reports[0].out == reports[1].out
    names = [check["name"] for check in reports[0].json()["checks"]]
    assert {"tree", "projections", "archive: headers", "archive: recorded"} <= set(names)

    file = actum.folder / "there" / "000000000008.parquet"
    raw = bytearray(file.read_bytes())
    raw[60] ^= 1
    file.write_bytes(raw)
    altered = actum("verify", "--archive", "there")
    assert altered.code == 1
    assert "wrong: archive: headers" in altered.out
    assert "first wrong event: position 8" in altered.out
    assert actum("verify", "--archive", "nowhere").code == 1
    assert actum("verify", "--jobs", "0").code == 2


def test_wrong_use_is_said_and_makes_nothing(actum: Shell) -> None:
    """No log, no power of two, no query, no archive: exit code 2 and one sentence."""
    assert "there is no store" in actum("archive", "run", "there").err
    fill(actum)
    for words, said in (
        (("run", "there", "--segment", "10"), "a power of two of events, not 10"),
        (("run", "ftp://there"), "is no archive"),
        (("query", "there", "DROP VIEW events"), "one SELECT is answered"),
        (("query", "there", "SELECT nothing FROM events"), "nothing"),
    ):
        ended = actum("archive", *words)
        assert (ended.code, ended.out) == (2, ""), ended
        assert said in ended.err
    assert not (actum.folder / "there").exists()
    assert actum("archive", "verify", "there", "--no-log").code == 1


def test_segments_leave_are_read_with_their_archive_and_come_back(actum: Shell) -> None:
    """The whole way: dropped, refused without the archive, the same with it, verified both ways, and put back."""
    fill(actum)
    before = actum("executions", "list", "--json").json()
    shown = actum("executions", "show", before["executions"][0]["id"], "--json").out
    metrics = actum("metrics", "--json").json()["metrics"]
    ran = actum("archive", "run", "there", "--segment", "8", "--drop", "--keep-events", "12", "--json").json()
    assert ([one["first"] for one in ran["dropped"]], ran["floor"]) == ([0, 8], 16)
    assert actum("archive", "run", "there", "--segment", "8", "--drop", "--keep-events", "12").code == 0

    refused = actum("executions", "show", before["executions"][0]["id"])
    assert (refused.code, refused.out) == (3, "")
    assert "Set ACTUM_ARCHIVE" in refused.err
    alone = actum("verify", "--json")
    assert (alone.code, alone.json()["verdict"]) == (0, "verified_with_gaps")
    assert actum("seal").code == 0

    there = {"ACTUM_ARCHIVE": "there"}
    assert actum("executions", "show", before["executions"][0]["id"], "--json", environment=there).out == shown
    assert actum("metrics", "--json", environment=there).json()["metrics"] == metrics
    assert actum("verify", "--json", environment=there).json()["verdict"] == "verified"
    assert actum("import", "xes", "claims.xes", "--json", environment=there).json()["events"] == 0
    assert actum("archive", "verify", "there", "--json", environment=there).json()["verdict"] == "verified"
    assert actum("archive", "query", "there", "SELECT count(*) FROM events WHERE position < 31", "--json").json()[
        "rows"
    ] == [[31]]

    back = actum("archive", "restore", "there", "--json").json()
    assert ([one["first"] for one in back["restored"]], back["floor"]) == ([16, 8, 0], 0)
    assert actum("verify", "--json").json()["verdict"] == "verified"
    assert actum("executions", "show", before["executions"][0]["id"], "--json").out == shown


def test_a_lost_store_is_made_again_from_its_archive(actum: Shell) -> None:
    """With the key, which is kept elsewhere; the sealer then refuses to sign less than was signed before."""
    fill(actum)
    before = actum("executions", "list", "--json").json()
    actum("archive", "run", "there", "--segment", "8")
    key = (actum.folder / "actum.db.vkey").read_text().strip()
    for name in ("actum.db", "actum.db-wal", "actum.db-shm"):
        (actum.folder / name).unlink(missing_ok=True)
    ended = actum("archive", "restore", "there", "--key", key)
    assert ended.code == 0, ended.err
    assert "3 segments put back; the store begins at event 0 and has 25 now" in ended.out
    assert "personal, keyed and large payloads, and events after its last segment" in ended.err

    again = {one["id"] for one in actum("executions", "list", "--json").json()["executions"]}
    assert again < {one["id"] for one in before["executions"]}
    assert len(again) == 8
    forked = actum("seal")
    assert forked.code == 3
    assert "the log has forked" in forked.err
    (actum.folder / "actum.db.checkpoint").unlink()
    found = actum("verify", "--key", key, "--json").json()
    assert found["verdict"] == "verified_with_gaps", found


def test_what_restoring_and_dropping_need_is_said(actum: Shell) -> None:
    """No key, no archive there, a limit without --drop: one sentence, and nothing is done."""
    fill(actum)
    for words, said in (
        (("run", "there", "--keep-days", "3"), "say what --drop leaves"),
        (("restore", "nowhere", "--from", "3"), ""),
    ):
        ended = actum("archive", *words)
        assert said in ended.err
    empty = actum("archive", "restore", "there", store="sqlite:///new.db")
    assert empty.code == 3
    assert "no key was given" in empty.err
    refused = actum("verify", environment={"ACTUM_ARCHIVE": "s4://there"})
    assert refused.code == 2
    assert "is no archive" in refused.err
