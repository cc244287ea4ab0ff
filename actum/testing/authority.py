"""A time-stamping authority on this machine: certificates of its own making, and answers by `openssl ts`."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Authority"]

_CONFIG = """
[tsa]
default_tsa = it
[it]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


class Authority:
    """Files in a folder: a root, and a signing certificate under it, valid as asked for."""

    def __init__(
        self,
        folder: Path,
        *,
        begins: timedelta = timedelta(days=-1),
        ends: timedelta = timedelta(days=1),
        usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.TIME_STAMPING,
    ) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        now = datetime.now(UTC)
        root_key = rsa.generate_private_key(65537, 2048)
        key = rsa.generate_private_key(65537, 2048)
        root = self._certificate("Root", "Root", root_key, root_key, now - timedelta(days=9), now + timedelta(days=9))
        signer = self._certificate("Stamps", "Root", key, root_key, now + begins, now + ends, usage)
        self.root = folder / "root.pem"
        self.root.write_bytes(root.public_bytes(serialization.Encoding.PEM))
        (folder / "signer.pem").write_bytes(signer.public_bytes(serialization.Encoding.PEM))
        (folder / "key.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        (folder / "serial").write_text("01\n")
        (folder / "tsa.cnf").write_text(_CONFIG.format(folder=folder))

    def answer(self, request: bytes) -> bytes:
        """The authority's response to a request."""
        asked, answered = self.folder / "request.tsq", self.folder / "response.tsr"
        asked.write_bytes(request)
        subprocess.run(
            [
                "openssl", "ts", "-reply", "-config", str(self.folder / "tsa.cnf"), "-queryfile", str(asked),
                "-signer", str(self.folder / "signer.pem"), "-inkey", str(self.folder / "key.pem"),
                "-out", str(answered),
            ],
            check=True, capture_output=True, timeout=30,
        )  # fmt: skip
        return answered.read_bytes()

    def sign_token_of(self, response: bytes) -> bytes:
        """The statement in another authority's response, signed by this one's certificate, whatever that is for."""
        there, token, statement, forged = (self.folder / name for name in ("there.tsr", "token", "statement", "forged"))
        there.write_bytes(response)
        for command in (
            ["ts", "-reply", "-in", there, "-token_out", "-out", token],
            ["cms", "-verify", "-noverify", "-inform", "DER", "-in", token, "-out", statement],
            [
                "cms", "-sign", "-binary", "-nodetach", "-md", "sha256", "-econtent_type", "1.2.840.113549.1.9.16.1.4",
                "-signer", self.folder / "signer.pem", "-inkey", self.folder / "key.pem", "-outform", "DER",
                "-in", statement, "-out", forged,
            ],
        ):  # fmt: skip
            subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True, timeout=30)
        granted = bytes.fromhex("3003020100")  # PKIStatusInfo { granted }
        inner = granted + forged.read_bytes()
        return b"\x30\x82" + len(inner).to_bytes(2, "big") + inner

    @staticmethod
    def _certificate(
        subject: str,
        issuer: str,
        key: rsa.RSAPrivateKey,
        issuer_key: rsa.RSAPrivateKey,
        begins: datetime,
        ends: datetime,
        usage: x509.ObjectIdentifier | None = None,
    ) -> x509.Certificate:
        name, by = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (subject, issuer))
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(by)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=usage is None, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        )
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
        return builder.sign(issuer_key, hashes.SHA256())
