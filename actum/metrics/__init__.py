"""What it adds up to: reliability metrics as pure folds over events, with intervals and the events behind them."""

from actum.metrics.catalog import (
    INTERVENTION_KINDS,
    JUDGE_SOURCES,
    LABELS,
    METRICS,
    NO_VALUE,
    OURS,
    OUTCOMES,
    VERDICTS,
    Metric,
    check_label,
    check_metric,
)
from actum.metrics.durations import Durations
from actum.metrics.fold import Fold
from actum.metrics.histogram import Histogram
from actum.metrics.rate import Rate
from actum.metrics.report import TARGET, Report, compute, report_of
from actum.metrics.series import SERIES, Series
from actum.metrics.snapshot import Point, Snapshot, snapshot
from actum.metrics.window import WHOLE_LOG, Window

__all__ = [
    "INTERVENTION_KINDS",
    "JUDGE_SOURCES",
    "LABELS",
    "METRICS",
    "NO_VALUE",
    "OURS",
    "OUTCOMES",
    "SERIES",
    "TARGET",
    "VERDICTS",
    "WHOLE_LOG",
    "Durations",
    "Fold",
    "Histogram",
    "Metric",
    "Point",
    "Rate",
    "Report",
    "Series",
    "Snapshot",
    "Window",
    "check_label",
    "check_metric",
    "compute",
    "report_of",
    "snapshot",
]
