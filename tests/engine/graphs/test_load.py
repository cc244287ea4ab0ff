"""Graphs from files: every spelling that is understood, and a clear word for everything that is not."""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from actum.engine.graphs.graph import Graph
from actum.engine.graphs.load import load_graph, read_graph
from actum.engine.rules.calls import Approve
from actum.engine.rules.retry import Retry
from actum.errors import DefinitionError
from tests.engine.planner_driver import Driven, granted, rejected

REPOSITORY = Path(__file__).resolve().parents[3]
NOBODY = 65534
RENAMED = {"tests.pipelines": "examples.ia_modules"}


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(source: Any, **options: Any) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        read_graph(source, **options)
    assert str(caught.value).startswith(caught.value.source)
    return caught.value


def minimal(**more: Any) -> dict[str, Any]:
    return {"name": "m", "steps": [{"id": "a", "run": "m:f"}], **more}


def step(**fields: Any) -> dict[str, Any]:
    return {"name": "m", "steps": [{"id": "a", "run": "m:f", **fields}]}


def flow(**fields: Any) -> dict[str, Any]:
    return {"name": "m", "steps": [{"id": "a", "run": "m:f"}, {"id": "b", "run": "m:g"}], "flow": fields}


# -- one definition, many spellings ----------------------------------------------------------------------------------

CANONICAL = """
name: order
version: 1.0
parameters:
  - {name: limit, schema: {type: number}, required: true}
steps:
  - id: check
    run: shop.steps:Check
    inputs: {limit: "{{ parameters.limit }}"}
    retry: {attempts: 3, first_delay_s: 1}
    timeout: 30s
  - id: ship
    run: shop.steps:Ship
    inputs: {amount: "{{ check.amount }}"}
flow:
  start_at: check
  transitions:
    - {from: check, to: ship, condition: {source: check.ok, operator: eq, value: true}}
"""
FOREIGN: dict[str, Any] = {
    "name": "order",
    "version": "1.0",
    "parameters": [{"name": "limit", "schema": {"type": "number"}, "required": True}],
    "steps": [
        {
            "name": "check",
            "class": "Check",
            "module": "shop.steps",
            "type": "task",
            "inputs": [{"name": "limit", "source": "{parameters.limit}", "required": True}],
            "config": {"error_handling": {"retry": {"max_attempts": 3, "initial_delay": 1}}},
            "timeout": 30,
        },
        {
            "id": "ship",
            "step_class": "Ship",
            "module": "shop.steps",
            "inputs": [{"name": "amount", "source": "{steps.check.output.amount}"}],
            "outputs": ["shipped"],
        },
    ],
    "flow": {
        "start_at": "check",
        "paths": [
            {
                "from_step": "check",
                "to_step": "ship",
                "condition": {
                    "type": "expression",
                    "config": {"source": "result.ok", "operator": "equals", "value": True},
                },
            }
        ],
    },
}


def test_every_spelling_is_the_same_graph() -> None:
    """YAML and JSON, the canonical dialect and the foreign one: one meaning, one digest."""
    canonical, foreign = read_graph(CANONICAL), read_graph(FOREIGN)

    assert foreign == canonical
    assert foreign.digest == canonical.digest
    assert read_graph(json.dumps(FOREIGN)) == canonical


def test_transitions_and_paths_are_one_list() -> None:
    """A definition may use either name, or both."""
    graph = read_graph(flow(transitions=[{"from": "a", "to": "b"}], paths=[{"from": "b", "to": "end"}]))

    assert [(t.source, t.target) for t in graph.transitions] == [("a", "b"), ("b", "end")]


def test_parameters_may_be_a_map_of_defaults() -> None:
    """The short form gives each parameter its default."""
    graph = read_graph(minimal(parameters={"topic": "x", "deep": {"n": [1]}}))

    assert [(p.name, p.default, p.required) for p in graph.parameters] == [
        ("topic", "x", False),
        ("deep", {"n": [1]}, False),
    ]


