"""What the surroundings say: the only reader of environment variables."""

from __future__ import annotations

import os
from dataclasses import dataclass

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the log is, and whose. Command line options win over the environment."""

    store: str = "sqlite:///actum.db"
    tenant: str = "default"
    person: str = ""
    """Who decides at this terminal, by default: a reference, not a name."""

    @classmethod
    def read(cls) -> Settings:
        """From `ACTUM_STORE`, `ACTUM_TENANT`, `ACTUM_PERSON`, and the login name for the last."""
        default = cls()
        return cls(
            store=os.environ.get("ACTUM_STORE") or default.store,
            tenant=os.environ.get("ACTUM_TENANT") or default.tenant,
            person=os.environ.get("ACTUM_PERSON") or os.environ.get("USER") or os.environ.get("LOGNAME") or "operator",
        )
