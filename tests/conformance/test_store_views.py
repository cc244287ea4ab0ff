"""Views: written with their events or not at all, and asked by column."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from actum.errors import ActumError, BadInput
from actum.eventstore import ANY, Append, EventStore, Holding, ViewRow
from actum.eventstore.views import NoneOf
from actum.testing.builders import STREAM, approval_row, batch, event, execution_row
from actum.testing.places import Place


def write(store: EventStore, *rows: ViewRow) -> None:
    store.append([Append(STREAM, ANY, [event(store.head())], rows)])


def keys(rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


def test_a_row_is_there_when_the_append_returns(store: EventStore) -> None:
    """A view row reads back with its key and every column, as it was given."""
    row = execution_row("e1", owner="w-1", wake_us=2**62)
    write(store, row)

    assert row.row is not None
    assert store.view("executions") == [{"id": "e1", **row.row}]


def test_a_row_replaces_the_one_of_its_key(store: EventStore) -> None:
    """The last row of a key stands, also within one batch; None removes it, and removing nothing is fine."""
    write(store, execution_row("a"), execution_row("b"), execution_row("a", status="completed"))
    assert [(r["id"], r["status"]) for r in store.view("executions")] == [("a", "completed"), ("b", "running")]

    write(store, ViewRow("executions", ("a",), None), ViewRow("executions", ("never",), None))
    assert keys(store.view("executions")) == ["b"]


@pytest.mark.parametrize(
    "refused",
    [batch("x", expected=7), batch("x", stream="bad"), batch(0, stream="s/other")],
    ids=["version", "input", "id"],
)
def test_a_refused_append_leaves_no_row(store: EventStore, refused: list[Append]) -> None:
    """When an append is refused, for whatever reason, its view rows are not written either."""
    write(store, execution_row("a"))

    with pytest.raises(ActumError):
        store.append([Append("s/fine", ANY, [event("fine")], [execution_row("b")]), *refused])

    assert keys(store.view("executions")) == ["a"]


def test_the_same_append_again_does_not_turn_a_row_back(store: EventStore) -> None:
    """Repeating an append gives its answer and writes nothing: rows that moved on since stay."""
    first = [Append(STREAM, ANY, [event("first")], [execution_row("a", status="running")])]
    store.append(first)
    store.append([Append(STREAM, ANY, [event("second")], [execution_row("a", status="completed")])])

    store.append(first)

    assert [row["status"] for row in store.view("executions")] == ["completed"]


@pytest.fixture
def filled(store: EventStore) -> EventStore:
    """Six executions: a to f, two of them failed, one paused; wake times with ties and gaps."""
    write(
        store,
        execution_row("d", status="failed", wake_us=5),
        execution_row("a", status="running", wake_us=9, owner="w-1"),
        execution_row("f", status="paused"),
        execution_row("c", status="failed"),
        execution_row("b", status="running", wake_us=5, owner="w-2"),
        execution_row("e", status="running", wake_us=-1, owner="w-1"),
    )
    return store


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        (None, "abcdef"),
        ({}, "abcdef"),
        ({"status": "failed"}, "cd"),
        ({"status": ("failed", "paused")}, "cdf"),
        ({"status": "running", "owner": "w-1"}, "ae"),
        ({"id": "b"}, "b"),
        ({"wake_us": 5}, "bd"),
        ({"owner": None}, "cdf"),
        ({"owner": (None, "w-2")}, "bcdf"),
        ({"status": ()}, ""),
        ({"status": "Failed"}, ""),
    ],
)
def test_rows_are_found_by_column(filled: EventStore, where: dict[str, Any] | None, wanted: str) -> None:
    """Columns must equal the value, or one of a tuple of values, None included; rows come by key."""
    assert keys(filled.view("executions", where)) == list(wanted)


@pytest.mark.parametrize(
    ("order", "descending", "limit", "wanted"),
    [
        ("id", True, None, "fedcba"),
        ("wake_us", False, None, "cfebda"),
        ("wake_us", True, None, "abdecf"),
        ("wake_us", False, 3, "cfe"),
        ("status", False, None, "cdfabe"),
        (None, False, 2, "ab"),
        (None, False, 0, ""),
        ("id", False, 100, "abcdef"),
    ],
)
def test_rows_come_in_the_order_asked_for(
    filled: EventStore, order: str | None, descending: bool, limit: int | None, wanted: str
) -> None:
    """Rows are ordered by a column, missing values first, equal ones by key; the limit counts from there."""
    rows = filled.view("executions", order=order, descending=descending, limit=limit)

    assert keys(rows) == list(wanted)


def test_rows_of_two_part_keys(store: EventStore) -> None:
    """A view with two key columns keeps one row for each pair, in the order of the pair."""
    write(store, approval_row("e2", "x"), approval_row("e1", "y", version=4), approval_row("e1", "x"))
    write(store, approval_row("e1", "x", status="granted"))

    rows = [(r["execution"], r["approval"], r["status"], r["version"]) for r in store.view("approvals")]
    assert rows == [("e1", "x", "granted", 0), ("e1", "y", "requested", 4), ("e2", "x", "requested", 0)]


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda s: s.view("execution"), "no view 'execution'; did you mean 'executions'"),
        (lambda s: s.view("events"), "no view 'events'"),
        (lambda s: s.view("executions", {"statsu": "x"}), "no column 'statsu'; did you mean 'status'"),
        (lambda s: s.view("executions", order="started"), "no column 'started'; did you mean 'started_at'"),
        (lambda s: s.view("executions", order="id; DROP TABLE events"), "no column"),
        (lambda s: s.view("executions", order=""), "no column ''"),
    ],
)
def test_unknown_views_and_columns_are_named(
    filled: EventStore, ask: Callable[[EventStore], object], said: str
) -> None:
    """Asking for what does not exist is refused with the nearest name, and never reaches a database."""
    with pytest.raises(BadInput, match=said):
        ask(filled)


def test_a_row_given_back_is_the_callers_own(filled: EventStore) -> None:
    """Changing a row that was read changes nothing in the store."""
    filled.view("executions")[0]["status"] = "changed"

    assert filled.view("executions")[0]["status"] == "running"


def test_two_tenants_have_views_of_their_own(shared: Place) -> None:
    """The same key in two tenants' views is two rows."""
    one, two = shared.open("one"), shared.open("two")
    write(one, execution_row("a", status="running"))
    write(two, execution_row("a", status="failed"), execution_row("b"))
    write(one, ViewRow("executions", ("b",), None))

    assert [r["status"] for r in one.view("executions")] == ["running"]
    assert [(r["id"], r["status"]) for r in two.view("executions")] == [("a", "failed"), ("b", "running")]


