from __future__ import annotations

from typing import Any


class ResultsMergerStep:
    """Puts the three streams together again."""

    def __init__(self, name: str, config: dict[str, Any]) -> None:
        self.config = config

    async def run(self, data: dict[str, Any]) -> dict[str, Any]:
        parts = [data[f"processed_data_{number}"] for number in (1, 2, 3)]
        return {"merged_results": {"items": sum(p["items"] for p in parts), "sum": sum(p["sum"] for p in parts)}}
