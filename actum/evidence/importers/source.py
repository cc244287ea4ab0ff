"""A foreign file, read whole before anything is made of it: unpacked into a temporary file, hashed on the way."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

from actum.errors import ImportRefused

__all__ = ["Source", "open_source"]

_CHUNK = 256 * 1024
_IN_MEMORY = 16 * 1024 * 1024
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass
class Source:
    """The unpacked bytes of one file, and their digest. The same content, packed or not, has the same digest."""

    name: str
    """The path as the user gave it."""
    digest: str
    size_bytes: int
    _content: IO[bytes]

    def chunks(self) -> Iterator[bytes]:
        """The content from its beginning, piece by piece."""
        self._content.seek(0)
        while chunk := self._content.read(_CHUNK):
            yield chunk

    def read(self) -> bytes:
        """The whole content at once."""
        self._content.seek(0)
        return self._content.read()

    def refusal(self, where: str, problem: str) -> ImportRefused:
        return ImportRefused(self.name, where, problem)


@contextmanager
def open_source(path: str | Path) -> Iterator[Source]:
    """Read a file to its last byte, unpacking gzip (told by its first bytes, not by the name).

    Raises `ImportRefused` when it cannot be read, is empty, or is a gzip file that ends too early or is damaged.
    The file may change or go away afterwards: what is imported is what was hashed.
    """
    name = str(path)
    with SpooledTemporaryFile(max_size=_IN_MEMORY) as content:
        digest, size = sha256(), 0
        try:
            with open(path, "rb") as raw:
                for chunk in _unpacked(raw, name):
                    digest.update(chunk)
                    size += len(chunk)
                    content.write(chunk)
        except IsADirectoryError:
            raise ImportRefused(name, "file", "is a directory; name the files in it") from None
        except FileNotFoundError:
            raise ImportRefused(name, "file", "does not exist") from None
        except (OSError, ValueError) as exc:  # ValueError: a NUL in the path
            raise ImportRefused(name, "file", f"cannot be read ({exc})") from exc
        if not size:
            raise ImportRefused(name, "file", "is empty")
        yield Source(name, f"sha256:{digest.hexdigest()}", size, content)


def _unpacked(raw: io.BufferedReader, name: str) -> Iterator[bytes]:
    packed = raw.peek(2)[:2] == _GZIP_MAGIC
    stream: io.BufferedIOBase = gzip.GzipFile(fileobj=raw, mode="rb") if packed else raw
    try:
        while chunk := stream.read(_CHUNK):
            yield chunk
    except EOFError:
        raise ImportRefused(
            name, "gzip", "the file ends before the packed data does; it was cut off, get it again"
        ) from None
    except (gzip.BadGzipFile, zlib.error) as exc:
        raise ImportRefused(name, "gzip", f"the packed data is damaged ({exc}); get the file again") from exc
