"""`actum archive`: sealed segments of the log as Parquet files."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from actum.cli.options import Json, current, log_of
from actum.cli.output import console, how_many, print_json, progress, say, table
from actum.cli.verify import page
from actum.errors import BadInput

__all__ = ["register"]

Place = Annotated[str, typer.Argument(metavar="PLACE", help="A folder, or s3://bucket/prefix.")]
Keys = Annotated[
    list[str] | None, typer.Option("--key", help="A verifier key (text or file) to trust; may be repeated.")
]


def register(app: typer.Typer) -> None:
    archive = typer.Typer(help="Sealed segments of the log, in Parquet files.", no_args_is_help=True)
    archive.command("run")(run)
    archive.command("restore")(restore)
    archive.command("list")(list_)
    archive.command("verify")(verify)
    archive.command("query")(query)
    app.add_typer(archive, name="archive")


def run(
    place: Place,
    segment: Annotated[int, typer.Option(help="Events in a segment: a power of two, always the same.")] = 65_536,
    drop: Annotated[
        bool, typer.Option("--drop", help="Then let archived segments leave the store, each proved once more before.")
    ] = False,
    keep_events: Annotated[int, typer.Option(min=0, help="With --drop: the newest events that stay.")] = 0,
    keep_days: Annotated[float, typer.Option(min=0, help="With --drop: events of so many last days stay.")] = 0,
    json: Json = False,
) -> None:
    """Copy every whole segment that a signed checkpoint covers; each is read back and re-hashed to the signed root."""
    archive = _archive()
    from actum.wiring import seal, verifier_keys

    if (keep_events or keep_days) and not drop:
        raise BadInput("--keep-events and --keep-days say what --drop leaves; nothing was done")

    where = archive.open_place(place)
    with log_of(writes=True, must_exist=True) as store, progress("archiving", hidden=json) as bar:
        task = bar.add_task("archive", total=store.head())
        keys, _ = verifier_keys(store, [], current())
        new = archive.archive_log(
            store,
            where,
            keys,
            segment_events=segment,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
        gone = []
        if drop:
            seal(store, current())  # what was archived is to be under a checkpoint before anything leaves
            gone = archive.drop_archived(
                archive.hot_of(store),
                where,
                keys,
                keep_events=keep_events,
                keep_days=keep_days,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        size, floor = store.head(), archive.hot_of(store).floor().size
        archived = sum(one.count for one in archive.segments_of(where, store.tenant))
    if json:
        print_json(
            {
                "archived": [_told(one) for one in new],
                "dropped": [_told(one) for one in gone],
                "events": archived,
                "tail": size - archived,
                "floor": floor,
            }
        )
        return
    console().print(
        f"{how_many(len(new), 'segment')} archived; {archived:,} events are there, "
        f"{how_many(size - archived, 'newer event')} in the log alone",
        markup=False,
    )
    if drop:
        console().print(
            f"{how_many(len(gone), 'segment')} left the store, which begins at event {floor:,} now; to read what is "
            f"before, set ACTUM_ARCHIVE={place}",
            markup=False,
        )


def restore(
    place: Place,
    start: Annotated[int, typer.Option("--from", min=0, help="Down to the segment that holds this event.")] = 0,
    key: Keys = None,
    json: Json = False,
) -> None:
    """Put segments back that have left the store, each re-hashed to its signed root before; an empty store is made
    the archived log again. Nothing is signed: `actum seal` does that, and refuses when more was signed before.
    """
    archive = _archive()
    from actum.wiring import open_log, rebuild_views, verifier_keys

    where = archive.open_place(place)
    store = open_log(replace(current(), archive=""))
    try:
        keys, _ = verifier_keys(store, key or [], current())
        empty = store.head() == 0
        with progress("restoring", hidden=json) as bar:
            task = bar.add_task("restore", total=None)
            back = archive.restore(
                archive.hot_of(store),
                where,
                keys,
                rebuild_views,
                start=start,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        floor, size = store.floor().size, store.head()
    finally:
        store.close()
    if json:
        print_json({"restored": [_told(one) for one in back], "floor": floor, "size": size, "was_empty": empty})
        return
    console().print(
        f"{how_many(len(back), 'segment')} put back; the store begins at event {floor:,} and has {size:,} now",
        markup=False,
    )
    if empty and back:
        say("not in the archive, so not here: personal, keyed and large payloads, and events after its last segment")


def list_(place: Place, json: Json = False) -> None:
    """The segments at a place, as they describe themselves."""
    archive = _archive()
    segments = archive.segments_of(archive.open_place(place), current().tenant)
    if json:
        print_json({"segments": [_told(one) for one in segments]})
        return
    rows = [
        (one.name, f"{one.first:,}", f"{one.count:,}", f"{one.root.hex()[:16]}…", f"{one.signed.size:,}")
        for one in segments
    ]
    if not segments:
        say("nothing is archived there")
        return
    console().print(
        table(None, ("file", "first event", "events", "root", "covered by size"), rows, "first event,events")
    )


def verify(
    place: Place,
    key: Keys = None,
    log: Annotated[bool, typer.Option("--log/--no-log", help="Compare with the log that it came from.")] = True,
    json: Json = False,
) -> None:
    """Re-hash the archive to its signed roots; name the first wrong event. Exit code 1 when it fails."""
    archive = _archive()
    from actum.wiring import verifier_keys

    where = archive.open_place(place)
    with progress("verifying the archive", hidden=json) as bar:
        task = bar.add_task("verify", total=None)

        def seen(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        if log:
            with log_of() as store:
                keys, origin = verifier_keys(store, key or [])
                found = archive.check_archive(where, store.tenant, keys, store=store, progress=seen)
        else:
            keys, origin = _given(key or [])
            found = archive.check_archive(where, current().tenant, keys, progress=seen)
    answer = found.to_json() | {"keys": origin}
    if json:
        print_json(answer)
    else:
        page(answer)
    raise typer.Exit(1 if answer["verdict"] == "failed" else 0)


def query(
    place: Place,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="A query over `events`, in DuckDB's SQL.")],
    json: Json = False,
) -> None:
    """Ask archive and log as one table, `events`.

    Its columns: position, stream, version, id, type, at_us, recorded_us, actor_kind, actor_ref, facts, header.
    """
    archive = _archive()
    with log_of() as store, archive.Analytics(archive.open_place(place), store) as analytics:
        names, rows = analytics.query(sql)
    if json:
        print_json({"columns": names, "rows": [[_plain(value) for value in row] for row in rows]})
        return
    console().print(table(None, names, [tuple("–" if value is None else str(value) for value in row) for row in rows]))


def _archive() -> Any:
    try:
        import actum.archive
    except ImportError as exc:
        raise BadInput(f"the archive needs the extra 'archive' ({exc}): pip install 'actum[archive]'") from exc
    return actum.archive


def _given(keys: list[str]) -> tuple[list[Any], str]:
    from actum.wiring import key_of

    return [key_of(key) for key in keys], "given" if keys else "none"


def _told(segment: Any) -> dict[str, Any]:
    return {
        "file": segment.name,
        "first": segment.first,
        "count": segment.count,
        "root": segment.root.hex(),
        "size": segment.signed.size,
    }


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
