from __future__ import annotations

from typing import Any


class SimpleAgentStep:
    """Notes what kind of processing it stands for, and passes the data on."""

    def __init__(self, name: str, config: dict[str, Any]) -> None:
        self.processing_type = config["processing_type"]

    async def run(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"trail": [*data.get("trail", []), self.processing_type]}
