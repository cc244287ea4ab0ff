from __future__ import annotations

from typing import Any


class StreamProcessorStep:
    """Adds up the numbers of one chunk. It is plain, not async: it runs in a thread."""

    def __init__(self, name: str, config: dict[str, Any]) -> None:
        self.stream_id = config["stream_id"]

    def run(self, data: dict[str, Any]) -> dict[str, Any]:
        chunk = data["data_chunks"][self.stream_id - 1]
        return {"processed_data": {"stream": self.stream_id, "items": len(chunk), "sum": sum(chunk)}}
