"""`actum erase`, `actum hold` and `actum retention`, as an officer uses them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from .commands import Shell

ANNA = "anna@example.org"
WHY = ("--basis", "gdpr-17", "--reason", "asked by letter")


@pytest.fixture
def order(actum: Shell) -> Callable[..., str]:
    """Run an execution about a person; the id of the data key that its payloads are under."""

    def run(id_: str, subject: str = ANNA, flow: str = "twice") -> str:
        ended = actum("run", f"flows:{flow}", "--input", "7001", "--id", id_, "--subject", subject)
        assert ended.code == 0, ended
        events = actum("events", "list", id_, "--json").json()["events"]
        key: str = events[0]["payload"]["key"]
        return key

    return run


def test_erase_and_what_is_left(actum: Shell, order: Callable[..., str]) -> None:
    """The payloads go; the log verifies with their number, and the execution says by whom they were erased."""
    key = order("o-1")
    order("o-2", "bert@example.org")
    events = len(actum("events", "list", "o-1", "--json").json()["events"])

    dry = actum("erase", ANNA, "--dry-run", "--json").json()
    assert (dry["erased"], dry["payloads"], dry["executions"], dry["keys"]) == (False, 4, ["o-1"], [key])
    done = actum("erase", ANNA, *WHY, "--json").json()
    assert done == dry | {"erased": True}

    found = actum("verify", "--json").json()
    payloads = next(check for check in found["checks"] if check["name"] == "payloads")
    assert payloads["ok"]
    assert payloads["detail"].endswith("4 were erased, as the log says")
    page = actum("executions", "show", "o-1").out
    assert f"input   erased on {page_day(page)} by tester (gdpr-17)" in page
    assert f"output  erased on {page_day(page)} by tester (gdpr-17)" in page
    shown = actum("executions", "show", "o-1", "--json").json()
    assert shown["input"] is None
    assert [(one["version"], one["by"], one["basis"]) for one in shown["erased"]] == [
        (version, "tester", "gdpr-17") for version in range(events)
    ]
    assert "14002" in actum("executions", "show", "o-2").out
    assert "14002" not in page


def page_day(page: str) -> str:
    return page.partition("erased on ")[2][:10]


KILLED = """
import os, signal, sys
from actum.cli.main import main
from actum.eventstore.payloads.protection import Protection
from actum.eventstore.sqlite.rows import SQLiteRows

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

