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
    ("what the engine adds to a step, one execution, median, ms", "latency", "p50_ms", "{:.2f}", "", False),
    ("the same, 99th percentile, ms", "latency", "p99_ms", "{:.2f}", "", False),
    ("memory of 1,000 executions that wait for a person, MiB", "waiting", "mib_per_1000", "{:.1f}", "", False),
    ("rebuild one execution of 100,000 steps, s", "rebuild_100000", "rebuild_s", "{:.2f}", "", False),
    ("kill -9, one execution of 100,000 steps, s", "long_100000", "recovered_s", "{:.1f}", "", False),
    ("bytes a step on disk, a small result", "small_50", "bytes_per_step", "{:,.0f}", "≤ 1,600", False),
    ("the same, with an input as well", "sequence_50", "bytes_per_step", "{:,.0f}", "", False),
    ("`import actum`, s", "import", "import_s", "{:.3f}", "≤ 0.150", False),
)


_PEERS = {"dbos": "DBOS", "langgraph": "LangGraph"}


def table(result: dict[str, Any]) -> str:
    """The Markdown table of a result, with a line that says what was measured and where."""
    peers = {key: name for key, name in _PEERS.items() if key in result}
    head = ["SQLite, durable on power loss", "actum", *peers.values(), "ratio", "to hold"]
    lines = [_line(head), _line(["---", *["---:"] * (len(peers) + 2), "---"])]
    for what, workload, figure, form, hold, more in _ROWS:
        row = steps_row(result, what, workload, figure, form, hold, more, peers)
        if row:
            lines.append(row)
    machine, versions = result["machine"], result["versions"]
    theirs = ", ".join(f"{name} {versions[key]}" for key, name in peers.items())
    lines += [
        "",
        f"Medians of {result['settings']['rounds']} rounds in turns, {result['at'][:10]}: {machine['cores']} shared "
        f"cores, a disk that syncs 4 KiB in {machine['fdatasync_4k_ms']:.2f} ms, Python {versions['python']}, "
        f"SQLite {versions['sqlite']}, {theirs}, each step durable before the next. Ratio: how many times better than "
        "the best of the others. DBOS "
        "keeps the last result of a step; actum keeps every attempt, its input, a hash chain and a tree, which is what "
        "the bytes are. A dash: it has no such operation. The figures to hold were set on a machine where "
        "DBOS reached 540 to 690 steps/s in the first of these loads: here, look at the ratio first.",
    ]
    return "\n".join(lines)


def steps_row(
    result: dict[str, Any],
    what: str,
    workload: str,
    figure: str,
    form: str,
    hold: str,
    more: bool,
    peers: dict[str, str],
) -> str:
    """One line of figures beside the peers'; empty when actum has none."""
    ours = _median(result, "actum", workload, figure)
    if ours is None:
        return ""
    theirs = [_median(result, peer, workload, figure) for peer in peers]
    known = [value for value in theirs if value is not None]
    ratio = "–"
    if known and ours > 0:
        ratio = f"{ours / max(known) if more else min(known) / ours:.1f} ×"
    shown = ["–" if value is None else form.format(value) for value in theirs]
    return _line([what, form.format(ours), *shown, ratio, hold])


def _median(result: dict[str, Any], side: str, workload: str, figure: str) -> float | None:
    found = result.get(side, {}).get(workload, {}).get(figure)
    return None if found is None else float(found["median"])


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


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


