"""Client ID Metadata Documents: an app whose client id is the URL of a document that says what it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from valetkey.model.credentials import OAuth2Credential
from valetkey.protocol.registration import client_metadata


def client_document(credential: OAuth2Credential, url: str, *, redirect_uris: Sequence[str]) -> dict[str, Any]:
    """Return what the document at `url` says (section 4): metadata as for a registration, and never a secret.

    Its ``client_id`` is its own address, character by character; the app is a public one, for a secret that everybody
    can read is none (section 4.1).
    """
    metadata = client_metadata(credential, redirect_uris=redirect_uris, method="none")
    return {"client_id": url, **metadata}
