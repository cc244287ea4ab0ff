"""Nothing acknowledged is lost: a PostgreSQL store with a slow flush, under chaos, over many events.

`python -m bench.chaos [--events 1000000] [--seed 1]` starts a server of its own with `commit_delay = 2000,
commit_siblings = 0` (two milliseconds are added to every flush, as on ordinary cloud storage) and fsync on. Eight
writers append; they, the sequencer among them, and connections are killed at random and come back; two readers
poll. `bench/results/chaos.json` says what was lost or doubled; the exit code is 1 when anything was.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from actum.eventstore import open_store
from actum.testing.chaos import Findings, chaos
from actum.testing.postgres import ask
from actum.testing.postgres_server import Server, find_programs

RESULTS = Path(__file__).parent / "results" / "chaos.json"
SLOW = ("fsync=on", "commit_delay=2000", "commit_siblings=0", "max_connections=200")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    programs = find_programs()
    if programs is None:
        print("no PostgreSQL programs here (initdb); install the server's package", file=sys.stderr)
        return 2
    server = Server(programs, *SLOW)
    try:
        open_store(server.url()).close()
        # Killed less often than in the tests: a process takes a second to come back, and the log shall grow.
        found = chaos(
            server.url(), events=given.events, seed=given.seed, pause_s=(0.5, 3.0),
            progress=lambda done: print(f"{done:12,} of {given.events:,} events", flush=True),
        )  # fmt: skip
        ((running,),) = ask(server.url(), "SELECT current_setting('server_version')")
    finally:
        server.close()
    results = summary(found, given.seed, running)
    given.out.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results["found"], indent=1))
    good = results["found"]
    return 0 if good["verdict"] == "verified" and not any(good[name] for name in WRONG) else 1


WRONG = ("lost", "doubled", "out_of_order", "misread")


def summary(found: Findings, seed: int, server: str) -> dict[str, dict[str, object]]:
    return {
        "run": {
            "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "machine": f"{os.cpu_count()} cores, {platform.system()}, load {os.getloadavg()[0]:.1f}",
            "python": platform.python_version(),
            "postgresql": server,
            "psycopg": version("psycopg"),
            "settings": ", ".join(SLOW),
            "seed": seed,
        },
        "found": {
            "events": found.events,
            "acknowledged": found.acknowledged,
            "seconds": round(found.seconds, 1),
            "events_per_s": round(found.acknowledged / found.seconds),
            "writers_killed": found.writers_killed,
            "connections_killed": found.connections_killed,
            "sequencers": found.sequencers,
            "lost": len(found.lost),
            "doubled": len(found.doubled),
            "out_of_order": len(found.disordered),
            "misread": len(found.misread),
            "verdict": found.verdict,
        },
    }


if __name__ == "__main__":
    sys.exit(main())
