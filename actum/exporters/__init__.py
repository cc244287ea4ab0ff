"""Where numbers go: one file per destination, each importing its vendor's library only when it is used."""

from actum.exporters.protocol import Delivery, Exporter
from actum.exporters.registry import EXPORTERS, open_exporter

__all__ = ["EXPORTERS", "Delivery", "Exporter", "open_exporter"]
