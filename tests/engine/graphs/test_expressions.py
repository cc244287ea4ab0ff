"""Conditions in CEL and Lua: what they answer, what is refused, and that nothing gets out or goes on for ever."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st

from actum.engine.graphs import conditions
from actum.engine.graphs.conditions import NoAnswer, compiled, describe, parse
from actum.engine.graphs.load import read_graph
from actum.engine.graphs.place import Place
from actum.engine.graphs.references import Known, Values
from actum.errors import DefinitionError

HERE = Place("flow.json")
KNOWN = Known(["order", "lines", "never_ran", "both", "with-dash"], ["tags", "limit", "absent", "both"])
VALUES = Values(
    {"tags": ["vip", "new"], "limit": 100.0},
    {"order": {"total": 120, "note": None, "name": "Ada"}, "lines": {"of": [1, 2, None, 3]}, "with-dash": {"n": 1}},
)


@pytest.fixture(autouse=True, scope="module")
def _cel() -> None:
    """CEL's library raises the limit of recursion when it is first used, which no search may see happen."""
    answer("cel", "true")


def answer(language: str, text: str, *, checked: bool = True) -> bool:
    condition = parse({language: text}, HERE)
    if checked:
        conditions.check(condition, KNOWN, HERE)
    return compiled(condition, KNOWN)(VALUES)[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("order.total > 100 && 'vip' in tags", True),
        ("order.total > parameters.limit", True),
        ("steps.order.output.total == 120.0", True),
        ("steps['with-dash'].output.n == 1", True),
        ("order.total * 1.5 == 180.0 && order.total / 2 == 60", True),
        ("order.total in [120.0, 3]", True),
        ("order.note == null && order.total != null", True),
        ("has(order.total) && !has(order.other) && !has(never_ran.x)", True),
        ("tags.exists(t, t.startsWith('v')) && tags.all(t, size(t) == 3)", True),
        ("tags.exists(order, order == 'new')", True),
        ("order.name.matches('^A[a-z]+$')", True),
        ("'x'.matches('^(y+)+$')", False),
        ("size(lines.of) == 4 ? true : false", True),
        ("timestamp('2026-01-01T00:00:00Z') < timestamp('2026-02-01T00:00:00Z')", True),
    ],
)
def test_cel_answers(text: str, expected: bool) -> None:
    """Names are steps and parameters; numbers compare by value, whole or not."""
    assert answer("cel", text) is expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("order.total >", "'order.total >': line 1, column 13: is not CEL"),
        (
            "order.total > 1 &&\n ordr.x == 1",
            "line 2, column 2: there is no step or parameter 'ordr'; did you mean 'order'",
        ),
        ("order.name.startWith('A')", "column 12: there is no function 'startWith'; did you mean 'startsWith'?"),
        ("getenv('HOME') == ''", "there is no function 'getenv'"),
        ("both.x == 1", "'both' is a step and a parameter; write steps.both.output or parameters.both"),
        ("parameters.limt > 1", "there is no parameter 'limt'; did you mean 'limit'?"),
        ("steps.ordr.output.x == 1", "there is no step 'ordr'"),
        ("tags.map(x, y, z) == []", "map is written map(NAME, EXPRESSION)"),
        ("Order{a: 1} == 1", "makes a message"),
        ("", "is empty"),
        ("(" * 2_000 + "1" + ")" * 2_000, "nested too deep"),
        ("1 == 1" + " " * 5_000, "4,096 are allowed"),
    ],
)
def test_cel_that_cannot_be_meant_is_refused_when_read(text: str, problem: str) -> None:
    """The error names the expression, the line and the column, and the nearest name there is."""
    with pytest.raises(DefinitionError) as caught:
        answer("cel", text)
    assert caught.value.path == "$.cel"
    assert problem in caught.value.problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("order.totl > 1", "no such member in mapping: 'totl'"),
        ("never_ran.x > 1", "no such member"),
        ("absent > 1", "undeclared reference to 'absent'"),
        ("order.total > 'x'", "(int, string)"),
        ("order.total", "gives int, which is neither true nor false"),
        ("1 / 0 == 1", "divide by zero"),
        ("order.name.matches('(')", "is no regular expression"),
        ("lines.of.all(a, lines.of.all(b, lines.of.all(c, lines.of.all(d, lines.of.all(e, lines.of.all(f, true))))))",
         "takes too long"),
    ],
)  # fmt: skip
def test_cel_without_an_answer_says_why(text: str, problem: str) -> None:
    """What is missing, unlike or endless is an error that names the expression, never quietly false."""
    with pytest.raises(NoAnswer) as caught:
        answer("cel", text)
    assert problem in str(caught.value)
    assert repr(text) in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("order.total > 100 and tags[1] == 'vip'", True),
        ("steps.order.output.total == parameters.limit", False),
        ("steps['with-dash'].output.n == 1", True),
        ("#lines.of == 4 and lines.of[3] == null", True),
        ("order.note == nil and never_ran.x == nil", True),
        ("('x'):upper() == 'X' and string.contains('abc', 'b') and order.name:starts_with('A')", True),
        ("local sum = 0 for _, n in ipairs(tags) do sum = sum + #n end return sum == 6", True),
        (
            "local t = {} for k in pairs(order) do table.insert(t, k) end return table.concat(t, ',') == 'name,total'",
            True,
        ),
        ("math.floor(2.7) == 2 -- a comment", True),
    ],
)
def test_lua_answers(text: str, expected: bool) -> None:
    """An expression or a chunk that returns; null is nil, and keeps its place in lists."""
    assert answer("lua", text) is expected


