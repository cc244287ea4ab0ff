"""Definitions in the canonical dialect: the same graph, written once; and the dialects that are read as it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as forall

from actum.engine.graphs.conditions import describe
from actum.engine.graphs.formatting import formatted
from actum.engine.graphs.load import find_problems, read_graph
from actum.engine.graphs.source import read_text
from actum.errors import DefinitionError
from tests.engine.random_graphs import Case, cases

README = {
    "name": "AI Notebook Creation Pipeline",
    "description": "Creates research notebooks with AI-enhanced content.",
    "version": "1.0",
    "parameters": {"topic": "artificial intelligence", "enable_ai_processing": True},
    "steps": [
        {
            "id": "wikipedia_scraper",
            "name": "Wikipedia Content Scraper",
            "step_class": "WikipediaScraperStep",
            "module": "knowledge_processing.wikipedia_scraper_step",
            "inputs": {"topic": "{{ parameters.topic }}"},
            "outputs": ["scraped_content", "article_title"],
        },
        {
            "id": "structured_processor",
            "name": "Structured Content Processor",
            "step_class": "StructuredWikipediaProcessorStep",
            "module": "knowledge_processing.structured_wikipedia_processor_step",
            "inputs": {
                "scraped_html": "{{ wikipedia_scraper.scraped_content }}",
                "title": "{{ wikipedia_scraper.article_title }}",
            },
            "outputs": ["structured_content"],
        },
    ],
    "flow": {
        "start_at": "wikipedia_scraper",
        "transitions": [
            {"from": "wikipedia_scraper", "to": "structured_processor", "condition": "parameter:enable_ai_processing"}
        ],
    },
    "error_handling": {"retry": {"max_attempts": 3, "initial_delay": 1, "exponential_base": 2}},
    "outputs": {"notebook": "{{ structured_processor.structured_content }}"},
}
LOW = {"type": "field_less_than", "field": "score", "value": 0.5}
CLI = {
    "name": "checked",
    "steps": [
        {"name": "fetch", "class": "Fetch", "module": "work.fetch", "outputs": [{"name": "score"}]},
        {
            "name": "keep",
            "class": "Keep",
            "module": "work.keep",
            "inputs": [{"name": "score", "source": "{steps.fetch.output.score}"}],
        },
        {"name": "drop", "class": "Drop", "module": "work.drop"},
    ],
    "flow": {
        "paths": [
            {"from_step": "fetch", "to_step": "keep", "condition": {"type": "all", "conditions": [
                {"type": "field_exists", "field": "score"},
                {"type": "not", "condition": LOW},
            ]}},
            {"from_step": "fetch", "to_step": "drop", "condition": LOW},
            {"from_step": "keep", "to_step": "end_with_success", "condition": {"type": "always"}},
        ]
    },
}  # fmt: skip


def test_the_dialect_of_the_readme_is_read_whole() -> None:
    """Parameters as a map, error handling for all steps, a condition on a parameter, outputs: nothing is dropped."""
    graph = read_graph(README)

    assert [step.run and step.run.ref for step in graph.steps] == [
        "knowledge_processing.wikipedia_scraper_step:WikipediaScraperStep",
        "knowledge_processing.structured_wikipedia_processor_step:StructuredWikipediaProcessorStep",
    ]
    assert [step.retry.attempts for step in graph.steps] == [3, 3]
    (transition,) = graph.transitions
    assert transition.when is not None
    assert describe(transition.when) == "parameters.enable_ai_processing truthy"
    assert graph.outputs == {"notebook": "{{ structured_processor.structured_content }}"}


def test_the_dialect_of_the_command_line_is_read_whole() -> None:
    """Steps by name and class, inputs as a list, references in single braces, its own types of conditions."""
    graph = read_graph(CLI)

    assert graph.start_at == "fetch"
    assert graph.steps[1].inputs == {"score": "{{ fetch.score }}"}
    assert [describe(one.when) if one.when else None for one in graph.transitions] == [
        "fetch.score exists and not (fetch.score lt 0.5)",
        "fetch.score lt 0.5",
        None,
    ]


@pytest.mark.parametrize(
    ("type_", "problem"), [("custom", "would call code"), ("plugin", "would call code"), ("agent", "would ask a model")]
)
def test_what_those_dialects_cannot_have_is_refused_with_the_reason(type_: str, problem: str) -> None:
    """A condition that those systems take for a quiet no stops the file from loading."""
    definition: Any = json.loads(json.dumps(CLI))
    definition["flow"]["paths"][0]["condition"] = {"type": type_, "config": {}}

    with pytest.raises(DefinitionError, match=problem):
        read_graph(definition)


def test_the_five_pipelines_are_sound_and_have_one_canonical_form(data: Path, tmp_path: Path) -> None:
    """Each of the files validates, and formatted it is the same graph, in which no other spelling is left."""
    files = sorted((data / "workflows" / "ia_modules").glob("*.json"))
    assert len(files) == 5
    for file in files:
        graph, problems = find_problems(file)
        assert not problems
        assert graph is not None
        done = formatted(file)
        copy = tmp_path / file.name
        copy.write_text(done.after)
        assert read_graph(copy).digest == graph.digest
        assert formatted(copy).after == done.after
        assert not {"paths", "step_class", "from_step"} & set(done.after.replace('"', " ").split())


@forall(cases())
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_graph_is_it_can_be_formatted_and_does_not_change(tmp_path: Path, case: Case) -> None:
    """JSON or YAML, the digest stays, and formatting twice is formatting once."""
    import yaml

    for name, text in (("g.json", json.dumps(case.graph.to_json())), ("g.yaml", yaml.safe_dump(case.graph.to_json()))):
        file = tmp_path / name
        file.write_text(text)
        once = formatted(file).after
        file.write_text(once)
        assert formatted(file).after == once
        assert read_graph(file).digest == case.graph.digest


def test_comments_quotes_and_order_stay_in_yaml(tmp_path: Path) -> None:
    """Only what has another spelling is written anew."""
    file = tmp_path / "flow.yaml"
    file.write_text(
        "# head\n"
        "version: '1.0'  # in quotes\n"
        "name: g\n"
        "steps:\n"
        "  # the only step\n"
        "  - id: a   # its id\n"
        "    step_class: A\n"
        "    module: m\n"
        "    retries: 2\n"
    )  # fmt: skip
    done = formatted(file)

    assert done.after == (
        "# head\n"
        "version: '1.0'  # in quotes\n"
        "name: g\n"
        "steps:\n"
        "  # the only step\n"
        "  - id: a   # its id\n"
        "    run: m:A\n"
        "    retry:\n"
        "      attempts: 3\n"
        "flow:\n"
        "  start_at: a\n"
        "  transitions: []\n"
    )
    assert done.lost == []


FRESH = """\
name: fresh
steps:
  # what the others rest on
  - {id: load, run: "steps:load"}
  - id: beat
    run: "steps:beat"
    executor: process
    every: {interval: 5m, until: {source: beat.done, operator: truthy}}
  - id: report
    run: steps:report
    depends_on: {load: {expires: 1h, on_expired: skip, every: 10m}, beat: optional}
"""


@pytest.mark.parametrize("name", ["fresh.yaml", "fresh.json"])
def test_expiry_and_periods_are_written_as_they_are_read(tmp_path: Path, name: str) -> None:
    """In the canonical dialect, which means the same and is its own canonical form; comments stay."""
    path = tmp_path / name
    path.write_text(FRESH if name.endswith("yaml") else json.dumps(read_text(FRESH, name, yaml=True)))
    graph = read_graph(path)
    path.write_text(formatted(path).after)

    assert read_graph(path).digest == graph.digest
    assert formatted(path).after == path.read_text()
    assert ("# what the others rest on" in path.read_text()) is name.endswith("yaml")
    assert graph.to_json()["flow"]["transitions"][0] == {
        "from": "load",
        "to": "report",
        "expires": 3_600.0,
        "on_expired": "skip",
    }
