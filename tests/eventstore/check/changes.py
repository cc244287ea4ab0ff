"""What somebody with the file of a log of thirty events in hand may do to it, at any position, and to cover it up."""

from __future__ import annotations

from collections.abc import Callable

from actum.testing.logs import STREAMS
from actum.testing.tampering import Tampered

__all__ = ["CHANGES", "COVERINGS"]

CHANGES: dict[str, Callable[[Tampered, int], object]] = {
    "nothing": lambda log, at: None,
    "a byte of a header": lambda log, at: log.put(at, log.header(at)[:-5] + b"9" + log.header(at)[-4:]),
    "no JSON": lambda log, at: log.put(at, b"{"),
    "another canonical header": lambda log, at: log.change(at, b'"attempt":1', b'"attempt":2'),
    "a float": lambda log, at: log.change(at, b'"attempt":1', b'"attempt":1.5'),
    "a header as text": lambda log, at: log.sql("UPDATE events SET header = CAST(header AS TEXT) WHERE seq = ?", at),
    "another id": lambda log, at: log.sql("UPDATE events SET id = randomblob(16) WHERE seq = ?", at),
    "a short id": lambda log, at: log.sql("UPDATE events SET id = x'00' WHERE seq = ?", at),
    "another type": lambda log, at: log.sql("UPDATE events SET type = 'step.failed' WHERE seq = ?", at),
    "another version": lambda log, at: log.sql("UPDATE events SET version = 77 WHERE seq = ?", at),
    "another stream": lambda log, at: log.sql("UPDATE events SET stream = 77 WHERE seq = ?", at),
    "another payload": lambda log, at: log.sql("UPDATE payloads SET data = x'00' WHERE seq = ?", at),
    "no payload": lambda log, at: log.sql("DELETE FROM payloads WHERE seq = ?", at),
    "an event less": lambda log, at: log.delete(at),
    "a tail less": lambda log, at: [log.delete(one) for one in range(29, at, -1)],
    "two swapped": lambda log, at: log.swap(at, (at + 7) % 30),
    "neighbours swapped": lambda log, at: log.swap(at, (at + 1) % 30),
    "an event more": lambda log, at: log.forge(30, after=27),
    "a stream rewritten": lambda log, at: log.rewrite_stream(
        list(range(at, 30, 3)), b'"outcome":"success"', b'"outcome":"failure"'
    ),
    "another head": lambda log, at: log.sql("UPDATE streams SET last_leaf = zeroblob(32) WHERE no = ?", at % 3),
    "a shorter head": lambda log, at: log.sql("UPDATE streams SET version = version - 1 WHERE no = ?", at % 3),
    "a smaller tree": lambda log, at: log.sql("UPDATE tree_state SET size = ?", at),
    "another tree": lambda log, at: log.sql("UPDATE tree_state SET frontier = zeroblob(length(frontier))"),
    "another view row": lambda log, at: log.sql("UPDATE executions SET owner = 'x' WHERE id = ?", STREAMS[at % 3]),
    "another checkpoint": lambda log, at: log.sql("UPDATE checkpoints SET size = ? WHERE size = 10", at + 21),
}
COVERINGS: dict[str, Callable[[Tampered], object]] = {
    "nothing": lambda log: None,
    "renumbered": lambda log: log.renumber(),
    "tree": lambda log: log.fix_tree(),
    "heads": lambda log: log.fix_streams(),
    "tree and heads": lambda log: (log.fix_tree(), log.fix_streams()),
}
