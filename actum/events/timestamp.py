"""RFC 3161 time stamps over a checkpoint's note: the request, and the check of the response. Pure; nothing is sent.

A time-stamping authority signs that it saw a digest at a time. It learns nothing else, and nobody has to trust the log
for it. Needs `rfc3161-client` (the extra `timestamps`). All refusals are `TimestampRefused`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from actum.errors import BadInput, TimestampRefused

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from rfc3161_client import SignerInfo

__all__ = ["Stamp", "check_stamp", "load_roots", "stamp_request"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Stamp(NamedTuple):
    """A time stamp that was checked."""

    at_us: int
    """When the authority signed, in microseconds since the epoch."""
    accuracy_us: int
    """How far off that may be, as the authority states; 0 when it states nothing."""
    authority: str
    """The subject of the certificate that signed."""


def stamp_request(note: str) -> bytes:
    """The request to send to an authority (`application/timestamp-query`), over the note's SHA-256, with a nonce."""
    _need()
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    builder = TimestampRequestBuilder(cert_req=True).data(note.encode()).hash_algorithm(HashAlgorithm.SHA256)
    return builder.build().as_bytes()


def load_roots(pem: bytes, source: str) -> list[Certificate]:
    """The certificates in a PEM file: the authorities that the caller trusts."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as exc:
        raise BadInput(f"{source}: holds no certificate in PEM form ({exc})") from exc


def check_stamp(response: bytes, note: str, roots: Sequence[Certificate]) -> Stamp:
    """When the note was there, as an authority under one of these roots says.

    Checks that the request was granted, that the token is signed by a certificate for time stamping which was valid
    at that time and leads to a root, and that it is over exactly this note.
    """
    _need()
    from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

    if not roots:
        raise TimestampRefused("no root certificate was given, so no authority is trusted")
    try:
        parsed = decode_timestamp_response(response)
    except ValueError as exc:
        raise TimestampRefused(f"this is no RFC 3161 response ({exc})") from exc
    if parsed.status != 0:
        reason = "; ".join(parsed.status_string) or f"status {parsed.status}"
        raise TimestampRefused(f"the authority refused ({reason}), so there is no time stamp")
    try:
        info = parsed.tst_info
        signer = _signer(parsed.signed_data.certificates, parsed.signed_data.signer_infos)
    except ValueError as exc:
        raise TimestampRefused(f"its token cannot be read ({exc})") from exc
    if info.message_imprint.message != sha256(note.encode()).digest():
        raise TimestampRefused("it is over another checkpoint than this one, or by another hash than SHA-256")
    at = info.gen_time.astimezone(UTC)
    if not signer.not_valid_before_utc <= at <= signer.not_valid_after_utc:
        raise TimestampRefused(
            f"it is of {at.isoformat()}, but its certificate is valid from {signer.not_valid_before_utc.isoformat()} "
            f"to {signer.not_valid_after_utc.isoformat()}"
        )
    try:
        # A copy of the roots: the builder adds to the list that it was given.
        VerifierBuilder(roots=list(roots)).build().verify_message(parsed, note.encode())
    except VerificationError as exc:
        raise TimestampRefused(f"it is not to be believed ({exc})") from exc
    return Stamp(
        (at - _EPOCH) // timedelta(microseconds=1), _accuracy_us(info.accuracy), signer.subject.rfc4514_string()
    )


def _signer(certificates: set[bytes], signers: set[SignerInfo]) -> Certificate:
    from cryptography import x509

    if len(signers) != 1:
        raise ValueError(f"{len(signers)} signers instead of one")
    (signer,) = signers
    for der in certificates:
        certificate = x509.load_der_x509_certificate(der)
        if (certificate.issuer, certificate.serial_number) == (signer.issuer, signer.serial_number):
            return certificate
    raise ValueError("its signer's certificate is not in it; ask the authority to include it")


def _accuracy_us(accuracy: object) -> int:
    units = (("seconds", 1_000_000), ("millis", 1_000), ("micros", 1))
    return sum((getattr(accuracy, name, 0) or 0) * factor for name, factor in units)


def _need() -> None:
    try:
        import rfc3161_client  # noqa: F401
    except ImportError as exc:
        raise BadInput("time stamps need rfc3161-client: pip install 'actum[timestamps]'") from exc
