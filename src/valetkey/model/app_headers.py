"""Headers of API calls that hold something of the app: its client id, its client secret, or another secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from valetkey.model.credentials import OAuth2Credential

APP_HOLE: Final = re.compile(r"\{(client_id|client_secret)\}")
"""What a header of `api_headers` may hold of the app."""
NAME: Final = "{name}"
"""The credential's own name, in the ids of `api_header_secrets`."""
_SECRET_HOLE: Final = "{client_secret}"  # noqa: S105 - the hole, not what fills it


def of_app(credential: OAuth2Credential) -> bool:
    """Whether a header of its API calls waits for something of the app."""
    return bool(credential.api_header_secrets) or any(map(APP_HOLE.search, credential.api_headers.values()))


def shows_secret(template: str) -> bool:
    """Whether a header that is filled from this template has to be kept as the client secret is."""
    return _SECRET_HOLE in template


def carries_client_secret(credential: OAuth2Credential) -> bool:
    """Whether calls of the API carry the client secret, so that even a public client has one."""
    return any(map(shows_secret, credential.api_headers.values()))


def fixed(credential: OAuth2Credential) -> Mapping[str, str]:
    """Return those of `api_headers` that are whole as they are declared."""
    return {name: text for name, text in credential.api_headers.items() if APP_HOLE.search(text) is None}


def secret_headers(credential: OAuth2Credential) -> tuple[str, ...]:
    """Return the names of the headers that hold a secret: they go to the API's own hosts alone."""
    by_template = (name for name, text in credential.api_headers.items() if shows_secret(text))
    return (*by_template, *credential.api_header_secrets)


def named_ids(ids: Mapping[str, str], name: str) -> dict[str, str]:
    """Return the ids of `api_header_secrets` for the credential of that name."""
    return {header: secret_id.replace(NAME, name) for header, secret_id in ids.items()}
