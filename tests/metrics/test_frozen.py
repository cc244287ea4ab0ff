"""A frozen fold: goes on as if it had never been away, and names nothing but the classes it is made of."""

from __future__ import annotations

import os
import pickle
from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.metrics import Fold, compute
from actum.metrics.frozen import code_digest, freeze, thaw
from tests.metrics.builders import Log
from tests.metrics.logs import logs


@forall(logs(), st.integers(0, 200))
def test_a_fold_that_was_frozen_on_the_way_comes_out_equal(log: Log, cut: int) -> None:
    """Wherever a log is cut, the frozen fold of its beginning and the rest give the report of the whole."""
    events = log.events
    beginning = Fold()
    for event in events[:cut]:
        beginning.add(event)
    thawed = thaw(freeze(beginning))

    assert thawed is not None
    assert thawed.position == beginning.position
    whole = compute(events)
    assert compute(events[cut:], onto=thawed).to_json() == whole.to_json()
    assert compute(events[cut:], onto=beginning).to_json() == whole.to_json()


class Call:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.made = (function, arguments)

    def __reduce__(self) -> Any:
        return self.made


@pytest.mark.parametrize(
    "frozen",
    [
        b"",
        b"nonsense",
        pickle.dumps({"no": "fold"}),
        freeze(Fold())[:-10],
        pickle.dumps(Call(os.mkdir, "made-by-a-pickle")),
        pickle.dumps(Call(eval, "1")),
        b"\x80\x04\x8c\x13actum.metrics.frozen\x8c\x06pickle\x93.",
        b"\x80\x04\x8c\x13actum.metrics.frozen\x8c\x0cpickle.loads\x93.",
    ],
)
def test_what_is_no_fold_is_none_and_calls_nothing(
    frozen: bytes, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut, foreign or forged bytes are as if there were none; no function that they name is called."""
    monkeypatch.chdir(tmp_path)
    assert thaw(frozen) is None
    assert list(tmp_path.iterdir()) == []


def test_the_digest_is_of_the_code() -> None:
    """The same code has the same digest; it looks like the other digests there are."""
    assert code_digest() == code_digest()
    assert code_digest().startswith("sha256:")
    assert len(code_digest()) == 7 + 64
