from __future__ import annotations

from typing import Any


class DataSplitterStep:
    """Deals the items out, like cards."""

    def __init__(self, name: str, config: dict[str, Any]) -> None:
        self.split_count = config["split_count"]

    async def run(self, data: dict[str, Any]) -> dict[str, Any]:
        items, count = data["loaded_data"], self.split_count
        chunks = [items[start::count] for start in range(count)]
        return {"data_chunks": chunks, "chunk_count": count, "original_data_size": len(items)}