def test_common_error_handling_counts_where_a_step_says_nothing() -> None:
    """What stands at the top is every step's default; a step's own word counts more; approvals are left alone."""
    graph = read_graph(
        {
            "name": "m",
            "error_handling": {"retry": 2, "timeout": "5m", "on_error": "continue"},
            "steps": [
                {"id": "a", "run": "m:f"},
                {"id": "b", "run": "m:f", "retry": 0, "timeout": 1, "on_error": "fail"},
                {"id": "c", "run": "m:f", "error_handling": {"retry": {"max_attempts": 9}}},
                {"id": "d", "type": "approval"},
            ],
            "flow": {"transitions": [{"from": one, "to": two} for one, two in ("ab", "bc", "cd")]},
        }
    )
    a, b, c, d = graph.steps

    assert (a.retry.attempts, a.timeout_s, a.on_error) == (3, 300, "continue")
    assert (b.retry.attempts, b.timeout_s, b.on_error) == (1, 1, "fail")
    assert (c.retry.attempts, c.timeout_s, c.on_error) == (9, 300, "continue")
    assert (d.retry, d.timeout_s, d.on_error) == (Retry(), None, "fail")


@pytest.mark.parametrize(
    ("fields", "on_error", "fallback"),
    [
        ({"fallback": "b"}, "fallback", "b"),
        ({"on_error": "fallback", "fallback": "b"}, "fallback", "b"),
        ({"error_handling": {"continue_on_error": True}}, "continue", None),
        ({"config": {"error_handling": {"continue_on_error": True}}}, "continue", None),
    ],
)
def test_what_a_failure_means_can_be_said_in_several_ways(fields: Any, on_error: str, fallback: str | None) -> None:
    """All of them become on_error and fallback, and leave the config."""
    one = read_graph(
        {
            "name": "m",
            "steps": [{"id": "a", "run": "m:f", **fields}, {"id": "b", "run": "m:g"}],
            "flow": {"transitions": [{"from": "a", "to": "b"}]},
        }
    ).steps[0]

    assert (one.on_error, one.fallback, one.config) == (on_error, fallback, {})


def test_loops_may_be_bounded_in_the_foreign_way() -> None:
    """loop_config.max_iterations is the bound of the whole graph."""
    graph = read_graph(minimal(loop_config={"max_iterations": 5, "iteration_delay_seconds": 0}))

    assert graph.max_visits == 5


def test_declared_outputs_become_the_schema_of_the_output() -> None:
    """Required and typed outputs are checked; plain names only say what to expect."""
    declared = [{"name": "total", "required": True, "schema": {"type": "integer"}}, {"name": "note"}, "other"]
    graph = read_graph(step(outputs=declared))

    assert graph.steps[0].output_schema == {
        "type": "object",
        "properties": {"total": {"type": "integer"}},
        "required": ["total"],
    }
    assert read_graph(step(outputs=["a", "b"])).steps[0].output_schema is None


def test_an_input_that_is_not_required_is_optional() -> None:
    """required: false in a list of inputs means: left out when there is nothing."""
    given = [{"name": "x", "source": "{{ a.x }}", "required": False, "schema": {"type": "string"}}]

    one = read_graph(step(inputs=given)).steps[0]

    assert one.optional_inputs == ("x",)
    assert one.input_schema == {"type": "object", "properties": {"x": {"type": "string"}}}


def test_the_start_is_the_first_step_unless_said() -> None:
    """A definition without flow.start_at starts where its list of steps does."""
    assert read_graph(minimal()).start_at == "a"
    assert read_graph(flow(start_at="b", transitions=[{"from": "b", "to": "a"}])).start_at == "b"


# -- approvals -------------------------------------------------------------------------------------------------------


def test_an_approval_is_read_with_all_it_says() -> None:
    """Title, context, severity, policy and deadline reach the question."""
    graph = read_graph(
        {
            "name": "m",
            "parameters": {"n": 1},
            "steps": [
                {
                    "id": "ok",
                    "type": "approval",
                    "title": "Pay {{ parameters.n }}?",
                    "context": {"n": "{{ parameters.n }}"},
                    "severity": "high",
                    "policy": "finance",
                    "deadline": "1h",
                }
            ],
        }
    )
    asked = Driven(graph).begin().wishes[0]

    assert isinstance(asked, Approve)
    assert asked.approval.title == "Pay 1?"
    assert asked.approval.context == {"n": 1}
    assert (asked.approval.severity, asked.approval.policy, asked.approval.deadline_s) == ("high", "finance", 3600)


