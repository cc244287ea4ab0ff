from __future__ import annotations

from typing import Any


class LowQualityProcessorStep:
    """Processes records at the level that its config says."""

    def __init__(self, name: str, config: dict[str, Any]) -> None:
        self.level = config["processing_level"]

    async def run(self, data: dict[str, Any]) -> dict[str, Any]:
        done = [{**record, "processed": self.level} for record in data["ingested_data"]]
        return {"processed_data": done, "processing_level": self.level}
