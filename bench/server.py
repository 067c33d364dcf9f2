"""A token endpoint and an API on loopback, for measuring OAuth clients: prints its two ports, and serves until killed.

Rotation is strict (RFC 9700 section 4.14.2): a refresh token works once, and a second use kills the whole grant.

POST /token     the refresh_token grant; `set` with "mode": odd answers, see `odd`
GET  /api       200 with a live bearer, else 401
GET  /redirect  302 to the second origin, which records the Authorization header that it is sent
GET  /plain     200 without a token: the base line
POST /ctl       {"op": "reset" | "new" | "set" | "revoke" | "end" | "release" | "stats" | "alive", ...}: JSON in and out
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

OK = b'{"ok":true}'
REASONS = {
    200: "OK",
    302: "Found",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
LIFE = 3600
JSON = "application/json"


class Ledger:
    """Which tokens live, and what was asked for."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.wish: dict[str, Any] = {"token_ms": 0, "api_ms": 0, "mode": "", "hold": False}
        self.alive: dict[str, bool] = {}
        self.refresh: dict[str, tuple[str, bool]] = {}
        self.access: dict[str, tuple[str, float]] = {}
        self.counts = {"token": 0, "reuses": 0, "api": 0}
        self.caught: list[str] = []
        self.made: list[str] = []
        self.kept: list[tuple[Callable[[bytes], None], bytes]] = []

    def new(self) -> dict[str, Any]:
        grant = secrets.token_hex(6)
        self.alive[grant] = True
        return self._issue(grant)

    def _issue(self, grant: str) -> dict[str, Any]:
        access, refresh = f"AT-{secrets.token_hex(12)}", f"RT-{secrets.token_hex(12)}"
        self.made += [access, refresh]
        self.access[access] = grant, time.time() + LIFE
        self.refresh[refresh] = grant, False
        return {"access_token": access, "token_type": "Bearer", "expires_in": LIFE, "refresh_token": refresh}

    def spend(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Answer a refresh request."""
        self.counts["token"] += 1
        token = form.get("refresh_token", "")
        grant, used = self.refresh.get(token, ("", False))
        if used:
            self.alive[grant] = False
            self.counts["reuses"] += 1
        if not self.alive.get(grant):
            return 400, {"error": "invalid_grant", "error_description": "unknown, revoked or used"}
        self.refresh[token] = grant, True
        return 200, self._issue(grant)

    def accepts(self, authorization: str) -> bool:
        """Whether the API lets this header in."""
        self.counts["api"] += 1
        scheme, _, token = authorization.partition(" ")
        grant, ends = self.access.get(token, ("", 0.0))
        return scheme.lower() == "bearer" and self.alive.get(grant, False) and time.time() < ends

    def control(self, wish: dict[str, Any]) -> Any:
        op = wish.pop("op")
        if op == "new":
            return [self.new() for _ in range(wish["count"])]
        if op == "alive":
            grant, used = self.refresh.get(wish["refresh_token"], ("", True))
            return self.alive.get(grant, False) and not used
        if op == "reset":
            self.reset()
        if op == "set":
            self.wish.update(wish)
        if op == "revoke":  # the access tokens, not the grants
            self.access.clear()
        if op == "end":
            self.alive.clear()
        if op == "release":
            self.release()
        return {**self.counts, "live": sum(self.alive.values()), "caught": self.caught, "made": self.made}

    def release(self) -> None:
        """Send the answer that `hold` kept back."""
        for send, out in self.kept:
            send(out)
        self.kept.clear()


LEDGER = Ledger()


def answer(status: int, body: object, more: str = "", kind: str = JSON) -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} {REASONS[status]}\r\ncontent-type: {kind}\r\ncontent-length: {len(raw)}\r\n"
    return f"{head}{more}\r\n".encode() + raw


def refreshed(form: dict[str, str]) -> bytes:
    """Answer a refresh request: as asked for by `set` with "mode", else as RFC 6749 says."""
    mode = LEDGER.wish["mode"]
    if mode in TROUBLE:
        LEDGER.counts["token"] += 1
        return TROUBLE[mode]()
    status, body = LEDGER.spend(form)
    if status != 200 or mode not in ODD:
        return answer(status, body)
    return ODD[mode](body)


def unspent() -> dict[str, Any]:
    """Return a token as an answer would bring it; the refresh token that was sent for it stays good."""
    return LEDGER.new()


def cut(raw: bytes) -> bytes:
    return raw[: len(raw) * 9 // 10]


TROUBLE: dict[str, Callable[[], bytes]] = {
    "500": lambda: answer(500, {"error": "server_error"}),
    "503": lambda: answer(503, b"<html>busy</html>", "retry-after: 1\r\n", "text/html"),
    "429": lambda: answer(429, {"error": "slow_down"}, "retry-after: 1\r\n"),
    "HTML": lambda: answer(200, b"<html><body>maintenance</body></html>", kind="text/html"),
    "cut off": lambda: answer(200, cut(json.dumps(unspent()).encode())),
    "array": lambda: answer(200, [unspent()]),
    "no token": lambda: answer(200, {k: v for k, v in unspent().items() if k != "access_token"}),
    "error": lambda: answer(200, {"error": "temporarily_unavailable", "error_description": "come back later"}),
    "20 MB": lambda: answer(200, {"padding": "x" * 20_000_000}),
}
"""Answers that bring no token: the grant is left as it was, and so is the refresh token."""

ODD: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "text": lambda token: answer(200, token | {"expires_in": str(LIFE)}),
    "null": lambda token: answer(200, token | {"expires_in": None}),
    "absent": lambda token: answer(200, {k: v for k, v in token.items() if k != "expires_in"}),
    "bEaReR": lambda token: answer(200, token | {"token_type": "bEaReR"}),
    "no type": lambda token: answer(200, {k: v for k, v in token.items() if k != "token_type"}),
    "form": lambda token: answer(200, urlencode(token).encode(), kind="application/x-www-form-urlencoded"),
}
"""Answers that bring a token in another dress; the refresh token is spent."""


class Connection(asyncio.Protocol):
    """One connection: requests are answered one after the other, some after a while."""

    second_port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self.transport, self.buffer, self.busy = transport, b"", False

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.pump()

    def pump(self) -> None:
        while not self.busy:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            length = int(headers.get("content-length", 0))
            if len(rest) < length:
                return
            body, self.buffer = rest[:length], rest[length:]
            wait, out = self.handle(first.split(" ")[1], headers, body)
            if wait is None:
                self.busy = True
                LEDGER.kept.append((self.later, out))
            elif wait:
                self.busy = True
                asyncio.get_running_loop().call_later(wait / 1000, self.later, out)
            else:
                self.transport.write(out)

    def later(self, out: bytes) -> None:
        self.busy = False
        if not self.transport.is_closing():
            self.transport.write(out)
            self.pump()

    def handle(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int | None, bytes]:
        """Return how many milliseconds to wait (None: until it is released), and the answer."""
        if path == "/api":
            welcome = LEDGER.accepts(headers.get("authorization", ""))
            said = answer(200, OK) if welcome else answer(401, b"{}", "www-authenticate: Bearer\r\n")
            hold, LEDGER.wish["hold"] = LEDGER.wish["hold"], False
            return None if hold else LEDGER.wish["api_ms"], said
        if path == "/token":
            return LEDGER.wish["token_ms"], refreshed(dict(parse_qsl(body.decode())))
        if path == "/ctl":
            return 0, answer(200, LEDGER.control(json.loads(body)))
        return 0, self.at_once(path, headers)

    def at_once(self, path: str, headers: dict[str, str]) -> bytes:
        if path == "/redirect":
            return answer(302, b"", f"location: http://localhost:{self.second_port}/catch\r\n")
        if path == "/catch":
            LEDGER.caught.append(headers.get("authorization", ""))
        return answer(200, OK) if path in {"/plain", "/catch"} else answer(404, b"{}")


async def serve() -> None:
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Connection, "127.0.0.1", 0, backlog=2048) for _ in range(2)]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    Connection.second_port = ports[1]
    print(*ports, flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(serve())