HUMAN_INPUT: dict[str, Any] = {
    "id": "human_approval",
    "type": "human_input",
    "step_class": "HumanInputStep",
    "config": {
        "ui_schema": {
            "title": "Review Content for Approval",
            "fields": [
                {"name": "decision", "type": "radio", "options": ["Approve", "Reject"]},
                {"name": "notes", "type": "textarea", "label": "Reasoning"},
            ],
        }
    },
}


def test_human_input_is_an_approval_whose_form_is_filled_in() -> None:
    """The form's title is the question, people see the form, and its fields are in the output."""
    graph = read_graph({"name": "m", "steps": [HUMAN_INPUT]})
    run = Driven(graph, {"human_approval": granted("ann", "reads well")}).run()
    asked = run.wishes[0]

    assert isinstance(asked, Approve)
    assert asked.approval.title == "Review Content for Approval"
    assert asked.approval.context == HUMAN_INPUT["config"]
    assert run.output == {
        "decision": "Approve",
        "notes": "reads well",
        "status": "approved",
        "by": "ann",
        "comment": "reads well",
    }


@pytest.mark.parametrize(
    ("fields", "path", "problem"),
    [
        ({"module": "m"}, "$.steps[0].module", "an approval runs none"),
        ({"timeout": 3}, "$.steps[0].timeout", "its deadline says how long to wait"),
        ({"retry": 3}, "$.steps[0].retry", "an approval runs none"),
        ({"on_error": "continue"}, "$.steps[0].on_error", "an approval runs none"),
        ({"step_class": "MultiStakeholderStep"}, "$.steps[0].step_class", "is not known to ask for approval only"),
        ({"context": {"a": 1}, "config": {"b": 1}}, "$.steps[0].config", "both say what people are shown"),
        (
            {"config": {"ui_schema": {"fields": [{"name": "n", "type": "number"}]}}},
            "$.steps[0].config.ui_schema",
            "'n'",
        ),
        ({"severity": "urgent"}, "$.steps[0].severity", "known: low, medium, high, critical"),
        ({"deadline": "soon"}, "$.steps[0].deadline", "is no duration"),
        ({"outputs": [{"name": "x", "required": True}]}, "$.steps[0].outputs", "cannot be chosen"),
    ],
)
def test_an_approval_that_says_more_than_can_be_kept_is_refused(fields: Any, path: str, problem: str) -> None:
    """What an approval cannot do is an error by name, not a setting without effect."""
    error = refused({"name": "m", "steps": [{"id": "ok", "type": "approval", **fields}]})

    assert error.path == path
    assert problem in error.problem


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("definition", "path", "problem"),
    [
        ([], "$", "an object, not list"),
        ({}, "$.name", "is missing"),
        ({"name": "m"}, "$.steps", "is missing"),
        (minimal(stepz=[]), "$.stepz", "no such field; did you mean 'steps'?"),
        (minimal(name=3), "$.name", "must be text, not number"),
        (minimal(steps="a"), "$.steps", "must be a list, not text"),
        (minimal(parameters=3), "$.parameters", "must be a list, not number"),
        (minimal(parameters=[{"nam": "x"}]), "$.parameters[0].nam", "did you mean 'name'?"),
        (minimal(flow=[]), "$.flow", "must be an object, not list"),
        (minimal(flow={"start": "a"}), "$.flow.start", "did you mean 'start_at'?"),
        (minimal(loop_config={"max_loop_time_seconds": 300}), "$.loop_config.max_loop_time_seconds", "without a clock"),
        (minimal(loop_config={"iteration_delay_seconds": 1}), "$.loop_config.iteration_delay_seconds", "takes no time"),
        (minimal(error_handling={"enable_fallback": True}), "$.steps[0].error_handling.enable_fallback", "name it"),
        (step(step_clas="X"), "$.steps[0].step_clas", "did you mean 'step_class'?"),
        (step(max_visits="3"), "$.steps[0].max_visits", "must be a whole number, not text"),
        (step(max_visits=True), "$.steps[0].max_visits", "must be a whole number, not boolean"),
        (step(inputs=3), "$.steps[0].inputs", "must be a list, not number"),
        (step(inputs=[{"source": "x"}]), "$.steps[0].inputs[0].name", "is missing"),
        (
            step(inputs=[{"name": "x", "source": 1, "requird": True}]),
            "$.steps[0].inputs[0].requird",
            "did you mean 'required'?",
        ),
        (step(inputs=[{"name": "x", "source": 1}] * 2), "$.steps[0].inputs[1]", "'x' is given twice"),
        (step(inputs={"x": "{{ b.x }}"}), "$.steps[0].inputs.x", "no step 'b'"),
        (step(inputs={"x y": "{{ }}"}), "$.steps[0].inputs['x y']", "is no reference"),
        (
            step(outputs=[{"name": "x", "schema": {"typ": 1}}]),
            "$.steps[0].output_schema.properties.x.typ",
            "did you mean 'type'?",
        ),
        (step(run="m"), "$.steps[0].run", "not of the form module:name"),
        (step(module="m"), "$.steps[0].run", "keep one"),
        (step(retry={"max_atempts": 3}), "$.steps[0].retry", "no field 'max_atempts'"),
        (step(retry={"on": "OSError"}), "$.steps[0].retry.on", "is a list of error types"),
        (step(retry={"attempts": 0}), "$.steps[0].retry", "at least 1"),
        (step(timeout="3 parsecs"), "$.steps[0].timeout", "is no duration"),
        (step(title="?"), "$.steps[0].title", "belongs to steps of type approval"),
        (step(type="parallel"), "$.steps[0].type", "there are no steps of type 'parallel'"),
        (step(type="aproval"), "$.steps[0].type", "did you mean 'approval'?"),
        (step(on_doubt="verfy"), "$.steps[0].on_doubt", "did you mean 'verify'?"),
        ({"name": "m", "steps": [{"id": "a"}]}, "$.steps[0]", "says nothing to run"),
        ({"name": "m", "steps": [{"run": "m:f"}]}, "$.steps[0].id", "is missing"),
        ({"name": "m", "steps": [{"id": "a", "step_class": "X"}]}, "$.steps[0].module", "where is 'X' to be found?"),
        (flow(transitions=[{"from": "a"}]), "$.flow.transitions[0].to", "is missing"),
        (flow(transitions=[{"frm": "a", "to": "b"}]), "$.flow.transitions[0].frm", "did you mean 'from'?"),
        (flow(paths=[{"from": "a", "to": "bb"}]), "$.flow.paths[0]", "leads to 'bb'"),
        (flow(paths=[{"from": "a", "from_step": "a", "to": "b"}]), "$.flow.paths[0].from_step", "no such field"),
        (
            flow(paths=[{"from": "a", "to": "b", "condition": {"type": "plugin"}}]),
            "$.flow.paths[0].condition",
            "would call code",
        ),
        (flow(transitions=[{"from": "a", "to": "b"}], max_visits="3"), "$.flow.max_visits", "must be a whole number"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_its_path(definition: Any, path: str, problem: str) -> None:
    """Each error names the JSON path and what was wanted there, with the nearest right name."""
    error = refused(definition) if isinstance(definition, dict) else refused(json.dumps(definition) + "\n")

    assert error.path == path
    assert problem in error.problem


# -- files and texts -------------------------------------------------------------------------------------------------

TEXT = '{"name": "m", "steps": [{"id": "a", "run": "m:f"}]}'


@pytest.mark.parametrize("name", ["flow.json", "flow.yaml", "flow.yml", "flow", "flow.txt"])
def test_a_file_is_read_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    """JSON is read from any file; a byte order mark is no obstacle."""
    assert read_graph(write(tmp_path, name, TEXT)).name == "m"
    assert read_graph(str(write(tmp_path, name, b"\xef\xbb\xbf" + TEXT.encode()))).name == "m"


@pytest.mark.parametrize(
    ("name", "content", "path", "problem"),
    [
        ("f.json", "", "line 1", "is empty"),
        ("f.yaml", "  \n \n", "line 1", "is empty"),
        ("f.json", '{"name": "m",\n "steps": [', "line 2, column 12", "the text ends too early"),
        ("f.json", '{"name": "m",\n "steps" []}', "line 2, column 10", "is not JSON: Expecting ':' delimiter"),
        ("f.json", '{"name": "m", "steps": [{"id": "a", "id": "b"}]}', "$.steps[0].id", "the key 'id' is given twice"),
        ("f.json", '{"name": "m", "x": NaN}', "$", "NaN is not JSON"),
        ("f.json", '{"name": "m", "config": ' + "[" * 200 + "]" * 200 + "}", "", "nested more than 100 deep"),
        ("f.json", "[" * 100_000, "$", "nested too deep"),
        ("f.json", "17", "$", "an object, not number"),
        ("f.json", b'{"name":\n "\xff"}', "line 2", "is not UTF-8 text: byte 0xff"),
        ("f.json", '{"name": "\\ud800", "steps": []}', "$.name", "lone surrogate"),
        ("f.json", '{"name": "m", "x": 1' + "0" * 30 + "}", "$.x", "outside ±2^63"),
        ("f.yaml", "name: m\nsteps:\n\t- id: a\n", "line 3, column 1", "a tab stands in the indentation"),
        ("f.yaml", "name: m\nname: n\n", "line 2", "the key 'name' is given twice"),
        ("f.yaml", "name: m\nsteps:\n  - {id: a, id: b}\n", "line 3", "the key 'id' is given twice"),
        ("f.yaml", "name: m\n1: x\n", "line 2", "the key 1 is no text"),
        ("f.yaml", "name: [m\nsteps: 3\n", "line 2, column 6", "is not YAML"),
        (
            "f.yaml",
            "name: !!python/object/apply:os.getcwd []\n",
            "line 1, column 7",
            "is not YAML: could not determine",
        ),
        ("f.yaml", "name: m\n---\nname: n\n", "line 2, column 1", "is not YAML"),
        ("f.yaml", "name: &a [*a]\n", "", "nested more than 100 deep"),
        ("f.yaml", "just text\n", "$", "an object, not text"),
        ("f.yaml", "name: m\nsteps: 2026-11-21\n", "$.steps", "must be a list, not text"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(
    tmp_path: Path, name: str, content: Any, path: str, problem: str
) -> None:
    """The error names the file, the line or the path, and what is wrong with it."""
    file = write(tmp_path, name, content)
    error = refused(file)

    assert error.source == str(file)
    assert error.path == path or (not path and error.path.startswith("$."))
    assert problem in error.problem


def test_aliases_that_multiply_are_stopped(tmp_path: Path) -> None:
    """Ten lines of YAML cannot become a billion values."""
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]

    assert "an alias may repeat itself" in refused(write(tmp_path, "f.yaml", "\n".join(lines))).problem


def test_files_that_are_not_there_or_not_files(tmp_path: Path) -> None:
    """Missing, a directory, unreadable: each is said, not guessed."""
    assert "does not exist" in refused(tmp_path / "gone.json").problem
    assert "is a directory" in refused(tmp_path).problem
    assert "does not exist" in refused("name: m").problem  # one line that is no JSON is a file's name
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        secret = write(Path(folder), "secret.json", TEXT)
        secret.chmod(0)
        me = os.geteuid()
        os.seteuid(me or NOBODY)  # root may read everything
        try:
            assert "cannot be read: Permission denied" in refused(secret).problem
        finally:
            os.seteuid(me)


def test_yaml_words_and_numbers_mean_what_they_look_like() -> None:
    """`on`, `yes` and `no` are words, `012` and `1:30` are text, `true` is true, a merge key merges."""
    graph = read_graph(
        """
name: m
parameters: {answer: yes, on: off, mode: 012, time: 1:30, day: 2026-11-21, yes: true, none: null, half: 0.5, big: 1e3}
steps:
  - &first
    id: a
    run: m:f
    retry: 2
  - <<: *first
    id: b
flow: {transitions: [{from: a, to: b}]}
"""
    )

    assert {one.name: one.default for one in graph.parameters} == {
        "answer": "yes",
        "on": "off",
        "mode": "012",
        "time": "1:30",
        "day": "2026-11-21",
        "yes": True,
        "none": None,
        "half": 0.5,
        "big": 1000.0,
    }
    assert [one.retry.attempts for one in graph.steps] == [3, 3]


# -- real definitions ------------------------------------------------------------------------------------------------


@pytest.fixture
def pipelines() -> Path:
    """The folder of pipelines as ia_modules ships them."""
    data = Path(os.environ.get("ACTUM_DATA", REPOSITORY.parent / "shared" / "data"))
    folder = data / "workflows" / "ia_modules"
    if not folder.is_dir():
        pytest.skip(f"REAL DATA ABSENT: no {folder}; set ACTUM_DATA to the folder that holds it")
    return folder


def loaded(folder: Path, name: str) -> Graph:
    return load_graph(folder / f"{name}.json", base=REPOSITORY, modules=RENAMED)


def test_all_pipelines_of_ia_modules_load(pipelines: Path) -> None:
    """Each of the five files is understood whole, and reads again from its canonical form."""
    files = sorted(pipelines.glob("*.json"))

    assert len(files) == 5
    for file in files:
        graph = load_graph(file, base=REPOSITORY, modules=RENAMED)
        assert read_graph(graph.to_json()) == graph


def test_the_simple_pipeline_runs(pipelines: Path) -> None:
    """Three classes in a row, each taking the topic from the one before."""
    run = Driven(loaded(pipelines, "simple_pipeline")).run({"topic": " durable  work "})

    assert run.called == ["step1", "step2", "step3"]
    assert run.output == {"topic": "DURABLE WORK (ENRICHED)", "words": 2}


@pytest.mark.parametrize(
    ("threshold", "branch", "other", "level"), [(0.5, "step3", "step4", "full"), (0.9, "step4", "step3", "basic")]
)
def test_the_conditional_pipeline_runs(pipelines: Path, threshold: float, branch: str, other: str, level: str) -> None:
    """The quality decides which branch runs; the last step takes the records from the one that did."""
    records = [{"value": 1}, {"value": 2}, {"value": 3}, {}]
    run = Driven(loaded(pipelines, "conditional_pipeline")).run({"threshold": threshold, "test_data": records})

    assert run.called == ["step1", "step2", branch, "step5"]
    assert run.skipped == [other]
    assert run.output == {"aggregated_results": {"count": 4, "levels": [level]}}


def test_the_parallel_pipeline_runs(pipelines: Path) -> None:
    """Three streams are wanted at once, and the merger waits for all of them."""
    run = Driven(loaded(pipelines, "parallel_pipeline")).run({"loaded_data": [1, 2, 3, 4, 5]})

    assert run.most_at_once == 3
    assert run.called[-2:] == ["step5", "step6"]
    assert run.output == {"statistics": {"items": 5, "mean": 3.0}}


def test_the_agent_pipeline_runs(pipelines: Path) -> None:
    """One class serves two steps with different configs."""
    run = Driven(loaded(pipelines, "agent_pipeline")).run({"input_data": {"x": 1}})

    assert run.output == {"trail": ["ingestion", "final_processing"]}


def test_the_human_pipeline_waits_and_goes_on(pipelines: Path) -> None:
    """The review asks and nothing follows; granted, the last step sees the decision; rejected, it never runs."""
    graph = loaded(pipelines, "simple_hitl_pipeline")
    waiting = Driven(graph).run()
    assert waiting.ended is None
    assert waiting.called == ["step1_prepare", "step2_human_review"]

    granted_ = Driven(graph, {"step2_human_review.approval": granted("ann", "good")}).run()
    assert granted_.output == {"final_result": "approve: good", "status": "completed"}

    rejected_ = Driven(graph, {"step2_human_review.approval": rejected("ann", "no")}).run()
    assert rejected_.called == waiting.called
    assert rejected_.error.error_type == "ApprovalRejected"


def test_input_that_a_pipeline_does_not_take_is_refused(pipelines: Path) -> None:
    """The declared schema of a parameter is held."""
    from actum.errors import BadInput

    with pytest.raises(BadInput, match="parameter 'topic' must be string, not number"):
        Driven(loaded(pipelines, "simple_pipeline")).run({"topic": 3})


def test_the_first_example_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """Two classes without a base class, in a module beside the folder of the definition."""
    graph = load_graph(REPOSITORY / "examples/hello_world/pipelines/hello_world.json")
    run = Driven(graph).run({"name": "Developer"})

    assert run.output == {"status": "Message printed successfully"}
    assert capsys.readouterr().out == "Hello, Developer!\n"
