"""MariaDB servers of the tests' own: settings that would lose what was acknowledged, and the switch."""

from __future__ import annotations

from itertools import count

import pytest

from actum.errors import StoreError, StoreRefused, StoreUnavailable
from actum.eventstore import open_store
from actum.eventstore.check.store import check_store
from actum.testing.builders import batch, event_id
from actum.testing.mysql import ask
from actum.testing.mysql_server import MySQLServer


def test_a_server_that_does_not_flush_at_commit_is_refused(mysql_server: MySQLServer) -> None:
    """At every append, since the setting can be changed while the server runs; reading goes on."""
    store = open_store(mysql_server.url())
    last = store.append(batch("a")).last_position
    for wrong in ("0", "2"):
        ask(mysql_server.url(), f"SET GLOBAL innodb_flush_log_at_trx_commit = {wrong}")
        with pytest.raises(StoreRefused, match=f"innodb_flush_log_at_trx_commit = {wrong}, .*Nothing was written"):
            store.append(batch(f"refused {wrong}"))
        assert store.head() == last + 1
    ask(mysql_server.url(), "SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    assert store.append(batch("b")).last_position == last + 1
    assert check_store(store).verdict == "verified"
    store.close()


def test_a_binary_log_that_is_not_flushed_is_refused(mysql_server: MySQLServer) -> None:
    """With a binary log the server recovers what that says was committed: unless it is flushed, too little."""
    store = open_store(mysql_server.url())
    ask(mysql_server.url(), "SET GLOBAL sync_binlog = 0")
    with pytest.raises(StoreRefused, match="log_bin = 1, sync_binlog = 0"):
        store.append(batch("refused"))
    ask(mysql_server.url(), "SET GLOBAL sync_binlog = 1")
    store.append(batch("taken"))
    store.close()


def test_packets_too_small_for_an_event_are_refused(mysql_server: MySQLServer) -> None:
    """A server that could not take the largest event says so when the store is opened, not one day at an append."""
    mysql_server.kill()
    mysql_server.start("--max-allowed-packet=500K")
    with pytest.raises(StoreRefused, match="max_allowed_packet is 512,000 bytes, and an event may need 1,048,576"):
        open_store(mysql_server.url())
    mysql_server.kill()
    mysql_server.start()


def test_a_server_switched_off_loses_nothing_it_acknowledged(mysql_server: MySQLServer) -> None:
    """Killed while events are appended, and started again: each acknowledged one is there once, and all verifies."""
    store = open_store(mysql_server.url(), "switched")
    for round_ in range(3):
        acknowledged = list[str]()
        for i in count():
            if i == 20:
                mysql_server.kill()
            try:
                store.append(batch(f"{round_}-{i}"))
            except (StoreRefused, StoreUnavailable):
                break
            acknowledged.append(event_id(f"{round_}-{i}"))
        assert len(acknowledged) == 20
        with pytest.raises(StoreError):
            store.head()
        mysql_server.start()
        store.append(batch(f"{round_}-{i}"))
        log = [e.id for e in store.read()]
        assert log[-21:] == [*acknowledged, event_id(f"{round_}-{i}")]
    assert len(log) == len(set(log)) == 63
    assert check_store(store).verdict == "verified"
    store.close()


def test_names_and_texts_are_safe_whatever_the_servers_sql_mode_is(mysql_server: MySQLServer) -> None:
    """Modes that change what quotes and backslashes mean, or that cut texts, are not ours."""
    ask(mysql_server.url(), "SET GLOBAL sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES,PAD_CHAR_TO_FULL_LENGTH'")
    store = open_store(mysql_server.url(), "modes")
    name = "s/a'\\\" -- \\'"
    store.append(batch("a", stream=name))
    assert store.read_stream(name)[0].stream == name
    assert check_store(store).verdict == "verified"
    store.close()
