"""The registry of metrics and the table of series: complete, and without clashes."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest

from actum.errors import BadInput
from actum.events.approval import InterventionRecorded
from actum.events.catalog import MODELS
from actum.events.outside import JudgementRecorded
from actum.metrics import (
    INTERVENTION_KINDS,
    JUDGE_SOURCES,
    LABELS,
    METRICS,
    SERIES,
    VERDICTS,
    check_label,
    check_metric,
)
from actum.metrics.fold import _HANDLERS as HANDLERS
from actum.metrics.fold import NOTED_TYPES
from actum.metrics.snapshot import _RATIOS as RATIOS


def test_closed_lists_are_those_of_the_events() -> None:
    """Kinds, verdicts and judges that exporters expose with zero are exactly those that events may carry."""
    assert get_args(get_type_hints(InterventionRecorded)["kind"]) == INTERVENTION_KINDS
    judgement = get_type_hints(JudgementRecorded)
    assert get_args(judgement["verdict"]) == VERDICTS
    assert get_args(judgement["source"]) == JUDGE_SOURCES


def test_only_events_that_exist_are_folded() -> None:
    """A type that no event has would be counted never."""
    assert set(HANDLERS) <= set(MODELS)
    assert set().union(*NOTED_TYPES.values()) <= set(MODELS)
    assert set(NOTED_TYPES) <= set(METRICS)


def test_every_metric_says_what_it_is() -> None:
    """Each has a title, a unit, a formula, and labels from the closed list; rates say what both counts count."""
    for metric in METRICS.values():
        assert metric.title
        assert metric.unit
        assert metric.formula
        assert metric.no_data
        assert metric.source
        assert set(metric.labels) <= set(LABELS)
        if metric.kind == "rate":
            assert metric.good
            assert metric.valid


def test_the_nine_are_there() -> None:
    """The nine metrics of the specification are found by their letters."""
    for letters in ("SR", "CR", "PC", "HIR", "MA", "TCL", "WCT", "MTTE", "RSR"):
        assert check_metric(letters).letters == letters


def test_every_series_names_the_metrics_it_serves() -> None:
    """A series is of metrics that exist, and a ratio is sent under the name of the metric it is computed from."""
    for series in SERIES.values():
        assert set(series.of) <= set(METRICS), series.name
    assert {name: SERIES[name].of for name in RATIOS} == {name: (metric,) for name, metric in RATIOS.items()}


def test_no_two_series_share_a_name() -> None:
    """Also not once a histogram has added its endings: a clash would cost the whole scrape."""
    names = [series.name for series in SERIES.values() if series.kind != "histogram"]
    for series in SERIES.values():
        if series.kind == "histogram":
            names += [f"{series.name}{ending}" for ending in (".bucket", ".sum", ".count")]

    assert len(names) == len({name.replace(".", "_") for name in names})


def test_unknown_labels_and_metrics_name_the_known() -> None:
    """A refusal lists what there is."""
    with pytest.raises(BadInput, match="workflow, tool, model, outcome, error_type"):
        check_label("customer")
    with pytest.raises(BadInput, match="success_rate"):
        check_metric("speed")
