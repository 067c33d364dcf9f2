"""The main job, end to end, in one minute: `make demo`.

A practice provider runs on loopback, and its clock is ours; everything else is what a program uses.  For a person at a
terminal it ends with the console, which shows what happened.
"""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from valetkey import NotConnected, ReauthorizationRequired
from valetkey.testing import Practice

CALLERS = 100
HOUR = 3600


def say(step: str, result: str) -> None:
    print(f"{step:<48} {result}", flush=True)


def expect(holds: bool, what: str) -> None:
    if not holds:
        sys.exit(f"demo: failed: {what}")


def main() -> None:
    with Practice() as practice:
        say("practice provider", f"listens on {practice.provider.url}")
        say("declare the credential", "notes: authorization code, PKCE S256, rotating refresh tokens")
        before_connecting(practice)
        connect(practice)
        expire(practice)
        herd(practice)
        refused(practice)
        withdrawn(practice)
        disconnect(practice)
        print("demo: ok", flush=True)
        if sys.stdin.isatty() and sys.stdout.isatty():
            show_console(practice)


def show_console(practice: Practice) -> None:
    """Let a person look at the connection and what happened to it, until they have seen it."""
    import uvicorn  # noqa: PLC0415 - only for this

    from valetkey.server import create_app  # noqa: PLC0415
    from valetkey.server.serving import DEFAULT_PORT, listen_near  # noqa: PLC0415

    practice.connect("notes", login="ada")
    app = create_app(practice.valet)
    with listen_near("127.0.0.1", DEFAULT_PORT) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        print(f"\nConnected once more. This link opens the console on it, once:\n\n  {url}/login/link?token=", end="")
        print(app.state.server.sessions.link().reveal(), end="\n\n", flush=True)
        try:
            input("Enter ends it. ")
        except (EOFError, KeyboardInterrupt):
            print()
        finally:
            server.should_exit = True
            thread.join()


def before_connecting(practice: Practice) -> None:
    try:
        practice.valet.client("notes").get("/me")
    except NotConnected as error:
        say("call before connecting", f"{error.code}: {error.hint}")
    else:
        expect(False, "a call without a connection went through")


def connect(practice: Practice) -> None:
    status = practice.connect("notes", login="ada")
    expect(status.state == "connected", f"the connection is {status.state}")
    title = status.identity.title if status.identity else "somebody"
    say("connect (the provider approves for the person)", f"connected as {title}, granted: {' '.join(status.granted)}")
    answer = practice.valet.client("notes").get("/me")
    say("call the API", f"HTTP {answer.status_code}: {answer.json()}")


def expire(practice: Practice) -> None:
    practice.clock.advance(HOUR + 1)
    answer = practice.valet.client("notes").get("/me")
    expect(answer.status_code == 200 and practice.provider.refreshes == 1, "the expired token was not refreshed once")
    say("an hour later, the token has expired", f"HTTP {answer.status_code}, {practice.provider.refreshes} refresh")


def herd(practice: Practice) -> None:
    practice.clock.advance(HOUR + 1)
    before = practice.provider.refreshes
    client = practice.valet.client("notes")
    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(lambda _: client.get("/me").status_code, range(CALLERS)))
    refreshes = practice.provider.refreshes - before
    ok = answers.count(200)
    expect(refreshes == 1 and ok == CALLERS, f"{refreshes} refreshes, {ok} of {CALLERS} calls went through")
    say(f"expired again, {CALLERS} threads call at once", f"{ok} of {CALLERS} ok, {refreshes} refresh")


def refused(practice: Practice) -> None:
    practice.clock.advance(HOUR // 2)
    before = practice.provider.refreshes
    practice.provider.expire_access_tokens()
    answer = practice.valet.client("notes").get("/me")
    expect(answer.status_code == 200 and practice.provider.refreshes == before + 1, "the 401 was not healed")
    say("the API refuses a token that should live", f"401, 1 refresh, 1 retry: HTTP {answer.status_code}")


def withdrawn(practice: Practice) -> None:
    practice.provider.revoke(login="ada")
    practice.clock.advance(HOUR + 1)
    try:
        practice.valet.client("notes").get("/me")
    except ReauthorizationRequired as error:
        say("the person withdraws access", f"{error} -> {error.hint}")
    else:
        expect(False, "a withdrawn grant still worked")
    before = practice.valet.client("notes").status()
    expect(before.state == "needs_reauth", "the state does not say so")
    after = practice.connect("notes", login="ada")
    expect(after.connection_id == before.connection_id, "the connection has another id")
    say("connect again", f"{before.state} ({before.reason}) -> {after.state}, with the same connection id")


def disconnect(practice: Practice) -> None:
    done = practice.valet.disconnect("notes")
    expect(practice.provider.live_grants == 0, "a grant lives on at the provider")
    say("disconnect", done.told)
    expect(practice.provider.reuses == 0, "a refresh token was sent twice")
    say("refresh tokens that were sent twice", str(practice.provider.reuses))


if __name__ == "__main__":
    main()
