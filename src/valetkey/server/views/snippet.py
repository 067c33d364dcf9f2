"""The few lines that make a call with one connection: they run as they stand."""

from __future__ import annotations

from dataclasses import dataclass

from valetkey.engine.trouble import command_line
from valetkey.model.connections import ConnectionKey
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.names import DEFAULT_ENV


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """The same call in three ways.

    Attributes:
        sync: A Python program.
        asynchronous: The same with asyncio.
        shell: A command line.
    """

    sync: str
    asynchronous: str
    shell: str


def snippet(key: ConnectionKey, credential: OAuth2Credential, store: str) -> Snippet:
    """Return how to make a call with the connection under `key`; `store` is where it is, empty for the usual place."""
    url = _url(credential)
    opening = ", ".join([*([repr(store)] if store else []), *([f"env={key.env!r}"] if key.env != DEFAULT_ENV else [])])
    named = [repr(key.credential)]
    named += [f"owner={key.owner!r}"] if key.owner is not None else []
    named += [f"account={key.account!r}"] if key.account else []
    variable = _variable(key.credential)
    client = f"{variable} = valet.client({', '.join(named)})"
    call = f"{variable}.get({url!r})"
    return Snippet(
        sync="\n".join(
            [
                "from valetkey import Valet",
                "",
                f"valet = Valet({opening})",
                client,
                "# refreshed in time, retried once on 401",
                f"response = {call}",
                "print(response.status_code)",
            ]
        ),
        asynchronous="\n".join(
            [
                "import asyncio",
                "",
                "from valetkey import AsyncValet",
                "",
                "",
                "async def main():",
                f"    async with AsyncValet({opening}) as valet:",
                f"        {client}",
                f"        response = await {call}",
                "        print(response.status_code)",
                "",
                "",
                "asyncio.run(main())",
            ]
        ),
        shell=_shell(key, url, store),
    )


def _shell(key: ConnectionKey, url: str, store: str) -> str:
    words = ["valetkey", *(["--store", store] if store else []), "request", key.credential, url]
    words += ["--owner", key.owner] if key.owner is not None else []
    words += ["--account", key.account] if key.account else []
    words += ["--env", key.env] if key.env != DEFAULT_ENV else []
    return command_line(words)


def _url(credential: OAuth2Credential) -> str:
    """Return an address of this provider that a harmless GET can ask."""
    if credential.userinfo_url and credential.userinfo_method == "GET":
        return credential.userinfo_url
    if credential.api_base_url:
        return credential.api_base_url
    hosts = [host for host in credential.api_hosts if "*" not in host]
    return f"https://{hosts[0]}/" if hosts else credential.userinfo_url or "https://api.example.com/"


def _variable(name: str) -> str:
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name.lower())
    return plain if plain.isidentifier() and plain not in {"valet", "response", "import", "from"} else f"client_{plain}"
