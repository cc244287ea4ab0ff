"""Metrics for people: tables that can be read at three in the morning, from the same document that scripts read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from actum.cli.metrics_notes import note_on
from actum.cli.metrics_units import NO_DATA, count_of, interval_of, value_of
from actum.cli.output import how_many
from actum.metrics import METRICS, Metric

__all__ = ["render", "render_explain"]

_SHOWN_K = 8
_SHOWN_POSITIONS = 200
_GAP = 3  # between columns, by rich
_LEAST_COLUMN = 8
_LEAST_NAME = 20
_LEAST_NOTE = 28
_PARTS = ("successes", "failures", "active")
_PERCENTILES = ("p50_s", "p90_s", "p95_s", "p99_s", "mean_s")


class Row(NamedTuple):
    """One line of the table of numbers."""

    name: str
    value: str
    counts: str = ""
    interval: str = ""
    note: str = ""


def render(report_json: dict[str, Any], console: Console) -> None:
    """Print a `metrics` document: what it is about, its numbers, its times, then each group in the same form."""
    console.print(Text(_heading(report_json), style="bold"))
    _print_metrics(report_json["metrics"], console)
    label = report_json.get("filters", {}).get("by")
    for value, metrics in report_json.get("groups", {}).items():
        console.print()
        console.print(Text(f"{label}: {value}", style="bold"))
        _print_metrics(metrics, console)
    if label is not None and not report_json.get("groups"):
        console.print(f"No event carries a {label}, so there are no groups.")
    quality = {kind: times for kind, times in report_json.get("quality", {}).items() if times}
    if quality:
        found = ", ".join(f"{times:,} {kind.replace('_', ' ')}" for kind, times in quality.items())
        console.print(Text(f"Left out or put right: {found}.", style="yellow"))


def render_explain(explained: dict[str, Any], console: Console) -> None:
    """Print one metric with its formula, what was counted, and the positions of the events behind it."""
    metric = METRICS[explained["metric"]]
    value = explained["value"]
    letters = f" ({metric.letters})" if metric.letters else ""
    console.print(Text(f"{metric.title}{letters}", style="bold"))
    lines = [("formula", metric.formula)]
    if metric.kind == "durations":
        lines.append(("value", ", ".join(f"{key[:-2]} {value_of('durations', value[key])}" for key in _PERCENTILES)))
        lines.append(("counted", f"{value['count']:,} {metric.valid}"))
    else:
        lines += [(row.name if metric.kind == "per_k" else "value", row.value) for row in _rows(metric, value, {})]
        counts = count_of(metric, value)
        if counts:
            lines.append(("counted", counts))
        lines += [("good", metric.good)] if metric.good else []
        lines += [("valid", metric.valid)]
        interval = interval_of(metric, value)
        if interval:
            lines.append(("95 % interval", interval))
    note = note_on(metric, value)
    if note:
        lines.append(("note", note))
    lines.append(("computed", _heading(explained)))
    lines.append((f"{explained['events']:,} events", _positions(explained["positions"])))
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in lines:
        table.add_row(name, escape(text))
    console.print(table)


def _heading(document: dict[str, Any]) -> str:
    as_of, window = document["as_of"], document["window"]
    filters = document.get("filters") or {}
    parts = ["empty log" if as_of is None else f"as of event {as_of:,}"]
    if window["from"] is None:
        parts += [] if as_of is None else ["whole log"]
    else:
        parts.append(f"{_instant(window['from'])} to {_instant(window['to'])}")
    if filters.get("workflow") is not None:
        parts.append(f"workflow {filters['workflow']}")
    return ", ".join(parts)


def _instant(text: str) -> str:
    return text.replace("T", " ").replace(".000000Z", "Z").replace("Z", " UTC")


def _print_metrics(metrics: dict[str, Any], console: Console) -> None:
    """The numbers in one table, the times in another; a table without rows is left out."""
    rows = [
        row
        for name, metric in METRICS.items()
        if name in metrics and metric.kind != "durations"
        for row in _rows(metric, metrics[name], metrics.get("pass_k_tasks") or {})
    ]
    if rows:
        _print_numbers(rows, console)
    times = {name: metrics[name] for name, of in METRICS.items() if name in metrics and of.kind == "durations"}
    quiet = [name for name in times if not times[name]["count"] and not METRICS[name].letters]
    shown = {name: value for name, value in times.items() if name not in quiet}
    if shown:
        _print_times(shown, console)
    for name in quiet:
        console.print(Text(f"{METRICS[name].title}: {METRICS[name].no_data}", style="dim"))


def _print_numbers(rows: list[Row], console: Console) -> None:
    """Names may fold, notes and then intervals may move below the table, but a number is never cut."""
    widths = [max(len(cell) for cell in column) for column in list(zip(*rows, strict=True))[1:4]]
    room = console.width - sum(max(width, _LEAST_COLUMN) for width in widths) - 4 * _GAP
    notes_beside = room >= max(len(row.name) for row in rows) + _LEAST_NOTE
    intervals_beside = room >= _LEAST_NAME
    shown = 3 if intervals_beside else 2
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("metric")
    for heading, width in zip(("value", "counted", "95 % interval")[:shown], widths, strict=False):
        table.add_column(heading, justify="right", no_wrap=True, min_width=max(width, len(heading)))
    if notes_beside:
        table.add_column("note", style="dim")
    below = []
    for row in rows:
        value = Text(row.value, style="dim" if row.value == NO_DATA else "bold")
        cells = [row.counts, row.interval][: shown - 1]
        table.add_row(row.name, value, *cells, *([escape(row.note)] if notes_beside else []))
        interval = f"95 % interval {row.interval}" if row.interval and not intervals_beside else ""
        below.append((row.name, "; ".join(filter(None, (interval, "" if notes_beside else row.note)))))
    console.print(table)
    _print_notes(below, console)


def _print_notes(notes: list[tuple[str, str]], console: Console) -> None:
    for name, note in notes:
        if note:
            console.print(Text(f"{name}: {note}", style="dim"))


def _rows(metric: Metric, value: Any, tasks: dict[str, Any]) -> Iterator[Row]:
    name = f"{metric.title} ({metric.letters})" if metric.letters else metric.title
    if metric.kind != "per_k":
        yield Row(name, value_of(metric.kind, value), count_of(metric, value), interval_of(metric, value))._replace(
            note=note_on(metric, value)
        )
        return
    if value is None:
        yield Row(name, NO_DATA, note="no execution names its task")
        return
    for k in sorted(value, key=int)[:_SHOWN_K]:
        of_k = tasks.get(k)
        counts = how_many(of_k["tasks"], "task") if of_k else ""
        left_out = (
            f"{how_many(of_k['left_out'], 'task')} with fewer trials left out" if of_k and of_k["left_out"] else ""
        )
        yield Row(metric.letters.replace("k", k), value_of("rate", {"ratio": value[k]}), counts, note=left_out)
    if len(value) > _SHOWN_K:
        yield Row("", "", note=f"{len(value) - _SHOWN_K} more values of k in --json")


def _print_times(times: dict[str, dict[str, Any]], console: Console) -> None:
    """One column per kind of time, so that even long ones stand side by side."""
    columns: list[tuple[str, str, dict[str, Any]]] = []
    for name, value in times.items():
        letters = METRICS[name].letters
        columns.append((METRICS[name].title, letters, value))
        columns += [(f"{letters} {part}", f"{letters} {part}", value[part]) for part in _PARTS if part in value]
    needed = sum(max(len(_cell(value, key)) for key in _PERCENTILES) + _GAP for *_, value in columns) + _LEAST_COLUMN
    for together in [columns] if needed <= console.width else [[column] for column in columns]:
        console.print(_times_table(together))
    said: dict[str, list[str]] = {}  # what is true of several kinds of time is said once
    for title, letters, value in columns:
        said.setdefault(note_on(METRICS["workflow_completion_time"], value), []).append(letters or title)
    _print_notes([(", ".join(named), note) for note, named in said.items()], console)


def _times_table(columns: list[tuple[str, str, dict[str, Any]]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("time")
    for title, letters, value in columns:
        cells = [_cell(value, key) for key in _PERCENTILES]
        heading = title if letters in ("", title) else f"{title} ({letters})"
        table.add_column(heading, justify="right", min_width=max(map(len, cells)))
    table.add_row("known", *(f"{value['count']:,}" for *_, value in columns))
    for key in _PERCENTILES:
        cells = [_cell(value, key) for *_, value in columns]
        table.add_row(key[:-2], *(Text(cell, style="dim" if cell == NO_DATA else "bold") for cell in cells))
    return table


def _cell(value: dict[str, Any], key: str) -> str:
    return value_of("durations", value[key])


def _positions(positions: list[int]) -> str:
    """Positions with runs drawn together: `0–3, 7`."""
    if not positions:
        return "none"
    shown = positions[:_SHOWN_POSITIONS]
    runs: list[list[int]] = []
    for position in shown:
        if runs and position == runs[-1][-1] + 1:
            runs[-1][1:] = [position]
        else:
            runs.append([position])
    text = ", ".join("–".join(map(str, run)) for run in runs)
    rest = len(positions) - len(shown)
    return f"{text} and {rest:,} more; --json has them all" if rest else text
