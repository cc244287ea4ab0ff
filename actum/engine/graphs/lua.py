"""Lua for conditions, in a sandbox: `order.total > 100 and #parameters.tags > 0`, or a chunk that returns.

What an expression can reach is listed here and is nothing but reckoning: there is no `python`, `io`, `os`, `load`,
`require`, `pcall`, `coroutine`, chance or clock, and no backtracking patterns. Each evaluation has an interpreter
of its own, so nothing is left from the one before; it ends after so many instructions, and gets so much memory
beyond what the values take. `pairs` goes in the order of the keys, so that nothing depends on where things lie.

In objects, null is nil. In lists it is `null`, so that they keep their length.
"""

from __future__ import annotations

from typing import Any, Final

from lupa import lua54

from actum.engine.graphs.expressions import ExpressionRefused, Used
from actum.engine.graphs.lua_names import names_in
from actum.engine.graphs.operators import NoAnswer

__all__ = ["MAX_INSTRUCTIONS", "MAX_MEMORY_BYTES", "LuaProgram"]

MAX_INSTRUCTIONS: Final = 100_000
MAX_WORK: Final = 20_000_000
"""Bytes and items that the functions below go through, which are one instruction each."""
MAX_MEMORY_BYTES: Final = 1_000_000
"""What an evaluation may take beyond the values it is given."""
_MAX_VALUES_BYTES: Final = 64_000_000

_LIBRARY: Final = frozenset(
    (
        *("null", "type", "tonumber", "select", "ipairs", "pairs", "string", "error", "assert", "tostring", "math"),
        *("table", "_ENV"),
    )
)
"""What an expression can reach beside the values."""
_SANDBOX: Final = """
local real = {
  sethook = debug.sethook, error = error, load = load, type = type, next = next, rawlen = rawlen,
  tostring = tostring, tonumber = tonumber, assert = assert, ipairs = ipairs, select = select,
  setmetatable = setmetatable, getmetatable = getmetatable,
  sub = string.sub, find = string.find, byte = string.byte, char = string.char, upper = string.upper,
  lower = string.lower, reverse = string.reverse, concat = table.concat, sort = table.sort, unpack = table.unpack,
  insert = table.insert, math_type = math.type,
}
local left
local function charge(work)
  left = left - work
  if left < 0 then real.error("it does too much; make it a step", 0) end
end
local function text(value)
  if real.type(value) ~= "string" and real.type(value) ~= "number" then
    real.error("a text was expected, not a " .. real.type(value), 0)
  end
  value = real.tostring(value)
  charge(#value)
  return value
end
local function list(value)
  if real.type(value) ~= "table" then real.error("a table was expected, not a " .. real.type(value), 0) end
  charge(20 * #value)
  return value
end
local strings = {
  len = function(s) return #text(s) end,
  sub = function(s, i, j) return real.sub(text(s), i, j) end,
  upper = function(s) return real.upper(text(s)) end,
  lower = function(s) return real.lower(text(s)) end,
  reverse = function(s) return real.reverse(text(s)) end,
  byte = function(s, i) return real.byte(text(s), i) end,
  char = real.char,
  contains = function(s, part)
    s, part = text(s), text(part)
    charge(#s * #part)
    return real.find(s, part, 1, true) ~= nil
  end,
  starts_with = function(s, part) s, part = text(s), text(part) return real.sub(s, 1, #part) == part end,
  ends_with = function(s, part) s, part = text(s), text(part) return part == "" or real.sub(s, -#part) == part end,
}
real.getmetatable("").__index = strings
local function key_before(a, b)
  local of_a, of_b = real.type(a), real.type(b)
  if of_a ~= of_b then return of_a < of_b end
  return a < b
end
local function pairs_in_order(of)
  list(of)
  local keys = {}
  for key in real.next, of do
    if real.type(key) ~= "string" and real.type(key) ~= "number" then
      real.error("pairs goes through keys that are texts or numbers", 0)
    end
    keys[#keys + 1] = key
  end
  charge(20 * #keys)
  real.sort(keys, key_before)
  local at = 0
  return function()
    at = at + 1
    if keys[at] ~= nil then return keys[at], of[keys[at]] end
  end
end
local null = {}
local library = {
  null = null, type = real.type, tonumber = real.tonumber, select = real.select, ipairs = real.ipairs,
  pairs = pairs_in_order, string = strings, error = function(why) real.error(text(why), 0) end,
  assert = function(value, why)
    if not value then real.error(why == nil and "assertion failed" or text(why), 0) end
    return value
  end,
  tostring = function(value)
    local of = real.type(value)
    if of == "table" or of == "function" then real.error("a " .. of .. " has no text", 0) end
    return real.tostring(value)
  end,
  math = {
    abs = math.abs, ceil = math.ceil, floor = math.floor, fmod = math.fmod, huge = math.huge, max = math.max,
    min = math.min, modf = math.modf, pi = math.pi, sqrt = math.sqrt, tointeger = math.tointeger, type = math.type,
    ult = math.ult, maxinteger = math.maxinteger, mininteger = math.mininteger,
  },
  table = {
    concat = function(of, between, i, j) return real.concat(list(of), between, i, j) end,
    sort = function(of, before) real.sort(list(of), before) end,
    unpack = function(of) return real.unpack(list(of)) end,
    insert = function(of, value) real.insert(list(of), value) end,
  },
}
local function compiled(source, env)
  local f, why = real.load("return (" .. source .. "\\n)", "=lua", "t", env)
  if f then return f end
  local chunk, why_not = real.load(source, "=lua", "t", env)
  if chunk then return chunk end
  return nil, why_not
end
local function run(source, instructions, work, given)
  local env = given
  for name, thing in real.next, library do env[name] = thing end
  real.setmetatable(env, {
    __index = function(_, name) real.error("there is nothing called " .. real.tostring(name), 0) end,
    __metatable = false,
  })
  local f = compiled(source, env)
  left = work
  local done = 0
  real.sethook(function()
    done = done + 1000
    if done >= instructions then real.error("it takes too long; make it a step", 0) end
  end, "", 1000)
  local answer = f()
  real.sethook()
  return real.type(answer), answer == true
end
python, package, require, io, os, load, loadfile, dofile, debug, coroutine, collectgarbage = nil
return {run = run, compiled = function(source) local _, why = compiled(source, {}) return why end, null = null}
"""


