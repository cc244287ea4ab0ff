"""Write the golden proof and tiles of the three golden events of docs/formats: `python -m tests.golden.formats.make`.

They stand for ever, like the events they are of: this script writes what is missing and changes nothing.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from actum.events import Checkpoint, SigningKey, leaf_hash, merkle
from actum.events.checkpoint import sign
from actum.events.tiles import Tile, pack_entries
from actum.events.tlog_proof import TlogProof

HERE = Path(__file__).parent
LOG = ("execution.started", "step.started", "step.completed")
KEY = SigningKey.generate("actum/default", seed=sha256(b"golden").digest())


def contents() -> dict[str, bytes]:
    """Every golden file by its name below this folder."""
    events = [json.loads((HERE.parent / "events" / f"{type_}.v1.json").read_text("utf-8")) for type_ in LOG]
    headers = [event["header"].encode() for event in events]
    leaves = [leaf_hash(header) for header in headers]
    note = sign(Checkpoint("actum/default", 3, merkle.root_of(leaves)), KEY)
    proof = TlogProof(1, tuple(merkle.inclusion_proof(leaves, 1, 3)), note, headers[1])
    return {
        "event.tlog-proof": proof.to_text().encode(),
        f"tiles/{Tile(0, 0, 3).path()}": b"".join(leaves),
        f"tiles/{Tile(None, 0, 3).path()}": pack_entries(headers),
        "tiles/checkpoint": note.encode(),
    }


if __name__ == "__main__":
    for name, data in contents().items():
        if not (HERE / name).exists():
            (HERE / name).parent.mkdir(parents=True, exist_ok=True)
            (HERE / name).write_bytes(data)
