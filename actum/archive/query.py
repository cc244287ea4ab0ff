"""The archive and the log's newest events as one relation in DuckDB."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa

from actum.archive.archiving import segments_of
from actum.archive.places import ArchivePlace
from actum.archive.segment import EVENTS, NAMES, rows_of
from actum.errors import BadInput
from actum.eventstore import EventStore

__all__ = ["Analytics"]

_PAGE = 8_192


class Analytics:
    """Archive and log as the relation `events`: every event once, as of when this was made.

    Columns: position, stream, version, id, type, at_us, recorded_us, actor_kind, actor_ref, the facts that reports are
    made of (workflow, step, tool, model, outcome, error_type, attempt, duration_us, active_us, cost_nanousd,
    input_tokens, output_tokens; all as in the segments), and `facts` and `header` as JSON. What is not archived yet is
    held in memory. It only answers: a statement that is no query is refused, and files other than the segments are out
    of reach.
    """

    def __init__(self, place: ArchivePlace, store: EventStore) -> None:
        segments = segments_of(place, store.tenant)
        last = segments[-1].first + segments[-1].count - 1 if segments else -1
        self._con = con = duckdb.connect()
        con.execute("SET parquet_metadata_cache = true")  # segments never change; each has much to say of itself
        con.register("tail", _tail(store, last))
        parts = [f"SELECT {', '.join(EVENTS.names)} FROM tail"]
        files = {format_: [place.fetch(s.name) for s in segments if s.format == format_] for format_ in NAMES}
        for format_, some in files.items():
            if some:
                listed = ", ".join(_quoted(str(file)) for file in some)
                con.execute(f"CREATE VIEW archived_{format_} AS SELECT * FROM read_parquet([{listed}])")
                con.execute(f"SET allowed_directories = [{_quoted(f'{some[0].parent}/')}]")
                parts.append(f"SELECT {', '.join(_columns(format_))} FROM archived_{format_}")
        con.execute(
            "CREATE VIEW events AS SELECT * REPLACE (header::JSON AS header), (header::JSON)->'facts' AS facts "
            f"FROM ({' UNION ALL '.join(parts)})"
        )
        con.execute("SET enable_external_access = false")
        con.execute("SET lock_configuration = true")

    def query(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The names of the columns, and the rows. Raises `BadInput` for anything but one query that can be answered."""
        try:
            statements = duckdb.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise BadInput("one SELECT is answered, and nothing else")
            found = self._con.execute(statements[0])
            return [column[0] for column in found.description or ()], found.fetchall()
        except duckdb.Error as exc:
            raise BadInput(str(exc)) from exc

    def close(self) -> None:
        self._con.close()

    def __enter__(self) -> Analytics:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _columns(format_: int) -> list[str]:
    """All columns, of files that may not have all: what a file lacks, its headers say."""
    there = set(NAMES[format_])
    return [
        field.name
        if field.name in there
        else f"CAST(header::JSON->'facts'->>'{field.name}' AS {'BIGINT' if field.type == pa.int64() else 'VARCHAR'}) "
        f"AS {field.name}"
        for field in EVENTS
    ]


def _tail(store: EventStore, after: int) -> pa.Table:
    batches: list[pa.RecordBatch] = []
    page = []
    for event in store.read_raw(after):
        page.append(event)
        if len(page) == _PAGE:
            batches.append(rows_of(page))
            page = []
    if page:
        batches.append(rows_of(page))
    return pa.Table.from_batches(batches, EVENTS).unify_dictionaries() if batches else EVENTS.empty_table()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
