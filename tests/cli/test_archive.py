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
