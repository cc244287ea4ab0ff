from __future__ import annotations

from typing import Any


class DataIngestorStep:
    """Takes the records in, leaving out what is no record."""

    def __init__(self, name: str, config: dict[str, Any]) -> None:
        self.config = config

    async def run(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"ingested_data": [record for record in data["test_data"] if isinstance(record, dict)]}
