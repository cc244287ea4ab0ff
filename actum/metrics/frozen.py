"""A fold as bytes, and back: for caches. The bytes are of this program's code only, and never evidence of anything."""

from __future__ import annotations

import io
import pickle
import sys
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from actum.metrics.fold import Fold

__all__ = ["code_digest", "freeze", "thaw"]

_HERE = "actum.metrics."
_OTHERS = frozenset({("collections", "Counter"), ("array", "array"), ("array", "_array_reconstructor")})
"""What else a fold is made of; all that these can do is hold numbers."""


@cache
def code_digest() -> str:
    """The digest of the code that a fold follows from: these metrics, the events under them, and Python itself."""
    digest = sha256(repr(sys.version_info).encode())
    metrics = Path(__file__).parent
    for path in sorted([*metrics.glob("*.py"), *metrics.parent.joinpath("events").glob("*.py")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return "sha256:" + digest.hexdigest()


def freeze(fold: Fold) -> bytes:
    """The fold as it stands; it may go on."""
    return pickle.dumps(fold, protocol=5)


def thaw(frozen: bytes) -> Fold | None:
    """The fold of these bytes; None when they are not what `freeze` made. Nothing but classes of metrics is called."""
    try:
        fold = _Careful(io.BytesIO(frozen)).load()
    except Exception:  # noqa: BLE001 - whatever is wrong with them, they are no fold
        return None
    return fold if type(fold) is Fold else None


class _Careful(pickle.Unpickler):
    """Knows the classes that a fold is made of, and no others: a pickle could name any function otherwise."""

    def find_class(self, module: str, name: str) -> Any:  # Any: what pickle declares
        if (module, name) in _OTHERS:
            return super().find_class(module, name)
        if module.startswith(_HERE) and "." not in name:
            found = super().find_class(module, name)
            if isinstance(found, type) and found.__module__ == module:
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a fold")
