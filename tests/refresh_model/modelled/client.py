"""The rules of the protocol, as they are built: what a process does next (R3 to R10)."""

from __future__ import annotations

from collections.abc import Iterator

from modelled.state import (
    CLAIM_LIFE,
    LISTEN,
    STILL,
    Answer,
    Config,
    Entry,
    Holder,
    Move,
    Request,
    Row,
    State,
    because,
    breaking,
    claim_life,
    dead,
    family_of,
    lives,
    spending,
    with_process,
)

TWO_SEND = "a refresh token is sent while another live holder may be sending it"
SPENT_SENT = "a refresh token is sent of which the row holds the successor"
OLDER = "an older grant overwrites a newer one"
ALIEN = "the grant of another sign-in gets into an incarnation"
BACK = "a connection comes back after it was disconnected"


def moves_of(config: Config, state: State, number: int) -> Iterator[Move]:
    """Yield what a running process may do next."""
    step = _STEPS.get(state.processes[number].at)
    if step is not None:
        yield from step(config, state, number)


def _look(config: Config, state: State, number: int) -> Iterator[Move]:
    """Read the row, and what this host's journal has for it."""
    row, process = state.row, state.processes[number]
    if not state.up:
        if process.away_at != state.time:
            yield Move("sees that the store is away", with_process(state, number, away_at=state.time))
        return
    if row.state != "connected" or row.version > 1:
        yield Move(f"finds {row.state} v{row.version}", _done(state, number))
        return
    at_work = row.holder is not None and row.until > state.time and not _known_dead(config, state, number)
    if not at_work and (brought := replayed(config, state, number)) is not None:
        yield Move("brings what the journal has", brought)
        return
    if row.holder is None or (mine := row.holder)[:2] == (number, process.life):
        yield Move("finds it free", with_process(state, number, at="claim", seen=row))
    elif _same_host(config, number, mine.process):
        yield Move("finds it claimed on this host", with_process(state, number, at="fate", seen=row))
    elif row.until <= state.time:
        yield from _waited_out(config, state, number)


def _fate(_: Config, state: State, number: int) -> Iterator[Move]:
    """Watch the row, and the lock of the process that has claimed it (R5, R10)."""
    seen = state.processes[number].seen
    assert seen is not None
    assert seen.holder is not None
    if not state.up or state.row._replace(until=seen.until) != seen:
        yield Move("looks again", with_process(state, number, at="look", seen=None))
    elif dead(state, seen.holder):
        yield Move("finds its holder dead", with_process(state, number, at="last look"))


def _waited_out(config: Config, state: State, number: int) -> Iterator[Move]:
    """Take over what ran out and was seen unchanged since; not right after an outage of the store."""
    process, row = state.processes[number], state.row
    if state.time - process.away_at < CLAIM_LIFE and config.without != "patience after an outage":
        return
    if process.seen != row:
        yield Move("sees a claim that ran out", with_process(state, number, seen=row, still_since=state.time))
    elif state.time >= process.still_since + STILL:
        yield Move("has waited long enough", with_process(state, number, at="last look"))


def _last_look(config: Config, state: State, number: int) -> Iterator[Move]:
    """Look into the journal once more: the holder may have written its last line after our first look."""
    if not state.up:
        yield Move("cannot look once more", with_process(state, number, at="look", away_at=state.time))
        return
    brought = None if config.without == "a last look" else replayed(config, state, number)
    if brought is not None:
        yield Move("brings the last line of the dead", brought)
    else:
        yield Move("finds nothing in the journal", with_process(state, number, at="claim"))


