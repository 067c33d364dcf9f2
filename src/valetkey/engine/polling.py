"""Asking a server again and again whether a person has decided (RFC 8628 section 3.5, CIBA Core section 10.1)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from valetkey.engine.exchange import name_of, refusal_error
from valetkey.engine.turns import Buying
from valetkey.engine.world import World
from valetkey.errors import ConsentExpired
from valetkey.model.connections import ConnectionKey
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.ports import InDoubt, NotSent
from valetkey.protocol.device import next_interval
from valetkey.protocol.token_response import Refusal, TokenSet, parse_token_response
from valetkey.values import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """How to ask.

    Attributes:
        build: Makes one question.  An assertion or the like is good for one request only, so each is built anew.
        interval: Seconds between two questions.
        expires_at: On `Clock.monotonic`: when nobody can decide any more.
        listen: Seconds that an answer is waited for.
        from_sending: Whether the interval counts from the sending of a question, else from its answer.
        late: What is said where nobody decided in time.
    """

    build: Callable[[], Request]
    interval: float
    expires_at: float
    late: str
    listen: float = 15.0
    from_sending: bool = False


def poll(
    world: World,
    credential: OAuth2Credential,
    key: ConnectionKey,
    how: Poll,
    turn: ExitStack,
    on_wait: Callable[[float], None] | None,
) -> tuple[TokenSet, Buying]:
    """Ask for the tokens until there is a final word: wait first, then ask; one question at a time.

    Each question may buy them; what is bought is to be kept within `turn`.

    Raises:
        ConsentExpired: Nobody decided in time.
        ConnectError: The final word was no; see `exchange.refusal_error`.
    """
    interval, spent = how.interval, 0.0
    while True:
        left = how.expires_at - world.clock.monotonic()
        if left <= interval - spent:
            raise ConsentExpired(f"{how.late} of {name_of(credential)} before it ran out", hint="start again")
        if on_wait is not None:
            on_wait(left)
        if interval > spent:
            world.clock.sleep(interval - spent)
        buying = turn.enter_context(Buying(world, credential, key))
        asked_at = world.clock.monotonic()
        answer = _ask(world, credential, how)
        if isinstance(answer, TokenSet):
            return answer, buying
        turn.close()
        if isinstance(answer, Refusal) and not answer.goes_on:
            raise refusal_error(credential, key, answer)
        interval = next_interval(interval, answer or "timeout")
        waits = answer is not None and (answer.retry_after or 0.0) > 0  # that is counted from the answer
        spent = world.clock.monotonic() - asked_at if how.from_sending and not waits else 0.0


def _ask(world: World, credential: OAuth2Credential, how: Poll) -> TokenSet | Refusal | None:
    """Ask once; None when no answer came, which is no reason to stop."""
    request = how.build()
    try:
        response = world.endpoint.send(request, deadline=world.clock.monotonic() + how.listen)
    except (NotSent, InDoubt):
        return None
    return parse_token_response(response, credential=credential, now=world.clock.now(), request=request)
