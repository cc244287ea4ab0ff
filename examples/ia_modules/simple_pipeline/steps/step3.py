from __future__ import annotations

from typing import Any


class Step3:
    """Gives the topic its last form."""

    def __init__(self, name: str, config: dict[str, Any]) -> None:
        self.name = name
        self.config = config

    async def run(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"topic": data["topic"].upper(), "words": data["words"]}
