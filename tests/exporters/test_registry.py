"""Opening exporters by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from actum.errors import BadInput
from actum.exporters import EXPORTERS, open_exporter


@pytest.mark.parametrize("name", EXPORTERS)
def test_each_exporter_is_what_it_is_called(name: str) -> None:
    """What opens under a name answers to that name, and declares what a repeated delivery does."""
    exporter = open_exporter(name)

    assert exporter.name == name
    assert exporter.delivery in ("pulled", "pushed_state", "pushed_delta", "fire_and_forget")


def test_an_unknown_exporter_is_refused_with_the_nearest() -> None:
    """The refusal names what there is."""
    with pytest.raises(BadInput, match="did you mean 'prometheus'"):
        open_exporter("promteheus")


def test_the_vendor_library_is_imported_only_when_used() -> None:
    """Importing exporters costs no vendor library; a missing one is an answer that names the extra to install."""
    script = """
import sys
import actum.exporters
assert "prometheus_client" not in sys.modules
sys.modules["prometheus_client"] = None
try:
    actum.exporters.open_exporter("prometheus")
except Exception as exc:
    print(type(exc).__name__, exc)
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert said.startswith("BadInput")
    assert "pip install 'actum[prometheus]'" in said
