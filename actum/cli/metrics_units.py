"""How a number of each kind is written: with its unit, never rounded into a certainty, and "no data" in words."""

from __future__ import annotations

from typing import Any

from actum.cli.output import how_many
from actum.metrics import Metric

__all__ = ["NO_DATA", "count_of", "interval_of", "ratio", "seconds", "value_of"]

NO_DATA = "no data"


def ratio(share: float) -> str:
    """`0.420`; with more decimals where three would make it 0 or 1 and it is neither."""
    for decimals in range(3, 9):
        text = f"{share:.{decimals}f}"
        if float(text) not in (0.0, 1.0) or share in (0.0, 1.0):
            return text
    return "> 0" if share < 0.5 else "< 1"


def seconds(value_s: float) -> str:
    """`2,800.432 s`; below ten milliseconds `0.450 ms`."""
    return f"{value_s * 1000:,.3f} ms" if 0 < value_s < 0.01 else f"{value_s:,.3f} s"


def value_of(kind: str, value: Any) -> str:
    """The headline of a metric of this kind; of durations, one of their numbers."""
    match kind:
        case "rate":
            return NO_DATA if value["ratio"] is None else ratio(value["ratio"])
        case "probability":
            return NO_DATA if value["value"] is None else ratio(value["value"])
        case "durations":
            return NO_DATA if value is None else seconds(value)
        case "mean_time":
            if value["value_s"] is None:
                return NO_DATA if value["exposure_s"] is None else "no error"
            return seconds(value["value_s"])
        case "count":
            return f"{value['count']:,}"
        case _:
            found = value.get("value", value.get("value_usd"))
            if found is None:
                return NO_DATA
            return f"{found:,.6f} USD" if "value_usd" in value else f"{found:,.2f}"


def count_of(metric: Metric, value: Any) -> str:
    """What was counted for it, out of what."""
    match metric.kind:
        case "rate":
            return f"{value['good']:,} of {value['valid']:,}"
        case "probability":
            return f"{value['k']:,} of {value['n']:,}"
        case "mean_time":
            return how_many(value["errors"], "error")
        case "average":
            return f"{value.get('successes', value['executions']):,}"
        case _:
            return ""


def interval_of(metric: Metric, value: Any) -> str:
    """The interval, or the one bound there is; empty when there is neither."""
    match metric.kind:
        case "rate" if value.get("ci_lower") is not None:
            return f"{ratio(value['ci_lower'])} to {ratio(value['ci_upper'])}"
        case "mean_time" if value["ci_lower_s"] is not None:
            if value["ci_upper_s"] is None:
                return f"at least {seconds(value['ci_lower_s'])}"
            return f"{seconds(value['ci_lower_s'])} to {seconds(value['ci_upper_s'])}"
        case _:
            return ""