@pytest.mark.parametrize("text", ["x =", "end os.exit() --", "true) os.exit() --", "\x1bLua", "return\0true"])
def test_lua_that_is_none_is_refused_when_read(text: str) -> None:
    """What does not compile as one expression or one chunk of text, a way out of it least of all."""
    with pytest.raises(DefinitionError) as caught:
        answer("lua", text)
    assert caught.value.path == "$.lua"


@pytest.mark.parametrize(
    "name",
    ["python", "io", "os", "load", "loadfile", "dofile", "require", "package", "debug", "coroutine", "pcall", "xpcall"]
    + ["getmetatable", "setmetatable", "rawset", "rawget", "next", "collectgarbage", "print", "_G"]
    + ["math.random", "string.rep", "string.format", "string.find", "string.gsub", "string.dump"],
)
def test_lua_reaches_nothing_outside(name: str) -> None:
    """There is no way to Python, to the machine, to time or chance, and none to catch the end of the sandbox."""
    with pytest.raises(NoAnswer, match=r"nothing called|gives nil"):
        answer("lua", f"return {name}", checked=False)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("while true do end", "takes too long"),
        ("table.sort({3, 2, 1}, function() while true do end end)", "takes too long"),
        ("local function f() return f() end return f()", "takes too long"),
        ("local s = 'x' while true do s = s .. s end", "too much memory"),
        ("local t = {} for i = 1, 1e9 do t[i] = i end", "too much memory"),
        ("local function f() return 1 + f() end return f()", "too much memory"),
        ("local s = 'x' for i = 1, 15 do s = s .. s end return s:contains(s:sub(1, 9999) .. 'y')", "does too much"),
        ("order.total", "gives number, which is neither true nor false"),
        ("absent", "there is nothing called absent"),
        ("tostring(order)", "has no text"),
        ("error('no')", "no"),
        ("order.name.x.y == 1", "attempt to index"),
    ],
)
def test_lua_ends_whatever_it_does(text: str, problem: str) -> None:
    """Time and memory are bounded, and an error is an error of the condition."""
    with pytest.raises(NoAnswer) as caught:
        answer("lua", text)
    assert problem in str(caught.value)


def test_lua_leaves_nothing_behind() -> None:
    """What one evaluation does to its names, to the library or to its values, no other one sees."""
    spoils = "string.upper = nil; math.floor = nil; shared = 1; order.total = 0; return order.total == 0"
    assert answer("lua", spoils)
    assert answer("lua", "order.total == 120 and ('a'):upper() == 'A' and math.floor(1.5) == 1")
    assert VALUES.outputs["order"]["total"] == 120
    with pytest.raises(NoAnswer, match="nothing called shared"):
        answer("lua", "shared == 1", checked=False)


LUA = (
    "order tags limit parameters steps never_ran . .. : :: [ ] ( ) { } , ; = == ~= < > + - * / // % # and or not if"
    " then else end while do for in function return local break goto x y _ENV string.char table.concat pairs ipairs"
    " select error tostring tonumber math.huge 0 1 1e9 -1 'a' \"b\" [[c]] -- \n null nil true false assert"
)
words = st.sampled_from(LUA.split(" "))


