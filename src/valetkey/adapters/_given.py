"""What every adapter says when it is given the wrong thing, or its library is not there."""

from __future__ import annotations

from valetkey.client import AsyncOAuth2Client, OAuth2Client, parts_of
from valetkey.errors import ConfigurationError
from valetkey.source import TokenSource

Client = OAuth2Client | AsyncOAuth2Client


def given(adapter: str, client: object, *kinds: type[Client]) -> tuple[TokenSource, tuple[str, ...]]:
    """Return what the client of a valet is made of.

    Raises:
        ConfigurationError: ``client_unsuitable``: it is no client, or one of the other colour.
    """
    if isinstance(client, kinds):
        return parts_of(client)
    wanted = " or ".join(kind.__name__ for kind in kinds)
    holder = "AsyncValet" if OAuth2Client not in kinds else "Valet"
    msg = f"{adapter} takes an {wanted}, not {type(client).__name__}"
    raise ConfigurationError(msg, code="client_unsuitable", hint=f'pass {holder}().client("github") or the like')


def missing(library: str, error: ImportError) -> ImportError:
    """Return the error for a library that is not installed, or too old."""
    wanted = f'pip install "valetkey[{library}]"'
    return ImportError(f"valetkey.adapters.{library} needs {library} ({error}): {wanted}", name=error.name)
