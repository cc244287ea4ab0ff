"""Large payloads as objects of an S3 bucket. Needs boto3 (the extra `s3`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from actum.errors import BadInput, StoreRefused

__all__ = ["BucketBlobs"]

_ABSENT = {"NoSuchKey", "404"}


class BucketBlobs:
    """The objects at `s3://bucket/prefix`, with the credentials that boto3 finds."""

    def __init__(self, url: str, *, endpoint: str | None = None) -> None:
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        if not bucket:
            raise BadInput(f"{url!r} names no bucket: write s3://bucket/prefix")
        try:
            import boto3
        except ImportError as exc:
            raise BadInput("a place for payloads in S3 needs boto3: pip install 'actum[s3]'") from exc
        self.url = url
        self._bucket = bucket
        self._prefix = f"{prefix.rstrip('/')}/" if prefix else ""
        self._s3: Any = boto3.client("s3", endpoint_url=endpoint)

    def put(self, name: str, data: bytes) -> None:
        self._ask("written", "put_object", Key=self._prefix + name, Body=data)

    def get(self, name: str) -> bytes | None:
        found = self._ask("read", "get_object", Key=self._prefix + name)
        return None if found is None else bytes(found["Body"].read())

    def delete(self, name: str) -> None:
        self._ask("removed", "delete_object", Key=self._prefix + name)

    def names(self, tenant: str) -> Iterator[tuple[str, int]]:
        prefix = f"{self._prefix}{quote(tenant, safe='')}/"
        token: dict[str, str] = {}
        while True:
            page = self._ask("listed", "list_objects_v2", Prefix=prefix, **token) or {}
            for entry in page.get("Contents", ()):
                yield entry["Key"].removeprefix(self._prefix), int(entry["LastModified"].timestamp() * 1_000_000)
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def _ask(self, done: str, method: str, **values: Any) -> Any:  # Any: boto3 has no types of its own
        """What S3 answers; None for an object that is not there."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return getattr(self._s3, method)(Bucket=self._bucket, **values)
        except ClientError as exc:
            if exc.response["Error"]["Code"] in _ABSENT:
                return None
            raise StoreRefused(self.url, f"large payloads cannot be {done}: {exc}") from exc
        except BotoCoreError as exc:
            raise StoreRefused(self.url, f"large payloads cannot be {done}: {exc}") from exc
