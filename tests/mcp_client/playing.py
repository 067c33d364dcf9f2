"""Our client, with the official SDK, as the conformance runner has it play its scenarios: all in one process."""

from __future__ import annotations

import asyncio
import json
import threading
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from valetkey import AsyncValet, Wiring
from valetkey.adapters.mcp import McpAuth
from valetkey.secret_services.memory import MemorySecrets

DOCUMENT = "https://conformance-test.local/client-metadata.json"
"""The client id that the runner expects where a server takes documents."""
CALLBACK = "http://127.0.0.1:8421/callback/tools"


async def sign_in(url: str) -> str:
    """Be the person: the runner's servers send whoever comes straight back."""
    async with httpx2.AsyncClient() as browser:
        answer = await browser.get(url)
    return answer.headers["location"]


def declared(scenario: str, context: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what a scenario has a program declare, and the app credentials that it is given."""
    fields: dict[str, Any] = {"client_id_metadata_url": DOCUMENT}
    if "client-credentials" in scenario:
        fields = {"grant": "client_credentials", "registration": "manual"}
    app = {name: context[name] for name in ("client_id", "client_secret") if name in context}
    if "private_key_pem" in context:
        fields["client_auth"] = "private_key_jwt"
        app["private_key"] = context["private_key_pem"]
    return fields, app


async def play(folder: Path, scenario: str, context: dict[str, str], url: str) -> None:
    """Use the tools of the server at `url`, as the program of a user does."""
    wiring, secrets = Wiring(), MemorySecrets()
    fields, app = declared(scenario, context)
    credential = wiring.oauth2_credential("tools", security_profile="mcp", api_base_url=url, **fields)
    if app:
        secrets.set(credential.secret_id, json.dumps(app))
    async with AsyncValet(folder / "valetkey.db", key=folder / "key", wiring=wiring, secrets=secrets) as valet:
        auth = McpAuth(valet.client("tools"), sign_in=sign_in, redirect_uri=CALLBACK)
        async with (
            httpx2.AsyncClient(auth=auth, timeout=20) as http,
            Client(streamable_http_client(url, http_client=http), mode="legacy") as client,
        ):
            tools = await client.list_tools()
            for tool in tools.tools:
                await client.call_tool(tool.name, {})


class Stage:
    """Plays scenarios for whoever connects to a socket, until it is left."""

    def __init__(self, folder: Path) -> None:
        self.address = folder / "stage"
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._up.wait(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_unix_server(self._serve, self.address))
        self._up.set()
        self._loop.run_forever()
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = json.loads(await reader.readline())
        folder = self._folder / asked["scenario"].replace("/", "-")
        folder.mkdir()
        try:
            await play(folder, **asked)
        except BaseException:  # noqa: BLE001 - whoever asked is told
            writer.write(traceback.format_exc().encode())
        else:
            writer.write(b"well\n")
        await writer.drain()
        writer.close()
