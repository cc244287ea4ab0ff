"""`actum workflow`: what a person does with files of definitions and with what was published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .commands import Shell

STEPS = """
def load(n: int = 1) -> dict:
    return {"n": n}

def big(n: int) -> str:
    return f"big {n}"

def small(n: int) -> str:
    return f"small {n}"
"""
FLOW = """\
# what we do with numbers
name: numbers
version: "1"
parameters:
  n: 1   # the one that is asked for most
steps:
  # first of all
  - {id: load, module: steps, class: load, inputs: {n: "{parameters.n}"}}
  - id: big
    run: steps:big
    inputs: {n: "{{ load.n }}"}
  - id: small
    run: steps:small
    inputs: {n: "{{ load.n }}"}
flow:
  paths:
    - from_step: load
      to_step: big
      condition: {type: expression, config: {source: load.n, operator: greater_than, value: 10}}
    - {from_step: load, to_step: small, condition: {cel: load.n <= 10}}
"""


@pytest.fixture
def shell(actum: Shell) -> Shell:
    (actum.folder / "steps.py").write_text(STEPS)
    (actum.folder / "flow.yaml").write_text(FLOW)
    return actum


def test_validate_says_everything_that_is_wrong(shell: Shell) -> None:
    """Two files, four mistakes in one of them: all are shown with their places, and the exit code says no."""
    (shell.folder / "wrong.yaml").write_text(
        FLOW.replace("greater_than", "greater_tan").replace("cel: load.n", "cel: lod.n")
        .replace("run: steps:small", "run: steps.small").replace("{{ load.n }}", "{{ lode.n }}", 1)
    )  # fmt: skip
    ended = shell("workflow", "validate", "flow.yaml", "wrong.yaml", "--json")

    assert ended.code == 1
    good, bad = ended.json()["files"]
    assert (good["ok"], good["name"], bad["ok"]) == (True, "numbers", False)
    places = {one["path"]: one["problem"] for one in bad["problems"]}
    assert "did you mean 'greater_than'" in places["$.flow.paths[0].condition.config.operator"]
    assert "did you mean 'load'" in places["$.flow.paths[1].condition.cel"]
    assert "module:name" in places["$.steps[2].run"]
    assert "did you mean 'load'" in places["$.steps[1].inputs.n"]
    assert len(places) == 4
    assert "4 problems" in shell("workflow", "validate", "wrong.yaml").out


def test_validate_says_every_mistake_in_the_structure(shell: Shell) -> None:
    """Fields that do not exist and values of another kind are all listed, not only the first."""
    text = FLOW.replace("version:", "verson:").replace("from_step: load\n", "from_step: 3\n")
    (shell.folder / "wrong.yaml").write_text(text)
    (problems,) = [one["problems"] for one in shell("workflow", "validate", "wrong.yaml", "--json").json()["files"]]

    assert {one["path"] for one in problems} == {"$.verson", "$.flow.paths[0].from_step"}


def test_strict_validation_looks_at_the_code(shell: Shell) -> None:
    """Without it a file is checked where its code is not; with it each step that cannot be called is shown."""
    broken = FLOW.replace("steps:big", "steps:bg").replace("steps:small", "steps:smal")
    (shell.folder / "broken.yaml").write_text(broken)
    assert shell("workflow", "validate", "broken.yaml").code == 0
    ended = shell("workflow", "validate", "--strict", "broken.yaml")

    assert ended.code == 1
    assert "did you mean 'big'" in ended.out
    assert "2 problems" in ended.out
    assert shell("workflow", "validate", "--strict", "flow.yaml").code == 0


def test_show_draws_a_file_and_a_published_workflow_alike(shell: Shell) -> None:
    """The picture of the file is the picture of what was published from it, in each format."""
    assert shell("workflow", "publish", "flow.yaml").code == 0
    for format_, word in (("text", "→ big  if load.n gt 10"), ("mermaid", "flowchart TD"), ("dot", "digraph")):
        of_file = shell("workflow", "show", "flow.yaml", "--format", format_)
        assert of_file.code == 0, of_file.err
        assert word in of_file.out
        assert shell("workflow", "show", "numbers", "--format", format_).out == of_file.out


def test_show_an_execution_as_it_ran(shell: Shell) -> None:
    """The definition is the one it runs, and each step has its state; a newer definition changes nothing of it."""
    assert shell("run", "flow.yaml", "--id", "one", "--input", '{"n": 3}').code == 0
    (shell.folder / "flow.yaml").write_text(
        FLOW.replace("id: big", "id: large").replace("to_step: big", "to_step: large")
    )
    assert shell("workflow", "publish", "flow.yaml").code == 0
    states = shell("workflow", "show", "--execution", "one", "--json").json()

    assert [(one["id"], one["state"]) for one in states["steps"]] == [
        ("load", "done"), ("big", "skipped"), ("small", "done")
    ]  # fmt: skip
    shown = shell("executions", "show", "one", "--json").json()
    assert shown["definition"] == states["definition"]
    assert states["definition"][:19] in shell("executions", "show", "one").out
    assert "class s0,s2 done" in shell("workflow", "show", "--execution", "one", "--format", "mermaid").out
    assert "id: large" in (shell.folder / "flow.yaml").read_text()
    assert "large" in shell("workflow", "show", "numbers").out


def test_format_writes_the_canonical_dialect_and_keeps_comments(shell: Shell) -> None:
    """Other spellings become the one, comments stay where they are, the digest does not change, twice is once."""
    before = shell("workflow", "validate", "flow.yaml", "--json").json()["files"][0]["definition"]
    assert shell("workflow", "format", "flow.yaml", "--check").code == 1
    assert shell("workflow", "format", "flow.yaml", "--in-place").code == 0
    text = (shell.folder / "flow.yaml").read_text()

    assert text.startswith("# what we do with numbers\nname: numbers\n")
    assert "  # first of all\n  - {id: load, " in text
    assert "run: steps:load" in text
    assert "operator: gt" in text
    assert "paths" not in text
    assert "from_step" not in text
    assert shell("workflow", "validate", "flow.yaml", "--json").json()["files"][0]["definition"] == before
    assert shell("workflow", "format", "flow.yaml", "--check").code == 0
    assert shell("workflow", "format", "flow.yaml").out == text


def test_format_says_which_comments_it_cannot_keep(shell: Shell) -> None:
    """A comment on a field that the canonical dialect does not have is named on stderr."""
    ended = shell("workflow", "format", "flow.yaml")

    assert ended.code == 0
    assert "a comment is lost with what it belonged to: # the one that is asked for most" in ended.err


def test_a_published_graph_runs_by_its_name(shell: Shell) -> None:
    """The newest definition counts; an unknown name gives the nearest; a deprecated one is refused."""
    assert shell("workflow", "publish", "flow.yaml").code == 0
    assert shell("run", "numbers", "--input", '{"n": 3}', "--json").json()["output"] == "small 3"
    (shell.folder / "flow.yaml").write_text(FLOW.replace("<= 10", "<= 10 && true").replace("value: 10", "value: 2"))
    ended = shell("workflow", "publish", "flow.yaml", "--deprecate", "--json").json()
    assert len(ended["deprecated"]) == 1
    assert shell("run", "numbers", "--input", '{"n": 30}', "--json").json()["output"] == "big 30"

    wrong = shell("run", "nubmers")
    assert wrong.code == 2
    assert "did you mean 'numbers'" in wrong.err
    assert shell("workflow", "deprecate", "numbers", "--reason", "wrong sums").code == 0
    refused = shell("run", "numbers")
    assert refused.code == 2
    assert "wrong sums" in refused.err
    listed = shell("workflow", "list", "--all", "--json").json()["workflows"]
    assert [(one["version"], one["reason"]) for one in listed][1] == ("1", "wrong sums")
    assert len(listed) == 2
    assert "deprecated: wrong sums" in shell("workflow", "list").out
    assert shell("verify").code == 0


def test_a_name_does_not_make_a_store(shell: Shell) -> None:
    """Running what is neither a file nor published leaves no database behind."""
    assert shell("run", "nothing").code != 0
    assert not (shell.folder / "actum.db").exists()


def test_import_publishes_what_is_new_or_changed(shell: Shell) -> None:
    """Unchanged files are skipped by digest, wrong ones refused with reasons, others passed over; dry first."""
    folder = shell.folder / "flows"
    folder.mkdir()
    (folder / "a.yaml").write_text(FLOW)
    (folder / "b.json").write_text(json.dumps({"name": "b", "steps": [{"id": "x", "run": "steps:load"}]}))
    (folder / "data.json").write_text("[1, 2]")
    (folder / "wrong.json").write_text(json.dumps({"name": "w", "steps": [{"id": "x", "run": "nothing"}]}))
    (folder / "same.yml").write_text(FLOW)
    assert shell("workflow", "publish", "flow.yaml").code == 0

    dry = shell("workflow", "import", "flows", "--dry-run", "--json")
    assert dry.code == 1
    first = shell("workflow", "import", "flows", "--json").json()
    files = {what: [Path(one["file"]).name for one in ones] for what, ones in first.items() if what != "dry_run"}
    assert files == {
        "added": ["b.json"],
        "changed": [],
        "unchanged": ["a.yaml"],
        "refused": ["same.yml", "wrong.json"],
    }
    assert {what: first[what] for what in first if what != "dry_run"} == {
        what: ones for what, ones in dry.json().items() if what != "dry_run"
    }
    assert "one file" in first["refused"][0]["reason"]
    assert "module:name" in first["refused"][1]["reason"]

    (folder / "a.yaml").write_text(FLOW.replace('"1"', '"2"'))
    again = shell("workflow", "import", "flows", "--json").json()
    assert [Path(one["file"]).name for one in again["changed"]] == ["a.yaml"]
    assert [Path(one["file"]).name for one in again["unchanged"]] == ["b.json"]
    assert [one["version"] for one in shell("workflow", "list", "--json").json()["workflows"]] == ["", "2"]