class LuaProgram:
    """One expression, or chunk that returns."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.used: tuple[Used, ...] = ()
        if "\0" in text:
            raise ExpressionRefused("holds a zero byte")
        why = _sandbox()[1].compiled(text)
        if why is not None:
            line, _, said = str(why).removeprefix("lua:").partition(":")
            raise ExpressionRefused(f"line {line}: {said.strip()}")
        self.used = names_in(text, _LIBRARY)

    def answer(self, given: dict[str, Any]) -> bool:
        try:
            lua, sandbox = _sandbox()
            values = _value(lua, sandbox.null, given)
            lua.set_max_memory(lua.get_memory_used() + MAX_MEMORY_BYTES)
            kind, holds = sandbox.run(self.text, MAX_INSTRUCTIONS, MAX_WORK, values)
        except lua54.LuaMemoryError:
            raise NoAnswer(f"the condition {self.text!r} has no answer: it takes too much memory") from None
        except lua54.LuaError as exc:
            said = str(exc).partition("\nstack traceback")[0]
            raise NoAnswer(f"the condition {self.text!r} has no answer: {said}") from None
        if kind != "boolean":
            raise NoAnswer(f"the condition {self.text!r} gives {kind}, which is neither true nor false")
        return bool(holds)


def _sandbox() -> tuple[Any, Any]:
    """An interpreter that nobody has used, and the way into it."""
    lua = lua54.LuaRuntime(register_eval=False, register_builtins=False, max_memory=_MAX_VALUES_BYTES)
    return lua, lua.execute(_SANDBOX)


def _value(lua: Any, null: Any, value: Any, inside: str = "object") -> Any:
    """The JSON value as one of Lua's; no object of ours ever gets there."""
    match value:
        case dict():
            return lua.table_from({key: _value(lua, null, item) for key, item in value.items()})
        case list():
            return lua.table_from([_value(lua, null, item, "list") for item in value])
        case None:
            return null if inside == "list" else None
        case int() if not isinstance(value, bool) and not -(2**63) <= value < 2**63:
            return float(value)
        case _:
            return value
