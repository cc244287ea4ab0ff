"""Who wraps data keys: a key-encryption key in a file, or one that never leaves AWS KMS (`key_ring_kms.py`).

A data key is kept in the store only wrapped. Whoever has the store and not the key ring can read no payload that is
under one; whoever destroys the wrapped key has erased every copy of what it encrypts.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from actum.errors import BadInput, KeyRingRefused

__all__ = ["FileKeyRing", "KeyRing", "open_key_ring"]

_NONCE: Final = 12
_ID: Final = 4  # bytes that say which of the ring's keys wrapped: chance, not a secret


class KeyRing(Protocol):
    """Wraps data keys with a key of its own. `url` names it, in messages, without anything secret."""

    url: str

    def wrap(self, data_key: bytes, tenant: str, key: str) -> bytes:
        """The data key of this id, for keeping. Raises `KeyRingRefused`."""

    def unwrap(self, wrapped: bytes, tenant: str, key: str) -> bytes:
        """The data key again. Raises `KeyRingRefused` for what another ring wrapped, or for another tenant or id."""


def open_key_ring(url: str) -> KeyRing:
    """`file:PATH` (made, for its owner only, when it is not there) or `awskms:KEY?region=…&endpoint=…`."""
    scheme, _, rest = url.partition(":")
    if scheme == "file" and rest:
        return FileKeyRing(Path(rest))
    if scheme == "awskms" and rest:
        from actum.eventstore.payloads.key_ring_kms import KmsKeyRing

        return KmsKeyRing(url)
    raise BadInput(f"{url!r} names no key ring; write file:PATH, or awskms:KEY_ID_OR_ALIAS")


class FileKeyRing:
    """Keys of 32 bytes in a text file, a line each; the last one wraps, all of them unwrap."""

    def __init__(self, path: Path) -> None:
        self.url = f"file:{path}"
        self._path = path
        if not path.exists():
            self._make()
        self._keys = self._load()

    def wrap(self, data_key: bytes, tenant: str, key: str) -> bytes:
        id_, secret = list(self._keys.items())[-1]
        nonce = os.urandom(_NONCE)
        return id_ + nonce + AESGCM(secret).encrypt(nonce, data_key, _context(tenant, key))

    def unwrap(self, wrapped: bytes, tenant: str, key: str) -> bytes:
        id_, nonce, box = wrapped[:_ID], wrapped[_ID : _ID + _NONCE], wrapped[_ID + _NONCE :]
        secret = self._keys.get(id_)
        if secret is None:
            raise KeyRingRefused(self.url, key, "was wrapped by another key ring")
        try:
            return AESGCM(secret).decrypt(nonce, box, _context(tenant, key))
        except InvalidTag:
            raise KeyRingRefused(self.url, key, "is not what was wrapped") from None

    def turn(self) -> None:
        """Add a new key, which wraps from now on. The old ones stay until `drop_old`."""
        lines = self._path.read_text().splitlines()
        self._write([*lines, _new_line()])
        self._keys = self._load()

    def drop_old(self) -> None:
        """Forget all keys but the last. What they wrapped must have been wrapped again before."""
        self._write(self._path.read_text().splitlines()[-1:])
        self._keys = self._load()

    def _make(self) -> None:
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return  # another process was quicker
        except OSError as exc:
            raise KeyRingRefused(self.url, "", f"cannot be written: {exc.strerror or exc}") from exc
        _fill(handle, [_new_line()])
        _flush_folder(self._path)

    def _write(self, lines: list[str]) -> None:
        """Put the file under its name only when it is whole: a crash leaves the old one or the new one."""
        coming = self._path.with_name(f"{self._path.name}.next")
        coming.unlink(missing_ok=True)
        try:
            _fill(os.open(coming, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), lines)
            coming.replace(self._path)
            _flush_folder(self._path)
        except OSError as exc:
            raise KeyRingRefused(self.url, "", f"cannot be written: {exc.strerror or exc}") from exc

    def _load(self) -> dict[bytes, bytes]:
        try:
            pairs = [line.split() for line in self._path.read_text().splitlines() if line]
            keys = {bytes.fromhex(id_): b64decode(secret, validate=True) for id_, secret in pairs}
        except OSError as exc:
            raise KeyRingRefused(self.url, "", f"cannot be read: {exc.strerror or exc}") from exc
        except ValueError as exc:
            raise KeyRingRefused(self.url, "", "is not a key ring: it has no lines of an id and a key") from exc
        if not keys or any(len(id_) != _ID or len(secret) != 32 for id_, secret in keys.items()):
            raise KeyRingRefused(self.url, "", "is not a key ring: it has no lines of an id and a key of 32 bytes")
        return keys


def _context(tenant: str, key: str) -> bytes:
    return f"{tenant}\n{key}".encode()


def _new_line() -> str:
    return f"{os.urandom(_ID).hex()} {b64encode(os.urandom(32)).decode()}"


def _fill(handle: int, lines: list[str]) -> None:
    with os.fdopen(handle, "w") as file:
        file.write("".join(f"{line}\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
