"""RFC 3161 time stamps, by an authority that `openssl ts` plays: what is accepted, and what is refused by name."""

from __future__ import annotations

import subprocess
import time
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from actum.errors import BadInput, TimestampRefused
from actum.events.timestamp import check_stamp, load_roots, stamp_request
from actum.testing.authority import Authority

NOTE = "actum/default\n3\n…\n\n— actum/default …\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa") / "good")


def test_a_time_stamp_is_accepted(authority: Authority) -> None:
    """A response over this note, by an authority under the given root, tells when."""
    stamp = check_stamp(authority.answer(stamp_request(NOTE)), NOTE, load_roots(authority.root.read_bytes(), "root"))

    assert abs(stamp.at_us - time.time_ns() // 1000) < 60_000_000
    assert (stamp.accuracy_us, stamp.authority) == (1_000_000, "CN=Stamps")


def test_openssl_agrees(authority: Authority, tmp_path: Path) -> None:
    """What we accept, `openssl ts -verify` accepts too."""
    (tmp_path / "note").write_text(NOTE)
    (tmp_path / "tsr").write_bytes(authority.answer(stamp_request(NOTE)))
    command = ["openssl", "ts", "-verify", "-data", "note", "-in", "tsr", "-CAfile", str(authority.root)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)

    assert "Verification: OK" in done.stdout + done.stderr


def test_a_stamp_over_another_note_is_refused(authority: Authority) -> None:
    """The imprint must be that of exactly this note."""
    response = authority.answer(stamp_request(NOTE.replace("3", "4")))
    with pytest.raises(TimestampRefused, match="over another checkpoint"):
        check_stamp(response, NOTE, load_roots(authority.root.read_bytes(), "root"))


@pytest.mark.parametrize(
    ("begins", "ends"),
    [(timedelta(days=-5), timedelta(days=-1)), (timedelta(days=1), timedelta(days=5))],
    ids=["expired", "not yet valid"],
)
def test_a_stamp_outside_its_certificates_time_is_refused(begins: timedelta, ends: timedelta, tmp_path: Path) -> None:
    """The certificate must have been valid when the authority says that it signed."""
    authority = Authority(tmp_path / "tsa", begins=begins, ends=ends)
    with pytest.raises(TimestampRefused, match="its certificate is valid from"):
        check_stamp(authority.answer(stamp_request(NOTE)), NOTE, load_roots(authority.root.read_bytes(), "root"))


def test_a_stamp_under_another_root_is_refused(authority: Authority, tmp_path: Path) -> None:
    """An authority that nobody trusts says nothing, though its names are the same."""
    other = Authority(tmp_path / "other")
    with pytest.raises(TimestampRefused, match="not to be believed"):
        check_stamp(authority.answer(stamp_request(NOTE)), NOTE, load_roots(other.root.read_bytes(), "root"))
    with pytest.raises(TimestampRefused, match="no root"):
        check_stamp(authority.answer(stamp_request(NOTE)), NOTE, [])


def test_a_certificate_for_something_else_is_refused(authority: Authority, tmp_path: Path) -> None:
    """A token signed under the trusted root by a certificate that is not for time stamping counts for nothing."""
    mail = Authority(tmp_path / "mail", usage=ExtendedKeyUsageOID.EMAIL_PROTECTION)
    forged = mail.sign_token_of(authority.answer(stamp_request(NOTE)))
    with pytest.raises(TimestampRefused, match=r"id-kp-timeStamping|purpose|not to be believed"):
        check_stamp(forged, NOTE, load_roots(mail.root.read_bytes(), "root"))

    stamps = Authority(tmp_path / "stamps")
    same = stamps.sign_token_of(authority.answer(stamp_request(NOTE)))
    assert check_stamp(same, NOTE, load_roots(stamps.root.read_bytes(), "root")).authority == "CN=Stamps"


def test_a_changed_response_is_refused(authority: Authority) -> None:
    """No single changed byte leaves a response that is accepted with another time, and none raises anything else."""
    roots = load_roots(authority.root.read_bytes(), "root")
    good = authority.answer(stamp_request(NOTE))
    told = check_stamp(good, NOTE, roots)
    for at in range(0, len(good), 7):
        changed = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
        try:
            assert check_stamp(changed, NOTE, roots) == told
        except TimestampRefused:
            continue


@pytest.mark.parametrize("response", [b"", b"nothing", bytes(100)])
def test_what_is_no_response_is_refused(response: bytes, authority: Authority) -> None:
    """Anything else than a response is refused, saying so."""
    with pytest.raises(TimestampRefused, match="no RFC 3161 response"):
        check_stamp(response, NOTE, load_roots(authority.root.read_bytes(), "root"))


def test_a_refusal_is_no_stamp(authority: Authority) -> None:
    """An authority that answers "no" is quoted."""
    response = authority.answer(b"no request")
    with pytest.raises(TimestampRefused, match="the authority refused"):
        check_stamp(response, NOTE, load_roots(authority.root.read_bytes(), "root"))


def test_roots_that_are_none_are_refused() -> None:
    """A file without certificates is named."""
    with pytest.raises(BadInput, match=r"roots\.pem: holds no certificate"):
        load_roots(b"hello", "roots.pem")
