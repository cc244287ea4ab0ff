"""Mapping files: the defaults, and what a user's file may say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actum.errors import ImportRefused
from actum.eventstore import EventStore
from actum.evidence.importers import IMPORTERS, import_files
from actum.evidence.importers.mapping import Mapping, load_mapping

from .foreign_files import tau_run, write


def load(tmp_path: Path, text: str | bytes, format: str = "xes") -> Mapping:
    return load_mapping(format, IMPORTERS[format].uses, write(tmp_path / "m.yaml", text))


@pytest.mark.parametrize("format", IMPORTERS)
def test_defaults(format: str) -> None:
    """Every format ships a default mapping that names only fields which the format reads, and all of them."""
    mapping = load_mapping(format, IMPORTERS[format].uses)
    assert mapping.model_fields_set == IMPORTERS[format].uses


def test_a_field_replaces_the_default(tmp_path: Path) -> None:
    """A user's field replaces the default's as a whole; all others stay."""
    mapping = load(tmp_path, "interventions: {}", "tau-bench")
    assert mapping.interventions == {}
    assert mapping.workflow == "tau-bench/{domain}"
    assert load(tmp_path, "") == load_mapping("xes", IMPORTERS["xes"].uses)


def test_digest_is_of_what_is_said(tmp_path: Path) -> None:
    """Layout and comments do not change the digest, a value does, and the secret key takes no part."""
    plain = load(tmp_path, "people: [a, b]").digest
    assert load(tmp_path, "# so\npeople:\n  - a\n  - b\n").digest == plain
    assert load(tmp_path, "people: [a]").digest != plain
    assert load(tmp_path, "people: [a, b]\nresource_key: x").digest == plain


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("atributes: {}", "atributes: unknown field; did you mean 'attributes'?"),
        ("attributes: {activty: x}", "attributes.activty: unknown field; did you mean 'activity'?"),
        ("outcome: {rules: [{last_activty: [a], outcome: failure}]}", "did you mean 'last_activity'?"),
        ("reward: 1", "reward: unknown field"),
        ("success_reward: 1.0", "success_reward: means nothing to the format 'xes'"),
        ("people: [a]\npeople: [b]", "line 2, column 1: is not YAML (the field 'people' is given twice)"),
        ("attributes: {case: a, case: b}", "the field 'case' is given twice"),
        ("people: {a: b", "is not YAML"),
        ("- a\n- b", "is not a mapping of field names to values"),
        ("1: a", "is not a mapping of field names to values"),
        ("[a, b]: c", "is not YAML"),
        ("people: Ann", "people: Input should be a valid list, but is 'Ann'"),
        ("compensates: {no: yes}", "but is False; YAML takes yes, no, on and off"),
        ("interventions: {a: escalate}", "interventions.a: Input should be 'override'"),
        ("assume_zone: CET", "assume_zone: Input should be 'UTC', but is 'CET'"),
        ("outcome: {rules: [{outcome: failure}]}", "needs exactly one of"),
        ("outcome: {rules: [{case_attribute: a, outcome: failure}]}", "`equals` goes with"),
        ("workflow: ''", "workflow: String should have at least 1 character"),
        ("people: !!python/object/apply:os.getcwd []", "is not YAML"),
        (b"people: [\xff]", "cannot be read as text"),
    ],
)
def test_a_mapping_that_says_what_nobody_reads(tmp_path: Path, text: str | bytes, problem: str) -> None:
    """A mapping file that is wrong is refused with its name, the field, and the nearest known one."""
    with pytest.raises(ImportRefused) as refused:
        load(tmp_path, text)
    assert str(refused.value).startswith(f"{tmp_path}/m.yaml: ")
    assert problem in str(refused.value)


@pytest.mark.parametrize("pattern", ["'('", "'no group'", "'(two) (groups)'"])
def test_a_pattern_that_cannot_work(tmp_path: Path, pattern: str) -> None:
    """The domain's pattern must be a regular expression with one group."""
    with pytest.raises(ImportRefused, match="domain_pattern"):
        load(tmp_path, f"domain_pattern: {pattern}", "tau-bench")


@pytest.mark.parametrize(
    ("make", "problem"), [(lambda f: f, "is a directory"), (lambda f: f / "none", "does not exist")]
)
def test_a_mapping_that_is_no_file(memory: EventStore, tmp_path: Path, make: Any, problem: str) -> None:
    """A mapping that cannot be read is refused, and nothing is imported."""
    path = write(tmp_path / "a.json", [tau_run()])
    with pytest.raises(ImportRefused, match=problem):
        import_files(memory, "tau-bench", [path], make(tmp_path))
    assert memory.head() == 0
