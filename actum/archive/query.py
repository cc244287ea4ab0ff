"""The archive and the log's newest events as one relation in DuckDB."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa

from actum.archive.archiving import segments_of
from actum.archive.places import ArchivePlace
from actum.archive.segment import EVENTS, rows_of
from actum.errors import BadInput
from actum.eventstore import EventStore

__all__ = ["Analytics"]

_PAGE = 8_192


class Analytics:
    """Archive and log as the relation `events`: every event once, as of when this was made.

    Columns: position, stream, version, id, type, at_us, recorded_us, actor_kind, actor_ref (as in the segments), and
    `facts` and `header` as JSON. What is not archived yet is held in memory. It only answers: a statement that is no
    query is refused, and files other than the segments are out of reach.
    """

    def __init__(self, place: ArchivePlace, store: EventStore) -> None:
        segments = segments_of(place, store.tenant)
        last = segments[-1].first + segments[-1].count - 1 if segments else -1
        self._con = con = duckdb.connect()
        con.register("tail", _tail(store, last))
        columns = ", ".join(EVENTS.names)
        parts = [f"SELECT {columns} FROM tail"]
        files = [place.fetch(segment.name) for segment in segments]
        if files:
            listed = ", ".join(_quoted(str(file)) for file in files)
            con.execute(f"CREATE VIEW archived AS SELECT * FROM read_parquet([{listed}])")
            con.execute(f"SET allowed_directories = [{_quoted(f'{files[0].parent}/')}]")
            parts.insert(0, f"SELECT {columns} FROM archived")
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
