"""Settings in, objects out: the only place that chooses implementations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from actum.engine.rules import views
from actum.errors import BadInput, LogForked
from actum.events.checkpoint import Checkpoint, SigningKey, VerifierKey
from actum.eventstore import EventStore, open_store
from actum.eventstore.check.seals import Trusted
from actum.eventstore.sealing.sealer import Sealer
from actum.settings import Settings

if TYPE_CHECKING:
    from actum.archive import ArchivePlace
    from actum.eventstore.sealing.checkpoint_store import CheckpointStore
    from actum.eventstore.sealing.key_file import KeyPlace
    from actum.relay import Ledger

__all__ = [
    "archive_at",
    "begin_epoch",
    "bytes_of",
    "checkpoint_store",
    "has_relays",
    "is_there",
    "key_of",
    "open_log",
    "rebuild_views",
    "relay_ledger",
    "rewrap_keys",
    "rotate_key",
    "seal",
    "sealer",
    "signing_key",
    "text_of",
    "trusted",
    "verifier_keys",
    "with_archive",
]

rebuild_views = views.rebuild


def open_log(settings: Settings, *, must_exist: bool = False) -> EventStore:
    """The log that the settings name. With `must_exist`, a file that is not there is refused instead of made.

    Where they name an archive, events that have left the store are read from there.
    """
    url = settings.store
    if must_exist and not is_there(settings):
        raise BadInput(f"there is no store at {_path_of(url)}; run something first, or name another with --store")
    store = open_store(url, settings.tenant, keys=settings.key_ring, blobs=settings.blobs)
    return with_archive(store, settings.archive) if settings.archive else store


def with_archive(store: EventStore, place: str) -> EventStore:
    """The store and its archive as one log: what has left the store is read from the place."""
    try:
        from actum.archive.places import open_place
        from actum.archive.whole import WholeStore, hot_of

        return WholeStore(hot_of(store), open_place(place))
    except ImportError as exc:
        store.close()
        raise BadInput(f"ACTUM_ARCHIVE needs the extra 'archive' ({exc}): pip install 'actum[archive]'") from exc
    except BaseException:
        store.close()
        raise


def is_there(settings: Settings) -> bool:
    """Whether the log that the settings name is there already; one that is no file always is."""
    path = _path_of(settings.store)
    try:
        return path is None or path.exists()
    except PermissionError:
        return True  # opening it says what this user may not do


def archive_at(url: str) -> ArchivePlace:
    """The archive in a folder or at `s3://bucket/prefix`."""
    try:
        from actum.archive import open_place
    except ImportError as exc:
        raise BadInput(f"the archive needs the extra 'archive' ({exc}): pip install 'actum[archive]'") from exc
    return open_place(url)


def signing_key(store: EventStore, settings: Settings | None = None) -> SigningKey | None:
    """The key that signs this store's checkpoints; made, readable by its owner only, when it is not there.

    It lies where the settings say, else beside the store file; its public half beside it as `.vkey`. A store that is
    no file, without a setting, has none.
    """
    place = _key_place(store, settings)
    if place is None:
        return None
    from actum.eventstore.sealing.key_file import current_key

    return current_key(place, store)


def _key_place(store: EventStore, settings: Settings | None) -> KeyPlace | None:
    from actum.eventstore.sealing.key_file import KeyPlace

    if settings is not None and settings.key_file:
        path = Path(settings.key_file)
        return KeyPlace(path, path.with_name(f"{path.name}.vkey"))
    path_or_none = getattr(store, "path", None)
    if path_or_none is None:
        return None
    secret = _beside(path_or_none, store.tenant, "signing-key")
    return KeyPlace(secret, _beside(path_or_none, store.tenant, "vkey"))


def checkpoint_store(store: EventStore, settings: Settings | None = None) -> CheckpointStore | None:
    """Where this log's last checkpoint is kept apart from it; None for a store that is no file, without a setting."""
    from actum.eventstore.sealing.checkpoint_store import open_checkpoint_store

    if settings is not None and settings.checkpoints:
        return open_checkpoint_store(settings.checkpoints + ("" if store.tenant == "default" else f".{store.tenant}"))
    path = getattr(store, "path", None)
    return None if path is None else open_checkpoint_store(str(_beside(path, store.tenant, "checkpoint")))


def sealer(store: EventStore, settings: Settings | None = None, *, from_scratch: bool = False) -> Sealer | None:
    """What signs this log; None when there is no key for it. `from_scratch`: it reads the whole log before it signs."""
    key = signing_key(store, settings)
    if key is None:
        return None
    path = getattr(store, "path", None)
    cache = None if path is None or from_scratch else _beside(path, store.tenant, "frontier")
    return Sealer(store, key, checkpoint_store(store, settings), cache)


def seal(store: EventStore, settings: Settings | None = None) -> Checkpoint | None:
    """Sign the log as it is now, when there is a key for it and it has grown since the last checkpoint."""
    if store.head() == 0:
        return None
    signer = sealer(store, settings)
    return None if signer is None else signer.seal()


def trusted(store: EventStore, settings: Settings, witnesses: Sequence[str], tsa_roots: Sequence[Path]) -> Trusted:
    """What checking may believe beside the log's keys: witnesses, authorities, and the checkpoint kept apart."""
    from actum.events.cosignature import WitnessKey
    from actum.events.timestamp import load_roots

    kept = checkpoint_store(store, settings)
    return Trusted(
        witnesses=[WitnessKey.from_text(text_of(witness)) for witness in witnesses],
        roots=[root for path in tsa_roots for root in load_roots(bytes_of(path), str(path))],
        kept=None if kept is None else kept.latest(),
        kept_at="" if kept is None else kept.url,
    )


