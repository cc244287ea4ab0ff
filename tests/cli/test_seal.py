"""`actum seal`, `keys`, `checkpoint`, `proof` and `tiles`, as a person and an auditor use them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from actum.eventstore import open_store
from actum.testing.authority import Authority
from actum.testing.builders import batch
from actum.testing.postgres import wipe
from actum.testing.witness import Witness

from .commands import Shell


def keys(actum: Shell) -> tuple[str, str]:
    said = actum("keys", "show", "--json").json()
    return said["pinned"], said["in_force"]


def checks(actum: Shell, *words: str) -> dict[str, bool | None]:
    return {check["name"]: check["ok"] for check in actum("verify", "--json", *words).json()["checks"]}


def test_a_restored_backup_is_not_signed(actum: Shell) -> None:
    """Yesterday's file in place of today's: the next command that would sign says so, and verify fails."""
    actum("run", "flows:twice", "--input", "1")
    shutil.copy(actum.folder / "actum.db", actum.folder / "backup.db")
    actum("run", "flows:twice", "--input", "2")
    shutil.copy(actum.folder / "backup.db", actum.folder / "actum.db")
    ended = actum("seal")

    assert ended.code == 3
    assert "the log has forked: it has 5 events, but 9 were signed" in ended.err
    assert "It agrees with what was signed up to size 5" in ended.err
    assert checks(actum)["kept checkpoint"] is False


def test_keys_are_made_shown_and_rotated(actum: Shell) -> None:
    """Who pinned the first key verifies everything after a rotation; another key verifies nothing."""
    made = actum("keys", "new", "--json").json()["key"]
    assert actum("keys", "new").code == 2
    actum("run", "flows:twice", "--input", "1")
    assert actum("keys", "rotate").code == 0
    actum("run", "flows:twice", "--input", "2")
    pinned, in_force = keys(actum)

    assert pinned == made != in_force
    for key in (pinned, in_force):
        assert actum("verify", "--key", key).code == 0
    assert actum("verify", "--key", "actum/default+8177ba24+AWbRRAv0fCP4Opd2LaNapYkdgHNJR9+6wve8FpSkYRaQ").code == 1


def test_one_event_is_proved_offline(actum: Shell, tmp_path: Path) -> None:
    """A proof and a key are enough, without a store; a changed proof fails with 1."""
    actum("run", "flows:twice", "--input", "1")
    _, key = keys(actum)
    assert actum("proof", "3", "--out", "one.tlog-proof").code == 0
    nowhere = "sqlite:///nowhere.db"
    found = actum("verify", "--proof", "one.tlog-proof", "--key", key, "--json", store=nowhere).json()

    assert (found["verdict"], found["position"], found["event"]["type"]) == ("verified", 3, "step.completed")
    proof = actum.folder / "one.tlog-proof"
    proof.write_text(proof.read_text().replace("index 3", "index 2"))
    changed = actum("verify", "--proof", "one.tlog-proof", "--key", key, "--json", store=nowhere)
    assert (changed.code, changed.json()["verdict"]) == (1, "failed")
    assert actum("verify", "--proof", "one.tlog-proof").code == 2
    assert actum("proof", "99").code == 2


def test_a_proof_follows_the_rotations_that_are_proved_with_it(actum: Shell) -> None:
    """Who pinned the first key believes a proof under the third, given the proofs of both hand-overs, not before."""
    actum("run", "flows:twice", "--input", "1")
    pinned, _ = keys(actum)
    actum("proof", "3", "--out", "before.tlog-proof")
    for n in ("2", "3"):
        actum("keys", "rotate")
        actum("run", "flows:twice", "--input", n)
    first, second = actum("keys", "show", "--json").json()["rotations"]
    for position in (first, second):
        assert actum("proof", str(position), "--out", f"{position}.tlog-proof").code == 0
    actum("proof", str(second + 1), "--out", "after.tlog-proof")
    handed_over = ("--rotation", f"{second}.tlog-proof", "--rotation", f"{first}.tlog-proof")

    def check(proof: str, key: str, *words: str) -> tuple[int, str]:
        ended = actum("verify", "--proof", f"{proof}.tlog-proof", "--key", key, *words, store="sqlite:///nowhere.db")
        return ended.code, ended.err + ended.out

    assert check("after", pinned, *handed_over)[0] == 0
    assert check("before", keys(actum)[1], *handed_over)[0] == 0
    code, said = check("after", pinned)
    assert (code, "give the proof of that event with --rotation" in said) == (1, True), said
    for some, problem in (
        (handed_over[:2], "is not connected with a key that was given"),
        (handed_over[2:], "signed"),
        (("--rotation", "before.tlog-proof"), "not of 'key.rotated'"),
    ):
        code, said = check("after", pinned, *some)
        assert (code, problem in said) == (1, True), said
    assert actum("verify", *handed_over).code == 2


def test_tiles_are_written_and_checked(actum: Shell) -> None:
    """A folder of tiles follows the log, proves itself, and gives proofs."""
    actum("run", "flows:twice", "--input", "1")
    assert actum("tiles", "public", "--json").json() == {"size": 5, "written": 5}
    actum("run", "flows:twice", "--input", "2")
    assert actum("tiles", "public", "--json").json() == {"size": 9, "written": 4}
    _, key = keys(actum)

    assert actum("tiles", "public", "--check", "--key", key, "--json").json()["signature"] == "verified"
    assert actum("proof", "5", "--tiles", "public").out == actum("proof", "5").out
    (actum.folder / "public/tile/entries/000.p/9").write_bytes(b"")
    assert actum("tiles", "public", "--check").code == 3


def test_a_witness_and_an_authority_put_their_names_to_it(actum: Shell, tmp_path: Path) -> None:
    """Note and request go out as files, the answers come back, and verify tells what they prove."""
    actum("run", "flows:twice", "--input", "1")
    note = actum("checkpoint", "show").out
    witness = Witness("witness.example/w1", bytes(32), ed25519=True)
    (actum.folder / "cosigned").write_text(witness.cosign(note, int(time.time())))
    assert actum("checkpoint", "show", "--since", "0").out == f"old 0\n\n{note}"
    assert actum("checkpoint", "cosigned", "cosigned", "--witness", witness.key.to_text()).code == 0

    authority = Authority(tmp_path / "tsa")
    assert actum("checkpoint", "stamp-request", "one.tsq").code == 0
    (actum.folder / "one.tsr").write_bytes(authority.answer((actum.folder / "one.tsq").read_bytes()))
    root = str(authority.root)
    stamped = actum("checkpoint", "stamp", "one.tsr", "--root", root, "--note", "one.tsq.note")
    assert stamped.code == 0, stamped.err

    found = checks(actum, "--witness", witness.key.to_text(), "--tsa-root", root)
    assert (found["witnesses"], found["time stamps"], found["recorded checkpoints"]) == (True, True, True)
    plain = checks(actum)
    assert (plain["witnesses"], plain["time stamps"]) == (None, None)
    other = Authority(tmp_path / "other")
    assert checks(actum, "--tsa-root", str(other.root))["time stamps"] is False
    assert actum("checkpoint", "stamp", "one.tsr", "--root", str(other.root), "--note", "one.tsq.note").code == 3


def test_a_watching_sealer_signs_what_others_write(actum: Shell) -> None:
    """`seal --watch` signs the log while others write, and ends when told to, having said what it signed."""
    actum("run", "flows:twice", "--input", "1")
    known = {name: value for name, value in os.environ.items() if not name.startswith("ACTUM_")}
    seal = ["--store", "sqlite:///actum.db", "seal", "--watch", "--every", "0.1", "--json"]
    command = [sys.executable, "-m", "actum", *seal]
    with subprocess.Popen(command, cwd=actum.folder, env=known, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        signed = [json.loads(watching.stdout.readline())["size"]]
        store = open_store(f"sqlite:///{actum.folder}/actum.db")
        store.append(batch("another"))
        signed.append(json.loads(watching.stdout.readline())["size"])
        store.close()
        watching.send_signal(signal.SIGTERM)
        watching.communicate(timeout=30)

    assert watching.returncode == 0
    assert signed == sorted(set(signed))
    assert checks(actum)["stream ends"] is True


def test_the_checkpoint_may_be_kept_elsewhere(actum: Shell, tmp_path: Path) -> None:
    """ACTUM_CHECKPOINTS and ACTUM_KEY_FILE name places apart from the store's folder."""
    there = tmp_path / "apart"
    there.mkdir()
    places = {"ACTUM_CHECKPOINTS": str(there / "last"), "ACTUM_KEY_FILE": str(there / "key")}
    actum("run", "flows:twice", "--input", "1", environment=places)

    assert (there / "last").read_text() == actum("checkpoint", "show").out
    assert not (actum.folder / "actum.db.signing-key").exists()
    assert actum("verify", environment=places).code == 0


