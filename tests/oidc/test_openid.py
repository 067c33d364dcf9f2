"""A real OpenID provider, declared by its issuer alone, over both facades."""

from __future__ import annotations

from typing import Any

import pytest

from valetkey import ConnectError, ProviderProtocolError
from valetkey.protocol.id_token import claims_of
from valetkey.values import Secret

CALLBACK = "http://127.0.0.1:8421/callback/basic"
URLS = ("authorization_url", "token_url", "device_authorization_url", "revocation_url", "userinfo_url")


def declare(program: Any, name: str = "found", **fields: Any) -> None:
    """Declare the server by its issuer: nothing else of it is said."""
    program.declare(
        name, client="basic", redirect_uri=CALLBACK, iss_advertised=None, **{**dict.fromkeys(URLS), **fields}
    )


def kinds(program: Any) -> list[str]:
    return [event.kind for event in program.valet.events()]


@pytest.mark.conformance("1 metadata: well-known paths", "1 openid: signature", "1 openid: refreshed id_token")
def test_a_whole_life_by_the_issuer_alone(program: Any, person: Any) -> None:
    declare(program)

    status = program.connect("found", person("carol"))

    assert (status.state, status.identity.subject) == ("connected", "carol")
    assert status.identity.title == "carol@example.test"
    first = program.tokens("found")
    said = claims_of(Secret(first["id_token"]))
    assert said is not None
    assert (said["iss"], said["aud"], said["sub"]) == (program.server.issuer, "basic", "carol")
    assert "nonce" in said

    program.clock.advance(90)
    program.server.expire_access_tokens()
    assert program.call("found").status_code == 200

    second = program.tokens("found")
    assert second["access_token"] != first["access_token"]
    assert claims_of(Secret(second["id_token"])), "that of the refresh was believed too, or an event would tell"
    assert program.server.refreshes == (1, 0)
    assert kinds(program) == ["connected", "refreshed"]
    done = program.client("found").disconnect()
    assert done.revoked == ("refresh_token", "access_token")
    assert not program.server.accepts(second["access_token"])


def test_what_the_server_signs_is_not_believed_by_everybody(program: Any) -> None:
    declare(program, id_token_algs=["ES256"])
    with pytest.raises(ConnectError) as caught:
        program.connect("found")
    assert caught.value.code == "id_token_invalid"
    assert "allowed: ES256" in str(caught.value)
    assert program.client("found").status().state == "pending"

    declare(program, "slashed", issuer=f"{program.server.issuer}/")
    with pytest.raises(ProviderProtocolError) as differs:
        program.connect("slashed")
    assert differs.value.code == "issuer_differs"
