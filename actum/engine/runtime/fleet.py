"""Who works on a store, what is due that nobody runs, and what is parked and why: from the store alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from actum.engine.rules.folding import fold
from actum.engine.runtime.ports import Owners, owners_of, unowned
from actum.eventstore.tables.owners import KINDS_THAT_RUN, OPEN

if TYPE_CHECKING:
    from actum.eventstore import EventStore

__all__ = ["fleet"]

_MOST = 100
"""Executions that are listed of a kind."""


def fleet(store: EventStore) -> dict[str, Any]:
    """`workers`, `due` and `parked`, as plain JSON; at most a hundred executions of each kind, the oldest first."""
    owners: Owners = owners_of(store)
    living = owners.living()
    refused: dict[str, str] = {}
    suspects: set[str] = set()
    workers = []
    for name, left_s, about in living:
        refused |= about.get("refused", {})
        suspects |= set(about.get("suspects", ()))
        held = store.view("executions", {"owner": name, "status": OPEN, "kind": KINDS_THAT_RUN})
        workers.append(
            {
                "worker": name,
                "lease_left_s": left_s,
                "since": about.get("since"),
                "host": about.get("host"),
                "pid": about.get("pid"),
                "concurrency": about.get("concurrency"),
                "workflows": about.get("workflows"),
                "held": len(held),
                "under_way": about.get("under_way"),
                "ended": about.get("ended"),
                "progress_at": about.get("progress_at"),
            }
        )
    due = [
        {
            "id": row["id"],
            "workflow": row["workflow"],
            "status": row["status"],
            "owner": row["owner"],
            "why": refused.get(row["id"]) or _why(row, row["id"] in suspects),
        }
        for row in unowned(store, [one.name for one in living], _MOST)
    ]
    parked = [
        {"id": row["id"], "workflow": row["workflow"], "status": "parked", **_parked(store, row["id"])}
        for row in store.view("executions", {"status": "parked"}, order="started_at", limit=_MOST)
    ]
    return {"workers": workers, "due": due, "parked": parked}


def _why(row: dict[str, Any], suspect: bool) -> str:
    if suspect:
        return "it has taken a worker down before: its turn comes last"
    return f"worker {row['owner']} is gone" if row["owner"] else "nobody has taken it yet"


def _parked(store: EventStore, id_: str) -> dict[str, Any]:
    events = store.read_stream(f"execution/{id_}")
    state = fold(id_, events)
    said = next((e.payload for e in reversed(events) if e.type == "execution.parked"), None)
    detail = "" if said is None else orjson.loads(said).get("detail", "")
    return {"reason": state.parked, "step": state.parked_step or None, "detail": detail}
