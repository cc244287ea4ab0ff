"""What an exporter promises: where numbers go, and what a repeated delivery does there."""

from __future__ import annotations

from typing import Literal, Protocol

from actum.metrics import Snapshot

__all__ = ["Delivery", "Exporter"]

Delivery = Literal["pulled", "pushed_state", "pushed_delta", "fire_and_forget"]
"""`pulled`: the other side asks, asking twice is harmless. `pushed_state`: the last write counts, so retry freely.
`pushed_delta`: a repeated delivery counts twice, so intents and outcomes are kept. `fire_and_forget`: nobody knows."""


class Exporter(Protocol):
    """One destination. It reads a snapshot of metrics and never the store; a fault in it can change no number."""

    name: str
    delivery: Delivery
    content_type: str

    def render(self, snapshot: Snapshot) -> bytes:
        """The exact bytes that the destination gets; nothing is sent. Equal snapshots give equal bytes."""
