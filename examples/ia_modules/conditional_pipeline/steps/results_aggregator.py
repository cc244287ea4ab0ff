from __future__ import annotations

from typing import Any


class ResultsAggregatorStep:
    """Sums up whichever branch has run."""

    def __init__(self, name: str, config: dict[str, Any]) -> None:
        self.config = config

    async def run(self, data: dict[str, Any]) -> dict[str, Any]:
        records = data["processed_data"]
        return {"aggregated_results": {"count": len(records), "levels": sorted({r["processed"] for r in records})}}
