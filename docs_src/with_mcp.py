"""Call a tool of an MCP server; the first time a person signs in, in the browser."""

import asyncio
import os

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from valetkey import AsyncValet, wire_oauth2_credential
from valetkey.adapters.mcp import McpAuth

URL = os.environ.get("MCP_SERVER", "http://127.0.0.1:8423/mcp")

wire_oauth2_credential("notes", security_profile="mcp", api_base_url=URL)
valet = AsyncValet()


async def main() -> None:
    auth = McpAuth(valet.client("notes"))
    async with (
        valet,
        httpx2.AsyncClient(auth=auth, timeout=300) as http,
        Client(streamable_http_client(URL, http_client=http)) as client,
    ):
        answer = await client.call_tool("add", {"a": 2, "b": 3})
    print(*(part.text for part in answer.content if part.type == "text"))


if __name__ == "__main__":
    asyncio.run(main())
