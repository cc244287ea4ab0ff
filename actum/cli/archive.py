"""`actum archive`: sealed segments of the log as Parquet files."""

from __future__ import annotations

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
    archive.command("list")(list_)
    archive.command("verify")(verify)
    archive.command("query")(query)
    app.add_typer(archive, name="archive")


def run(
    place: Place,
    segment: Annotated[int, typer.Option(help="Events in a segment: a power of two, always the same.")] = 65_536,
    json: Json = False,
) -> None:
    """Copy every whole segment that a signed checkpoint covers; each is read back and re-hashed to the signed root."""
    archive = _archive()
    from actum.wiring import verifier_keys

    where = archive.open_place(place)
    with log_of(writes=True, must_exist=True) as store, progress("archiving", hidden=json) as bar:
        task = bar.add_task("archive", total=store.head())
        keys, _ = verifier_keys(store, [])
        new = archive.archive_log(
            store,
            where,
            keys,
            segment_events=segment,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
        size = store.head()
        archived = sum(one.count for one in archive.segments_of(where, store.tenant))
    if json:
        print_json({"archived": [_told(one) for one in new], "events": archived, "tail": size - archived})
        return
    console().print(
        f"{how_many(len(new), 'segment')} archived; {archived:,} events are there, "
        f"{how_many(size - archived, 'newer event')} in the log alone",
        markup=False,
    )


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
    console().print(
        table(None, ("file", "first event", "events", "root", "covered by size"), rows, "first event,events")
    )
    if not segments:
        say("nothing is archived there")


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
