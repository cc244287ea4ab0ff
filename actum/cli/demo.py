"""`actum demo`: the whole story in under a minute, without a key and without a network."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.markup import escape

from actum.cli.output import console

__all__ = ["register"]

_WORKFLOW = "actum.cli.demo_order:order"
_RISKY = {"id": "A-17", "amount_eur": 950, "items": ["telescope", "tripod"], "address": "Tranquility Base, Moon"}
_GOOD = [
    {"id": "A-18", "amount_eur": 40, "items": ["lens cloth"]},
    {"id": "A-19", "amount_eur": 310, "items": ["eyepiece"]},
    {"id": "A-20", "amount_eur": 75, "items": ["star map", "lamp"]},
]


def register(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Where to keep the demo's store. Default: a new temporary folder.")
    ] = None,
) -> None:
    """See a pipeline fail, be killed, wait for a person, undo itself, and prove all of it."""
    folder = directory or Path(tempfile.mkdtemp(prefix="actum-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    store = folder / "demo.db"
    for old in folder.glob("demo.db*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    began = time.monotonic()
    _Demo(folder, f"sqlite:///{store.absolute()}").tell()
    out = console()
    out.print(f"\n[dim]That took {time.monotonic() - began:.0f} s. Look around yourself:[/dim]")
    out.print(f"  export ACTUM_STORE={escape(f'sqlite:///{store.absolute()}')}")
    out.print(
        "  actum executions list · actum executions show order-A-17 --at 8 · actum metrics --explain success_rate"
    )


class _Demo:
    """One telling. Every command is a process of its own, exactly as a person would type it."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url
        self._out: Console = console()

    def tell(self) -> None:
        self._chapter("An order comes in, and the process is killed in the middle of the payment")
        self._killed_while_charging()
        self._show("executions", "show", "order-A-17")
        self._chapter("Started again: what was completed is not repeated, what was in doubt is marked and run again")
        self._show("resume", "order-A-17")
        self._chapter("A person decides. The answer is bound to what was shown")
        self._show("approvals", "list")
        self._show("approvals", "approve", "order-A-17", "--by", "maria", "--comment", "good customer")
        self._chapter("The courier refuses, so everything is undone in reverse order: the payment first")
        self._show("resume", "order-A-17", expect=1)
        self._show("executions", "show", "order-A-17")
        self._chapter("Three more orders, which go well")
        for order in _GOOD:
            self._show("run", _WORKFLOW, "--id", f"order-{order['id']}", "--input", orjson.dumps(order).decode())
        self._chapter("The report: every number comes from the log, and can be opened with --explain")
        self._show("metrics")
        self._chapter("The proof")
        self._show("verify")
        self._chapter("Now somebody changes one byte of the record: the payment went through at once")
        copy = self._alter()
        self._show("verify", url=f"sqlite:///{copy}", expect=1)

    def _chapter(self, title: str) -> None:
        self._out.print()
        self._out.rule(f"[bold]{escape(title)}[/bold]", align="left")
        sys.stdout.flush()

    def _command(self, *words: str, url: str | None = None) -> list[str]:
        return [sys.executable, "-m", "actum", "--store", url or self._url, *words]

    def _environment(self) -> dict[str, str]:
        known = dict(os.environ)
        known["COLUMNS"] = str(self._out.width)
        if self._out.is_terminal:
            known["FORCE_COLOR"] = "1"
        return known

    def _show(self, *words: str, url: str | None = None, expect: int = 0) -> None:
        """Run a command and let people see it and what it says."""
        shown = " ".join(word if word.replace("-", "").replace(".", "").isalnum() else _quoted(word) for word in words)
        self._out.print(f"[bold cyan]$[/bold cyan] [cyan]actum {escape(shown)}[/cyan]", soft_wrap=True)
        sys.stdout.flush()
        ended = subprocess.run(self._command(*words, url=url), env=self._environment(), check=False)
        if ended.returncode != expect:
            raise SystemExit(
                f"actum demo: `actum {shown}` ended with {ended.returncode}, not {expect}: please report it"
            )

    def _killed_while_charging(self) -> None:
        words = ("run", _WORKFLOW, "--id", "order-A-17", "--input", orjson.dumps(_RISKY).decode())
        self._out.print(f"[bold cyan]$[/bold cyan] [cyan]actum {escape(' '.join(words[:4]))} --input …[/cyan]")
        child = subprocess.Popen(self._command(*words), env=self._environment(), stdout=subprocess.DEVNULL)
        try:
            self._wait_for_charge(child)
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
        self._out.print("[bold red]kill -9[/bold red] [dim]while the payment was under way[/dim]")

    def _wait_for_charge(self, child: subprocess.Popen[Any]) -> None:
        """Follow the log, as anybody may, until it says that the payment has been started."""
        from actum.errors import ActumError
        from actum.eventstore import open_store

        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and child.poll() is None:
            try:
                store = open_store(self._url + "?mode=ro")
                try:
                    if any(e.facts["step"] == "charge" for e in store.read(types=["step.started"])):
                        return
                finally:
                    store.close()
            except ActumError:
                pass  # the child is still making the store
            time.sleep(0.02)
        raise SystemExit("actum demo: the first process never got as far as the payment: please report it")

    def _alter(self) -> Path:
        """A copy of the store in which one digit of one recorded event is another."""
        copy = self._folder / "altered.db"
        for suffix in ("", ".vkey"):
            shutil.copy(f"{self._folder / 'demo.db'}{suffix}", f"{copy}{suffix}")
        con = sqlite3.connect(copy)
        try:
            con.execute("DROP TRIGGER events_no_update")
            position, header = con.execute(
                "SELECT seq, header FROM events WHERE type = 'step.completed' "
                'AND instr(header, CAST(\'"step":"charge"\' AS BLOB)) > 0 LIMIT 1'
            ).fetchone()
            changed = header.replace(b'"attempt":2', b'"attempt":1')
            assert changed != header
            con.execute("UPDATE events SET header = ? WHERE seq = ?", (changed, position))
            con.commit()
        finally:
            con.close()
        self._out.print(f'[dim]event {position}:[/dim] "attempt":2 → "attempt":1  [dim]({copy.name})[/dim]')
        return copy.absolute()


def _quoted(word: str) -> str:
    return f"'{word}'" if set(word) & set(' {}"') else word
