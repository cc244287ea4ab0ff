"""Data keys wrapped by a key that never leaves AWS KMS. Needs boto3 (the extra `s3`)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from actum.errors import BadInput, KeyRingRefused, near_miss

__all__ = ["KmsKeyRing"]

_OPTIONS = ("region", "endpoint")


class KmsKeyRing:
    """`awskms:KEY_ID_OR_ALIAS`, with `?region=…` and `?endpoint=…`, and the credentials that boto3 finds.

    Tenant and data key id are the encryption context: KMS logs them, and unwraps for no others.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        key, _, query = url.removeprefix("awskms:").partition("?")
        options = dict(parse_qsl(query))
        for name in options:
            if name not in _OPTIONS:
                raise BadInput(f"{url!r}: unknown option {name!r}{near_miss(name, _OPTIONS)}")
        if not key:
            raise BadInput(f"{url!r} names no key: write awskms:KEY_ID_OR_ALIAS")
        try:
            import boto3
        except ImportError as exc:
            raise BadInput("a key ring in AWS KMS needs boto3: pip install 'actum[s3]'") from exc
        self._key = key
        self._kms: Any = boto3.client("kms", region_name=options.get("region"), endpoint_url=options.get("endpoint"))

    def wrap(self, data_key: bytes, tenant: str, key: str) -> bytes:
        answer = self._ask("encrypt", tenant, key, KeyId=self._key, Plaintext=data_key)
        return bytes(answer["CiphertextBlob"])

    def unwrap(self, wrapped: bytes, tenant: str, key: str) -> bytes:
        return bytes(self._ask("decrypt", tenant, key, CiphertextBlob=wrapped)["Plaintext"])

    def _ask(self, method: str, tenant: str, key: str, **values: Any) -> Any:  # Any: boto3 has no types of its own
        from botocore.exceptions import BotoCoreError, ClientError

        context = {"tenant": tenant, "key": key}
        try:
            return getattr(self._kms, method)(EncryptionContext=context, **values)
        except (ClientError, BotoCoreError) as exc:
            raise KeyRingRefused(
                self.url, key, f"cannot be {'' if method == 'encrypt' else 'un'}wrapped: {exc}"
            ) from exc
