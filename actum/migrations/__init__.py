"""The schema's history, as Alembic revisions: one for all SQL backends, expand before contract.

This module itself imports nothing heavy, so that opening a store can look at the revision cheaply.
"""

from typing import Final

__all__ = ["HEAD", "JOURNAL", "REVISIONS"]

REVISIONS: Final = ("0001", "0002", "0003", "0004", "0005", "0006", "0007")
"""Every revision, oldest first. A test holds it against the files in `versions/`."""
HEAD: Final = REVISIONS[-1]
JOURNAL: Final = "actum_upgrade"
"""A table that is there while an upgrade of a MySQL database is under way, or was cut off."""
