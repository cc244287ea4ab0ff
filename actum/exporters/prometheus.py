"""Prometheus: a snapshot as text exposition, or as a collector for a registry that something else serves.

Names follow from the OpenTelemetry ones: dots become underscores, seconds are named, counters end in `_total`. There
are no timestamps (they would switch off staleness handling), no `_created` series, and no series without data.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from actum.exporters.protocol import Delivery
from actum.metrics import SERIES, Durations, Point, Series, Snapshot

__all__ = ["PrometheusText", "SnapshotCollector", "prometheus_name"]

log = logging.getLogger(__name__)

_ERRORS = "actum_export_errors_total"


def prometheus_name(series: Series) -> str:
    """The name under which a series is scraped; histograms add `_bucket`, `_sum` and `_count` to it."""
    name = series.name.replace(".", "_")
    if series.unit == "s":
        name += "_seconds"
    return f"{name}_total" if series.kind == "counter" else name


class SnapshotCollector(Collector):
    """Collects whatever snapshot is current when it is asked; registering it collects nothing.

    A family that cannot be built is logged, counted in `actum_export_errors_total`, and left out; the others are
    still answered.
    """

    def __init__(self, current: Callable[[], Snapshot]) -> None:
        self._current = current
        self._errors: Counter[str] = Counter()

    def describe(self) -> Iterable[Metric]:
        return [_family(series, ()) for series in SERIES.values()]

    def collect(self) -> Iterator[Metric]:
        by_series: defaultdict[str, list[Point]] = defaultdict(list)
        for point in self._current().points:
            by_series[point.series].append(point)
        for name, series in SERIES.items():
            points = by_series.get(name)
            if not points:
                continue
            try:
                yield _family(series, points)
            except Exception:  # an exception here would cost the whole scrape, every other number with it
                log.exception("metric family left out", extra={"family": name})
                self._errors[name] += 1
        yield self._error_family()

    def _error_family(self) -> Metric:
        family = CounterMetricFamily(
            _ERRORS, "Metric families left out because they could not be built.", labels=("exporter", "family")
        )
        for name, times in sorted(self._errors.items()):
            family.add_metric(("prometheus", name), times)
        return family


def _family(series: Series, points: Iterable[Point]) -> Metric:
    name = prometheus_name(series)
    if series.kind == "histogram":
        return _histogram(name, series, points)
    kind = CounterMetricFamily if series.kind == "counter" else GaugeMetricFamily
    family = kind(name, series.help, labels=series.labels)
    for point in points:
        if isinstance(point.value, Durations):
            raise TypeError(f"{series.name} is a {series.kind}, and its value is a set of durations")
        family.add_metric(point.labels, point.value)
    return family


def _histogram(name: str, series: Series, points: Iterable[Point]) -> Metric:
    family = HistogramMetricFamily(name, series.help, labels=series.labels)
    for point in points:
        durations = point.value
        if not isinstance(durations, Durations):
            raise TypeError(f"{series.name} is a histogram, and its value is {durations!r}")
        buckets = [(str(edge_us / 1e6), float(passed)) for edge_us, passed in durations.cumulative()]
        buckets.append(("+Inf", float(durations.count)))
        family.add_metric(point.labels, buckets, durations.sum_us / 1e6)
    return family


class PrometheusText:
    """The text exposition, version 0.0.4: what a scrape of `/metrics` or a textfile collector gets."""

    name = "prometheus"
    delivery: Delivery = "pulled"
    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def render(self, snapshot: Snapshot) -> bytes:
        registry = CollectorRegistry()
        registry.register(SnapshotCollector(lambda: snapshot))
        return generate_latest(registry)
