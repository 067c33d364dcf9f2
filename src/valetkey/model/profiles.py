"""What a security profile, and an app that registers itself, ask of a declaration."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from valetkey.model.credentials import OAuth2Credential
from valetkey.model.places import Place


def follow(values: dict[str, Any]) -> None:
    """Fill in what follows from the profile: the token of an MCP server goes to that server alone."""
    server: str = values.get("api_base_url", "")
    if values.get("security_profile") == "mcp" and not values.get("api_hosts") and server:
        values["api_hosts"] = (urlsplit(server).netloc.rpartition("@")[2].lower(),)


def check(credential: OAuth2Credential, place: Place) -> None:
    """Check what the profile demands, and the URL of a client id metadata document.

    Raises:
        ConfigurationError: ``profile_unmet``, ``registration_unfit`` or ``client_document_url``.
    """
    if credential.security_profile == "mcp":
        _check_mcp(credential, place)
    if credential.registers and not (credential.registration_url or credential.discovers):
        place.refuse(
            "registration is dynamic, and it is not known where",
            code="registration_unfit",
            hint=f"write {place.line('registration_url', 'https://auth.example.com/register')}, or declare issuer=",
        )
    if credential.client_id_metadata_url and (flaw := document_url_flaw(credential.client_id_metadata_url)):
        place.refuse(
            f"client_id_metadata_url {flaw}",
            code="client_document_url",
            hint="write it as https://host/path, without query, fragment, user, and dots as parts of the path",
        )


def document_url_flaw(url: str) -> str:
    """Return why a URL can be no client id (Client ID Metadata Documents section 3); empty where it can."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        return "is not https"
    if "@" in parts.netloc or "#" in url:
        return "holds a user or a fragment"
    if parts.path in ("", "/"):
        return "has no path"
    if {".", ".."} & set(parts.path.split("/")):
        return "holds a dot as a part of its path"
    return "has a query" if "?" in url else ""


def _check_mcp(credential: OAuth2Credential, place: Place) -> None:
    if not credential.api_base_url:
        place.refuse(
            "the profile mcp is for one MCP server, and its URL is missing",
            code="profile_unmet",
            hint=f"write {place.line('api_base_url', 'https://mcp.example.com/mcp')}",
        )
    if not credential.pkce:
        place.refuse("the profile mcp wants PKCE", code="profile_unmet", hint=f"write {place.line('pkce', True)}")
    if len(credential.resources) > 1:
        place.refuse(
            "a token of the profile mcp is for one resource, and there are several",
            code="profile_unmet",
            hint="leave resources away: the MCP server says what it is called",
        )