def log_table(verify: dict[str, Any], readers: dict[str, Any], archive: dict[str, Any], chaos: dict[str, Any]) -> str:
    """The Markdown table of what is done with a whole log: read, proven, archived, and got through chaos."""
    rate = {name: found["median"] for name, found in readers["events_per_s"].items()}
    checks, large = verify["checks"]["sqlite, 1000000 events"], archive["1e7"]

    def check(name: str, figure: str) -> float:
        return float(checks[name][figure]["median"])

    rows = [
        ("projector: metrics, mark kept, SQLite, events/s", f"{rate[_PROJECTOR.format('SQLite')]:,.0f}", "≥ 50,000"),
        ("the same on PostgreSQL", f"{rate[_PROJECTOR.format('PostgreSQL')]:,.0f}", "≥ 50,000"),
        ("relay to NATS JetStream, events/s", f"{rate['SQLite: relay to NATS JetStream, with payloads']:,.0f}", ""),
        ("relay to a Redis stream, events/s", f"{rate['SQLite: relay to Redis stream, with payloads']:,.0f}", ""),
        ("verify 10^6 events, two processes, events/s", f"{check('2 at once', 'events_per_s'):,.0f}", "≥ 200,000"),
        ("the same, one process", f"{check('1 at once', 'events_per_s'):,.0f}", ""),
        ("memory of that process", f"{check('1 at once', 'peak_mb'):,.0f} MB", ""),
        ("verify one event's proof", f"{verify['one_proof']['verify_ms']:.2f} ms", "< 1 ms"),
        (
            "metrics over 10^7 archived events, DuckDB, from nothing",
            f"{large['report']['first_s']['median']:.2f} s",
            "≤ 1 s",
        ),
        ("prove that archive, events/s", f"{large['prove']['events_per_s']['median']:,.0f}", ""),
        ("memory of that proof", f"{large['prove']['peak_mib']['median']:,.0f} MiB", ""),
        ("archive, bytes an event", f"{large['bytes_per_event']:,.0f}", ""),
    ]
    found, run = chaos["found"], chaos["run"]
    lines = ["| the log as a whole | actum | to hold |", "| --- | ---: | --- |"]
    lines += [f"| {what} | {figure} | {hold} |" for what, figure, hold in rows]
    lines += [
        f"| lost or doubled of {found['events']:,} events under chaos, PostgreSQL | "
        f"{found['lost']} and {found['doubled']} | 0 |",
        "",
        f"Medians, {verify['at'][:10]}, same machine. Chaos: {run['settings']}; {found['writers_killed']} writers "
        f"and {found['connections_killed']} connections killed, {found['sequencers']} sequencers one after the other, "
        f"the log {found['verdict']} afterwards.",
    ]
    return "\n".join(lines)


_PROJECTOR = "{}: metrics as a subscription, mark in SQLite"


def workers_table(result: dict[str, Any]) -> str:
    """What more worker processes on one store bring."""
    settings = result["settings"]
    counts = list(result["sqlite"])
    lines = [
        _line(["steps/s of worker processes on one store", *(f"{n} worker{'s' * (n != '1')}" for n in counts)]),
        _line(["---", *("---:" for _ in counts)]),
    ]
    for store, name in (("sqlite", "SQLite"), ("postgresql", "PostgreSQL")):
        rates = [float(result[store][n]["steps_per_s"]["median"]) for n in counts]
        lines.append(_line([name, *(f"{rate:,.0f} ({rate / rates[0]:.1f} ×)" for rate in rates)]))
    lines += [
        "",
        f"Medians of {settings['rounds']} rounds, {result['at'][:10]}: a backlog of "
        f"{settings['executions']:,} executions of {settings['steps']} steps, "
        f"{settings['at_once']} at once, {result['machine']['cores']} shared cores. In "
        "brackets: times as many as one worker.",
    ]
    return "\n".join(lines)


def renew_readme() -> None:
    """Put the tables where the README keeps them."""
    path = ROOT / "README.md"
    text = path.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    whole = [_result(name) for name in ("verify", "readers", "archive", "chaos")]
    tables = [table(_result("sqlite")), postgresql_table(_result("postgres")), log_table(*whole)]
    if (ROOT / "bench" / "results" / "workers.json").exists():
        tables.append(workers_table(_result("workers")))
    path.write_text("\n".join([f"{before}{BEGIN}", "\n\n".join(tables), f"{END}{after}"]))


def _result(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "bench" / "results" / f"{name}.json").read_text())
    return found


if __name__ == "__main__":
    renew_readme()
