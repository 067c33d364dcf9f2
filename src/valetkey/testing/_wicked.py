"""What a switch of the wicked server is, and the ways to bend an answer."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from valetkey.testing._http import Reply

if TYPE_CHECKING:
    from valetkey.testing.wicked import WickedServer

EVIL: Final = "https://evil.example"
HUGE: Final = 10_000_000
JSON: Final = {"Content-Type": "application/json", "Cache-Control": "no-store"}

Twist = Callable[[Reply], Reply | None]
Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """One way to misbehave, or to be odd.

    Attributes:
        name: By which it is turned on.
        does: What the server does then.
        wants: What a client must do.
        source: Where that stands; ``seen`` where servers were seen to do it, without a text that covers it.
        turn: Turns it on.
    """

    name: str
    does: str
    wants: str
    source: str
    turn: Callable[[WickedServer], object]


def switch(name: str, does: str, wants: str, source: str, turn: Callable[[WickedServer], object]) -> Switch:
    """Return a switch."""
    return Switch(name=name, does=does, wants=wants, source=source, turn=turn)


def content(reply: Reply) -> bytes:
    """Return the whole body of an answer."""
    return reply.body if isinstance(reply.body, bytes) else b"".join(reply.body)


def bodied(change: Callable[[bytes], bytes], **headers: str) -> Twist:
    """Return what changes the body of right answers, and of no others."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def twist(reply: Reply) -> Reply:
        right = reply.status == 200  # noqa: PLR2004 - what was granted
        return replace(reply, body=change(content(reply)), headers={**reply.headers, **named}) if right else reply

    return twist


def with_duplicate(body: bytes, name: str) -> bytes:
    """Return a JSON object in which a member comes twice, with another value first."""
    return b"{" + json.dumps(name).encode() + b': "other", ' + body.lstrip()[1:]


def padded(body: bytes) -> bytes:
    """Return a JSON object with a member of ten megabytes more."""
    return body.rstrip()[:-1] + b', "padding": "' + b"x" * HUGE + b'"}'


@cache
def bomb() -> bytes:
    """Return ten megabytes of JSON in a few kilobytes."""
    return gzip.compress(b'{"access_token": "' + b"x" * HUGE + b'"}', 9)


def located(change: Callable[[Pairs], Pairs]) -> Twist:
    """Return what changes the parameters that the browser carries back."""

    def twist(reply: Reply) -> Reply:
        location = reply.headers.get("Location", "")
        parts = urlsplit(location)
        if not parts.query:
            return reply
        pairs = urlencode(change(parse_qsl(parts.query)))
        return replace(reply, headers={**reply.headers, "Location": parts._replace(query=pairs).geturl()})

    return twist


def challenged(change: Callable[[str], str], status: int | None = None) -> Twist:
    """Return what changes the challenge of a refusal, and its status."""

    def twist(reply: Reply) -> Reply:
        found = reply.headers.get("WWW-Authenticate")
        if found is None:
            return reply
        return replace(
            reply, status=status or reply.status, headers={**reply.headers, "WWW-Authenticate": change(found)}
        )

    return twist


def answer(endpoint: Any, status: int, body: bytes | str = b"", **headers: str) -> Callable[[WickedServer], None]:
    """Return what makes an endpoint answer this and nothing else."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def turn(server: WickedServer) -> None:
        server.fail_next(status=status, body=body, headers=named, endpoint=endpoint, times=None)

    return turn


def change(endpoint: Any, **members: Any) -> Callable[[WickedServer], None]:
    """Return what changes members of the right answers of an endpoint."""

    def turn(server: WickedServer) -> None:
        server.change_answer(endpoint=endpoint, **members)

    return turn


def both(*turns: Callable[[WickedServer], object]) -> Callable[[WickedServer], None]:
    """Return what does one after the other."""

    def turn(server: WickedServer) -> None:
        for each in turns:
            each(server)

    return turn


def rule(**rules: object) -> Callable[[WickedServer], None]:
    """Return what changes rules."""

    def turn(server: WickedServer) -> None:
        for name, value in rules.items():
            setattr(server.rules, name, value)

    return turn
