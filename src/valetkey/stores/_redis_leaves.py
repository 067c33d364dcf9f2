"""The names of an environment's connections, in order, in leaves: what lists of all go by, and searches.

A leaf holds up to a hundred connections that follow each other: their members (`_redis_names.member`) as one string,
and the texts in which a search looks as another.  So a search reads about 1,400 strings for 100,000 connections, and
goes through each with one plain ``string.find``: 8 ms.  In a sorted set each name is a string to be handed to Lua:
50 ms.  Sets of the connections of each trigram would take 230 MB (reckoned from 20,000), where the leaves take 17.

All leaves of an environment lie in one hash: under ``m`` and the bound of a leaf its members, under ``t`` and the bound
its texts.  A sorted set holds the bounds: a leaf has the members from its own bound on to that of the next one.  Each
member and each text ends with a byte that UTF-8 does not use.
"""

from __future__ import annotations

from typing import Final

LUA: Final = """
local MARK = '\\254'
-- Whether one member comes before another, by bytes: `<` goes by the language of the server.
local function earlier(one, other)
    for at = 1, math.min(#one, #other) do
        local here, there = string.byte(one, at), string.byte(other, at)
        if here ~= there then
            return here < there
        end
    end
    return #one < #other
end
local function inside(member, low, high)
    local first, last = string.sub(low, 2), string.sub(high, 2)
    if low ~= '-' and (earlier(member, first) or (member == first and string.sub(low, 1, 1) == '(')) then
        return false
    end
    return high == '+' or earlier(member, last) or (member == last and string.sub(high, 1, 1) == '[')
end
local function cut(text)
    local parts = {}
    for part in string.gmatch(text or '', '([^\\254]*)\\254') do
        parts[#parts + 1] = part
    end
    return parts
end
local function leaf_of(bounds, member)
    return redis.call('ZREVRANGEBYLEX', bounds, '[' .. member, '-', 'LIMIT', 0, 1)[1]
end
local function leaf_at(leaves, bound)
    local held = redis.call('HMGET', leaves, 'm' .. bound, 't' .. bound)
    return { bound = bound, members = cut(held[1]), texts = cut(held[2]) }
end
local function write(bounds, leaves, bound, members, texts, from, to)
    redis.call('ZADD', bounds, 0, bound)
    local held = { table.concat(members, MARK, from, to) .. MARK, table.concat(texts, MARK, from, to) .. MARK }
    redis.call('HSET', leaves, 'm' .. bound, held[1], 't' .. bound, held[2])
end
local function drop(bounds, leaves, bound)
    redis.call('ZREM', bounds, bound)
    redis.call('HDEL', leaves, 'm' .. bound, 't' .. bound)
end
-- Write a leaf; where it holds too many, as several that have room again.
local function keep(bounds, leaves, leaf, most)
    local count = #leaf.members
    local size = count <= most and count or math.ceil(count / math.ceil(count / (most * 0.75)))
    for from = 1, count, size do
        local bound = from == 1 and leaf.bound or leaf.members[from]
        write(bounds, leaves, bound, leaf.members, leaf.texts, from, math.min(from + size - 1, count))
    end
end
-- Where a member stands in a leaf, or would.
local function place_of(members, member)
    local low, high = 1, #members + 1
    while low < high do
        local middle = math.floor((low + high) / 2)
        if earlier(members[middle], member) then
            low = middle + 1
        else
            high = middle
        end
    end
    return low
end
-- Enter members with their texts, by turns from `entries[first]` on.  Of those that follow each other in a leaf, it is
-- written once.
local function enter(bounds, leaves, most, entries, first)
    local leaf
    for at = first, #entries, 2 do
        local member, text = entries[at], entries[at + 1]
        local bound = leaf_of(bounds, member) or ''
        if not leaf or leaf.bound ~= bound then
            if leaf then
                keep(bounds, leaves, leaf, most)
                bound = leaf_of(bounds, member) or ''
            end
            leaf = leaf_at(leaves, bound)
        end
        local place = place_of(leaf.members, member)
        if leaf.members[place] == member then
            leaf.texts[place] = text
        else
            table.insert(leaf.members, place, member)
            table.insert(leaf.texts, place, text)
        end
    end
    if leaf then
        keep(bounds, leaves, leaf, most)
    end
end
-- Strike a member out.  A leaf that becomes small takes in the next one, so that few are read.
local function strike(bounds, leaves, most, member)
    local leaf = leaf_at(leaves, leaf_of(bounds, member) or '')
    local place = place_of(leaf.members, member)
    if leaf.members[place] ~= member then
        return
    end
    table.remove(leaf.members, place)
    table.remove(leaf.texts, place)
    if #leaf.members == 0 then
        return drop(bounds, leaves, leaf.bound)
    end
    local following = redis.call('ZRANGEBYLEX', bounds, '(' .. leaf.bound, '+', 'LIMIT', 0, 1)[1]
    if following and #leaf.members < most / 4 then
        local other = leaf_at(leaves, following)
        for at = 1, #other.members do
            table.insert(leaf.members, other.members[at])
            table.insert(leaf.texts, other.texts[at])
        end
        drop(bounds, leaves, following)
    end
    keep(bounds, leaves, leaf, most)
end
-- Look for a text in the leaves between two bounds, `stride` leaves at most, until `wanted` members have it.  Returns
-- them, and from where on to go on looking: false where all was looked at.
local function seek(bounds, leaves, low, high, text, wanted, stride, way)
    local found, back = {}, way == 'back'
    local from = low ~= '-' and leaf_of(bounds, string.sub(low, 2))
    from = from and '[' .. from or low
    local some = { 'LIMIT', 0, stride + 1 }
    local every = back and redis.call('ZREVRANGEBYLEX', bounds, high, from, unpack(some))
        or redis.call('ZRANGEBYLEX', bounds, from, high, unpack(some))
    for at = 1, math.min(#every, stride) do
        local texts = redis.call('HGET', leaves, 't' .. every[at])
        if texts and string.find(texts, text, 1, true) then
            local leaf = leaf_at(leaves, every[at])
            local count = #leaf.members
            for place = back and count or 1, back and 1 or count, back and -1 or 1 do
                local member = leaf.members[place]
                if string.find(leaf.texts[place], text, 1, true) and inside(member, low, high) then
                    found[#found + 1] = member
                    if #found == wanted then
                        return { found, '(' .. member }
                    end
                end
            end
        end
    end
    if #every <= stride then
        return { found, false }
    end
    return { found, back and '(' .. every[stride] or '[' .. every[stride + 1] }
end
-- Move some names of what the first version wrote, a sorted set of members with their texts; returns how many are left.
local function pack(set, bounds, leaves, most, count)
    local entries = {}
    for _, name in ipairs(redis.call('ZRANGE', set, 0, count - 1)) do
        local ends = 0
        for _ = 1, 4 do
            repeat
                ends = string.find(name, '\\0', ends + 1, true)
            until string.byte(name, ends + 1) ~= 255
        end
        entries[#entries + 1] = string.sub(name, 1, ends - 1)
        entries[#entries + 1] = string.sub(name, ends + 1)
    end
    enter(bounds, leaves, most, entries, 1)
    redis.call('ZREMRANGEBYRANK', set, 0, count - 1)
    return redis.call('ZCARD', set)
end
-- What a step may ask for: each begins with the bounds, and the number of the key of the leaves.
local LEAVES = {}
function LEAVES.SEEK(told)
    local wanted, stride = tonumber(told[6]), tonumber(told[7])
    return seek(told[1], KEYS[tonumber(told[2])], told[3], told[4], told[5], wanted, stride, told[8])
end
function LEAVES.ENTER(told)
    return enter(told[1], KEYS[tonumber(told[2])], tonumber(told[3]), told, 4)
end
function LEAVES.STRIKE(told)
    return strike(told[1], KEYS[tonumber(told[2])], tonumber(told[3]), told[4])
end
function LEAVES.PACK(told)
    local set, count = KEYS[tonumber(told[4])], tonumber(told[5])
    return pack(set, told[1], KEYS[tonumber(told[2])], tonumber(told[3]), count)
end
"""
"""What the scripts know of leaves."""
