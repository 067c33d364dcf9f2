"""A token endpoint and an API on loopback, for measuring OAuth clients: prints its two ports, and serves until killed.

Rotation is strict (RFC 9700 section 4.14.2): a refresh token works once, and a second use kills the whole grant.

POST /token     the refresh_token grant
GET  /api       200 with a live bearer, else 401
GET  /redirect  302 to the second origin, which records the Authorization header that it is sent
GET  /plain     200 without a token: the base line
POST /ctl       {"op": "reset" | "new" | "set" | "stats" | "alive", ...}: JSON in and out
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import Any
from urllib.parse import parse_qsl

OK = b'{"ok":true}'
REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}
LIFE = 3600


class Ledger:
    """Which tokens live, and what was asked for."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.delay = {"token_ms": 0, "api_ms": 0}
        self.alive: dict[str, bool] = {}
        self.refresh: dict[str, tuple[str, bool]] = {}
        self.access: dict[str, tuple[str, float]] = {}
        self.counts = {"token": 0, "reuses": 0, "api": 0}
        self.caught: list[str] = []

    def new(self) -> dict[str, Any]:
        grant = secrets.token_hex(6)
        self.alive[grant] = True
        return self._issue(grant)

    def _issue(self, grant: str) -> dict[str, Any]:
        access, refresh = f"AT-{secrets.token_hex(12)}", f"RT-{secrets.token_hex(12)}"
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
            self.delay.update(wish)
        return {**self.counts, "live": sum(self.alive.values()), "caught": self.caught}


LEDGER = Ledger()


def answer(status: int, body: object, more: str = "") -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} {REASONS[status]}\r\ncontent-type: application/json\r\ncontent-length: {len(raw)}\r\n"
    return f"{head}{more}\r\n".encode() + raw


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
            if wait:
                self.busy = True
                asyncio.get_running_loop().call_later(wait / 1000, self.later, out)
            else:
                self.transport.write(out)

    def later(self, out: bytes) -> None:
        self.busy = False
        if not self.transport.is_closing():
            self.transport.write(out)
            self.pump()

    def handle(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """Return how many milliseconds to wait, and the answer."""
        if path == "/api":
            welcome = LEDGER.accepts(headers.get("authorization", ""))
            said = answer(200, OK) if welcome else answer(401, b"{}", "www-authenticate: Bearer\r\n")
            return LEDGER.delay["api_ms"], said
        if path == "/token":
            return LEDGER.delay["token_ms"], answer(*LEDGER.spend(dict(parse_qsl(body.decode()))))
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
