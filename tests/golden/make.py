"""Write the golden files of events that have none yet: `python tests/golden/make.py [FOLDER]`.

A golden file is one complete event as a store keeps it. Once written it stands for ever: this script never changes
one, and when today's code would write another it says so, writes nothing at all, and exits with 1. A new shape of an
event gets a new schema number, and with it a file of its own.
"""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from actum.events import CURRENT, Actor, Checkpoint, NewEvent, SigningKey, foreign_id, seal, to_text, to_us, uuid7
from actum.events.epoch import restored_facts
from actum.events.merkle import EMPTY_ROOT
from actum.events.rotation import rotation_facts

HERE = Path(__file__).parent / "events"
OLD_KEY = SigningKey.generate("actum/default", seed=sha256(b"golden").digest())
NEW_KEY = SigningKey.generate("actum/default", seed=sha256(b"golden, the next").digest())
NOON = to_us("2026-11-21T12:00:00.000000Z")
SUM = "sha256:" + sha256(b"golden").hexdigest()

ENGINE = Actor("worker", "w-3f9a")
PERSON = Actor("person", "p-71c0")
MODEL = Actor("model", "m-small")
IMPORTER = Actor("import", "i-0001")
SYSTEM = Actor("system", "s-seal")

STEP = {"step": "match", "occurrence": 0, "scope": "left", "attempt": 2, "tool": "ledger"}
TOTALS = {
    "duration_us": 8_400_000,
    "active_us": 412_000,
    "cost_nanousd": 1_250_000,
    "input_tokens": 812,
    "output_tokens": 96,
}
AMOUNTS = {"input_tokens": 812, "output_tokens": 96, "cost_nanousd": 1_250_000}
USED = {**AMOUNTS, "used": [{**AMOUNTS, "model": "m-small", "tool": "search"}]}
RESERVED = {"reserved": {"tokens": 1_200, "cost_nanousd": 2_000_000}}
ASKED = {"approval": "release", "occurrence": 0, "scope": "left"}
CHILD = {"child": "ship", "occurrence": 0, "scope": "left", "execution": "order-17.ship-0.3fa2c1d0"}
STREAMS = {
    "workflow.": "workflow/checkout",
    "schedule.": "schedule/nightly",
    "breaker.": "breaker/payments",
    "import.": "system/default",
    "checkpoint.": "system/default",
    "streams.": "system/default",
    "key.": "system/default",
    "log.": "system/default",
    "segment.": "system/default",
    "payload.": "system/default",
    "hold.": "system/default",
    "policy.": "system/default",
    "subscription.": "subscription/mail",
}


class Example(NamedTuple):
    facts: dict[str, Any]
    payload: Any = None
    actor: Actor = ENGINE
    after: str | None = "execution.started"
    """The type whose example stands before this one in the stream; None for the stream's first event."""
    payload_class: str = "business"


