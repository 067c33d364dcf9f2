"""Call GitHub with aiohttp.  Once before: `valetkey app add github` and `valetkey connect github`."""

import asyncio

import aiohttp

from valetkey import AsyncValet, wire_oauth2_credential
from valetkey.adapters.aiohttp import middleware

wire_oauth2_credential("github", preset="github", scopes=["repo", "read:user"])
API = "https://api.github.com"


async def main() -> None:
    async with AsyncValet() as valet:
        github = valet.client("github")
        async with (
            aiohttp.ClientSession(API, middlewares=(middleware(github),), trust_env=True) as session,
            session.get("/user/repos", raise_for_status=True) as answer,
        ):
            print(*(repo["full_name"] for repo in await answer.json()), sep="\n")


if __name__ == "__main__":
    asyncio.run(main())
