"""What the settings say about payloads that are kept apart: who wraps data keys, and where large payloads go."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from actum.eventstore.payloads.blobs import BlobStore, FolderBlobs, open_blobs
from actum.eventstore.payloads.key_ring import KeyRing, open_key_ring

__all__ = ["Vault", "open_vault"]


class Vault(NamedTuple):
    """A key ring and a place for blobs, or none."""

    ring: KeyRing | None = None
    blobs: BlobStore | None = None

    def or_in(self, folder: Path) -> Vault:
        """With this folder for large payloads where no other place is named."""
        return self if self.blobs is not None else self._replace(blobs=FolderBlobs(folder))

    def names(self) -> tuple[str, str]:
        """What `open_vault` opens the same from, in another process too."""
        return self.ring.url if self.ring else "", self.blobs.url if self.blobs else ""


def open_vault(keys: str = "", blobs: str = "") -> Vault:
    """The key ring and the place for large payloads that these name; none for what is empty."""
    return Vault(open_key_ring(keys) if keys else None, open_blobs(blobs) if blobs else None)
