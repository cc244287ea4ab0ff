"""The exporters there are. Each one's vendor library is imported when it is opened, and not before."""

from __future__ import annotations

from collections.abc import Callable

from actum.errors import BadInput, near_miss
from actum.exporters.protocol import Exporter

__all__ = ["EXPORTERS", "open_exporter"]


def _prometheus() -> Exporter:
    from actum.exporters.prometheus import PrometheusText

    return PrometheusText()


EXPORTERS: dict[str, Callable[[], Exporter]] = {"prometheus": _prometheus}


def open_exporter(name: str) -> Exporter:
    """The exporter of this name.

    Raises `BadInput` for a name nobody knows, and for one whose library is not installed, with the extra to install.
    """
    opener = EXPORTERS.get(name)
    if opener is None:
        raise BadInput(f"no exporter {name!r}{near_miss(name, EXPORTERS)}; there are: {', '.join(EXPORTERS)}")
    try:
        return opener()
    except ModuleNotFoundError as exc:
        if (exc.name or "").split(".")[0] == "actum":
            raise
        raise BadInput(
            f"exporter {name!r} needs {exc.name}, which is not installed; nothing was exported. "
            f"Run: pip install 'actum[{name}]'"
        ) from exc
