"""The life of a connection from the command line, each step a process of its own, at a real authorization server."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest

PERSON, TRY_LATER, USAGE = 3, 4, 2
ADDRESS = re.compile(r"http://\S+/auth\?\S+")
COMPLETE = re.compile(r"Or open (\S+) and compare the code\.")
OPTIONS = (
    *("issuer", "authorization_url", "token_url", "device_authorization_url", "revocation_url"),
    *("userinfo_url", "api_base_url", "client_auth", "grant"),
)


def add(command: Any, server: Any, name: str) -> None:
    """Add the app of a client, with its secret on stdin and nothing secret in argv."""
    fields, app = server.fields(name), server.app(name)
    fields["authorization_url"] += "?prompt=consent"
    declared = [f"--{option.replace('_', '-')}={fields[option]}" for option in OPTIONS if fields[option]]
    declared += [f"--scope={scope}" for scope in fields["scopes"]]
    secret = ["--secret-stdin"] if "client_secret" in app else ["--public"]
    command.run(
        *("app", "add", name, f"--client-id={app['client_id']}", *secret, *declared),
        stdin=app.get("client_secret", ""),
    )


def declare(command: Any, server: Any, name: str, **fields: Any) -> None:
    """Declare a credential in the file, and give its app by environment variables."""
    command.declare(name, {**server.fields(name), **fields})
    for member, value in server.app(name).items():
        command.env[f"VALETKEY_{name.upper()}_{member.upper()}"] = value


def shown(process: subprocess.Popen[str], pattern: re.Pattern[str]) -> str:
    """Return what the command shows of that pattern."""
    assert process.stderr is not None
    told = ""
    for line in process.stderr:
        told += line
        found = pattern.search(line)
        if found is not None:
            return found[pattern.groups]
    pytest.fail(f"it ended without showing {pattern.pattern}:\n{told}")


def paste(command: Any, who: Any, name: str, *, status: int = 0) -> str:
    """Connect with --paste, and paste the address that the browser ends on."""
    process = command.start("connect", name, "--paste")
    callback = who.sign_in(shown(process, ADDRESS))
    out: str = command.finish(process, stdin=callback + "\n", status=status)[0]
    return out


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("basic", id="client_secret_basic"),
        pytest.param("post", id="client_secret_post"),
        pytest.param("odd", id="odd characters in client id and secret"),
    ],
)
def test_a_whole_life(command: Any, server: Any, person: Any, name: str) -> None:
    add(command, server, name)
    assert "Connected as alice@example.test" in paste(command, person(), name)
    (status,) = command.json("status", name)["connections"]
    assert (status["state"], status["identity"]["subject"], status["missing"]) == ("connected", "alice", [])

    said = command.run("request", name, "/resource")
    assert f'"client_id":"{server.app(name)["client_id"]}"' in said
    assert command.json("refresh", name)["connection"]["id"] == status["id"]
    token = command.run("token", name)
    assert server.accepts(token)
    assert server.refreshes == (1, 0)

    done = command.json("disconnect", name, "--yes")
    assert done["revoked"] == ["refresh_token", "access_token"]
    assert not server.accepts(token)
    command.run("request", name, "/resource", status=PERSON)
    assert server.count("reuse") == 0


def test_each_use_of_an_expired_token_refreshes_it_and_keeps_the_successor(command: Any, server: Any) -> None:
    # A buffer as long as the token's life: whoever asks for the token finds that it counts as expired.
    declare(command, server, "public", buffer=300)
    command.browser("carol")
    assert "Connected as carol@example.test" in command.run("connect", "public")

    for times in (1, 2, 3):
        assert '"sub":"carol"' in command.run("request", "public", f"{server.issuer}/resource")
        assert (server.refreshes, server.count("reuse")) == ((times, 0), 0)


def test_several_commands_at_once_never_send_a_token_twice(command: Any, server: Any) -> None:
    declare(command, server, "public", buffer=300)
    command.browser()
    command.run("connect", "public")

    together = [command.start("token", "public") for _ in range(4)]
    tokens = [command.finish(process)[0] for process in together]

    assert server.accepts(tokens[-1])
    granted, refused = server.refreshes
    assert 1 <= granted <= 4
    assert (refused, server.count("reuse")) == (0, 0)


def test_a_device_code_that_somebody_enters(command: Any, server: Any, person: Any) -> None:
    declare(command, server, "device")
    process = command.start("connect", "device", "--device")

    person("bob").visit(shown(process, COMPLETE))

    assert "Connected as bob@example.test" in command.finish(process)[0]
    assert '"sub":"bob"' in command.run("request", "device", "/resource")


def test_an_apps_own_token(command: Any, server: Any) -> None:
    declare(command, server, "service")

    header = command.run("header", "service")

    assert server.accepts(header.removeprefix("Authorization: Bearer ").strip())
    assert command.json("disconnect", "service", "--yes")["revoked"] == ["access_token"]


def test_a_person_who_says_no(command: Any, server: Any) -> None:
    declare(command, server, "public")
    command.browser("alice", "deny")

    error = command.json("connect", "public", status=PERSON)["error"]

    assert error["code"] == "authorization_denied"
    assert error["hint"]
    assert [row["state"] for row in command.json("status", "public")["connections"]] == ["pending"]


def test_a_wrong_client_secret_leaves_the_connection_as_it_is(command: Any, server: Any, person: Any) -> None:
    declare(command, server, "basic", buffer=300)
    paste(command, person(), "basic")
    good = command.env["VALETKEY_BASIC_CLIENT_SECRET"]

    command.env["VALETKEY_BASIC_CLIENT_SECRET"] = "wrong"
    error = command.json("refresh", "basic", status=USAGE)["error"]
    assert error["code"] == "client_rejected"
    assert [row["state"] for row in command.json("status", "basic")["connections"]] == ["app_error"]

    command.env["VALETKEY_BASIC_CLIENT_SECRET"] = good
    assert '"client_id":"basic"' in command.run("request", "basic", "/resource")
    assert server.count("reuse") == 0


def test_a_grant_that_somebody_killed_asks_for_the_person_and_connecting_heals_it(
    command: Any, server: Any, person: Any
) -> None:
    declare(command, server, "public", buffer=300)
    paste(command, person(), "public")
    (before,) = command.json("status", "public")["connections"]
    (row,) = [line for line in command.run("export", "--include-tokens", "--yes").splitlines() if "public" in line]
    stolen = re.search(r'"refresh_token": ?"([^"]+)"', row)
    assert stolen is not None
    command.run("refresh", "public")
    assert server.spend("public", stolen[1]) == (400, "invalid_grant")

    error = command.json("refresh", "public", status=PERSON)["error"]
    assert (error["code"], error["hint"]) == ("reauthorization_required", "run: valetkey connect public")
    assert command.json("status", "public")["connections"][0]["state"] == "needs_reauth"

    paste(command, person(), "public")
    (after,) = command.json("status", "public")["connections"]
    assert (after["id"], after["state"]) == (before["id"], "connected")


def test_a_server_that_is_busy(command: Any, server: Any, person: Any) -> None:
    declare(command, server, "public")
    paste(command, person(), "public")
    server.switch(busy=1)

    assert command.json("refresh", "public", status=TRY_LATER)["error"]["code"] == "provider_unavailable"
    (status,) = command.json("status", "public")["connections"]
    assert (status["state"], status["next_try_at"] is not None) == ("refresh_failing", True)

    command.run("refresh", "public")
    assert command.json("status", "public")["connections"][0]["state"] == "connected"


def test_an_app_registers_itself_and_is_managed_and_nothing_secret_is_shown(command: Any, server: Any) -> None:
    fields = {"issuer": server.issuer, "registration": "dynamic", "api_base_url": server.issuer}
    command.declare("new", {**fields, "scopes": ["openid"]})
    made = command.json("app", "register", "new")["registration"]
    assert (made["issuer"], made["manageable"]) == (server.issuer, True)
    assert made["metadata"]["redirect_uris"] == ["http://127.0.0.1:8421/callback/new"]
    assert not {"client_secret", "registration_access_token"} & {*made, *made["metadata"]}
    assert f"client id         {made['client_id']}" in command.run(
        "app", "registration", "update", "new", "--set", "client_name=Notes"
    )
    app = command.json("app", "show", "new")["app"]
    assert (app["client_id"], app["from"]) == (made["client_id"], "its registration at the server")
    assert command.json("app", "registration", "delete", "new", "--yes") == {
        "format_version": 1,
        "deleted": "new",
        "at_server": True,
    }
    assert (
        "valetkey app register new"
        in command.finish(command.start("app", "registration", "show", "new"), status=USAGE)[1]
    )