def _claim(config: Config, state: State, number: int) -> Iterator[Move]:
    """Claim it by compare-and-swap, before anything is sent (R3)."""
    row, process = state.row, state.processes[number]
    if not state.up:
        yield Move("cannot claim", with_process(state, number, at="look", away_at=state.time))
        return
    seen = process.seen
    assert seen is not None
    same = (row.incarnation, row.version, row.state) == (seen.incarnation, seen.version, seen.state)
    ran_out = row.until <= state.time or (row.holder is not None and dead(state, row.holder))
    free = row.holder is None or (row.holder == seen.holder and ran_out)
    if not same or not (free or config.without == "the claim"):
        yield Move("comes too late to claim", with_process(state, number, at="look", seen=None))
        return
    holder = Holder(number, process.life, process.claims + 1)
    claimed = row._replace(
        holder=holder, until=state.time + claim_life(config), doubt=row.doubt + (row.holder is not None)
    )
    after = state._replace(row=claimed)
    changes = {"claims": holder.claim, "seen": claimed, "since": state.time}
    yield Move("claims", with_process(after, number, at="send", **changes))
    if (slow := spending(after, "slow claim")) is not None:
        yield Move("claims, and the store answers late", with_process(slow, number, at="claimed late", **changes))


def _claimed_late(config: Config, state: State, number: int) -> Iterator[Move]:
    since = state.time if config.without == "counting from before the claim" else state.processes[number].since
    yield Move("hears that it has the claim", with_process(state, number, at="send", since=since), urgent=False)


def _send(config: Config, state: State, number: int) -> Iterator[Move]:
    """Send it under a claim that is young enough (R4)."""
    process = state.processes[number]
    if state.time > process.since + claim_life(config) // 2 - 1 and config.without != "the age of a claim":
        yield Move("finds its claim too old", with_process(_released(state, number), number, at="look", seen=None))
        return
    assert process.seen is not None
    assert process.seen.holder is not None
    token = process.seen.token
    request = Request(process.seen.holder, token, state.time)
    after = _judged(state, number, token)._replace(flying=(*state.flying, request))
    after = with_process(after, number, at="wait", waits_since=state.time)
    yield Move(f"sends {token}", after)
    if (slow := spending(after, "slow server")) is not None:
        yield Move(
            f"sends {token} to a slow server", slow._replace(flying=(*state.flying, request._replace(slow=True)))
        )


def _judged(state: State, number: int, token: int) -> State:
    """Note where this must not be sent: by chance of a freeze no client can help it."""
    rivals = {
        other
        for other, process in enumerate(state.processes)
        if other != number
        and process.at in {"wait", "heard", "commit"}
        and process.seen
        and process.seen.token == token
    }
    current = state.row.token
    spent = current != token and family_of(current) == family_of(token) and state.row.state != "disconnected"
    if not rivals and not spent:
        return state
    if state.froze & (rivals | {number}) or (spent and state.froze):
        return because(state, "overtaken")
    if spent and "elsewhere" in state.causes:
        return state
    return breaking(state, TWO_SEND if rivals else SPENT_SENT)


def _wait(config: Config, state: State, number: int) -> Iterator[Move]:
    """Listen for as long as it may carry the only successor; an answer that is there is heard, however late."""
    process = state.processes[number]
    assert process.seen is not None
    mine = next((request for request in state.flying if request.holder == process.seen.holder), None)
    others = tuple(request for request in state.flying if request is not mine)
    waited = state.time - process.waits_since
    deaf = config.without == "listening" and waited > 1
    if mine is not None and not mine.gone and mine.answer is not None and not deaf:
        at = "heard" if mine.answer.token else "refused"
        after = with_process(state._replace(flying=others), number, at=at, answer=mine.answer)
        yield Move(f"hears {mine.answer.token or 'no'}", after)
    elif mine is None or mine.gone or deaf or waited >= LISTEN:
        after = state
        if mine is not None and mine.answer is None:
            after = because(state._replace(flying=(*others, mine._replace(gone=True))), "late")
        elif mine is not None:
            after = state._replace(flying=others)
        yield Move("gives up listening", with_process(after, number, at="doubt"))


def _doubt(_: Config, state: State, number: int) -> Iterator[Move]:
    """Once more with the same token, under a new claim (R9)."""
    process = state.processes[number]
    if not state.up:
        yield Move("leaves its claim to run out", _done(state, number))
        return
    after = _released(state, number, doubt=1)
    again = {"at": "look", "tries": 1, "seen": None}
    yield Move("is in doubt", with_process(after, number, **again) if not process.tries else _done(after, number))


