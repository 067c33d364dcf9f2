"""Many users at once: one valet, one event loop.  A caller may give up at any time; the grant does not notice."""

import asyncio
import sys

from valetkey import AsyncValet, ProviderUnavailable, ReauthorizationRequired, wire_oauth2_credential

wire_oauth2_credential("github", preset="github", scopes=["read:user"], per_owner=True)


async def login_of(valet: AsyncValet, user: str) -> str:
    try:
        async with asyncio.timeout(5):  # cancels this call, never a refresh under way
            answer = await valet.client("github", owner=user).get("/user")
    except ReauthorizationRequired as problem:
        return f"{user}: {problem.reason}; {problem.hint}"
    except (TimeoutError, ProviderUnavailable):
        return f"{user}: GitHub does not answer"
    return f"{user}: {answer.raise_for_status().json()['login']}"


async def main(users: list[str]) -> None:
    async with AsyncValet() as valet:  # leaving waits for refreshes under way
        for line in await asyncio.gather(*(login_of(valet, user) for user in users)):
            print(line)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
