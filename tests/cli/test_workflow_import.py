"""Definitions of other engines from the command line: imported, refused with reasons, run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .commands import Shell

ORDER: dict[str, Any] = {
    "StartAt": "charge",
    "States": {
        "charge": {"Type": "Task", "Resource": "arn:x:charge", "ResultPath": "$.paid", "Next": "pause"},
        "pause": {"Type": "Wait", "Seconds": 0, "Next": "done"},
        "done": {"Type": "Succeed"},
    },
}
GREET = """
document: {dsl: '1.0.0', namespace: shop, name: greet, version: '1.0.0'}
schedule: {cron: '0 0 * * *'}
do:
  - ask:
      call: http
      with: {method: get, endpoint: 'http://x/{name}'}
  - shape:
      set: {answer: '${ .text + "!" }'}
"""
CODE = """
def charge(order):
    return {"euro": order["euro"]}

async def ask(request):
    return {"text": request["endpoint"]}

def both(one, two): ...
"""


@pytest.fixture
def shop(actum: Shell) -> Shell:
    (actum.folder / "order.asl.json").write_text(json.dumps(ORDER))
    (actum.folder / "greet.yaml").write_text(GREET)
    (actum.folder / "shop.py").write_text(CODE)
    return actum


def test_a_state_machine_in_a_file_runs(shop: Shell) -> None:
    """`actum run FILE` sees whose language it is; its tasks do what they are bound to."""
    ended = shop("run", "order.asl.json", "--task", "arn:x:charge=shop:charge", "--input", '{"euro": 3}', "--json")
    assert (ended.code, ended.json()["output"]) == (0, {"euro": 3, "paid": {"euro": 3}}), ended.err
    assert shop("verify").code == 0


def test_a_serverless_workflow_in_a_file_runs(shop: Shell) -> None:
    """So does a Serverless Workflow, with its bindings in a file."""
    (shop.folder / "tasks.yaml").write_text("http: shop:ask\n")
    ended = shop("run", "greet.yaml", "--tasks", "tasks.yaml", "--input", '{"name": "ann"}', "--json")
    assert (ended.code, ended.json()["output"]) == (0, {"answer": "http://x/ann!"}), ended.err


def test_what_was_imported_is_in_the_log_once(shop: Shell) -> None:
    """Added, unchanged, changed, as the digest says; a schedule is named, because nothing here keeps it."""
    words = ("workflow", "import", "--from", "asl", "order.asl.json", "--task", "charge=shop:charge", "--json")
    first = shop(*words).json()
    assert [one["workflow"] for one in first["added"]] == ["order"]
    assert [one["workflow"] for one in shop(*words).json()["unchanged"]] == ["order"]
    (shop.folder / "order.asl.json").write_text(json.dumps({**ORDER, "Comment": "new"}))
    assert [one["workflow"] for one in shop(*words).json()["changed"]] == ["order"]
    greet = shop(
        "workflow", "import", "--from", "serverless-workflow", "greet.yaml", "--task", "http=shop:ask", "--json"
    )
    assert "$.schedule: (cron)" in greet.json()["added"][0]["notes"][0]


def test_a_look_writes_nothing_and_says_what_is_missing(shop: Shell) -> None:
    """--dry-run needs no functions, names the tasks that will, and makes no store."""
    ended = shop("workflow", "import", "--from", "asl", "order.asl.json", "--dry-run", "--json")
    assert ended.json()["added"][0]["unbound"] == ["$.States.charge"], ended.err
    assert not list(shop.folder.glob("actum.db*"))


def test_what_is_wrong_is_refused_with_all_reasons(shop: Shell) -> None:
    """Every problem with its path; the sound file beside it is imported all the same."""
    wrong = json.loads(json.dumps(ORDER))
    wrong["States"]["charge"] |= {"Nxt": "done", "TimeoutSeconds": 0}
    (shop.folder / "wrong.json").write_text(json.dumps(wrong))
    ended = shop(
        "workflow", "import", "--from", "asl", "wrong.json", "order.asl.json", "--task", "charge=shop:charge", "--json"
    )
    assert ended.code == 1
    assert [problem["path"] for problem in ended.json()["refused"][0]["problems"]] == [
        "$.States.charge.Nxt",
        "$.States.charge.TimeoutSeconds",
    ]
    assert len(ended.json()["added"]) == 1
    said = shop("workflow", "import", "--from", "asl", "wrong.json")
    assert '$.States.charge.Nxt: field "Nxt" is not allowed here; did you mean' in said.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("order.asl.json", "--from", "asll"), 2, "there is no 'asll'; did you mean 'asl'"),
        (("greet.yaml", "--from", "asl"), 1, "its language is not asl but serverless-workflow"),
        (("order.asl.json", "--from", "asl"), 1, "$.States.charge: no function is bound to this task"),
        (("order.asl.json", "--from", "asl", "--task", "charge"), 2, "'charge' is not NAME=module:function"),
        (("order.asl.json", "--from", "asl", "--task", "chrge=shop:charge", "--dry-run"), 2, "did you mean 'charge'"),
        (("order.asl.json", "--from", "asl", "--task", "charge=shop:chage"), 1, "did you mean 'charge'"),
        (("order.asl.json", "--from", "asl", "--task", "charge=shop:both"), 1, "cannot be called with one value"),
        (("none.json", "--from", "asl"), 1, "does not exist"),
        (("a.json", "b.json", "--from", "asl", "--name", "x"), 2, "one name cannot be that of 2 files"),
    ],
)
def test_bad_input_is_refused_in_words(shop: Shell, words: tuple[str, ...], code: int, said: str) -> None:
    """What is wrong and what was probably meant; no execution comes of it."""
    ended = shop("workflow", "import", *words)
    assert ended.code == code
    assert said in ended.out + ended.err


def test_bindings_are_for_definitions_that_have_tasks_to_bind(shop: Shell) -> None:
    """A Python workflow and a graph know their functions; --task beside them is a mistake."""
    assert "--task is for another engine's definition" in shop("run", "flows:twice", "--task", "a=b:c").err
    (shop.folder / "graph.json").write_text('{"name": "g", "steps": []}')
    assert "--task is for another engine's definition" in shop("run", "graph.json", "--task", "a=b:c").err