def test_a_log_that_lost_signed_events_goes_on_in_a_new_epoch(actum: Shell) -> None:
    """One command puts the loss on record; from then on it is signed again, and verify names what was lost."""
    actum("run", "flows:twice", "--input", "1")
    shutil.copy(actum.folder / "actum.db", actum.folder / "backup.db")
    actum("run", "flows:twice", "--input", "2")
    (actum.folder / "kept").write_text(actum("checkpoint", "show").out)
    fine = actum("checkpoint", "new-epoch", "--reason", "to be sure")
    assert fine.code == 2
    assert "nothing is lost, so no new epoch was begun" in fine.err
    shutil.copy(actum.folder / "backup.db", actum.folder / "actum.db")
    begun = actum("checkpoint", "new-epoch", "--reason", "the disk died", "--json")

    assert begun.json() == {"signed": 9, "agrees_to": 5, "size": 6, "origin": "actum/default/epoch-2"}
    assert actum("run", "flows:twice", "--input", "3").code == 0
    found = actum("verify", "--checkpoint", "kept", "--json")
    assert (found.code, found.json()["verdict"]) == (0, "verified_with_gaps")
    assert "the lost epoch of actum/default, abandoned at size 9 by event 5 (the disk died)" in found.out
    assert "VERIFIED, WITH STATED GAPS" in actum("verify").out
    _, key = keys(actum)
    assert actum("proof", "7", "--out", "one.tlog-proof").code == 0
    assert actum("verify", "--proof", "one.tlog-proof", "--key", key).code == 0


