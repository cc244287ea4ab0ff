"""The manifest of stream ends: one hash over all, and a proof for each."""

from __future__ import annotations

from hypothesis import given as forall
from hypothesis import strategies as st

from actum.events.manifest import Manifest, StreamEnd, verify_tail
from actum.events.merkle import EMPTY_ROOT

ends = st.dictionaries(
    st.text(min_size=1, max_size=8), st.tuples(st.integers(1, 99), st.binary(min_size=32, max_size=32)), max_size=20
).map(lambda streams: [StreamEnd(name, *rest) for name, rest in streams.items()])


@forall(ends)
def test_every_stream_can_be_proved_and_nothing_else(all_ends: list[StreamEnd]) -> None:
    """Each end has a proof against count and root; the same proof with another version or leaf is none."""
    manifest = Manifest(all_ends)
    for end in all_ends:
        proof = manifest.prove(end.stream)
        assert verify_tail(proof, manifest.count, manifest.root())
        for other in (end._replace(version=end.version + 1), end._replace(leaf=bytes(32)[::-1][:31] + b"\x01")):
            if other != end:
                assert not verify_tail(proof._replace(end=other), manifest.count, manifest.root())


@forall(ends)
def test_the_order_in_which_ends_come_does_not_matter(all_ends: list[StreamEnd]) -> None:
    """The manifest is of what the streams are, not of how they were listed."""
    assert Manifest(all_ends).root() == Manifest(reversed(all_ends)).root()


def test_no_streams_have_the_empty_root() -> None:
    """A log without streams has a manifest too."""
    assert (Manifest([]).count, Manifest([]).root()) == (0, EMPTY_ROOT)
