"""A PostgreSQL store in the hands of somebody who may write to it: the same deeds as `Tampered` does to a file."""

from __future__ import annotations

import os
from typing import Any

import orjson

from actum.events import leaf_hash
from actum.events.merkle import Frontier
from actum.eventstore import open_store
from actum.eventstore.check.store import check_store
from actum.eventstore.check.verdict import Verification
from actum.testing.postgres import session

__all__ = ["TamperedPostgres"]

_EVENT = "(SELECT event FROM log WHERE seq = %s)"


class TamperedPostgres:
    """The database of one tenant's store under raw SQL, with the triggers out of the way."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._con = session(url)
        self._con.execute("SET session_replication_role = replica")

    def sql(self, statement: str, *values: object) -> list[Any]:
        done = self._con.execute(statement.encode(), values)
        return done.fetchall() if done.description else []

    def header(self, position: int) -> bytes:
        return bytes(self.sql(f"SELECT header FROM events WHERE seq = {_EVENT}", position)[0][0])

    def put(self, position: int, header: bytes) -> None:
        self.sql(f"UPDATE events SET header = %s WHERE seq = {_EVENT}", header, position)

    def change(self, position: int, old: bytes, new: bytes) -> None:
        header = self.header(position)
        assert header.count(old) == 1, (old, header)
        self.put(position, header.replace(old, new))

    def put_payload(self, position: int, *, data: bytes | None = None, salt: bytes | None = None) -> None:
        for column, value in (("data", data), ("salt", salt)):
            if value is not None:
                self.sql(f"UPDATE payloads SET {column} = %s WHERE seq = {_EVENT}", value, position)

    def delete(self, position: int) -> None:
        for table in ("payloads", "events"):
            self.sql(f"DELETE FROM {table} WHERE seq = {_EVENT}", position)
        self.sql("DELETE FROM log WHERE seq = %s", position)

    def fix_tree(self) -> None:
        """Make the tree's state fit the events."""
        frontier = Frontier()
        rows = self.sql("SELECT header FROM log JOIN events ON events.seq = log.event ORDER BY log.seq")
        frontier.extend([leaf_hash(header) for (header,) in rows])
        self.sql("UPDATE tree_state SET size = %s, frontier = %s", frontier.size, frontier.to_bytes())

    def fix_streams(self) -> None:
        """Make the heads of all streams fit their events."""
        for (no,) in self.sql("SELECT no FROM streams"):
            rows = self.sql("SELECT header FROM events WHERE stream = %s ORDER BY version", no)
            head = (len(rows), leaf_hash(rows[-1][0]), no)
            self.sql("UPDATE streams SET version = %s, last_leaf = %s WHERE no = %s", *head)

    def renumber(self) -> None:
        """Close the holes in the positions."""
        for i, (seq,) in enumerate(self.sql("SELECT seq FROM log ORDER BY seq")):
            self.sql("UPDATE log SET seq = %s WHERE seq = %s", i, seq)

    def swap(self, one: int, other: int) -> None:
        """Let two events change places."""
        for old, new in ((one, -1), (other, one), (-1, other)):
            self.sql("UPDATE log SET seq = %s WHERE seq = %s", new, old)

    def forge(self, position: int, after: int) -> None:
        """Add an event at a free position, with the version and link that follow the event at `after`."""
        last = self.header(after)
        head = orjson.loads(last)
        head["id"] = "018f0000-0000-7000-8000-000000000000"
        head |= {"version": head["version"] + 1, "prev": leaf_hash(last).hex()}
        head.pop("payload", None)
        header = orjson.dumps(head, option=orjson.OPT_SORT_KEYS)
        self._insert(position, after, "version + 1", bytes.fromhex(head["id"].replace("-", "")), header)

    def duplicate(self, position: int, at: int) -> None:
        """Put the event's header a second time at a free position, under the next free version of its stream."""
        version = "(SELECT max(version) + 1 FROM events e WHERE e.stream = events.stream)"
        self._insert(at, position, version, os.urandom(16), self.header(position))

    def _insert(self, position: int, like: int, version: str, id_: bytes, header: bytes) -> None:
        ((seq,),) = self.sql("SELECT max(seq) + 1 FROM events")
        self.sql(
            f"INSERT INTO events (seq, tenant, stream, version, id, type, header) "
            f"SELECT %s, tenant, stream, {version}, %s, type, %s FROM events WHERE seq = {_EVENT}",
            seq,
            id_,
            header,
            like,
        )
        self.sql("INSERT INTO log (seq, event) VALUES (%s, %s)", position, seq)

    def verify(self, **options: Any) -> Verification:
        self._con.close()
        store = open_store(self.url + "?mode=ro")
        try:
            return check_store(store, **options)
        finally:
            store.close()
