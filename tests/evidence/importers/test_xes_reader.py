"""XES as plain values, and what is no XES."""

from __future__ import annotations

from pathlib import Path

import pytest

from actum.errors import ImportRefused
from actum.evidence.importers.protocol import Tally
from actum.evidence.importers.source import open_source
from actum.evidence.importers.xes_reader import Trace, XesDate, read_traces

from .foreign_files import minute, write, xes_event, xes_log, xes_trace


def traces(tmp_path: Path, content: str | bytes, tally: Tally | None = None) -> list[Trace]:
    with open_source(write(tmp_path / "a.xes", content)) as source:
        return list(read_traces(source, tally or Tally("a.xes")))


def test_values_have_their_types(tmp_path: Path) -> None:
    """Numbers, booleans and dates are told apart; what JSON cannot hold stays text."""
    inside = (
        '<int key="i" value="-3"/><int key="big" value="99999999999999999999"/><float key="f" value="1.5"/>'
        '<float key="n" value="NaN"/><boolean key="b" value="true"/><id key="u" value="x-y"/>'
        f'<date key="d" value="{minute(0)}"/>'
    )
    (trace,) = traces(tmp_path, xes_log(f"<trace>{inside}</trace>"))
    values = trace.attributes
    assert isinstance(values.pop("d"), XesDate)
    assert values == {"i": -3, "big": "99999999999999999999", "f": 1.5, "n": "NaN", "b": True, "u": "x-y"}


def test_nested_attributes_keep_their_path(tmp_path: Path) -> None:
    """An attribute inside another, or in a list, is called by its path; a second one of a name gets a number."""
    inside = (
        '<string key="cost" value="7"><string key="currency" value="EUR"/></string>'
        '<list key="l"><values><string key="x" value="1"/><string key="x" value="2"/></values></list>'
    )
    (trace,) = traces(tmp_path, xes_log(f"<trace>{inside}</trace>"))
    assert trace.attributes == {"cost": "7", "cost/currency": "EUR", "l": None, "l/x": "1", "l/x#2": "2"}


def test_declarations_are_no_values(tmp_path: Path) -> None:
    """Defaults in `global`, extensions and classifiers do not leak into traces or into the log's name."""
    declared = '<global scope="trace"><string key="concept:name" value="UNKNOWN"/></global><extension name="x"/>'
    log = f'<log>{declared}{xes_trace("c", xes_event("a", minute(0)))}<string key="concept:name" value="late"/></log>'
    (trace,) = traces(tmp_path, log)
    assert (trace.log_name, trace.attributes) == (None, {"concept:name": "c"})


def test_prefixes_and_encodings(tmp_path: Path) -> None:
    """A namespace prefix changes nothing, and the encoding is the one the file declares."""
    log = (
        '<?xml version="1.0" encoding="ISO-8859-1"?><x:log xmlns:x="http://www.xes-standard.org/"><x:trace>'
        '<x:string key="concept:name" value="Göran"/><x:event/></x:trace></x:log>'
    )
    (trace,) = traces(tmp_path, log.encode("latin-1"))
    assert (trace.attributes, trace.events) == ({"concept:name": "Göran"}, [{}])


def test_what_xes_does_not_know_is_left_out(tmp_path: Path) -> None:
    """Foreign elements with all they hold, and events outside traces, are left aside and counted."""
    tally = Tally("a.xes")
    log = "<log><event/><trace><foo><event/><string/></foo><event/></trace></log>"
    (trace,) = traces(tmp_path, log, tally)
    assert trace.events == [{}]
    assert [item.reason for item in tally.left_out] == [
        "an event outside any trace",
        "an element that XES does not know: <foo>",
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('<!DOCTYPE log [<!ENTITY lol "ha">]><log>&lol;</log>', "line 1: declares the entity 'lol'"),
        ('<!DOCTYPE log [<!ENTITY x SYSTEM "file:///etc/passwd">]><log>&x;</log>', "declares the entity 'x'"),
        ('<!DOCTYPE log SYSTEM "http://example.com/x.dtd"><log/>', "line 1: has a DOCTYPE"),
        ("<pnml/>", "the root is <pnml>, not <log>"),
        ("<event/>", "an <event> inside something else than a <trace>"),
        ("<log><trace><trace/></trace></log>", "a <trace> inside"),
        ("<log>\n<trace><string value='x'/></trace></log>", "line 2: a <string> without a key"),
        ("<log><int key='n' value='x'/></log>", "the int 'n' has the value 'x'"),
        ("<log><boolean key='n' value='maybe'/></log>", "the boolean 'n' has the value 'maybe'"),
        ("<log>" + "<string key='k'>" * 100, "nested deeper than 64"),
        ("<log></log><log></log>", "line 1, column 12: is not XML"),
        ("<log><trace></log>", "is not XML"),
        ('<?xml version="1.0" encoding="klingon"?><log/>', "cannot be read as XML (unknown encoding: klingon)"),
        (b"\x00\x01\x02", "is not XML"),
    ],
)
def test_what_is_no_xes(tmp_path: Path, content: str | bytes, problem: str) -> None:
    """A file that is not XML, not a log, or dangerous is refused with its line."""
    with pytest.raises(ImportRefused) as refused:
        traces(tmp_path, content)
    assert problem in str(refused.value)
