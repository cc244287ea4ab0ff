"""What an engine has to share out, from a settings file in YAML or JSON. Every mistake is named with its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from actum.engine.graphs.place import Place
from actum.engine.graphs.source import read_file
from actum.engine.resources.declared import Breaker, Pool, Quota, RateLimit, Resources
from actum.errors import BadInput, near_miss

__all__ = ["load_resources", "resources_of"]

_POOL: Final = {"capacity": True, "unit": False, "queue": False}
_LIMIT: Final = {"count": True, "per": True, "burst": False}
_BREAKER: Final = dict.fromkeys(("failures", "within", "open_for", "successes", "probes", "errors", "when_open"), False)
_QUOTA: Final = {"pool": True, "per": True, "at_most": True}


def load_resources(path: Path) -> Resources:
    """The resources in a file. Raises `DefinitionError` for one that cannot be read, or cannot be meant."""
    return resources_of(read_file(path), str(path))


def resources_of(said: Any, source: str = "resources") -> Resources:
    """The same from plain values: `pools`, `limits` and `breakers` by name, `quotas`, `share` and `weights`."""
    place = Place(source)
    known = ("pools", "limits", "breakers", "quotas", "share", "weights")
    _object(said, dict.fromkeys(known, False), place)
    quotas = said.get("quotas") or []
    if not isinstance(quotas, list):
        raise (place / "quotas").error(f"is a list of quotas, not a {type(quotas).__name__}")
    found: dict[str, Any] = {
        "pools": _named(said, "pools", _POOL, Pool, place, short="capacity"),
        "limits": _named(said, "limits", _LIMIT, RateLimit, place),
        "breakers": _named(said, "breakers", _BREAKER, Breaker, place),
        "quotas": [_one(Quota, one, _QUOTA, place / "quotas" / n) for n, one in enumerate(quotas)],
        "share": said.get("share", "workflow"),
    }
    weights = said.get("weights") or {}
    if not isinstance(weights, Mapping):
        raise (place / "weights").error(f"is a mapping of shares to weights, not a {type(weights).__name__}")
    try:
        return Resources(**found, weights=weights)
    except BadInput as exc:
        raise place.error(str(exc)) from None


def _named(
    said: Mapping[str, Any],
    field: str,
    fields: Mapping[str, bool],
    make: Callable[..., Any],
    place: Place,
    short: str = "",
) -> list[Any]:
    given, here = said.get(field) or {}, place / field
    if not isinstance(given, Mapping):
        raise here.error(f"is a mapping of names, not a {type(given).__name__}")
    found = []
    for name, one in given.items():
        plain = short and not isinstance(one, Mapping)
        found.append(_one(make, {short: one} if plain else one, fields, here / name, name))
    return found


def _one(make: Callable[..., Any], said: Any, fields: Mapping[str, bool], place: Place, *name: str) -> Any:
    _object({} if said is None else said, fields, place)
    try:
        return make(*name, **(said or {}))
    except BadInput as exc:
        raise place.error(str(exc)) from None


def _object(said: Any, fields: Mapping[str, bool], place: Place) -> None:
    """Hold a mapping to its fields: field → whether it must be there."""
    if not isinstance(said, Mapping):
        raise place.error(f"is a mapping, not a {type(said).__name__}")
    for key in said:
        if key not in fields:
            raise (place / key).error(f"is no field here{near_miss(key, fields)}; known: {', '.join(fields)}")
    for field, needed in fields.items():
        if needed and field not in said:
            raise (place / field).error("is missing")
