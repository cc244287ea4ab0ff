"""Bad input costs nothing: a clear error, nothing written, and nobody else in the same commit is touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from actum.errors import ActumError, BadInput, ProfileError
from actum.events import Actor, NewEvent
from actum.eventstore import ANY, NO_STREAM, Append, Appended, Batch, EventStore, ViewRow
from actum.testing.builders import STREAM, batch, event, event_id, execution_row


def _of(**changes: Any) -> Batch:
    changed = event("bad")
    for name, value in changes.items():
        setattr(changed, name, value)
    return [Append(STREAM, ANY, [event("good"), changed])]


def _facts(**facts: Any) -> Batch:
    return _of(facts=facts)


def _view(row: ViewRow) -> Batch:
    return [Append(STREAM, ANY, [event("good")], [row])]


def _deep() -> Any:
    value: Any = 1
    for _ in range(400):
        value = [value]
    return value


BAD: dict[str, tuple[Batch, str]] = {
    "float": (_facts(score=0.5), r"facts\.score is a float"),
    "nested float": (_facts(a={"b": [1, 2.5]}), r"facts\.a\.b\[1\] is a float"),
    "huge integer": (_facts(n=2**53), "n is outside"),
    "huge negative": (_facts(n=-(2**53)), "n is outside"),
    "bytes in facts": (_facts(n=b"x"), "n is a bytes"),
    "number as key": (_of(facts={1: "x"}), "not an ASCII text key"),
    "key not ASCII": (_of(facts={"é": 1}), "not an ASCII text key"),
    "nested too deep": (_facts(n=_deep()), "nested"),
    "surrogate": (_facts(name="\ud800"), "lone surrogate"),
    "surrogate actor": (_of(actor=Actor("worker", "\udfff")), "lone surrogate"),
    "surrogate trace": (_of(trace="\ud800"), "lone surrogate"),
    "facts no dict": (_of(facts=[1]), "facts"),
    "unknown type": (_of(type="step.complete"), "did you mean 'step.completed'"),
    "unknown actor": (_of(actor=("robot", "r")), "'robot' is not a kind of actor"),
    "time no text": (_of(at=5), "at"),
    "time not UTC": (_of(at="2026-11-21T12:00:00.000000+01:00"), "at"),
    "time without microseconds": (_of(at="2026-11-21T12:00:00Z"), "at"),
    "correlation a number": (_of(correlation=5), "correlation"),
    "payload text": (_of(payload="text"), "payload is not bytes"),
    "payload class": (_of(payload=b"1", payload_class="secret"), "secret"),
    "payload too large": (
        _of(payload=bytes((64 << 20) + 1)),
        r"67,108,865 bytes, over the limit of (262,144|67,108,864)",
    ),
    "header too large": (_facts(text="x" * 70_000), "over the limit of 65,535"),
    "no id": (_of(id=""), "not the lower-case text of a UUID"),
    "id no UUID": (_of(id="order-17"), "'order-17'"),
    "id upper case": (_of(id=event_id("x").upper()), "lower-case"),
    "id None": (_of(id=None), "None"),
    "one id twice": ([Append(STREAM, ANY, [event("a"), event("b"), event("a")])], "same id"),
    "one id in two streams": ([*batch("a", stream="s/1"), *batch("a", stream="s/2")], "same id"),
    "empty batch": ([], "at least one stream"),
    "no events": ([*batch("a"), Append("s/x", ANY, [])], "'s/x': an append needs at least one event"),
    "stream without kind": (batch("a", stream="orders"), "kind/name"),
    "stream without name": (batch("a", stream="execution/"), "kind/name"),
    "stream without anything": (batch("a", stream="/x"), "kind/name"),
    "stream with newline": (batch("a", stream="execution/a\nb"), "printable"),
    "stream with surrogate": (batch("a", stream="execution/\ud800"), "printable"),
    "stream too long": (batch("a", stream="execution/" + "x" * 503), "512"),
    "expected no version": (batch("a", expected=-3), "-3 is not an expected version"),
    "unknown view": (_view(ViewRow("execution", ("k",), None)), "did you mean 'executions'"),
    "view key too short": (_view(ViewRow("executions", (), None)), "key"),
    "view column missing": (_view(ViewRow("executions", ("k",), {"workflow": "w"})), "lacks definition"),
    "view column unknown": (_view(execution_row("k", statuss="x")), "unknown statuss; did you mean"),
    "view value of another type": (_view(execution_row("k", status=5)), "status is 5, not str"),
    "view value missing": (_view(execution_row("k", status=None)), "status is None, not str"),
    "view number too large": (_view(execution_row("k", wake_us=2**63)), "wake_us"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named_and_leaves_nothing(store: EventStore, name: str) -> None:
    """The error says what is wrong and where; no event, stream, view row or leaf is left of the whole batch."""
    bad, said = BAD[name]
    store.append(batch("before", stream="s/before"))
    state = (list(store.read_raw()), list(store.streams()), store.tree(), store.view("executions"))

    with pytest.raises(BadInput, match=said):
        store.append(bad)

    assert (list(store.read_raw()), list(store.streams()), store.tree(), store.view("executions")) == state


def test_the_largest_allowed_are_written(store: EventStore) -> None:
    """The limits themselves are inside: a payload of 256 KiB, a stream name of 512, the integer 2^53 - 1."""
    stream = "execution/" + "x" * 502
    payload = b"x" * (256 * 1024)

    store.append([Append(stream, NO_STREAM, [event("a", payload=payload, n=2**53 - 1, m=1 - 2**53)])])

    (got,) = store.read_stream(stream)
    assert (got.payload, got.facts) == (payload, {"n": 2**53 - 1, "m": 1 - 2**53})


def test_text_of_any_script_is_kept(store: EventStore) -> None:
    """Names outside ASCII, and outside the basic plane, come back as they were."""
    store.append([Append("execution/čaj-🫖", NO_STREAM, [event("a", name="čaj 🫖 \u2028")])])

    (got,) = store.read_stream("execution/čaj-🫖")
    assert (got.stream, got.facts) == ("execution/čaj-🫖", {"name": "čaj 🫖 \u2028"})


def test_neighbours_of_bad_input_are_written(
    store: EventStore, collect: Callable[..., list[Appended | Exception]]
) -> None:
    """Between any two bad batches of one commit group the good one is written; each bad one gets its own error."""
    batches: list[Batch] = [batch("first", stream="s/good")]
    for i, (bad, _) in enumerate(BAD.values()):
        batches += [bad, batch(f"good{i}", stream="s/good")]

    answers = collect(store, batches)

    assert [e.id for e in store.read()] == [event_id("first"), *[event_id(f"good{i}") for i in range(len(BAD))]]
    for answer, (name, (_, said)) in zip(answers[1::2], BAD.items(), strict=True):
        assert isinstance(answer, ActumError), (name, answer)
        with pytest.raises(BadInput, match=said):
            raise answer


def test_a_bug_in_an_event_is_its_callers_answer_alone(
    store: EventStore, collect: Callable[..., list[Appended | Exception]]
) -> None:
    """What is no event at all gets its own error, of whatever kind, and its neighbours are written."""
    no_event = [Append(STREAM, ANY, ["no event"])]  # type: ignore[list-item]
    answers = collect(store, [batch("a"), no_event, batch("b")])

    assert isinstance(answers[1], Exception)
    assert [e.id for e in store.read()] == [event_id("a"), event_id("b")]


def test_the_error_of_a_fact_carries_its_path(store: EventStore) -> None:
    """Code learns from attributes, not from text, where the bad value stands."""
    with pytest.raises(ProfileError) as caught:
        store.append([Append(STREAM, ANY, [_new({"a": [{"b": 1.5}]})])])

    assert (caught.value.path, caught.value.kind) == (f"{STREAM}[0]: facts.a[0].b", "float")


def _new(facts: dict[str, Any]) -> NewEvent:
    new = event("x")
    new.facts = facts
    return new