EXAMPLES: dict[str, Example] = {
    "execution.started": Example(
        {
            "workflow": "checkout",
            "kind": "function",
            "definition": SUM,
            "key": "0d5f5c0e-6c8f-4c55-8e0c-5a0a1d3f2b11",
            "deadline": "2026-11-22T12:00:00.000000Z",
            "priority": 5,
            "tags": ["urgent", "eu"],
            "attributes": {"region": "eu-west", "items": 3, "gift": True},
            "parent": "shop-4",
            "parent_key": "left/checkout#0",
            "previous": "order-17",
            "first": "order-17",
            "first_at": "2026-11-20T12:00:00.000000Z",
            "source": SUM,
            "foreign": "case-17",
            "task": "task-4",
            "trial": 1,
            "time_unknown": False,
            **AMOUNTS,
        },
        {"input": {"order": "o-17", "note": "Grüße, 世界 🌍"}},
        after=None,
    ),
    "execution.claimed": Example({"worker": "w-3f9a", "reason": "takeover"}),
    "execution.released": Example({"worker": "w-3f9a"}),
    "execution.queued": Example({"needs": {"gpu": 1}, "preemptible": True}),
    "execution.admitted": Example({"waited_us": 90_000_000}, after="execution.queued"),
    "execution.preempted": Example(
        {"needs": {"gpu": 1}, "priority": 9, "compensation": True}, after="execution.admitted"
    ),
    "execution.paused": Example({"reason": "waiting for the bank"}, actor=PERSON),
    "execution.resumed": Example({"reopened": True, "steps": ["left/match#0"]}, actor=PERSON),
    "execution.parked": Example({"reason": "in_doubt", "step": "match"}, {"detail": "the worker was killed twice"}),
    "execution.cancel_requested": Example(
        {"by": "user", "compensate": False, "force": True, "cause": "deadline"},
        {"reason": "ordered twice"},
        PERSON,
    ),
    "execution.completed": Example({"outcome": "success", **TOTALS}, {"output": {"receipt": "r-17"}}),
    "execution.failed": Example(
        {"outcome": "timeout", "error_type": "DeadlinePassed", "uncompensated": ["reserve"], **TOTALS},
        {"error": {"type": "DeadlinePassed", "message": "later than 4h", "traceback": ""}},
    ),
    "execution.cancelled": Example(
        {"outcome": "cancelled", "by": "user", "uncompensated": ["reserve#0"], **TOTALS},
        {"error": {"type": "CancelledError", "message": "cancelled", "traceback": ""}},
    ),
    "execution.continued": Example({"next": "order-17~1", "duration_us": 8_400_000, "active_us": 412_000, **AMOUNTS}),
    "execution.corrected": Example({"supersedes": 1, "outcome": "failure"}, actor=PERSON, after="execution.completed"),
    "code.upgraded": Example({"before": SUM, "after": "sha256:" + sha256(b"after").hexdigest()}),
    "patch.marked": Example({"patch": "two receipts", "after": 3}),
    "replay.diverged": Example({"recorded": "charge", "asked": "refund", "definition": SUM}),
    "step.scheduled": Example(
        {
            **STEP,
            "needs": {"gpu": 1, "openai": 2},
            "limits": ["openai"],
            "breaker": "payments",
            "priority": 9,
            "compensation": "unmatch",
            "undo_group": "booking",
            "pivot": True,
            **RESERVED,
        },
        {"args": ["o-17"], "kwargs": {"limit": 3}},
    ),
    "breaker.opened": Example({"breaker": "payments", "failures": 5, "error_type": "ConnectionError"}, after=None),
    "breaker.half_opened": Example({"breaker": "payments"}, after="breaker.opened"),
    "breaker.closed": Example({"breaker": "payments", "successes": 2}, after="breaker.half_opened"),
    "step.started": Example(
        {**STEP, "compensation": "unmatch", "undo_group": "booking", "pivot": True, **RESERVED},
        {"args": ["o-17"], "kwargs": {"limit": 3}},
    ),
    "step.completed": Example(
        {**STEP, "outcome": "success", "duration_us": 412_000, **USED}, {"matched": True}, after="step.started"
    ),
    "step.failed": Example(
        {**STEP, "outcome": "failure", "error_type": "ConnectionError", "final": False, "duration_us": 30_000, **USED},
        {"message": 'said "no"\nand hung up', "traceback": "…"},
        after="step.started",
    ),
    "step.timed_out": Example(
        {**STEP, "outcome": "timeout", "timeout_us": 30_000_000, "final": True, "duration_us": 30_000_412, **USED},
        after="step.started",
    ),
    "step.retry_scheduled": Example(
        {**STEP, "not_before": "2026-11-21T12:00:02.000000Z", "delay_us": 2_000_000}, after="step.failed"
    ),
    "step.in_doubt": Example({**STEP, "action": "verify"}, after="step.started"),
    "step.cancelled": Example(
        {**STEP, "reason": "race", "duration_us": 90_000, "error_type": "CancelledError", **USED}, after="step.started"
    ),
    "step.skipped": Example({**STEP, "reason": "not_taken"}),
    "transition.taken": Example(
        {"source": "score", "source_occurrence": 0, "target": "approve", "condition": "risk > 0.8", "scope": "each.3"},
        {"value": 0.91},
    ),
    "compensation.requested": Example({"compensation": "compensate", "occurrence": 0, "scope": "left", "since": 2}),
    "compensation.ended": Example(
        {"compensation": "compensate", "occurrence": 0, "scope": "left", "uncompensated": ["left/match#0"]},
        after="compensation.requested",
    ),
    "compensation.started": Example({**STEP, "compensation": "unmatch"}, {"args": []}, after="step.completed"),
    "compensation.completed": Example(
        {**STEP, "compensation": "unmatch", "outcome": "success", "duration_us": 9_000}, after="compensation.started"
    ),
    "compensation.failed": Example(
        {
            **STEP,
            "compensation": "unmatch",
            "outcome": "failure",
            "error_type": "ConnectionError",
            "final": False,
            "not_before": "2026-11-21T12:00:04.000000Z",
            "duration_us": 9_000,
        },
        after="compensation.started",
    ),
    "timer.set": Example({"timer": "cool-off", "occurrence": 0, "scope": "left", "due": "2026-11-21T13:00:00.000000Z"}),
    "timer.fired": Example(
        {"timer": "cool-off", "occurrence": 0, "scope": "left", "late_us": 1_200}, after="timer.set"
    ),
    "race.decided": Example(
        {"race": "race", "occurrence": 0, "scope": "left", "winner": "paid", "losers": ["left/r0.1/cool-off#0"]},
        after="timer.set",
    ),
    "signal.awaited": Example({"signal": "paid", "occurrence": 0, "scope": "left"}),
    "signal.received": Example({"signal": "paid", "signal_id": "p-4"}, {"value": {"amount": 12}}, PERSON),
    "child.started": Example({**CHILD, "workflow": "ship", "definition": SUM, "on_parent_close": "cancel", **RESERVED}),
    "child.cancel_requested": Example(CHILD, after="child.started"),
    "child.signalled": Example({**CHILD, "signal": "hurry"}, {"value": {"hours": 4}}, after="child.started"),
    "child.ended": Example(
        {**CHILD, "outcome": "failure", "error_type": "NoTruck", **AMOUNTS},
        {"error": {"type": "NoTruck", "message": "none is free", "traceback": ""}},
        after="child.started",
    ),
    "approval.requested": Example(
        {
            **ASKED,
            "severity": "high",
            "policy": "two-of-finance",
            "deadline": "2026-11-21T16:00:00.000000Z",
        },
        {"title": "Release a risky order", "context": {"order": "o-17"}},
    ),
    "approval.granted": Example(
        {**ASKED, "shown": "of the request", "waited_us": 61_000_000},
        {"comment": "known customer"},
        PERSON,
        "approval.requested",
        "personal",
    ),
    "approval.rejected": Example(
        {**ASKED, "shown": "of the request", "waited_us": 61_000_000},
        {"comment": "address does not exist"},
        PERSON,
        "approval.requested",
        "personal",
    ),
    "approval.withdrawn": Example({**ASKED, "waited_us": 61_000_000}, after="approval.requested"),
    "approval.expired": Example({**ASKED, "waited_us": 14_400_000_000}, after="approval.requested"),
    "input.requested": Example({"input": "chat", "occurrence": 1, "scope": "left"}, {"prompt": "Which order?"}),
    "input.received": Example(
        {"input": "chat", "occurrence": 1, "scope": "left", "waited_us": 61_000_000},
        {"value": {"order": "o-17"}},
        PERSON,
        "input.requested",
    ),
    "intervention.recorded": Example(
        {"kind": "override", "step": "match"}, {"before": False, "after": True, "reason": "same person"}, PERSON
    ),
    "tool.called": Example({"tool": "ledger", "call": "call-1", "step": "match"}, {"account": "a-4"}),
    "tool.returned": Example(
        {
            "tool": "ledger",
            "call": "call-1",
            "step": "match",
            "outcome": "failure",
            "error_type": "Busy",
            "duration_us": 7_000,
        },
        {"message": "busy"},
        after="tool.called",
    ),
    "model.called": Example({"model": "m-small", "call": "call-2", "step": "match"}, {"messages": []}),
    "model.returned": Example(
        {
            "model": "m-small",
            "call": "call-2",
            "step": "match",
            "outcome": "failure",
            "error_type": "CutOff",
            "duration_us": 900_000,
            "input_tokens": 812,
            "output_tokens": 96,
            "cost_nanousd": 1_250_000,
        },
        {"text": "a match"},
        MODEL,
        "model.called",
    ),
    "message.sent": Example({"role": "assistant"}, {"text": "Your order is on its way."}, Actor("agent", "a-shop")),
    "judgement.recorded": Example(
        {
            "decision": "execution",
            "verdict": "correct",
            "source": "human",
            "sampling": "random",
            "of": 1,
            "model": "m-small",
            "score": "0.95",
            "confidence": "0.8",
        },
        {"explanation": "receipt and order agree"},
        PERSON,
        "execution.completed",
    ),
    "workflow.published": Example(
        {"workflow": "checkout", "kind": "asl", "definition": SUM},
        {"foreign": {"kind": "asl", "name": "checkout", "definition": {"StartAt": "charge"}, "tasks": {}}},
        Actor("service", "s-ci"),
        None,
        "public",
    ),
    "schedule.defined": Example(
        {
            "schedule": "nightly",
            "workflow": "checkout",
            "cron": "30 2 * * *",
            "every_us": 900_000_000,
            "on": "execution.completed",
            "on_facts": {"outcome": "success"},
            "zone": "Europe/Berlin",
            "start": "2026-11-21T12:00:00.000000Z",
            "end": "2027-11-21T12:00:00.000000Z",
            "jitter_us": 60_000_000,
            "missed": "all",
            "catch_up_us": 86_400_000_000,
            "overlap": "cancel_other",
            "max_running": 2,
        },
        {"input": {"order": "o-17"}},
        PERSON,
        None,
    ),
    "schedule.fired": Example(
        {
            "schedule": "nightly",
            "execution": "nightly@2026-11-22T01:30:00Z",
            "kind": "event",
            "due": "2026-11-22T01:30:00.000000Z",
            "position": 412,
            "late_us": 41_000,
            "ended": ["nightly@2026-11-21T01:30:00Z"],
        },
        after="schedule.defined",
    ),
    "schedule.buffered": Example(
        {"schedule": "nightly", "due": "2026-11-23T01:30:00.000000Z"}, after="schedule.defined"
    ),
    "schedule.made_room": Example(
        {
            "schedule": "nightly",
            "due": "2026-11-23T01:30:00.000000Z",
            "executions": ["nightly@2026-11-22T01:30:00Z"],
            "force": False,
        },
        after="schedule.defined",
    ),
    "schedule.missed": Example(
        {
            "schedule": "nightly",
            "first": "2026-11-24T01:30:00.000000Z",
            "last": "2026-11-26T01:30:00.000000Z",
            "count": 3,
            "reason": "refused",
            "error_type": "BadInput",
            "position": 412,
        },
        {"message": "the input does not fit"},
        after="schedule.defined",
    ),
    "schedule.paused": Example(
        {"schedule": "nightly"}, {"reason": "the bank is closed"}, PERSON, after="schedule.defined"
    ),
    "schedule.resumed": Example({"schedule": "nightly"}, actor=PERSON, after="schedule.paused"),
    "schedule.removed": Example({"schedule": "nightly"}, actor=PERSON, after="schedule.defined"),
    "workflow.deprecated": Example(
        {"workflow": "checkout", "definition": SUM}, {"reason": "charges twice"}, PERSON, "workflow.published"
    ),
    "subscription.resized": Example({"subscription": "mail", "members": 2}, actor=PERSON, after=None),
    "subscription.dead_lettered": Example(
        {
            "subscription": "mail",
            "source": foreign_id("golden", "source"),
            "position": 412,
            "source_type": "step.completed",
            "attempts": 5,
            "error_type": "ValueError",
        },
        {"message": "no such address"},
        Actor("service", "mail"),
        "subscription.resized",
    ),
    "checkpoint.signed": Example({"size": 3, "root": sha256(b"golden").hexdigest()}, {"note": "…"}, SYSTEM, None),
    "streams.sealed": Example(
        {"size": 3, "streams": 1, "root": sha256(b"manifest").hexdigest()}, None, SYSTEM, "checkpoint.signed"
    ),
    "key.rotated": Example(rotation_facts("actum/default", OLD_KEY, NEW_KEY), None, SYSTEM, "checkpoint.signed"),
    "log.restored": Example(
        restored_facts(
            "actum/default",
            2,
            Checkpoint("actum/default", 3, sha256(b"golden").digest()),
            0,
            Checkpoint("actum/default", 0, EMPTY_ROOT),
            OLD_KEY,
        ),
        {"reason": "the disk died, the backup is of last night", "note": "…"},
        SYSTEM,
        "checkpoint.signed",
        "public",
    ),
    "segment.archived": Example(
        {"first": 0, "count": 65_536, "root": sha256(b"golden").hexdigest()}, None, SYSTEM, "checkpoint.signed"
    ),
    "segment.dropped": Example(
        {"first": 0, "count": 65_536, "root": sha256(b"golden").hexdigest(), "place": "s3://evidence/log"},
        None,
        SYSTEM,
        "segment.archived",
    ),
    "segment.restored": Example(
        {"first": 0, "count": 65_536, "root": sha256(b"golden").hexdigest(), "place": "s3://evidence/log"},
        None,
        SYSTEM,
        "segment.dropped",
    ),
    "log.rebuilt": Example(
        {"size": 131_072, "signed": 140_000, "place": "s3://evidence/log"}, None, SYSTEM, "segment.archived"
    ),
    "payload.erased": Example(
        {
            "basis": "gdpr-17",
            "key": foreign_id("golden", "subject"),
            "before": "2026-11-01T00:00:00.000000Z",
            "payload_class": "personal",
            "event_type": "model.called",
            "except_types": ["model.returned"],
            "spared": [f"execution/{foreign_id('golden')}"],
            "payloads": 12,
            "executions": 3,
            "counted_from": 65_536,
            "forced": True,
            "against": [foreign_id("golden", "hold")],
            "running": 1,
        },
        {"reason": "asked for by letter of 2026-11-20"},
        PERSON,
        "checkpoint.signed",
    ),
    "hold.placed": Example(
        {
            "keys": [foreign_id("golden", "subject")],
            "streams": [f"execution/{foreign_id('golden')}"],
            "everything": False,
            "until": "2027-11-21T12:00:00.000000Z",
        },
        {"reason": "case 2 O 17/26"},
        PERSON,
        "checkpoint.signed",
    ),
    "hold.lifted": Example(
        {"hold": foreign_id("golden", "hold")}, {"reason": "case 2 O 17/26 is closed"}, PERSON, "checkpoint.signed"
    ),
    "policy.changed": Example(
        {"policy": "retention", "digest": SUM},
        {"rules": [{"class": "personal", "keep": "6mo"}, {"type": "model.called", "keep": "30d"}]},
        PERSON,
        "checkpoint.signed",
        "public",
    ),
    "import.done": Example(
        {"format": "xes", "source": SUM, "mapping": SUM, "executions": 12, "events": 340, "already_there": 4},
        {"file": "log.xes", "left_out": []},
        IMPORTER,
        "checkpoint.signed",
    ),
}


