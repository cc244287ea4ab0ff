"""Settings in, objects out: the only place that chooses implementations."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from actum.engine import views
from actum.errors import BadInput
from actum.events.checkpoint import Checkpoint, SigningKey, VerifierKey
from actum.eventstore import EventStore, open_store
from actum.eventstore.sealing import origin_of, seal_log
from actum.settings import Settings

__all__ = ["is_there", "key_of", "open_log", "rebuild_views", "seal", "signing_key", "verifier_keys"]

rebuild_views = views.rebuild


def open_log(settings: Settings, *, must_exist: bool = False) -> EventStore:
    """The log that the settings name. With `must_exist`, a file that is not there is refused instead of made."""
    url = settings.store
    if must_exist and not is_there(settings):
        raise BadInput(f"there is no store at {_path_of(url)}; run something first, or name another with --store")
    return open_store(url, settings.tenant)


def is_there(settings: Settings) -> bool:
    """Whether the log that the settings name is there already; one that is no file always is."""
    path = _path_of(settings.store)
    return path is None or path.exists()


def signing_key(store: EventStore) -> SigningKey | None:
    """The key that signs this store's checkpoints; made, readable by its owner only, when it is not there.

    It lies beside the store file, and its public half beside it as `.vkey`. A store that is not a file has none.
    """
    path = getattr(store, "path", None)
    if path is None:
        return None
    secret = _beside(path, store.tenant, "signing-key")
    if not secret.exists():
        key = SigningKey.generate(origin_of(store.tenant), seed=os.urandom(32))
        handle = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(key.to_text() + "\n")
        _beside(path, store.tenant, "vkey").write_text(key.verifier().to_text() + "\n")
        return key
    return SigningKey.from_text(secret.read_text().strip())


def seal(store: EventStore) -> Checkpoint | None:
    """Sign the log as it is now, when it is a file and has grown since the last checkpoint."""
    key = signing_key(store)
    return None if key is None else seal_log(store, key)


def verifier_keys(store: EventStore, given: Sequence[str]) -> tuple[list[VerifierKey], str]:
    """The keys to trust, and where they are from: those given (as text or in a file), else the one beside the store."""
    if given:
        return [key_of(key) for key in given], "given"
    path = getattr(store, "path", None)
    public = None if path is None else _beside(path, store.tenant, "vkey")
    if public is None or not public.exists():
        return [], "none"
    return [VerifierKey.from_text(public.read_text().strip())], "beside the store"


def key_of(text: str) -> VerifierKey:
    """A verifier key, given as its text or as a file that holds it."""
    return VerifierKey.from_text(_text_of(text))


def _text_of(key: str) -> str:
    path = Path(key)
    return path.read_text().strip() if "+" not in key or path.is_file() else key


def _beside(path: Path, tenant: str, what: str) -> Path:
    middle = "" if tenant == "default" else "." + "".join(c if c.isalnum() else "_" for c in tenant)
    return path.with_name(f"{path.name}{middle}.{what}")


def _path_of(url: str) -> Path | None:
    if not url.startswith("sqlite:///"):
        return None
    from actum.eventstore.sqlite_open import parse_url

    return parse_url(url)[0]