def rotate_key(store: EventStore, settings: Settings | None = None) -> tuple[VerifierKey, VerifierKey]:
    """Hand over to a new key, in the log and on disk; the old one and the new one. The old secret is removed.

    A crash on the way leaves either the old key in force or the new one; the next use of the key settles which.
    """
    from actum.eventstore.sealing.key_file import rotate

    place = _key_place(store, settings)
    if place is None:
        raise BadInput("this store has no key file; name one with ACTUM_KEY_FILE")
    seal(store, settings)  # all that is there goes under the old key
    old, new = rotate(place, store)
    seal(store, settings)
    return old, new


def begin_epoch(store: EventStore, settings: Settings, reason: str, clock: Callable[[], int]) -> LogForked:
    """Go on with a log that lost signed events, under a new origin; see `eventstore.sealing.restored`."""
    from actum.eventstore.sealing.restored import begin_epoch as begin

    key, kept = signing_key(store, settings), checkpoint_store(store, settings)
    if key is None or kept is None:
        raise BadInput(
            "this store is no file: name its signing key with ACTUM_KEY_FILE, and where its last checkpoint is kept "
            "with ACTUM_CHECKPOINTS"
        )
    return begin(store, key, kept, clock, reason)


def rewrap_keys(store: EventStore, settings: Settings, *, new: bool) -> int:
    """Wrap every data key again; with `new`, by a new key of the key ring, and its old ones are removed after.

    A crash on the way leaves old and new keys in the ring, and every data key wrapped by one of them.
    """
    from actum.eventstore.payloads.key_ring import FileKeyRing, open_key_ring

    if not settings.key_ring:
        raise BadInput("no key ring is set; name one with ACTUM_KEY_RING")
    ring = open_key_ring(settings.key_ring)
    if new and not isinstance(ring, FileKeyRing):
        raise BadInput(f"{ring.url}: a new key is made where the key ring is; then rewrap without --new")
    if isinstance(ring, FileKeyRing) and new:
        ring.turn()
        with_new = open_log(settings)
        try:
            done = with_new.rewrap_keys()
        finally:
            with_new.close()
        ring.drop_old()
        return done
    return store.rewrap_keys()


def has_relays(settings: Settings) -> bool:
    """Whether there may be relays of this log; without any, there is no file for their marks."""
    path = _path_of(settings.store)
    return path is None or _beside(path, settings.tenant, "cursors").exists()


def relay_ledger(settings: Settings) -> Ledger:
    """Where relays keep their marks: in SQLite beside a store that is a file, in the store's own database elsewhere.

    Makes the file and the tables when they are not there. Raises `BadInput` for a store that has neither.
    """
    from sqlalchemy import URL

    from actum.eventstore.subscriptions.cursors_sql import open_engine
    from actum.relay import Ledger

    path = _path_of(settings.store)
    if path is not None:
        beside = _beside(path.absolute(), settings.tenant, "cursors")
        engine = open_engine(URL.create("sqlite", database=str(beside)))
    elif settings.store.startswith("postgresql://"):
        from actum.eventstore.postgres.open import parse_url

        parameters = {**parse_url(settings.store).parameters, "application_name": "actum relay"}
        engine = open_engine(URL.create("postgresql+psycopg"), parameters)
    elif settings.store.startswith(("mysql://", "mariadb://")):
        from actum.eventstore.mysql.open import parse_url as parse_mysql_url

        engine = open_engine(URL.create("mysql+pymysql"), parse_mysql_url(settings.store).parameters)
    else:
        scheme = settings.store.partition(":")[0]
        raise BadInput(f"a store of kind {scheme!r} has no place for the marks of relays; name another with --store")
    return Ledger(engine, settings.tenant)


def verifier_keys(
    store: EventStore, given: Sequence[str], settings: Settings | None = None
) -> tuple[list[VerifierKey], str]:
    """The keys to trust, and where they are from: those given (as text or in a file), else the one beside the store."""
    if given:
        return [key_of(key) for key in given], "given"
    place = _key_place(store, settings)
    if place is None or not place.public.exists():
        return [], "none"
    return [VerifierKey.from_text(place.public.read_text().strip())], "beside the store"


def key_of(text: str) -> VerifierKey:
    """A verifier key, given as its text or as a file that holds it."""
    return VerifierKey.from_text(text_of(text))


def text_of(key: str) -> str:
    """A key that was given as its text, or as a file that holds it."""
    path = Path(key)
    return bytes_of(path).decode().strip() if "+" not in key or (len(key) < 200 and path.is_file()) else key


def bytes_of(path: Path) -> bytes:
    """What is in a file that the user named."""
    try:
        return path.read_bytes()
    except OSError as exc:
        raise BadInput(f"{path}: {exc.strerror or exc}") from exc


def _beside(path: Path, tenant: str, what: str) -> Path:
    middle = "" if tenant == "default" else "." + "".join(c if c.isalnum() else "_" for c in tenant)
    return path.with_name(f"{path.name}{middle}.{what}")


def _path_of(url: str) -> Path | None:
    if url.startswith("sqlite:///"):
        from actum.eventstore.sqlite.open import parse_url

        return parse_url(url)[0]
    if url.startswith("duckdb:///"):
        from actum.eventstore.duckdb import open as duckdb_open

        return duckdb_open.parse_url(url)[0]
    return None
