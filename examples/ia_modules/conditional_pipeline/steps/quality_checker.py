from __future__ import annotations

from typing import Any


class QualityCheckerStep:
    """The quality is the share of records with a value."""

    def __init__(self, name: str, config: dict[str, Any]) -> None:
        self.config = config

    async def run(self, data: dict[str, Any]) -> dict[str, Any]:
        records = data["ingested_data"]
        good = [record for record in records if record.get("value") is not None]
        return {"quality_score": len(good) / len(records) if records else 0.0, "ingested_data": records}