def test_rows_can_be_asked_for_by_what_they_are_not(store: EventStore) -> None:
    """`NoneOf` leaves out the values it names, keeps rows without a value, and without values leaves out nothing."""
    write(store, execution_row("a", owner="w-1"), execution_row("b", owner="w-2"), execution_row("c", owner=None))

    assert keys(store.view("executions", {"owner": NoneOf(["w-1"])})) == ["b", "c"]
    assert keys(store.view("executions", {"owner": NoneOf(["w-1", "w-2"]), "id": NoneOf(["x"])})) == ["c"]
    assert keys(store.view("executions", {"owner": NoneOf(), "id": NoneOf(["a", "c"])})) == ["b"]


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ((), "abcd"),
        (("\nurgent\n",), "ab"),
        (("\nurgent\n", "\nregion=eu\n"), "b"),
        (("\nurgent",), "abc"),
        (("\nURGENT\n",), ""),
        (("%",), ""),
        (("'",), ""),
    ],
)
def test_rows_are_found_by_what_stands_in_a_text(store: EventStore, parts: tuple[str, ...], wanted: str) -> None:
    """All the parts must stand in it, each exactly as it is; an empty column holds nothing, but fits no question."""
    rows = {"a": "\nurgent\n", "b": "\nregion=eu\nurgent\n", "c": "\nurgently\n", "d": None}
    write(store, *(execution_row(key, labels=labels) for key, labels in rows.items()))

    assert "".join(keys(store.view("executions", {"labels": Holding(parts)}, order="id"))) == wanted
    composed = {"labels": Holding(parts), "id": ("a", "c", "d"), "status": "running"}
    assert "".join(keys(store.view("executions", composed, order="id"))) == wanted.replace("b", "")


def test_a_number_holds_no_text(store: EventStore) -> None:
    """Looking for text in a column of numbers is a mistake of who asks."""
    with pytest.raises(BadInput, match="holds numbers"):
        store.view("executions", {"wake_us": Holding(("1",))})


def test_all_rows_come_page_by_page(store: EventStore) -> None:
    """However many rows a view has, and where its key has two parts, each comes once."""
    ids = [f"{n:04}" for n in range(1_100)]
    write(store, *(execution_row(one) for one in ids))
    asked = [(f"e{n % 2}", one) for n, one in enumerate(ids)]
    write(store, *(approval_row(execution, one) for execution, one in asked))

    assert list(store.view_rows("executions")) == store.view("executions")
    assert sorted(keys(list(store.view_rows("executions")))) == ids
    assert list(store.view_rows("approvals")) == store.view("approvals")
    assert sorted((row["execution"], row["approval"]) for row in store.view_rows("approvals")) == sorted(asked)
    with pytest.raises(BadInput, match="there is no view 'execution'; did you mean 'executions'"):
        list(store.view_rows("execution"))
