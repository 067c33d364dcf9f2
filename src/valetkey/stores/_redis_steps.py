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

from valetkey.stores._redis_leaves import LUA
from valetkey.stores._redis_names import Leaves, Names, utf8

Value = str | bytes | int | float

_PRELUDE: Final = (
    LUA
    + """
local at = 0
local function take()
    at = at + 1
    return ARGV[at]
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
-- Some fields of hashes, as many of them as `arguments[1]` says; what follows are the numbers of the hashes' keys.
local function each(arguments)
    local count, answers = tonumber(arguments[1]), {}
    local fields = { unpack(arguments, 2, count + 1) }
    for place = count + 2, #arguments do
        answers[#answers + 1] = redis.call('HMGET', KEYS[tonumber(arguments[place])], unpack(fields))
    end
    return answers
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
    if LEAVES[command] then
        return LEAVES[command](arguments)
    elseif command == 'EACH' then
        return each(arguments)
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
)

_READ: Final = (
    _PRELUDE
    + """
-- A replica that is behind would answer all the same.  A write that changes nothing is refused there, and only there.
local refused = redis.pcall('DEL', KEYS[2])
if type(refused) == 'table' and refused.err and string.find(refused.err, 'READONLY', 1, true) then
    return refused
end
local answers = { redis.call('TIME'), redis.call('HGET', KEYS[1], 'store') }
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
    last = call() or false
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

    def each(self, keys: Sequence[bytes], *fields: str) -> None:
        """Read some fields of several hashes; the answer has a list for each, with None for each that is not there."""
        self.do("EACH", b"", len(fields), *fields, *map(self.number, keys))

    def seek(
        self, leaves: Leaves, low: bytes, high: bytes, text: str, wanted: int, stride: int, *, backwards: bool = False
    ) -> None:
        """Look for a text in the leaves of an environment, in `stride` of them at most, until `wanted` names have it.

        The answer has the members of those, and the bound from which on to go on looking: None where there is no more.
        """
        place = self.number(leaves.names)
        self.do("SEEK", leaves.bounds, place, low, high, text, wanted, stride, "back" if backwards else "on")

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

    def enter(self, leaves: Leaves, *names: bytes) -> None:
        """Enter members and their texts, by turns, in the leaves of an environment; a member there gets a new text.

        Those that follow each other should be handed over in order: so each leaf is written once.
        """
        self.do("ENTER", leaves.bounds, self.number(leaves.names), leaves.most, *names)

    def strike(self, leaves: Leaves, member: bytes) -> None:
        """Strike a member out of the leaves of an environment, if it is there."""
        self.do("STRIKE", leaves.bounds, self.number(leaves.names), leaves.most, member)

    def pack(self, leaves: Leaves, every: bytes, count: int) -> None:
        """Move `count` names of the sorted set that the first version wrote; the answer is how many are left there."""
        self.do("PACK", leaves.bounds, self.number(leaves.names), leaves.most, self.number(every), count)

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
