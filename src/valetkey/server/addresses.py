"""Our own addresses as others see them.

`redirect_uri` is the one function that makes the address which a provider sends browsers back to: what pages show and
what is sent cannot differ.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from valetkey.model.credentials import OAuth2Credential
from valetkey.server.asking import Ask

LOCAL: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})


def home(ask: Ask) -> str:
    """Return the public address of the application: as it was told, else as this browser reaches it on loopback."""
    return ask.server.settings.base_url or f"{ask.request.url.scheme}://{ask.request.url.netloc}{ask.root}"


def redirect_uri(ask: Ask, credential: OAuth2Credential) -> str:
    """Return the redirect URI of a credential: the declared one, else the callback of this application.

    Without a public address it is on loopback, spelt as the provider wants the local machine to be called.
    """
    if credential.redirect_uri:
        return credential.redirect_uri
    if ask.server.settings.base_url:
        return f"{home(ask)}/callback/{credential.name}"
    port = ask.request.url.port
    where = credential.loopback_host + (f":{port}" if port else "")
    return f"{ask.request.url.scheme}://{where}{ask.root}/callback/{credential.name}"


def leads_here(ask: Ask, credential: OAuth2Credential) -> bool:
    """Whether the redirect URI of a credential leads to the callback of this application."""
    mine, theirs = urlsplit(home(ask)), urlsplit(redirect_uri(ask, credential))
    same_machine = {_host(mine.netloc), _host(theirs.netloc)} <= LOCAL and mine.port == theirs.port
    same_place = mine.scheme == theirs.scheme and (mine.netloc.lower() == theirs.netloc.lower() or same_machine)
    return same_place and theirs.path == f"{mine.path.rstrip('/')}/callback/{credential.name}"


def browser_home(ask: Ask) -> str:
    """Return the origin under which this browser reaches us: its cookies are kept under that host's name."""
    return f"{ask.request.url.scheme}://{ask.request.url.netloc}"


def other_spelling(ask: Ask, origin: str) -> bool:
    """Whether `origin` is this very application on loopback under another name, where other cookies are."""
    there, here = urlsplit(origin), urlsplit(browser_home(ask))
    names = {_host(there.netloc), _host(here.netloc)}
    return len(names) == 2 and names <= LOCAL and there.port == here.port and there.scheme == here.scheme  # noqa: PLR2004 - two names


def _host(netloc: str) -> str:
    host = netloc.rpartition("@")[2].lower()
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