@forall(st.lists(words, max_size=25).map(" ".join) | st.text(max_size=30))
@settings(deadline=None, max_examples=150)
def test_no_lua_gets_out_of_its_sandbox(text: str) -> None:
    """Whatever stands there is refused, has no answer, or answers yes or no: the same twice."""
    said: list[Any] = []
    for _ in range(2):
        try:
            said.append(answer("lua", text, checked=False))
        except (DefinitionError, NoAnswer) as exc:
            said.append(str(exc))
    assert said[0] == said[1]


CEL = (
    "order order.total tags limit parameters steps has( size( .all(x, .map(x, .matches( ( ) [ ] { } , . ? : == != < >"
    " && || ! + - * / % in 0 1 -1 1.5 1u 'a' b'a' null true false x int( string( timestamp( duration( type("
)
cel_words = st.sampled_from(CEL.split(" "))


@forall(st.lists(cel_words, max_size=15).map(" ".join) | st.text(max_size=30))
@settings(deadline=None, max_examples=150)
def test_any_cel_is_refused_or_answers_or_says_that_it_cannot(text: str) -> None:
    """Nothing that is written as CEL leads to any other error."""
    try:
        assert isinstance(answer("cel", text), bool)
    except (DefinitionError, NoAnswer):
        return


@pytest.mark.parametrize(
    "raw", [{"cel": "order.total > 1"}, {"lua": "order.total > 1"}, {"not": {"cel": "has(order.x)"}}]
)
def test_an_expression_is_written_as_it_was_read(raw: dict[str, Any]) -> None:
    """In the canonical JSON and in the log it stands as its author wrote it."""
    assert conditions.to_json(parse(raw, HERE)) == raw
    assert ("order.total > 1" in describe(parse(raw, HERE))) or "has(order.x)" in describe(parse(raw, HERE))


def test_what_a_cel_condition_saw_comes_with_its_answer() -> None:
    """The log can show the values that the decision rests on, by the names in the expression."""
    condition = parse({"all": [{"cel": "order.total > 100"}, {"cel": "tags.exists(t, t == 'vip')"}]}, HERE)

    assert compiled(condition, KNOWN)(VALUES) == (True, {"order.total": 120, "tags": ["vip", "new"]})


@pytest.mark.parametrize(
    ("text", "saw"),
    [
        ("order.total > 100 and tags[1] == 'vip'", {"order.total": 120, "tags": ["vip", "new"]}),
        ('order["name"] ~= "tags" and parameters.limit > 1 -- limit', {"order.name": "Ada", "parameters.limit": 100}),
        ("local n = 0 for _, t in ipairs(tags) do n = n + #t end return n == 6", {"tags": ["vip", "new"]}),
        ("local function f(order) return order end return f(steps.order.output.total) > 1", {"order.total": 120}),
        ("({order = 1}).order == limit", {"parameters.limit": 100}),
        ("never_ran.x == nil and true", {}),
    ],
)
def test_what_a_lua_condition_saw_comes_with_its_answer(text: str, saw: dict[str, Any]) -> None:
    """As for CEL; a name that the text binds for itself is not taken for a value."""
    found = compiled(parse({"lua": text}, HERE), KNOWN)(VALUES)[1]

    assert {name.removeprefix("parameters.") for name in found} == {name.removeprefix("parameters.") for name in saw}
    assert all(value in found.values() for value in saw.values())


def test_an_unknown_name_in_lua_is_found_with_the_definition() -> None:
    """Not when the condition is first asked; what the text binds itself is no unknown name."""
    conditions.check(parse({"lua": "local x = order.total return x > 1"}, HERE), KNOWN, HERE)
    with pytest.raises(DefinitionError, match=r"line 1, column 17: there is no step or parameter 'ordr'"):
        conditions.check(parse({"lua": "tags[1] == 1 or ordr.total > 1"}, HERE), KNOWN, HERE)


def test_expressions_are_checked_with_the_definition() -> None:
    """A graph whose expression names what is not there is refused, with the place of the transition."""
    raw = {
        "name": "g",
        "steps": [{"id": "a", "run": "m:a"}, {"id": "b", "run": "m:b"}],
        "flow": {"transitions": [{"from": "a", "to": "b", "condition": {"any": [{"cel": "c.x == 1"}]}}]},
    }
    with pytest.raises(DefinitionError) as caught:
        read_graph(raw)
    assert caught.value.path == "$.flow.transitions[0].condition.any[0].cel"
