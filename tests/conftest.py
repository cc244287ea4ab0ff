"""What every test shares: where the real data is, and patience on busy machines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("actum", deadline=None, print_blob=True)
settings.load_profile("actum")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real input; the test is skipped, loudly, where it is absent."""
    folder = Path(os.environ.get("ACTUM_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "MANIFEST.json").exists():
        pytest.skip(f"REAL DATA ABSENT: no {folder}; set ACTUM_DATA to the folder that holds it")
    return folder
