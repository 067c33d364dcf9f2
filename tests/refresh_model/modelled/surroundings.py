"""What is around the processes: the server, the store, a person, time, and what may go wrong."""

from __future__ import annotations

from collections.abc import Iterator

from modelled.client import elsewhere, holds_successor, moves_of, renewed, revoked
from modelled.state import (
    ANEW,
    GRACE,
    HORIZON,
    Answer,
    Config,
    Family,
    Move,
    Request,
    State,
    because,
    family_of,
    spending,
    with_process,
)


def moves(config: Config, state: State) -> list[Move]:
    """Return all that may happen next."""
    found: list[Move] = []
    for number in range(len(state.processes)):
        name = "ABC"[number]
        found += [
            move._replace(label=f"{name} {move.label}")
            for move in (*_of(config, state, number), *_struck(config, state, number))
        ]
    found += _of_person(state)
    found += _of_store(state)
    found += [move for request in state.flying for move in _of_server(config, state, request)]
    if not any(move.urgent for move in found) and state.time < HORIZON:
        after = state._replace(time=state.time + 1)
        found.append(Move("a tick", after if config.without == "renewing the claim" else renewed(config, after)))
    return found


def _of(config: Config, state: State, number: int) -> Iterator[Move]:
    process = state.processes[number]
    if process.at == "dead":
        fresh = process._replace(at="restart", life=process.life + 1)
        restarted = (*state.processes[:number], fresh, *state.processes[number + 1 :])
        yield Move("is started again", state._replace(processes=restarted), urgent=False)
    elif process.frozen:
        yield Move("wakes", with_process(state, number, frozen=False), urgent=False)
    else:
        yield from moves_of(config, state, number)


def _struck(config: Config, state: State, number: int) -> Iterator[Move]:
    """Yield what may befall a process in the middle of its work."""
    process = state.processes[number]
    if process.frozen or process.at in {"done", "dead", "restart"}:
        return
    if (killed := spending(state, "crash")) is not None:
        yield Move("dies", _died(config, killed, number), urgent=False)
    if (frozen := spending(state, "freeze")) is not None:
        frozen = frozen._replace(froze=frozen.froze | {number})
        yield Move("freezes", with_process(frozen, number, frozen=True), urgent=False)


def _died(config: Config, state: State, number: int) -> State:
    process = state.processes[number]
    if holds_successor(state, number):
        state = because(state, "unheard")
    if process.at == "commit":
        state = elsewhere(config, state, number)
    mine = [r for r in state.flying if r.holder.process == number and not r.gone]
    if any(request.answer is not None and request.answer.token for request in mine):
        state = because(state, "unheard")
    if any(request.answer is None for request in mine):
        state = because(state, "late")
    flying = tuple(r._replace(gone=True) if r in mine else r for r in state.flying)
    state = state._replace(flying=tuple(r for r in flying if not (r.gone and r.answer is not None)))
    blank = type(process)(at="dead", life=process.life, claims=process.claims)
    return state._replace(processes=(*state.processes[:number], blank, *state.processes[number + 1 :]))


def _of_person(state: State) -> Iterator[Move]:
    """Yield what a person does, where the store answers: a tombstone and a revocation, or a new sign-in (R14)."""
    if not state.todo or not state.up:
        return
    row = state.row
    if state.todo == "disconnect":
        buried = row._replace(
            incarnation=row.incarnation + 1, version=row.version + 1, state="disconnected", holder=None
        )
        after = revoked(state._replace(row=buried, todo=""), row.token)
        yield Move(f"the person disconnects: {row.token} is revoked", after, urgent=False)
        return
    anew = row._replace(
        incarnation=row.incarnation + 1,
        version=row.version + 1,
        token=ANEW,
        bought=ANEW,
        state="connected",
        holder=None,
        doubt=0,
    )
    families = (*state.families, Family(frozenset({ANEW})))
    yield Move("the person signs in anew", state._replace(row=anew, families=families, todo=""), urgent=False)


def _of_store(state: State) -> Iterator[Move]:
    if not state.up:
        yield Move("the store comes back", state._replace(up=True), urgent=False)
    elif (down := spending(state, "outage")) is not None:
        yield Move("the store goes away", down._replace(up=False), urgent=False)


def _of_server(config: Config, state: State, request: Request) -> Iterator[Move]:
    """Yield what the server does with a request, and what may happen to it on its way."""
    if request.answer is not None:
        return
    urgent = not request.slow and state.time > request.sent_at
    answer, after = _worked(config, state, request.token)
    bought = answer.token != 0
    label = f"the server takes {request.token}: {answer.token or 'no'}"
    others = tuple(other for other in state.flying if other is not request)
    gone = after._replace(flying=others)
    if request.gone:
        yield Move(f"{label}, for nobody", because(gone, "unheard") if bought else gone, urgent=urgent)
        return
    yield Move(label, after._replace(flying=(*others, request._replace(answer=answer))), urgent=urgent)
    if (lost := spending(gone, "lost answer")) is not None:
        yield Move(f"{label}, and the answer is lost", because(lost, "unheard") if bought else lost, urgent=False)
    if (lost := spending(state, "lost request")) is not None:
        yield Move("a request is lost", lost._replace(flying=others), urgent=False)
    if (late := spending(state, "late request")) is not None:
        late = late._replace(flying=(*others, request._replace(gone=True, slow=True)))
        yield Move("a line breaks, and the request arrives later", because(late, "late"), urgent=False)


def _worked(config: Config, state: State, token: int) -> tuple[Answer, State]:
    """Return the server's answer to a refresh, and the state after it."""
    number = family_of(token)
    family, serial = state.families[number], state.serial
    if family.ended or token not in family.valid | family.spent:
        return Answer(0), state
    if config.on_reuse == "none":
        return Answer(token, serial), state._replace(serial=serial + 1)
    in_grace = config.on_reuse == "grace" and state.time <= family.rotated_at + GRACE
    if token in family.spent and not in_grace:
        ended = family if config.on_reuse == "deny" else family._replace(ended="reuse")
        return Answer(0), _with_family(state, number, ended)
    valid = (family.valid - {token}) | {serial}
    rotated_at = state.time if token in family.valid else family.rotated_at
    rotated = family._replace(valid=valid, spent=family.spent | {token}, rotated_at=rotated_at)
    return Answer(serial, serial), _with_family(state._replace(serial=serial + 1), number, rotated)


def _with_family(state: State, number: int, family: Family) -> State:
    families = list(state.families)
    families[number] = family
    return state._replace(families=tuple(families))