def _heard(config: Config, state: State, number: int) -> Iterator[Move]:
    """Write the answer down on this host before the store gets it (R6)."""
    process = state.processes[number]
    assert process.seen is not None
    assert process.answer is not None
    entry = Entry(config.hosts[number], process.seen.incarnation, process.seen.token, process.answer)
    rotated = process.answer.token != process.seen.token
    journal = state.journal if config.without == "the journal" or not rotated else (*state.journal, entry)
    after = state._replace(journal=journal)
    yield Move("writes it down", with_process(after, number, at="commit", waits_since=state.time))


def _commit(config: Config, state: State, number: int) -> Iterator[Move]:
    """Commit where the row still wants it; else adopt what is there, and revoke ours only after a disconnect (R6)."""
    row, process = state.row, state.processes[number]
    assert process.seen is not None
    assert process.answer is not None
    if not state.up:
        if state.time >= process.waits_since + LISTEN:
            yield Move("gives up storing", _owing(config, state, number))
        return
    seen, answer = process.seen, process.answer
    if _wanted(config, row, seen, answer):
        after = stored(state, seen.incarnation, answer)
        yield Move(f"stores {answer.token}", with_process(after, number, at="settle"))
        if (lost := spending(after, "lost commit")) is not None:
            yield Move(f"stores {answer.token}, and hears nothing", lost)
    elif row.bought == answer.bought:
        yield Move("finds its own answer stored", with_process(state, number, at="settle"))
    else:
        revoke = row.state == "disconnected" or config.without == "leaving alone what was overtaken"
        after = revoked(state, answer.token) if revoke else state
        yield Move("finds the row moved on", with_process(after, number, at="settle"))


def _owing(config: Config, state: State, number: int) -> State:
    """Return the state in which a process owes the store an answer: it brings it when the store is back."""
    if config.without == "bringing it later":
        return _done(elsewhere(config, state, number), number)
    return _done(state, number, at="restart")


def elsewhere(config: Config, state: State, number: int) -> State:
    """Note that an answer waits in the journal of a host which others cannot read."""
    alone = all(host == config.hosts[number] for host in config.hosts)
    return state if alone else because(state, "elsewhere")


def _wanted(config: Config, row: Row, seen: Row, answer: Answer) -> bool:
    if row.incarnation != seen.incarnation or row.state == "disconnected":
        return False
    if config.without == "compare-and-swap":
        return True
    held = (row.version, row.holder) == (seen.version, seen.holder)
    heals = answer.token != seen.token and row.token == seen.token and config.without != "healing"
    return held or heals


def _settle(config: Config, state: State, number: int) -> Iterator[Move]:
    answer = state.processes[number].answer
    yield Move("settles", _done(settled(state, config.hosts[number], answer), number))


def _refused(config: Config, state: State, number: int) -> Iterator[Move]:
    """Read again before believing a no (R7)."""
    row, process = state.row, state.processes[number]
    if not state.up:
        return
    seen = process.seen
    assert seen is not None
    blind = config.without == "reading again"
    moved = (row.incarnation, row.version, row.holder) != (seen.incarnation, seen.version, seen.holder)
    if moved and not blind:
        yield Move("looks again after a no", with_process(state, number, at="look", seen=None))
    elif not blind and (brought := replayed(config, state, number)) is not None:
        yield Move("has what was refused in its journal", brought)
    elif row.state == "disconnected":
        yield Move("is refused what is disconnected", _done(state, number))
    else:
        marked = row._replace(state="needs_reauth", holder=None)
        yield Move("marks it dead", _done(state._replace(row=marked), number))


def _restart(config: Config, state: State, number: int) -> Iterator[Move]:
    """Bring what the journal of the host has that nobody settled."""
    if not state.up:
        return
    brought = replayed(config, state, number, starting=True)
    yield Move("starts again", brought if brought is not None else _done(state, number))