def test_a_log_on_a_server_is_sealed_with_a_key_from_a_file(actum: Shell, postgres: str, tmp_path: Path) -> None:
    """Without ACTUM_KEY_FILE one sentence says what to set; with it all of sealing works, and a fork is refused."""
    assert actum("run", "flows:twice", "--input", "1", store=postgres).code == 0
    for words in (("seal",), ("keys", "new"), ("keys", "rotate"), ("checkpoint", "new-epoch", "--reason", "x")):
        refused = actum(*words, store=postgres)
        assert (refused.code, "ACTUM_KEY_FILE" in refused.err) == (2, True), words
        assert len(refused.err.strip().splitlines()) == 1, refused.err

    key = {"ACTUM_KEY_FILE": str(tmp_path / "key")}
    places = key | {"ACTUM_CHECKPOINTS": str(tmp_path / "last.note")}
    unwatched = actum("seal", store=postgres, environment=key)
    assert (unwatched.code, "ACTUM_CHECKPOINTS" in unwatched.err) == (0, True)
    watched = actum("seal", "--streams", store=postgres, environment=places)
    assert (watched.code, "ACTUM_CHECKPOINTS" in watched.err) == (0, False)
    assert actum("keys", "rotate", store=postgres, environment=places).code == 0
    assert actum("run", "flows:twice", "--input", "2", store=postgres, environment=places).code == 0
    found = actum("verify", "--json", store=postgres, environment=places)
    assert found.json()["verdict"] == "verified"
    assert {check["name"]: check["ok"] for check in found.json()["checks"]}["kept checkpoint"] is True

    wipe(postgres)  # as when an empty database is restored in its place
    assert actum("run", "flows:twice", "--input", "3", store=postgres).code == 0
    forked = actum("seal", store=postgres, environment=places)
    assert (forked.code, "the log has forked" in forked.err) == (3, True)
