from __future__ import annotations

from typing import Any


class CompletedStatsCollectorStep:
    """The mean of everything that was loaded."""

    def __init__(self, name: str, config: dict[str, Any]) -> None:
        self.config = config

    async def run(self, data: dict[str, Any]) -> dict[str, Any]:
        merged = data["merged_results"]
        mean = merged["sum"] / merged["items"] if merged["items"] else None
        return {"statistics": {"items": merged["items"], "mean": mean}}
