from __future__ import annotations

from typing import Any


class Step2:
    """Says more about the topic."""

    def __init__(self, name: str, config: dict[str, Any]) -> None:
        self.name = name
        self.config = config

    async def run(self, data: dict[str, Any]) -> dict[str, Any]:
        topic = data["topic"]
        return {"topic": f"{topic} (enriched)", "words": len(topic.split())}