_STEPS = {
    "look": _look,
    "fate": _fate,
    "last look": _last_look,
    "claim": _claim,
    "claimed late": _claimed_late,
    "send": _send,
    "wait": _wait,
    "doubt": _doubt,
    "heard": _heard,
    "commit": _commit,
    "settle": _settle,
    "refused": _refused,
    "restart": _restart,
}


# -- what several steps do


def replayed(config: Config, state: State, number: int, *, starting: bool = False) -> State | None:
    """Return the state after bringing this host's journal to the row; None where it has nothing for it.

    An answer fits where the row holds the token that it was bought with.  What does not fit is settled, and revoked
    where the connection was disconnected.
    """
    row, after = state.row, state
    for entry in state.journal:
        if entry.host != config.hosts[number] or (entry.settled and (starting or entry.spent != row.token)):
            continue
        fits = (row.incarnation, row.token) == (entry.incarnation, entry.spent) and row.state != "disconnected"
        if fits or config.without == "fitting the journal":
            return _done(settled(stored(after, entry.incarnation, entry.answer), entry.host, entry.answer), number)
        if not entry.settled:
            gone = row.state == "disconnected" and row.incarnation > entry.incarnation
            after = settled(revoked(after, entry.answer.token) if gone else after, entry.host, entry.answer)
    return None if after == state else with_process(after, number, at="look", seen=None)


def settled(state: State, host: int, answer: Answer | None) -> State:
    """Note in the journal of a host that the store has an answer, or has no use for it."""
    journal = tuple(
        entry._replace(settled=True) if (entry.host, entry.answer) == (host, answer) else entry
        for entry in state.journal
    )
    return state._replace(journal=journal)


def stored(state: State, incarnation: int, answer: Answer) -> State:
    """Put an answer into the row, and note where that must not be."""
    row = state.row
    after = state._replace(
        row=row._replace(
            version=row.version + 1, token=answer.token, bought=answer.bought, state="connected", holder=None, doubt=0
        )
    )
    if row.state == "disconnected":
        after = breaking(after, BACK)
    if family_of(row.token) != family_of(answer.token) or row.incarnation != incarnation:
        after = breaking(after, ALIEN)
    elif answer.bought < row.bought:
        after = breaking(after, OLDER)
    return after


def revoked(state: State, token: int) -> State:
    """Revoke a token at the server, and with it its family."""
    families = list(state.families)
    family = families[family_of(token)]
    if token in family.valid and not family.ended:
        families[family_of(token)] = family._replace(ended="revoked")
    return state._replace(families=tuple(families))


def _released(state: State, number: int, *, doubt: int = 0) -> State:
    """Give the claim back, if it is still held."""
    row, seen = state.row, state.processes[number].seen
    if not state.up or seen is None or row.holder != seen.holder:
        return state
    return state._replace(row=row._replace(holder=None, doubt=row.doubt + doubt))


def _done(state: State, number: int, *, at: str = "done") -> State:
    """Return the state with a process at its end: what it has seen matters no more."""
    process = state.processes[number]
    ended = {"at": at, "seen": None, "answer": None, "since": 0, "waits_since": 0, "still_since": -1, "away_at": -99}
    return with_process(state, number, **ended, tries=0, claims=process.claims)


def _known_dead(config: Config, state: State, number: int) -> bool:
    holder = state.row.holder
    return holder is not None and _same_host(config, number, holder.process) and dead(state, holder)


def _same_host(config: Config, one: int, other: int) -> bool:
    return config.hosts[one] == config.hosts[other]


def renewed(config: Config, state: State) -> State:
    """Return the state with a tick's renewal of the claim: by its holder, while that waits or stores."""
    row = state.row
    if row.holder is None or not state.up or dead(state, row.holder):
        return state
    process = state.processes[row.holder.process]
    busy = process.at in {"wait", "heard", "commit"} and not process.frozen
    mine = process.seen is not None and process.seen.holder == row.holder
    return state._replace(row=row._replace(until=state.time + claim_life(config))) if busy and mine else state


def holds_successor(state: State, number: int) -> bool:
    """Whether a process has an answer that is written down nowhere else."""
    process = state.processes[number]
    return process.at == "heard" and process.answer is not None and lives(state, process.answer.token)