def write_missing(folder: Path) -> int:
    """Write what is missing, or nothing when one that is there would come out different; the exit code says which."""
    without = sorted(set(CURRENT) - set(EXAMPLES))
    if without:
        print(f"no example of {', '.join(without)}; add one to EXAMPLES. Nothing was written.", file=sys.stderr)
        return 1
    files = {folder / f"{type_}.v{CURRENT[type_]}.json": build(type_, folder) for type_ in CURRENT}
    changed = [path for path, text in files.items() if path.exists() and path.read_text("utf-8") != text]
    for path in changed:
        print(
            f"{path}: today's code writes another event than the one kept; nothing was written. "
            "Undo the change, or raise the event's number in CURRENT and add an upcaster.",
            file=sys.stderr,
        )
    if changed:
        return 1
    for path, text in files.items():
        if not path.exists():
            path.write_text(text, "utf-8")
            print(f"wrote {path}", file=sys.stderr)
    return 0


def build(type_: str, folder: Path) -> str:
    """The golden file of a type under today's schema; ids, times and salts are fixed, so it always comes out equal."""
    example = EXAMPLES[type_]
    facts = dict(example.facts)
    version, prev = 0, None
    if example.after is not None:
        before = json.loads(_of_schema_1(example.after, folder))
        head = json.loads(before["header"])
        version, prev = head["version"] + 1, bytes.fromhex(before["leaf"])
        if "shown" in facts:  # a decision names what its request showed
            facts["shown"] = head["payload"]["digest"]
    at = NOON + version * 1_000_000
    payload = None if example.payload is None else json.dumps(example.payload, ensure_ascii=False).encode()
    event = NewEvent(
        type_,
        facts,
        to_text(at),
        example.actor,
        id=uuid7(at, int.from_bytes(sha256(type_.encode()).digest()[:8], "big")),
        payload=payload,
        payload_class=example.payload_class,  # type: ignore[arg-type]  # one of the three, as the test of facts holds
        causation=None if version == 0 else foreign_id("golden", "causation"),
        correlation=foreign_id("golden", "correlation"),
        trace="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    stream = next((s for start, s in STREAMS.items() if type_.startswith(start)), f"execution/{foreign_id('golden')}")
    salt = sha256(f"salt of {type_}".encode()).digest()
    sealed = seal(event, "default", stream, version, prev, to_text(at + 883), salt)
    kept = {"header": sealed.header.decode(), "leaf": sealed.leaf.hex()}
    if payload is not None:
        kept |= {"payload": payload.decode(), "salt": salt.hex()}
    return json.dumps(kept, indent=1, ensure_ascii=False) + "\n"


def _of_schema_1(type_: str, folder: Path) -> str:
    kept = folder / f"{type_}.v1.json"  # the first one stands for ever, so what hangs on it does too
    return kept.read_text("utf-8") if kept.exists() else build(type_, folder)


if __name__ == "__main__":
    sys.exit(write_missing(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE))
