from __future__ import annotations

from typing import Any


class DecisionAgentStep:
    """Says whether there is anything to process."""

    def __init__(self, name: str, config: dict[str, Any]) -> None:
        self.logic = config["decision_logic"]

    async def run(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"decision": {"logic": self.logic, "valid": bool(data.get("input_data"))}}
