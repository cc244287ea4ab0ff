"""From the results to the README's table: no figure there is written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- figures: made by `make bench` -->", "<!-- end of figures -->"

_ROWS = (
    # what, workload, figure, how it is shown, the number to hold, is more better
    ("steps/s, 10-step workflow, 50 executions at once", "sequence_50", "steps_per_s", "{:,.0f}", "≥ 20,000", True),
    ("steps/s, 10-step workflow, one execution at a time", "sequence_1", "steps_per_s", "{:,.0f}", "≥ 2,000", True),
    ("steps/s, 10-wide fan-out, one execution at a time", "fan_out_1", "steps_per_s", "{:,.0f}", "≥ 4,000", True),
    ("steps/s, 10-wide fan-out, 50 executions at once", "fan_out_50", "steps_per_s", "{:,.0f}", "", True),
    ("append, events/s, batches of 1, one caller", "append_1", "events_per_s", "{:,.0f}", "", True),
    ("append, events/s, batches of 10, one caller", "append_10", "events_per_s", "{:,.0f}", "", True),
    ("append, events/s, batches of 100, one caller", "append_100", "events_per_s", "{:,.0f}", "", True),
    ("append, events/s, batches of 1, eight callers", "append_1_by_8", "events_per_s", "{:,.0f}", "", True),
    ("append, events/s, batches of 10, eight callers", "append_10_by_8", "events_per_s", "{:,.0f}", "≥ 25,000", True),
    ("rebuild one execution of 10,000 steps, s", "rebuild_10000", "rebuild_s", "{:.3f}", "≤ 0.1", False),
    (
        "kill -9, process start until done: 100 executions half way, s",
        "recover_100",
        "recovered_s",
        "{:.2f}",
        "≤ 0.5",
        False,
    ),
    ("the same, 1,000 executions, s", "recover_1000", "recovered_s", "{:.2f}", "", False),
    ("the same, one execution of 10,000 steps, s", "long_10000", "recovered_s", "{:.2f}", "≤ 0.5", False),
    ("verify the whole store, events/s", "verify", "events_per_s", "{:,.0f}", "≥ 200,000", True),
    ("bytes a step on disk, a small result", "small_50", "bytes_per_step", "{:,.0f}", "≤ 1,600", False),
    ("the same, with an input as well", "sequence_50", "bytes_per_step", "{:,.0f}", "", False),
    ("`import actum`, s", "import", "import_s", "{:.3f}", "≤ 0.150", False),
)


def table(result: dict[str, Any]) -> str:
    """The Markdown table of a result, with a line that says what was measured and where."""
    lines = ["| SQLite, durable on power loss | actum | DBOS | ratio | to hold |", "| --- | ---: | ---: | ---: | --- |"]
    for what, workload, figure, form, hold, more in _ROWS:
        ours = result["actum"].get(workload, {}).get(figure)
        theirs = result["dbos"].get(workload, {}).get(figure)
        if ours is None:
            continue
        ratio = "–"
        if theirs is not None:
            share = ours["median"] / theirs["median"] if more else theirs["median"] / ours["median"]
            ratio = f"{share:.1f} ×"
        other = "–" if theirs is None else form.format(theirs["median"])
        lines.append(f"| {what} | {form.format(ours['median'])} | {other} | {ratio} | {hold} |")
    machine, versions = result["machine"], result["versions"]
    lines += [
        "",
        f"Medians of {result['settings']['rounds']} rounds in turns, {result['at'][:10]}: {machine['cores']} shared "
        f"cores, a disk that syncs 4 KiB in {machine['fdatasync_4k_ms']:.2f} ms, Python {versions['python']}, "
        f"SQLite {versions['sqlite']}, DBOS {versions['dbos']} with its defaults. Ratio: how many times better. DBOS "
        "keeps the last result of a step; actum keeps every attempt, its input, a hash chain and a tree, which is what "
        "the bytes are. A dash: it has no such operation. The figures to hold were set on a machine where "
        "DBOS reached 540 to 690 steps/s in the first of these loads: here, look at the ratio first.",
    ]
    return "\n".join(lines)


_TO_HOLD = {"8 writers, batch 1": "≥ 2,000", "8 writers, batch 10": "≥ 15,000"}
_ON_POSTGRESQL = (
    ("steps/s, 10-step workflow, 50 executions at once", "sequence_50", "steps_per_s", "≥ 10,000"),
    ("steps/s, 10-step workflow, one execution at a time", "sequence_1", "steps_per_s", "≥ 1,000"),
    ("steps/s, 10-wide fan-out, one execution at a time", "fan_out_1", "steps_per_s", "≥ 2,000"),
    ("bytes a step, with indexes, a small result", "small_50", "bytes_per_step", ""),
)


def postgresql_table(result: dict[str, Any]) -> str:
    """The Markdown table of appends and steps on PostgreSQL."""
    threads, processes, peer = result["events_per_s"].values()
    lines = [
        "| PostgreSQL, a flush of 2 ms | actum | eventsourcing | ratio | to hold |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for load in peer:
        theirs = peer[load]["median"]
        for ours, of in ((threads, ""), (processes, ", a process each")):
            if of and load.startswith("1 "):
                continue
            rate = ours[load]["median"]
            hold = "" if of else _TO_HOLD.get(load, "")
            what = f"append, events/s, {load.replace('1 writers', 'one writer')}{of}"
            lines.append(f"| {what} | {rate:,.0f} | {theirs:,.0f} | {rate / theirs:.1f} × | {hold} |")
    for what, load, figure, hold in _ON_POSTGRESQL:
        lines.append(f"| {what} | {result['engine'][load][figure]['median']:,.0f} | – | – | {hold} |")
    versions = result["versions"]
    lines += [
        "",
        f"Medians of {result['settings']['rounds']} rounds in turns, {result['at'][:10]}; "
        f"{result['settings']['server']}; eventsourcing "
        f"{versions['eventsourcing']} with its defaults, eight threads of "
        "one process. An append of actum has returned when its events are durable, have their positions and are in the "
        "tree. Steps are measured with the flush that the disk has.",
    ]
    return "\n".join(lines)


def renew_readme() -> None:
    """Put the tables where the README keeps them."""
    path = ROOT / "README.md"
    text = path.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = [table(_result("sqlite")), postgresql_table(_result("postgres"))]
    path.write_text("\n".join([f"{before}{BEGIN}", "\n\n".join(tables), f"{END}{after}"]))


def _result(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "bench" / "results" / f"{name}.json").read_text())
    return found


if __name__ == "__main__":
    renew_readme()
