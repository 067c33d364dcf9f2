"""An authorization server on loopback that counts: prints its port, and serves until killed.

It knows what no client can know: which refresh token it has rotated, who asked, and whether somebody was still there
to hear the answer.  It also keeps lines to stores that lose answers on cue.

POST /token/WHO  the refresh_token grant, asked by the process WHO; with any code, a new grant
POST /revoke     RFC 7009: ends the grant of a token
POST /ctl        {"op": "new" | "set" | "log" | "freeze" | "line", ...}: JSON in and out
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import secrets
import signal
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl

Outcome = Literal["open", "answered", "refused", "gone", "lost"]


@dataclass
class Rules:
    """How it behaves; changed by the op ``set``.

    Attributes:
        on_reuse: ``revoke`` ends the grant when a spent token comes back, ``deny`` refuses it, ``grace`` takes it for
            `grace` seconds more and then revokes, ``none`` takes it for ever.
        grace: Seconds.
        life: Seconds that an access token lives.
        before: From and to how many seconds it thinks before it rotates.
        after: From and to how many seconds it thinks before it answers.
        lose: How likely an answer is lost: the connection is closed instead.
    """

    on_reuse: str = "revoke"
    grace: float = 30.0
    life: float = 2.0
    before: tuple[float, float] = (0.0, 0.0)
    after: tuple[float, float] = (0.0, 0.0)
    lose: float = 0.0


@dataclass
class Sending:
    """One request with a refresh token.

    Attributes:
        grant: Whose token it is.
        token: Which token of that grant, counted from 0.
        who: The process that sent it.
        at: When it came, on the clock that all processes share.
        rotated_at: When it was answered with a successor, as far as this server is concerned.
        done_at: When the answer left, or was found to have nobody to go to.
        outcome: What became of the answer.
    """

    grant: int
    token: int
    who: str
    at: float
    rotated_at: float | None = None
    done_at: float | None = None
    outcome: Outcome = "open"


@dataclass
class Again:
    """A refresh token that came again: the sending before, as it stood then, and this one."""

    grant: int
    token: int
    first: str
    outcome: Outcome
    rotated: bool
    who: str
    at: float


@dataclass
class Grant:
    """One grant: its refresh tokens in the order of their issue, and when each was spent."""

    alive: bool = True
    revoked: bool = False
    tokens: list[str] = field(default_factory=list)
    spent: dict[int, float] = field(default_factory=dict)


class Freezer:
    """Stops processes as soon as so many tokens were rotated, before any of their answers leaves."""

    def __init__(self, pids: list[int], count: int, patience: float) -> None:
        self.pids, self.missing = pids, count
        self.done = asyncio.Event()
        asyncio.get_running_loop().call_later(patience, self.stop)

    def rotated(self) -> None:
        self.missing -= 1
        if self.missing <= 0:
            self.stop()

    def stop(self) -> None:
        if not self.done.is_set():
            for pid in self.pids:
                with contextlib.suppress(ProcessLookupError):  # a server ends the processes of clients that left
                    os.kill(pid, signal.SIGSTOP)
            self.done.set()


class Authority:
    def __init__(self) -> None:
        self.rules = Rules()
        self.grants: list[Grant] = []
        self.where: dict[str, tuple[int, int]] = {}
        self.sendings: list[Sending] = []
        self.agains: list[Again] = []
        self.latest: dict[tuple[int, int], Sending] = {}
        self.freezer: Freezer | None = None
        self.lines: list[Line] = []
        self.random = random.Random()

    # -- grants

    def new(self) -> dict[str, Any]:
        self.grants.append(Grant())
        return {"grant": len(self.grants) - 1, **self._issue(len(self.grants) - 1)}

    def _issue(self, at: int) -> dict[str, Any]:
        access, refresh = f"AT-{secrets.token_hex(16)}", f"RT-{secrets.token_hex(16)}"
        grant = self.grants[at]
        self.where[refresh] = self.where[access] = at, len(grant.tokens)
        grant.tokens.append(refresh)
        answer = {"access_token": access, "token_type": "Bearer", "refresh_token": refresh}
        return {**answer, "expires_in": self.rules.life}

    def spend(self, value: str, sending: Sending) -> dict[str, Any] | None:
        """Return the answer, or None for ``invalid_grant``."""
        grant = self.grants[sending.grant]
        now = time.monotonic()
        spent_at = grant.spent.get(sending.token)
        if spent_at is not None and not self._taken_again(grant, now - spent_at):
            return None
        if not grant.alive or value not in self.where:
            return None
        grant.spent.setdefault(sending.token, now)
        sending.rotated_at = now
        return self._issue(sending.grant)

    def _taken_again(self, grant: Grant, age: float) -> bool:
        rule = self.rules.on_reuse
        if rule == "none" or (rule == "grace" and age < self.rules.grace):
            return True
        if rule != "deny":
            grant.alive = False
        return False

    def live(self, grant: Grant) -> list[str]:
        """Return the refresh tokens that would be taken and were not spent before."""
        kept = grant.tokens if self.rules.on_reuse == "none" else []
        fresh = [token for at, token in enumerate(grant.tokens) if at not in grant.spent]
        return [*kept, *fresh] if grant.alive else []

    # -- requests

    async def token(self, who: str, form: dict[str, str], there: Any) -> tuple[bytes | None, Sending | None]:
        """Return the answer, None to hang up, and the sending to settle."""
        if (
            form.get("grant_type") == "authorization_code"
        ):  # whoever asks gets a grant: it is not consent that is tested
            return answer(200, self.new()), None
        value = form.get("refresh_token", "")
        if value not in self.where:
            return answer(400, {"error": "invalid_grant", "error_description": "unknown token"}), None
        sending = Sending(*self.where[value], who, time.monotonic())
        place = sending.grant, sending.token
        if (earlier := self.latest.get(place)) is not None:
            outcome: Outcome = "gone" if earlier.outcome == "open" and not earlier_there(earlier) else earlier.outcome
            rotated = earlier.rotated_at is not None
            self.agains.append(Again(*place, earlier.who, outcome, rotated, who, sending.at))
        self.latest[place] = sending
        self.sendings.append(sending)
        _there[id(sending)] = there
        await self._think(self.rules.before)
        said = self.spend(value, sending)
        if said is not None and self.freezer is not None:
            freezer = self.freezer
            freezer.rotated()
            await freezer.done.wait()
        await self._think(self.rules.after)
        if said is None:
            return answer(400, {"error": "invalid_grant", "error_description": "revoked or used"}), sending
        if self.random.random() < self.rules.lose:
            return None, sending
        return answer(200, said), sending

    async def _think(self, between: tuple[float, float]) -> None:
        if between[1]:
            await asyncio.sleep(self.random.uniform(*between))

    def revoke(self, form: dict[str, str]) -> bytes:
        if (place := self.where.get(form.get("token", ""))) is not None:
            grant = self.grants[place[0]]
            grant.alive, grant.revoked = False, True
        return answer(200, {})

    async def control(self, wish: dict[str, Any]) -> Any:
        op = wish.pop("op")
        if op == "new":
            return [self.new() for _ in range(wish["count"])]
        if op == "set":
            for name, value in wish.items():
                setattr(self.rules, name, value)
        if op == "freeze":
            self.freezer = Freezer(wish["pids"], wish["count"], wish["patience"]) if wish["pids"] else None
        if op == "frozen":
            assert self.freezer is not None  # noqa: S101 - for the type checker
            await self.freezer.done.wait()
        if op == "line":
            self.lines.append(Line(wish["target"], wish["lose"], self.random))
            return await self.lines[-1].open()
        if op == "steady":
            for line in self.lines:
                line.lose = 0.0
        return None if op != "log" else self.log()

    def log(self) -> dict[str, Any]:
        return {
            "grants": [
                {"alive": grant.alive, "revoked": grant.revoked, "tokens": grant.tokens, "live": self.live(grant)}
                for grant in self.grants
            ],
            "sendings": [asdict(sending) for sending in self.sendings],
            "agains": [asdict(again) for again in self.agains],
            "cuts": sum(line.cuts for line in self.lines),
        }


_there: dict[int, Any] = {}


def earlier_there(sending: Sending) -> bool:
    """Whether the client of a request that is still open is still connected."""
    there = _there.get(id(sending))
    return there is not None and there()


# -- lines that lose answers -------------------------------------------------------------------------------------------


class Line:
    """A line to a store: it hands on all that is asked, and now and then hangs up when the answer comes."""

    def __init__(self, target: int, lose: float, chance: random.Random) -> None:
        self.target, self.lose, self.chance, self.cuts = target, lose, chance, 0

    async def open(self) -> int:
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _carry(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection("127.0.0.1", self.target)
        with contextlib.suppress(OSError):
            forth = asyncio.ensure_future(self._hand_on(client, to_server, 0.0))
            back = asyncio.ensure_future(self._hand_on(server, to_client, 1.0))
            await asyncio.wait({forth, back}, return_when=asyncio.FIRST_COMPLETED)
            for task in (forth, back):
                task.cancel()
            await asyncio.gather(forth, back, return_exceptions=True)
        for end in (to_client, to_server):
            end.close()

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, share: float) -> None:
        while data := await reader.read(1 << 16):
            if self.chance.random() < self.lose * share:
                self.cuts += 1
                return
            writer.write(data)
            await writer.drain()


# -- HTTP --------------------------------------------------------------------------------------------------------------

AUTHORITY = Authority()


def answer(status: int, body: object) -> bytes:
    raw = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n"
    return head.encode() + raw


async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection, one after the other."""

    def there() -> bool:
        return not (reader.at_eof() or writer.is_closing())

    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            path = first.split(" ")[1]
            sending: Sending | None = None
            out: bytes | None
            if path.startswith("/token/"):
                out, sending = await AUTHORITY.token(path.removeprefix("/token/"), _form(body), there)
            elif path == "/revoke":
                out = AUTHORITY.revoke(_form(body))
            else:
                out = answer(200, await AUTHORITY.control(json.loads(body)))
            if sending is not None:
                settle(sending, out, there())
            if out is None:
                break
            writer.write(out)
            await writer.drain()
    writer.close()


def _form(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode()))


def settle(sending: Sending, out: bytes | None, there: bool) -> None:
    sending.done_at = time.monotonic()
    _there.pop(id(sending), None)
    if sending.rotated_at is None:
        sending.outcome = "refused"
    elif out is None:
        sending.outcome = "lost"
    else:
        sending.outcome = "answered" if there else "gone"


async def serve() -> None:
    server = await asyncio.start_server(converse, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the harness ends it
    asyncio.run(serve())
