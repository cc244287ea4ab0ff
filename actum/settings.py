"""What the surroundings say: the only reader of environment variables."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the log is, and whose. Command line options win over the environment."""

    store: str = "sqlite:///actum.db"
    tenant: str = "default"
    person: str = ""
    """Who decides at this terminal, by default: a reference, not a name."""
    key_file: str = ""
    """Where the key that signs checkpoints lies; beside the store's file when empty."""
    checkpoints: str = ""
    """Where the last checkpoint is kept apart from the log: a file, or s3://bucket/key; beside it when empty."""
    archive: str = ""
    """Where segments of this log lie that may have left it: a folder, or s3://bucket/prefix; read as one with it."""
    key_ring: str = ""
    """Who wraps the data keys under which personal payloads lie: file:PATH, or awskms:KEY. Empty: none is encrypted."""
    blobs: str = ""
    """Where payloads over 256 KiB lie: a folder, or s3://bucket/prefix; beside the store's file when empty."""
    webhook_secret: str = field(default="", repr=False)
    """What messages to a webhook are signed with: `whsec_` and base64."""

    @classmethod
    def read(cls) -> Settings:
        """From `ACTUM_STORE`, `ACTUM_TENANT`, `ACTUM_KEY_RING`, `ACTUM_BLOBS` and their like; `ACTUM_PERSON` is the
        login name when it is not set.
        """
        default = cls()
        return cls(
            store=os.environ.get("ACTUM_STORE") or default.store,
            tenant=os.environ.get("ACTUM_TENANT") or default.tenant,
            person=os.environ.get("ACTUM_PERSON") or os.environ.get("USER") or os.environ.get("LOGNAME") or "operator",
            key_file=os.environ.get("ACTUM_KEY_FILE") or default.key_file,
            checkpoints=os.environ.get("ACTUM_CHECKPOINTS") or default.checkpoints,
            archive=os.environ.get("ACTUM_ARCHIVE") or default.archive,
            key_ring=os.environ.get("ACTUM_KEY_RING") or default.key_ring,
            blobs=os.environ.get("ACTUM_BLOBS") or default.blobs,
            webhook_secret=os.environ.get("ACTUM_WEBHOOK_SECRET") or default.webhook_secret,
        )