{where} = die
sys.argv[1:] = ["erase", "anna@example.org", "--basis", "gdpr-17", "--reason", "asked by letter"]
main()
"""


@pytest.mark.parametrize("where", ["Protection.destroy_key", "SQLiteRows.remove"], ids=["before", "between"])
def test_an_interrupted_erasure_is_told_to_whoever_writes(actum: Shell, order: Callable[..., str], where: str) -> None:
    """Killed between the word and the destruction, or half-way: every command that writes says so until it is done."""
    order("o-1")
    order("o-2", "bert@example.org")
    told = "an erasure is not finished"
    assert told not in actum("seal").err
    known = {name: value for name, value in os.environ.items() if not name.startswith("ACTUM_")}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED.format(where=where)],
        cwd=actum.folder,
        env=known | {"ACTUM_STORE": "sqlite:///actum.db", "ACTUM_PERSON": "tester"},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL

    said = actum("run", "flows:twice", "--input", "1")
    assert (said.code, told in said.err) == (0, True), said.err
    assert told not in actum("events", "list").err
    finished = actum("erase", "--finish")
    assert (finished.code, told in finished.err) == (0, False), finished.err
    assert told not in actum("seal").err
    assert actum("verify").code == 0


def test_erase_refuses_in_one_sentence(actum: Shell, order: Callable[..., str]) -> None:
    """Exit code 1 and the hold, or the execution, by name; with --force it is done and the log says so."""
    order("o-1")
    hold = actum("hold", "place", "--subject", ANNA, "--reason", "a case").out.strip()

    refused = actum("erase", ANNA, *WHY)
    assert (refused.code, refused.err.strip()) == (1, f"actum: nothing was erased: hold {hold} is in force")
    assert actum("erase", ANNA, "--dry-run").code == 1
    assert actum("verify").code == 0

    order("o-2", flow="guarded")
    both = actum("erase", ANNA, *WHY).err.strip()
    assert both == f"actum: nothing was erased: hold {hold} is in force and execution o-2 has not ended"
    forced = actum("erase", ANNA, *WHY, "--force")
    assert forced.code == 0
    said = actum("events", "list", "--type", "payload.erased", "--json").json()["events"][0]["facts"]
    assert (said["forced"], said["against"], said["running"]) == (True, [hold], 1)
    resumed = actum("resume", "o-2")
    assert resumed.code == 1
    assert "Traceback" not in resumed.err
    assert "the payload of its event 0 (execution.started) was erased" in resumed.err


def test_erase_again_is_no_error(actum: Shell, order: Callable[..., str]) -> None:
    """A second time, or for a name that was never there: nothing happens, and it says so."""
    order("o-1")
    actum("erase", ANNA, *WHY)

    again = actum("erase", ANNA, *WHY)

    assert again.code == 0
    assert "nothing is filed under this name" in again.err
    assert actum("erase", "--finish", "--json").json() == {"keys": 0, "payloads": 0}


@pytest.mark.parametrize(
    "words",
    [
        ("erase",),
        ("erase", ANNA),
        ("erase", ANNA, "--basis", "x"),
        ("erase", ANNA, "--finish"),
        ("erase", ANNA, "--basis", "x", "--reason", "Anna@example.org asked"),
        ("hold", "place", "--reason", "x"),
        ("hold", "place", "--reason", "x", "--all", "--subject", ANNA),
        ("hold", "place", "--reason", "x", "--execution", "o-9"),
        ("hold", "place", "--reason", "x", "--all", "--until", "2001-01-01"),
        ("hold", "lift", "no-such", "--reason", "x"),
        ("retention", "set", "personal=1"),
        ("retention", "set", "nothing.json"),
        ("retention", "run"),
    ],
    ids=" ".join,
)
def test_wrong_use_writes_nothing(actum: Shell, order: Callable[..., str], words: tuple[str, ...]) -> None:
    """What is wrong is said, exit code 2, and no event was written."""
    order("o-1")
    before = actum("events", "list", "--json").out

    ended = actum(*words)

    assert ended.code == 2, ended
    assert actum("events", "list", "--json").out == before


def test_holds_are_listed_until_they_are_lifted(actum: Shell, order: Callable[..., str]) -> None:
    """The list says what each hold covers, until when, by whom and why."""
    order("o-1")
    first = actum("hold", "place", "--subject", ANNA, "--reason", "case 7", "--json").json()["id"]
    second = actum("hold", "place", "--execution", "o-1", "--until", "2999-01-01", "--reason", "audit").out.strip()
    third = actum("hold", "place", "--all", "--reason", "court").out.strip()

    holds = actum("hold", "list", "--json").json()["holds"]
    assert [(one["id"], one["subjects"], one["streams"], one["everything"]) for one in holds] == [
        (first, [ANNA], [], False),
        (second, [], ["execution/o-1"], False),
        (third, [], [], True),
    ]
    assert [one["reason"] for one in holds] == ["case 7", "audit", "court"]
    assert "everything" in actum("hold", "list").out
    assert actum("hold", "lift", first, "--reason", "over").code == 0
    assert len(actum("hold", "list", "--json").json()["holds"]) == 2


def test_retention_from_set_to_run(actum: Shell, order: Callable[..., str]) -> None:
    """A policy is data; what is due is shown before it goes, and what is not due stays."""
    order("o-1")
    (actum.folder / "policy.json").write_text(json.dumps({"rules": [{"class": "personal", "keep": "6mo"}]}))
    assert "no retention policy" in actum("retention", "show").err

    assert actum("retention", "set", "policy.json").code == 0
    shown = actum("retention", "show", "--json").json()
    assert shown["policy"] == {"rules": [{"class": "personal", "keep": "6mo"}]}
    assert (shown["by"], shown["rules"][0]["there"], shown["rules"][0]["due"]) == ("tester", 4, 0)
    ran = actum("retention", "run", "--json").json()

    assert ran["erased"] == 0
    assert actum("retention", "set", "personal=7y", "type:step.completed=1d").code == 0
    dry = actum("retention", "run", "--dry-run", "--json").json()
    assert [one["rule"] for one in dry["rules"]] == ["personal", "type:step.completed"]
    assert actum("verify").code == 0


def test_after_erasing_the_words_are_nowhere_in_the_folder(actum: Shell) -> None:
    """Input, output, error message, approval comment and name: in no file that any command has written there."""
    words = [b"774411001", b"774411002", b"774411003"]
    names = [b"anna@example.org", b"carla@example.org"]

    def found() -> list[bytes]:
        files = [path for path in actum.folder.rglob("*") if path.is_file()]
        return [word for word in (*words, *names) if any(word in path.read_bytes() for path in files)]

    for flow, word, name in zip(("twice", "never", "guarded"), words, (names[0], names[0], names[1]), strict=True):
        actum("run", f"flows:{flow}", "--input", word.decode(), "--id", flow, "--subject", name.decode())
    actum("approvals", "approve", "guarded", "--comment", f"{words[2].decode()} is fine")
    assert actum("resume", "guarded").code == 0
    assert "774411002 will not do" in actum("executions", "show", "never").out
    actum("metrics", "--cache", "cache.json")
    assert actum("archive", "run", "archive", "--segment", "4").code == 0
    actum("seal", "--streams")
    assert found() == [*words, *names]

    for name in names:
        assert actum("erase", name.decode(), *WHY).code == 0
    actum("metrics", "--cache", "cache.json")
    actum("archive", "run", "archive", "--segment", "4")

    assert found() == []
    assert actum("verify").code == 0
    assert actum("archive", "verify", "archive").code == 0
