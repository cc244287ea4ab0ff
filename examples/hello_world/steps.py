"""Two steps. A step class needs no base class: whatever has `execute(data)` can be a step."""

from __future__ import annotations

from typing import Any


class GenerateMessageStep:
    async def execute(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"greeting": f"Hello, {data.get('name', 'World')}!"}


class PrintMessageStep:
    async def execute(self, data: dict[str, Any]) -> dict[str, Any]:
        print(data["message"])
        return {"status": "Message printed successfully"}
