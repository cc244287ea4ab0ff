"""A step asks for a person by returning `"status": "human_input_required"`; nothing follows before the answer."""

from __future__ import annotations

from typing import Any


class _Step:
    def __init__(self, name: str, config: dict[str, Any]) -> None:
        self.config = config


class PrepareDataStep(_Step):
    async def run(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"prepared_data": {"text": "A draft to look at"}, "message": self.config["message"]}


class SimpleHumanReviewStep(_Step):
    async def run(self, data: dict[str, Any]) -> dict[str, Any]:
        fields = [
            {"name": "decision", "type": "radio", "options": [{"value": "approve"}, {"value": "reject"}]},
            {"name": "comments", "type": "textarea"},
        ]
        return {
            "status": "human_input_required",
            "prompt": self.config["prompt"],
            "timeout_seconds": self.config["timeout_seconds"],
            "ui_schema": {"title": "Review", "fields": fields},
            "prepared_data": data["prepared_data"],
        }


class FinalizeStep(_Step):
    async def run(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"final_result": f"{data['decision']}: {data['comments']}", "status": "completed"}
