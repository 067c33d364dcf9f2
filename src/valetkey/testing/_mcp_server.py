"""A resource of the wicked server that says itself where people sign in for it, as MCP servers do (RFC 9728)."""

from __future__ import annotations

from valetkey.testing._http import Call, Reply
from valetkey.testing._site import Site, bearer, claims

PATH = "/mcp"
METADATA = "/.well-known/oauth-protected-resource/mcp"


def protected_resource(site: Site, call: Call) -> Reply:  # noqa: ARG001 - the same signature as the other endpoints
    """Tell what the resource is, and who gives tokens for it."""
    members = {
        "resource": f"{site.url}{PATH}",
        "authorization_servers": [site.issuer],
        "scopes_supported": ["notes.read"],
        "bearer_methods_supported": ["header"],
    }
    return site.faults.rendered("resource_metadata", 200, members)


def mcp(site: Site, call: Call) -> Reply:
    """Answer who brings a token; tell others where the metadata is."""
    found = bearer(site, call)
    if isinstance(found, Reply):
        said = found.headers.get("WWW-Authenticate", "Bearer")
        where = f'resource_metadata="{site.url}{METADATA}"'
        joined = f"{said}, {where}" if "=" in said else f"{said} {where}"
        return Reply(found.status, found.body, {**found.headers, "WWW-Authenticate": joined}, found.note)
    return Reply.of_json(200, {"login": claims(found).get("login"), "scopes": list(found.scopes)})
