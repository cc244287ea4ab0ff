"""A SQLite store's file in the hands of somebody who may write to it: what `actum verify` is there to find."""

from __future__ import annotations

import sqlite3
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson

from actum.events import leaf_hash
from actum.events.merkle import Frontier
from actum.eventstore import open_store
from actum.eventstore.check.store import check_store
from actum.eventstore.check.verdict import Verification
from actum.eventstore.check.workers import Workers

__all__ = ["Tampered"]


class Tampered:
    """A store's file under raw SQL, with the triggers out of the way."""

    def __init__(self, path: Path, workers: Workers | None = None) -> None:
        self._workers = workers
        self.url = f"sqlite:///{path}"
        self._con = sqlite3.connect(path)
        for (name,) in self._con.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            self._con.execute(f"DROP TRIGGER {name}")

    def sql(self, statement: str, *values: object) -> list[Any]:
        rows = self._con.execute(statement, values).fetchall()
        self._con.commit()
        return rows

    def header(self, position: int) -> bytes:
        return bytes(self.sql("SELECT header FROM events WHERE seq = ?", position)[0][0])

    def put(self, position: int, header: bytes) -> None:
        self.sql("UPDATE events SET header = ? WHERE seq = ?", header, position)

    def change(self, position: int, old: bytes, new: bytes) -> None:
        header = self.header(position)
        assert header.count(old) == 1, (old, header)
        self.put(position, header.replace(old, new))

    def delete(self, position: int) -> None:
        self.sql("DELETE FROM payloads WHERE seq = ?", position)
        self.sql("DELETE FROM events WHERE seq = ?", position)

    def fix_tree(self) -> None:
        """What a forger with the whole file in hand would do: make the tree's state fit."""
        frontier = Frontier()
        frontier.extend([leaf_hash(h) for (h,) in self.sql("SELECT header FROM events ORDER BY seq")])
        self.sql("UPDATE tree_state SET size = ?, frontier = ?", frontier.size, frontier.to_bytes())

    def fix_streams(self) -> None:
        for (no,) in self.sql("SELECT no FROM streams"):
            rows = self.sql("SELECT header FROM events WHERE stream = ? ORDER BY version", no)
            self.sql("UPDATE streams SET version=?, last_leaf=? WHERE no=?", len(rows), leaf_hash(rows[-1][0]), no)

    def renumber(self) -> None:
        """Close the holes in the positions."""
        for i, (seq,) in enumerate(self.sql("SELECT seq FROM events ORDER BY seq")):
            self.sql("UPDATE events SET seq = ? WHERE seq = ?", i, seq)
            self.sql("UPDATE payloads SET seq = ? WHERE seq = ?", i, seq)

    def verify(self, **options: Any) -> Verification:
        self._con.close()
        store = open_store(self.url + "?mode=ro")
        try:
            return check_store(store, **{"workers": self._workers} | options)
        finally:
            store.close()

    def swap(self, one: int, other: int) -> None:
        """Let two events change places."""
        for table in ("events", "payloads"):
            for old, new in ((one, -1), (other, one), (-1, other)):
                self.sql(f"UPDATE {table} SET seq = ? WHERE seq = ?", new, old)

    def forge(self, position: int, after: int) -> None:
        """Add an event at a free position, with the version and link that follow the event at `after`."""
        last = self.header(after)
        head = orjson.loads(last)
        head["id"] = "018f0000-0000-7000-8000-000000000000"
        head |= {"version": head["version"] + 1, "prev": leaf_hash(last).hex()}
        head.pop("payload", None)
        self.sql(
            "INSERT INTO events SELECT ?, tenant, stream, version + 1, ?, type, ? FROM events WHERE seq = ?",
            position,
            bytes.fromhex(head["id"].replace("-", "")),
            orjson.dumps(head, option=orjson.OPT_SORT_KEYS),
            after,
        )

    def rewrite_stream(self, positions: list[int], old: bytes, new: bytes) -> None:
        """Change the first of these events, and make the links of the others, and the stream's head, fit."""
        self.change(positions[0], old, new)
        for before, later in pairwise(positions):
            head = orjson.loads(self.header(later))
            head["prev"] = leaf_hash(self.header(before)).hex()
            self.put(later, orjson.dumps(head, option=orjson.OPT_SORT_KEYS))
        self.fix_streams()

    def duplicate(self, position: int, at: int) -> None:
        """Put the event's header a second time at a free position, under the next free version of its stream."""
        self.sql(
            "INSERT INTO events SELECT ?, tenant, stream, (SELECT max(version) + 1 FROM events e WHERE "
            "e.stream = events.stream), randomblob(16), type, header FROM events WHERE seq = ?",
            at,
            position,
        )

    def put_payload(self, position: int, *, data: bytes | None = None, salt: bytes | None = None) -> None:
        """Change an event's payload, or its salt, or both."""
        self.sql(
            "UPDATE payloads SET data = coalesce(?, data), salt = coalesce(?, salt) WHERE seq = ?", data, salt, position
        )
