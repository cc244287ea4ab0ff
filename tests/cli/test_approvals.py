"""`actum approvals`: a question crosses processes, is answered once, and is bound to what was shown."""

from __future__ import annotations

from .commands import Shell


def test_a_question_is_answered_in_another_process_and_the_workflow_goes_on(actum: Shell) -> None:
    """run returns at the question, approve records the answer, resume finishes: three processes, one execution."""
    asked = actum("run", "flows:guarded", "--id", "g", "--input", "4", "--json").json()
    inbox = actum("approvals", "list", "--json").json()["approvals"]
    shown = actum("approvals", "show", "g", "--json").json()
    answered = actum("approvals", "approve", "g", "--by", "maria", "--comment", "fine", "--json").json()
    ended = actum("resume", "g", "--json").json()

    assert (asked["status"], asked["waiting_for"]) == ("waiting", ["may-it#0"])
    assert [(row["execution"], row["title"], row["severity"]) for row in inbox] == [("g", "May it?", "high")]
    assert (shown["context"], shown["shown"][:12]) == ({"n": 4}, "hmac-sha256:")
    assert (answered["status"], answered["by"]) == ("granted", "maria")
    assert (ended["status"], ended["output"]) == ("completed", 8)
    decision = next(
        e for e in actum("events", "list", "g", "--json").json()["events"] if e["type"] == "approval.granted"
    )
    assert decision["actor"] == {"kind": "person", "ref": "maria"}
    assert decision["facts"]["shown"] == shown["shown"]


def test_a_rejection_fails_the_workflow_and_nothing_guarded_ran(actum: Shell) -> None:
    """No approval, no step."""
    actum("run", "flows:guarded", "--id", "g", "--input", "4")
    actum("approvals", "reject", "g", "--comment", "no")
    ended = actum("resume", "g", "--json")

    assert (ended.code, ended.json()["error"]["type"]) == (1, "ApprovalRejected")
    assert "step.started" not in {e["type"] for e in actum("events", "list", "g", "--json").json()["events"]}


def test_resuming_without_an_answer_still_waits(actum: Shell) -> None:
    """Being started again is no approval."""
    actum("run", "flows:guarded", "--id", "g", "--input", "4")

    assert actum("resume", "g", "--json").json()["status"] == "waiting"


def test_a_second_answer_is_refused_by_name(actum: Shell) -> None:
    """What was decided stays decided; the second person is told."""
    actum("run", "flows:guarded", "--id", "g", "--input", "4")
    actum("approvals", "approve", "g", "may-it#0")

    late = actum("approvals", "reject", "g", "may-it#0")

    assert late.code == 2
    assert "already granted" in late.err
    assert actum("approvals", "approve", "nobody").code == 2
    assert "did you mean" in actum("approvals", "approve", "g", "may-it#1").err
