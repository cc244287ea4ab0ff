"""Any program of appends, against a model of a dozen lines; and every backend gives the same answers."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st

from actum.errors import ActumError, BadInput, IdempotencyConflict, VersionConflict
from actum.eventstore import ANY, EXISTS, STORES, Append, Appended, Batch, EventStore, open_store
from actum.eventstore.check.store import check_store
from actum.testing import mysql, postgres
from actum.testing.builders import event, event_id, execution_row


class Part(NamedTuple):
    stream: str
    expected: int
    events: tuple[tuple[int, int], ...]
    """Name and content of each event."""


parts = st.builds(
    Part,
    st.sampled_from(["s/1", "s/2", "s/3", "nowhere"]),
    st.sampled_from([ANY, ANY, EXISTS, 0, 1, 2, 3]),
    st.lists(st.tuples(st.integers(0, 12), st.sampled_from([0, 0, 0, 1])), max_size=3).map(tuple),
)
programs = st.lists(st.lists(parts, max_size=3), max_size=14)


class Model:
    """What the promises say, and nothing else."""

    def __init__(self) -> None:
        self.log: list[tuple[str, int, int]] = []

    def version(self, stream: str) -> int:
        return sum(1 for there, _, _ in self.log if there == stream)

    def append(self, program: list[Part]) -> Any:
        new = [(part.stream, *event) for part in program for event in part.events]
        names = [name for _, name, _ in new]
        bad_stream = any("/" not in part.stream for part in program)
        if not new or bad_stream or len(set(names)) < len(names) or any(not part.events for part in program):
            return BadInput
        known = {name: (i, entry) for i, entry in enumerate(self.log) for name in [entry[1]]}
        if there := [known[name] for name in names if name in known]:
            if [entry for _, entry in there] != new:
                return IdempotencyConflict
            versions = {}
            for i, (stream, _, _) in there:
                versions[stream] = sum(1 for entry in self.log[: i + 1] if entry[0] == stream)
            return Appended(min(i for i, _ in there), max(i for i, _ in there), versions)
        versions = {part.stream: self.version(part.stream) for part in program}
        for stream, expected, events in program:
            actual = versions[stream]
            if expected not in (ANY, actual) and not (expected == EXISTS and actual):
                return VersionConflict
            versions[stream] += len(events)
        self.log += new
        return Appended(len(self.log) - len(new), len(self.log) - 1, versions)


def to_batch(program: list[Part]) -> Batch:
    return [
        Append(
            stream,
            expected,
            [event(name, payload=b"%d" % content if name % 2 else None, n=content) for name, content in events],
            [execution_row(f"{stream}-{name}", status=str(content)) for name, content in events],
        )
        for stream, expected, events in program
    ]


def answer(store: EventStore, batch: Batch) -> Any:
    try:
        return store.append(batch)
    except ActumError as exc:
        return exc


def plain(store: EventStore) -> list[object]:
    """Everything there is to see, but salts and times and what follows from them."""
    events = [(e.position, e.stream, e.version, e.id, e.type, e.facts, e.payload, sorted(e.head)) for e in store.read()]
    return [events, [(name, count) for name, count, _ in store.streams()], store.view("executions"), store.head()]


@pytest.fixture(scope="module")
def elsewhere(request: pytest.FixtureRequest) -> dict[str, str]:
    """The servers that are there. Without them this still runs on the rest; with `CI=true` they must be there."""
    servers = {"postgresql": (postgres.server_is_there, "postgres_url"), "mysql": (mysql.server_is_there, "mysql_url")}
    return {
        scheme: request.getfixturevalue(url)
        for scheme, (problem, url) in servers.items()
        if os.environ.get("CI") == "true" or not problem()
    }


@settings(max_examples=70, deadline=None)
@forall(programs)
def test_every_backend_does_what_the_model_says(
    blank: bytes, elsewhere: dict[str, str], all_programs: list[list[Part]]
) -> None:
    """Whatever is appended, in whatever order, each answer and the log are the model's, in every backend alike."""
    model = Model()
    with TemporaryDirectory() as folder:
        urls = {"memory": "memory://", "sqlite": f"sqlite:///{Path(folder)}/log.db", **elsewhere}
        (Path(folder) / "log.db").write_bytes(blank)
        tenant = f"model-{uuid4()}"  # each example has a log of its own
        stores = [open_store(urls[scheme], tenant) for scheme in STORES if scheme in urls]
        try:
            for program in all_programs:
                batch = to_batch(program)
                wanted = model.append(program)
                for got in [answer(store, batch) for store in stores]:
                    assert type(got) is wanted if isinstance(wanted, type) else got == wanted
            first, *others = [plain(store) for store in stores]
            assert [(e.stream, e.id, e.facts["n"]) for e in stores[0].read()] == [
                (stream, event_id(name), content) for stream, name, content in model.log
            ]
            assert all(other == first for other in others)
            assert [check_store(store).verdict for store in stores] == ["verified"] * len(stores)
        finally:
            for store in stores:
                store.close()


@settings(max_examples=60, deadline=None)
@forall(programs)
def test_together_or_one_by_one_is_the_same(blank: bytes, all_programs: list[list[Part]]) -> None:
    """Batches that wait and are committed together get the answers, and leave the log, of one after the other."""
    with TemporaryDirectory() as folder:
        for name in ("one", "many"):
            (Path(folder) / f"{name}.db").write_bytes(blank)
        one, many = (open_store(f"sqlite:///{Path(folder)}/{name}.db") for name in ("one", "many"))
        try:
            batches = [to_batch(program) for program in all_programs]
            singly = [answer(one, batch) for batch in batches]
            together: list[Any] = []
            for batch in batches:
                many.append_soon(batch, together.append)
            answer(many, [])  # refused, but after everything before it
            assert [a if isinstance(a, Appended) else type(a) for a in together] == [
                a if isinstance(a, Appended) else type(a) for a in singly
            ]
            assert plain(many) == plain(one)
        finally:
            one.close()
            many.close()
