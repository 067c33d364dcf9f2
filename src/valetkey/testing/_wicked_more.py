"""Switches of the wicked server: people on phones, certificates, registration, and MCP servers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from valetkey.testing._faults import OMIT
from valetkey.testing._wicked import EVIL, JSON, answer, challenged, change, switch

if TYPE_CHECKING:
    from valetkey.testing._http import Reply
    from valetkey.testing._wicked import Switch
    from valetkey.testing.wicked import WickedServer

_STOP: Final = "stop; no restart by itself"
_ELSEWHERE: Final = "stop before authorization; nothing goes there"
_HTML: Final = "<!doctype html><title>Welcome</title>"
_DAY: Final = 86_400


def _asked(name: str, does: str, wants: str, **members: Any) -> Switch:
    return switch(name, does, wants, "CIBA 7.3", change("ciba", **members))


def _refused(name: str, does: str, error: str) -> Switch:
    body = json.dumps({"error": error})
    return switch(name, does, "tell it; nothing is polled", "CIBA 13", answer("ciba", 400, body, **_JSON))


def _polled(name: str, does: str, wants: str, error: str, times: int | None = 1) -> Switch:
    return switch(name, does, wants, "CIBA 11", lambda server: server.fail_next(status=400, error=error, times=times))


_JSON: Final = {name.replace("-", "_"): value for name, value in JSON.items()}

_CIBA = (
    _asked("ciba-no-expiry", "the answer to a question does not say how long it is good", "reject", expires_in=OMIT),
    _asked("ciba-no-id", "the answer to a question has nothing to poll with", "reject", auth_req_id=OMIT),
    _asked("ciba-odd-id", "the answer to a question has a list to poll with", "reject", auth_req_id=["x"]),
    _asked("ciba-no-interval", "the answer to a question names no interval", "wait 5 seconds", interval=OMIT),
    _asked("ciba-interval-huge", "polls are a day apart", "wait long, and not for ever", interval=_DAY),
    _asked("ciba-unknown-members", "the answer to a question holds members that nobody knows", "ignore them", x={}),
    switch(
        "ciba-html",
        "the answer to a question is a page of HTML",
        "a clean error",
        "CIBA 7.3",
        lambda server: server.answer_html(None, endpoint="ciba"),
    ),
    _refused("ciba-unknown-person", "nobody is known by that hint", "unknown_user_id"),
    _refused("ciba-no-user-code", "the person's own code is wanted", "missing_user_code"),
    _polled("ciba-pending", "the first poll is answered by authorization_pending", "go on", "authorization_pending"),
    _polled(
        "ciba-slow-down", "the first poll is answered by slow_down", "wait 5 seconds longer from then on", "slow_down"
    ),
    _polled("ciba-denied", "polls are answered by access_denied", _STOP, "access_denied", None),
    _polled("ciba-expired", "polls are answered by expired_token", _STOP, "expired_token", None),
    _polled("ciba-invalid-request", "polls are answered by invalid_request", _STOP, "invalid_request", None),
    switch(
        "ciba-poll-503",
        "the first poll is answered by 503, with a wait of 30 seconds",
        "go on after that",
        "CIBA 11",
        lambda server: server.fail_next(status=503, retry_after=30),
    ),
)

_MTLS = (
    switch(
        "mtls-alias-missing",
        "its metadata names aliases for certificates, and none for tokens",
        "call the plain endpoint",
        "RFC 8705 5",
        change("discovery", mtls_endpoint_aliases={"introspection_endpoint": f"{EVIL}/introspect"}),
    ),
    switch(
        "mtls-alias-insecure",
        "the alias for tokens is plain http",
        _ELSEWHERE,
        "RFC 8705 5",
        change("discovery", mtls_endpoint_aliases={"token_endpoint": "http://evil.example/token"}),
    ),
    switch(
        "mtls-alias-odd",
        "the aliases are a list",
        "stop before authorization",
        "RFC 8705 5",
        change("discovery", mtls_endpoint_aliases=[f"{EVIL}/token"]),
    ),
    switch(
        "mtls-bound-to-another",
        "tokens are bound to another certificate, so the API refuses them all",
        "one refresh and one retry, then give up; the grant stays",
        "RFC 8705 3",
        answer("api", 401, b"", WWW_Authenticate='Bearer error="invalid_token"'),
    ),
    switch(
        "mtls-certificate-refused",
        "it does not take the certificate",
        "tell that the app is wrong; keep the grants",
        "RFC 8705 2",
        answer("token", 401, '{"error": "invalid_client"}', **_JSON),
    ),
)


def _registered(name: str, does: str, wants: str, source: str = "RFC 7591 3.2.1", **members: Any) -> Switch:
    return switch(name, does, wants, source, change("registration", **members))


def _managed(name: str, does: str, wants: str, **members: Any) -> Switch:
    return switch(name, does, wants, "RFC 7592 3", change("management", **members))


_REGISTRATION = (
    _registered(
        "registration-other-redirect-uris",
        "apps are registered with another redirect URI",
        "stop before authorization",
        redirect_uris=[f"{EVIL}/callback"],
    ),
    _registered(
        "registration-other-auth",
        "apps are registered to prove themselves by their secret in the body",
        "do so",
        token_endpoint_auth_method="client_secret_post",  # noqa: S106 - a method's name
    ),
    _registered(
        "registration-unknown-auth",
        "apps are registered to prove themselves in a way that nobody knows",
        "a clean error; no token request",
        token_endpoint_auth_method="by_handshake",  # noqa: S106 - a method's name
    ),
    _registered(
        "registration-no-secret",
        "apps are registered to prove themselves by a secret, and get none",
        "a clean error; no token request",
        client_secret=OMIT,
    ),
    _registered("registration-no-id", "registrations name no client id", "reject", client_id=OMIT),
    _registered("registration-odd-id", "registrations name a client id that is a list", "reject", client_id=["x"]),
    _registered(
        "registration-secret-ended",
        "the secrets of registered apps have ended long ago",
        "a clean error; no endless registering",
        client_secret_expires_at=1,
    ),
    _registered(
        "registration-managed-elsewhere",
        "registrations are managed at another host",
        "use the app; the token of its registration never goes there",
        "RFC 7592 3",
        registration_client_uri=f"{EVIL}/registered",
    ),
    _registered(
        "registration-managed-inside",
        "registrations are managed at an address inside a data centre",
        "reject; never call it",
        "RFC 9728 7.7",
        registration_client_uri="https://169.254.169.254/registered",
    ),
    switch(
        "registration-html",
        "registrations are answered by a page of HTML with status 201",
        "a clean error",
        "RFC 7591 3.2.1",
        answer("registration", 201, _HTML, Content_Type="text/html"),
    ),
    switch(
        "registration-huge",
        "answers to registrations have ten megabytes",
        "a clean error; bounded memory",
        "seen",
        lambda server: server.twist("registration", _huge),
    ),
    switch(
        "registration-refused",
        "apps are not registered",
        "tell so; the person may add an app",
        "RFC 7591 3.2.2",
        answer("registration", 400, '{"error": "invalid_client_metadata"}', **_JSON),
    ),
    switch(
        "registration-redirect",
        "the registration endpoint redirects elsewhere, with the body",
        "do not follow",
        "RFC 9700 4.12",
        answer("registration", 307, b"", Location=f"{EVIL}/register"),
    ),
    _managed(
        "management-other-client",
        "answers to managing an app are about another one",
        "use nothing of them",
        client_id="somebody-else",
    ),
    _managed(
        "management-new-secret",
        "answers to managing an app hold a new secret",
        "use that one from then on",
        client_secret="dynamic-new-secret",  # noqa: S106 - made up
    ),
    switch(
        "management-moves",
        "an app is managed at another host from now on",
        "the token of its registration never goes there",
        "RFC 7592 3",
        change("management", registration_client_uri=f"{EVIL}/registered"),
    ),
    switch(
        "management-gone",
        "it does not know the registration any more",
        "tell so; keep what is known",
        "RFC 7592 2.1",
        answer("management", 401, '{"error": "invalid_token"}', **_JSON),
    ),
    switch(
        "management-html",
        "answers to managing an app are a page of HTML",
        "a clean error; keep what is known",
        "RFC 7592 3",
        answer("management", 200, _HTML, Content_Type="text/html"),
    ),
)


def _huge(reply: Reply) -> Reply:
    return replace(reply, body=b'{"client_id": "x", "padding": "' + b"x" * 10_000_000 + b'"}')


def _named(where: str) -> Callable[[WickedServer], None]:
    """Return what has challenges of the MCP server name this as the place of its metadata."""

    def turn(server: WickedServer) -> None:
        server.twist("mcp", challenged(lambda _: f'Bearer resource_metadata="{where}"'))

    return turn


def _resource(name: str, does: str, wants: str, **members: Any) -> Switch:
    return switch(name, does, wants, "RFC 9728 3.3", change("resource_metadata", **members))


_MCP = (
    switch(
        "mcp-metadata-elsewhere",
        "the challenge of an MCP server names metadata on another host",
        _ELSEWHERE,
        "RFC 9728 7.7",
        _named(f"{EVIL}/.well-known/oauth-protected-resource"),
    ),
    switch(
        "mcp-metadata-inside",
        "the challenge of an MCP server names metadata inside a data centre",
        "never call it; look at the well-known address instead",
        "RFC 9728 7.7",
        _named("https://169.254.169.254/latest/meta-data"),
    ),
    _resource(
        "mcp-resource-other",
        "the metadata of an MCP server is about another resource",
        "stop before authorization",
        resource=f"{EVIL}/mcp",
    ),
    _resource(
        "mcp-resource-missing",
        "the metadata of an MCP server names no resource",
        "stop before authorization",
        resource=OMIT,
    ),
    _resource(
        "mcp-no-servers",
        "the metadata of an MCP server names no authorization server",
        "stop before authorization",
        authorization_servers=OMIT,
    ),
    _resource(
        "mcp-empty-servers",
        "the metadata of an MCP server has an empty list of authorization servers",
        "stop before authorization",
        authorization_servers=[],
    ),
    _resource(
        "mcp-servers-inside",
        "the metadata of an MCP server names an authorization server inside a data centre, from elsewhere",
        "stop before authorization, unless that is where the MCP server is too",
        authorization_servers=["http://169.254.169.254"],
    ),
    switch(
        "mcp-metadata-html",
        "the metadata of an MCP server is a page of HTML",
        "stop before authorization",
        "RFC 9728 3.2",
        answer("resource_metadata", 200, _HTML, Content_Type="text/html"),
    ),
    switch(
        "mcp-metadata-huge",
        "the metadata of an MCP server has ten megabytes",
        "stop before authorization, in bounded memory",
        "seen",
        lambda server: server.twist("resource_metadata", _huge),
    ),
    switch(
        "mcp-no-pkce",
        "the authorization server of an MCP server says nothing of PKCE",
        "stop before authorization",
        "MCP 2026-07-28",
        change("discovery", code_challenge_methods_supported=OMIT),
    ),
    switch(
        "mcp-refuses-for-ever",
        "an MCP server answers every token with 401",
        "one sign-in, then give up",
        "MCP 2026-07-28",
        lambda server: server.twist("mcp", _refusing(401, 'Bearer error="invalid_token"')),
    ),
    switch(
        "mcp-scope-for-ever",
        "an MCP server wants the same scope more, whatever was granted",
        "ask once, then tell which",
        "MCP 2026-07-28",
        lambda server: server.twist("mcp", _refusing(403, _scope("notes.write"))),
    ),
    switch(
        "mcp-scope-climbs",
        "an MCP server wants another scope each time",
        "ask two times, then tell which",
        "MCP 2026-07-28",
        lambda server: server.twist("mcp", _climbing()),
    ),
)


def _scope(name: str) -> str:
    return f'Bearer error="insufficient_scope", scope="{name}"'


def _refusing(status: int, challenge: str) -> Callable[[Reply], Reply]:
    """Return what refuses those who bring a token that is good."""

    def twist(reply: Reply) -> Reply:
        if reply.status != 200:  # noqa: PLR2004 - without a token the right challenge comes
            return reply
        return replace(reply, status=status, body=b"", headers={"WWW-Authenticate": challenge})

    return twist


def _climbing() -> Callable[[Reply], Reply]:
    asked = iter(range(1_000_000))

    def twist(reply: Reply) -> Reply:
        return _refusing(403, _scope(f"notes.extra{next(asked)}"))(reply)

    return twist


SWITCHES: Final[tuple[Switch, ...]] = (*_CIBA, *_MTLS, *_REGISTRATION, *_MCP)
