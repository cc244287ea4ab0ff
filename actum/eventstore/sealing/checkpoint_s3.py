"""The last checkpoint as one object of an S3 bucket, replaced by conditional requests (`If-Match`, `If-None-Match`).

The bucket should have versioning and object lock, and be another account's than the database: then who owns the
database cannot rewrite what was signed. Needs boto3 (the extra `s3`).
"""

from __future__ import annotations

from typing import Any

from actum.errors import BadInput, CheckpointMoved, CheckpointRefused, StoreRefused, StoreUnavailable

__all__ = ["CheckpointObject"]

_MOVED = {"PreconditionFailed", "ConditionalRequestConflict"}
_ABSENT = {"NoSuchKey", "404"}


class CheckpointObject:
    """The object at `s3://bucket/key`."""

    def __init__(self, url: str, *, endpoint: str | None = None) -> None:
        bucket, _, key = url.removeprefix("s3://").partition("/")
        if not bucket or not key or key.endswith("/"):
            raise BadInput(f"{url!r} names no object: write s3://bucket/key")
        try:
            import boto3
        except ImportError as exc:
            raise BadInput("a checkpoint store in S3 needs boto3: pip install 'actum[s3]'") from exc
        self.url = url
        self._where = {"Bucket": bucket, "Key": key}
        self._s3: Any = boto3.client("s3", endpoint_url=endpoint)
        self._seen: tuple[str, str] | None = None  # a note and its ETag

    def latest(self) -> str | None:
        """The note in the object. What comes with it is remembered for `advance`."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._s3.get_object(**self._where)
            note = answer["Body"].read().decode()
        except ClientError as exc:
            if exc.response["Error"]["Code"] in _ABSENT:
                self._seen = None
                return None
            raise StoreRefused(self.url, f"cannot be read: {exc}") from exc
        except BotoCoreError as exc:
            raise StoreRefused(self.url, f"cannot be read: {exc}") from exc
        except UnicodeDecodeError as exc:
            raise CheckpointRefused(self.url, f"is not a note ({exc})") from exc
        self._seen = (note, answer["ETag"])
        return str(note)

    def advance(self, before: str | None, note: str) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._s3.put_object(
                **self._where, Body=note.encode(), ContentType="text/plain; charset=utf-8", **self._condition(before)
            )
        except ClientError as exc:
            if exc.response["Error"]["Code"] not in _MOVED | _ABSENT:
                raise StoreRefused(self.url, f"cannot be written: {exc}; nothing was kept") from exc
            # boto3 asks again when an answer is lost; the second answer to a write that landed is "moved" too.
            if self.latest() != note:
                raise CheckpointMoved(self.url) from exc
        except BotoCoreError as exc:
            raise StoreUnavailable(f"{self.url}: {exc}") from exc

    def _condition(self, before: str | None) -> dict[str, str]:
        if before is None:
            return {"IfNoneMatch": "*"}
        if self._seen is None or self._seen[0] != before:
            if self.latest() != before:
                raise CheckpointMoved(self.url)
            assert self._seen is not None
        return {"IfMatch": self._seen[1]}
