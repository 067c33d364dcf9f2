"""One step in Redis: commands that are sent together and run as one script.

A *read* returns the server's time, the store's id, and the answers of its commands.  A *commit* first makes checks,
each a command and the answer that it must still have, and runs its commands only if all hold: it compares and swaps.
What is decided, and from what, stays in Python (`_rules`); the server only makes sure that nothing of it has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from valetkey.stores._redis_names import Names, utf8

Value = str | bytes | int | float

_PRELUDE: Final = """
local at = 0
local function take()
    at = at + 1
    return ARGV[at]
end
local function find(set, low, high, count, text, wanted, way)
    local found, last = {}, false
    local members
    if way == 'back' then
        members = redis.call('ZREVRANGEBYLEX', set, high, low, 'LIMIT', 0, count)
    else
        members = redis.call('ZRANGEBYLEX', set, low, high, 'LIMIT', 0, count)
    end
    for _, member in ipairs(members) do
        last = member
        if string.find(member, text, 1, true) then
            found[#found + 1] = member
            if #found == tonumber(wanted) then
                return { found, last }
            end
        end
    end
    return { found, #members == tonumber(count) and last }
end
local function first_text(member)
    local ends = string.find(member, '\\0', 1, true)
    while string.byte(member, ends + 1) == 255 do
        ends = string.find(member, '\\0', ends + 1, true)
    end
    return string.sub(member, 1, ends)
end
-- How many members begin with each first text, by leaping from one to the next: no member in between is read.
local function tally(set)
    local found, low = {}, '-'
    while true do
        local member = redis.call('ZRANGEBYLEX', set, low, '+', 'LIMIT', 0, 1)[1]
        if not member then
            return found
        end
        local first = first_text(member)
        low = '(' .. first .. '\\255'
        found[#found + 1] = first
        found[#found + 1] = redis.call('ZLEXCOUNT', set, '[' .. first, low)
    end
end
-- The same of those with a score below a bound, which have no order: they are looked at, and stay here.
local function tally_below(set, bound)
    local counts, found = {}, {}
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', set, '-inf', bound)) do
        local first = first_text(member)
        counts[first] = (counts[first] or 0) + 1
    end
    for first, n in pairs(counts) do
        found[#found + 1] = first
        found[#found + 1] = n
    end
    return found
end
local function call()
    local command, number, count = take(), tonumber(take()), tonumber(take())
    local arguments = {}
    if number > 0 then
        arguments[1] = KEYS[number]
    end
    for _ = 1, count do
        arguments[#arguments + 1] = take()
    end
    if command == 'FIND' then
        return find(unpack(arguments))
    elseif command == 'TALLY' then
        return tally(arguments[1])
    elseif command == 'TALLYBELOW' then
        return tally_below(unpack(arguments))
    elseif command ~= 'APPEND' then
        return redis.call(command, unpack(arguments))
    end
    -- APPEND: the number of an event is part of where it is written, and known only here
    local sequence = redis.call('INCR', arguments[1])
    for place = 3, #arguments, 2 do
        local stream, kept = KEYS[tonumber(arguments[place])], arguments[place + 1]
        redis.call('XADD', stream, 'MAXLEN', '~', kept, sequence .. '-0', 'e', arguments[2])
    end
    return sequence
end
"""

_READ: Final = (
    _PRELUDE
    + """
-- A replica that is behind would answer all the same.  A write that changes nothing is refused there, and only there.
local refused = redis.pcall('DEL', KEYS[2])
if type(refused) == 'table' and refused.err and string.find(refused.err, 'READONLY', 1, true) then
    return refused
end
local answers = { redis.call('TIME'), redis.call('HGET', KEYS[1], 'id') }
for number = 1, tonumber(take()) do
    answers[number + 2] = call()
end
return answers
"""
)

_COMMIT: Final = (
    _PRELUDE
    + """
for number = 1, tonumber(take()) do
    local wanted = take()
    if tostring(call() or '') ~= wanted then
        return { number, false }
    end
end
local last = false
for _ = 1, tonumber(take()) do
    last = call()
end
return { 0, last }
"""
)


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the digest by which the server knows it."""

    text: bytes
    digest: str

    @classmethod
    def of(cls, text: str) -> Script:
        """Return the script with that text."""
        return cls(text.encode(), hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


READ: Final = Script.of(_READ)
COMMIT: Final = Script.of(_COMMIT)


class Step:
    """The commands of a read."""

    script: Script = READ

    def __init__(self, names: Names) -> None:
        self.names = names
        self._numbers: dict[bytes, int] = {names.meta: 1, names.nothing: 2}
        self._commands: list[bytes] = []
        self._count = 0

    def do(self, command: str, key: bytes, *values: Value) -> None:
        """Run a command on a key; an empty key stands for a command that has none."""
        self._commands += self._written(command, key, values)
        self._count += 1

    def find(
        self, key: bytes, low: bytes, high: bytes, count: int, text: str, wanted: int, *, backwards: bool = False
    ) -> None:
        """Look for a text in the members of a sorted set, `count` of them at most, until `wanted` have it.

        The answer has the members that have it, and where it stopped: None where there are no more.
        """
        self.do("FIND", key, low, high, count, text, wanted, "back" if backwards else "on")

    def tally(self, key: bytes, below: float | None = None) -> None:
        """Count the members of a sorted set by their first text, those with a score `below` alone if that is given.

        The answer has the first text, as `ordered` writes it, and how many begin with it, by turns.
        """
        if below is None:
            self.do("TALLY", key)
        else:
            self.do("TALLYBELOW", key, f"({below!r}")

    @property
    def keys(self) -> list[bytes]:
        """The keys that it touches."""
        return list(self._numbers)

    def arguments(self) -> list[bytes]:
        """Return what the script is called with beside the keys."""
        return [b"%d" % self._count, *self._commands]

    def number(self, key: bytes) -> int:
        """Return the number under which the script knows a key, 0 for none."""
        return self._numbers.setdefault(key, len(self._numbers) + 1) if key else 0

    def _written(self, command: str, key: bytes, values: Sequence[Value]) -> list[bytes]:
        return [command.encode(), b"%d" % self.number(key), b"%d" % len(values), *map(_bytes, values)]


class Commit(Step):
    """The checks and commands of a commit."""

    script: Script = COMMIT

    def __init__(self, names: Names) -> None:
        super().__init__(names)
        self._checks: list[bytes] = []
        self._reasons: list[str] = []

    def check(self, wanted: Value | None, command: str, key: bytes, *values: Value, why: str = "") -> None:
        """Demand that a command answers `wanted` (None: nothing); `why` tells which check it was that failed."""
        self._checks += [b"" if wanted is None else _bytes(wanted), *self._written(command, key, values)]
        self._reasons.append(why)

    def append(self, body: str, *streams: tuple[bytes, int]) -> None:
        """Append an event to streams, which keep about so many; the answer is its number."""
        places = [value for stream, kept in streams for value in (self.number(stream), kept)]
        self.do("APPEND", self.names.counter, body, *places)

    def reason(self, number: int) -> str:
        """Return why the check with that number, from 1, was made."""
        return self._reasons[number - 1]

    def arguments(self) -> list[bytes]:
        """Return what the script is called with beside the keys."""
        return [b"%d" % len(self._reasons), *self._checks, *super().arguments()]


def _bytes(value: Value) -> bytes:
    if isinstance(value, bytes):
        return value
    return utf8(value if isinstance(value, str) else repr(value))
