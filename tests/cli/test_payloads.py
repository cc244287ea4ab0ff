"""`actum run --subject`, `actum keys rewrap` and `actum db sweep`."""

from __future__ import annotations

from pathlib import Path

from .commands import Shell


def test_a_run_about_somebody_is_under_their_key(actum: Shell, tmp_path: Path) -> None:
    """The name is nowhere in the log or in the output, and with a key ring the store has no readable payload."""
    ring = {"ACTUM_KEY_RING": f"file:{tmp_path}/ring"}
    ran = actum("run", "flows:twice", "--input", "2100000017", "--subject", "ada@example.org", environment=ring)

    assert ran.code == 0
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("actum.db*") if path.is_file())
    assert b"2100000017" not in stored
    unread = actum("verify", "--json").json()
    assert unread["verdict"] == "verified"
    (payloads,) = (check for check in unread["checks"] if check["name"] == "payloads")
    assert payloads["ok"] is None
    assert "no key ring is set (ACTUM_KEY_RING)" in payloads["detail"]
    assert all(check["ok"] for check in actum("verify", "--json", environment=ring).json()["checks"][:7])


def test_the_key_ring_is_turned(actum: Shell, tmp_path: Path) -> None:
    """The file has another key, the payloads read on; without a ring the command says what is missing."""
    ring = {"ACTUM_KEY_RING": f"file:{tmp_path}/ring"}
    actum("run", "flows:twice", "--input", "17", "--subject", "ada", environment=ring)
    before = (tmp_path / "ring").read_text()

    assert actum("keys", "rewrap", "--new", "--json", environment=ring).json() == {"rewrapped": 1}
    assert actum("keys", "rewrap", environment=ring).code == 0
    assert before.strip() not in (tmp_path / "ring").read_text()
    assert '"ok": false' not in actum("verify", "--json", environment=ring).out
    refused = actum("keys", "rewrap")
    assert (refused.code, "ACTUM_KEY_RING" in refused.err) == (2, True)


def test_orphans_are_listed_before_they_are_removed(actum: Shell, tmp_path: Path) -> None:
    """Without `--remove` nothing is."""
    actum("run", "flows:twice", "--input", "17")
    orphan = tmp_path / "actum.db.blobs" / "default" / ("0" * 64)
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"x")

    assert actum("db", "sweep", "--json").json() == {"orphans": [], "removed": False}
    listed = actum("db", "sweep", "--hours", "0", "--json").json()
    assert listed == {"orphans": [f"default/{'0' * 64}"], "removed": False}
    assert orphan.exists()
    assert actum("db", "sweep", "--hours", "0", "--remove").code == 0
    assert not orphan.exists()
