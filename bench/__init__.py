"""Measurements: re-runnable, medians, beside a named peer in the same run. `make bench` runs them all."""
