"""What a sign-in that did not end well looks like to an operator: title, cause, steps, one button (SPEC section 7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

from valetkey.errors import (
    AuthorizationDenied,
    ClientRejected,
    ConfigurationError,
    IssuerMismatch,
    ProviderError,
    ProviderUnavailable,
    StateMismatch,
    ValetkeyError,
    WrongUser,
    clean,
)
from valetkey.server.views.comparing import nearest_scope
from valetkey.server.views.providers import Provider

Main = Literal["again", "app", "connections"]
"""What the main button does: start again, open the app's page, go to the connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One numbered step.

    Attributes:
        title: What to do.
        text: More about it.
        copy: A text to copy, such as the redirect URI.
        link: A page of the provider.
    """

    title: str
    text: str = ""
    copy: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A page about a failure.

    Attributes:
        title: What happened, in a line.
        cause: Why, in plain words.
        steps: What to do.
        main: What the main button does.
        icon: The symbol beside the title.
        tone: The class of its circle.
        quote: The provider's own words, cleaned; empty where there are none.
        compare: Whether the page has the box that compares redirect URIs.
        facts: Technical details.
        status: The HTTP status of the page.
    """

    title: str
    cause: str
    steps: tuple[Step, ...]
    main: Main = "again"
    icon: str = "broken"
    tone: str = "big-bad"
    quote: str = ""
    compare: bool = False
    facts: tuple[tuple[str, str], ...] = ()
    status: int = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a failure page knows beside the error.

    Attributes:
        provider: The provider.
        redirect_uri: The address that we send.
        client_id: The app's client id; empty where there is none.
        cookies_of: The host whose cookies have to be allowed.
        cookie: Whether the cookie that binds the answer came: "present", "absent".
        app_users: How many connections use the app.
        scopes: What was asked for.
        clock_off: Seconds by which our clock is ahead of the provider's; None where nobody looked, or it does not say.
    """

    provider: Provider
    redirect_uri: str
    client_id: str = ""
    cookies_of: str = ""
    cookie: str = ""
    app_users: int = 0
    scopes: tuple[str, ...] = ()
    clock_off: float | None = None


def failure(error: ValetkeyError, scene: Scene, *, request_id: str, time: str) -> Failure:
    """Return the page for an error that ended a sign-in."""
    build = _BY_CODE.get(error.code) or next((b for kind, b in _BY_CLASS if isinstance(error, kind)), _other)
    made = build(error, scene)
    given = isinstance(error, ProviderError) and (error.error, error.status)
    facts = [("Error", given[0] if given and given[0] else error.code)]
    if given and given[0]:
        facts.append(("Code", error.code))
    if given and given[1]:
        facts.append(("HTTP", str(given[1])))
    if scene.cookie:
        facts.append(("Cookie", scene.cookie))
    quote = made.quote or (error.description if isinstance(error, ProviderError) else _quoted(error))
    return replace(made, quote=quote, facts=(*facts, ("Time", time), ("Request ID", request_id)))


# -- each kind of failure ----------------------------------------------------------------------------------------------


def _state(_: ValetkeyError, scene: Scene) -> Failure:
    return Failure(
        title="We could not match this answer to your request",
        cause=f"For your safety nothing was connected. The answer from {scene.provider.name} carries a one-time code"
        " that belongs to another browser session, was used before, or is older than 10 minutes. Most often the page"
        " was opened in a second browser, or \u201cback\u201d was pressed after connecting.",
        steps=(
            Step(
                title="Start again and finish in the same browser",
                text="Links from mail or chat apps may open in another browser.",
            ),
            Step(
                title=f"If it happens again, allow cookies for {scene.cookies_of}",
                text="One short-lived cookie ties the answer to you.",
            ),
            Step(
                title="You did not start this?",
                text="Close the page. Someone may have tried to link their account to yours. It was blocked and"
                " written to the audit log.",
            ),
        ),
    )


def _issuer(_: ValetkeyError, scene: Scene) -> Failure:
    return Failure(
        title="The answer came from a different server",
        cause=f"It says that it is not from {scene.provider.name}, or does not say from whom it is, although"
        f" {scene.provider.name} always does. Nothing was sent there and nothing was connected.",
        steps=(
            Step(title="Do not continue", text="Close the page at the provider. It was written to the audit log."),
            Step(
                title=f"Check the issuer declared for {scene.provider.credential}",
                text="A changed tenant or region has another issuer.",
            ),
        ),
        main="app",
    )


def _denied(error: ValetkeyError, scene: Scene) -> Failure:
    name = scene.provider.name
    if isinstance(error, AuthorizationDenied) and error.why == "approval_pending":
        return Failure(
            title="An administrator has to approve this",
            cause=f"{name} has passed the request on to an administrator of the account. Nothing is connected yet.",
            steps=(
                Step(title="Wait for the approval", text=f"{name} tells the person who asked when it is there."),
                Step(title="Then connect again", text="It takes one more sign-in after the approval."),
                *_ask_administrator(scene),
            ),
            icon="clock",
            tone="big-idle",
        )
    by_admin = isinstance(error, AuthorizationDenied) and error.why == "by_admin"
    cause = (
        f"{name} reports that an administrator of the account does not allow this app."
        if by_admin
        else f"{name} reports that the person did not allow it, or that an administrator of the account does not."
    )
    again = () if by_admin else (Step(title="Cancelled by mistake?", text="Try again and allow the access."),)
    return Failure(
        title="Access was not allowed",
        cause=f"{cause} Nothing was stored.",
        steps=(
            *again,
            *_ask_administrator(scene),
            Step(title="App still in testing?", text="Then only listed test users may connect, at some providers."),
        ),
        icon="off",
        tone="big-idle",
    )


def _ask_administrator(scene: Scene) -> tuple[Step, ...]:
    text = "Send the administrator of the account this app ID, to be allowed:"
    return (Step(title="Blocked by an administrator?", text=text, copy=scene.client_id),) if scene.client_id else ()


def _redirect(_: ValetkeyError, scene: Scene) -> Failure:
    name = scene.provider.name
    return Failure(
        title="The redirect address does not match",
        cause=f"{name} only sends people back to addresses that are registered with the app."
        " The one we use is not among them.",
        steps=(
            Step(title="Copy our address", copy=scene.redirect_uri),
            Step(
                title=f"Open the app at {name} and replace \u201c{scene.provider.redirect_label}\u201d",
                link=scene.provider.register_url,
            ),
        ),
        compare=True,
    )


def _client(_: ValetkeyError, scene: Scene) -> Failure:
    name, users = scene.provider.name, scene.app_users
    others = f" This also stops {users} existing connections of the app from refreshing." if users else ""
    told = f"All {users} connections use it at once. Nobody has to sign in again." if users > 1 else ""
    return Failure(
        title=f"{name} does not accept the app\u2019s client secret",
        cause="You signed in correctly. The exchange after it failed, because the client secret stored for"
        f" {scene.provider.credential} is wrong or has expired.{others}",
        steps=(
            Step(
                title="Create a new client secret",
                text=f"Copy the value of \u201c{scene.provider.secret_label}\u201d, not an ID beside it.",
                link=scene.provider.register_url,
            ),
            Step(title="Store it here", text=told),
        ),
        main="app",
    )


def _unknown_client(_: ValetkeyError, scene: Scene) -> Failure:
    return Failure(
        title=f"{scene.provider.name} does not know the app",
        cause=f"The client ID that is stored for {scene.provider.credential} is not one of theirs, or the app was"
        " deleted.",
        steps=(
            Step(title="Compare the client ID", copy=scene.client_id, link=scene.provider.register_url),
            Step(title="Store the right one here"),
        ),
        main="app",
    )


def _unauthorized(_: ValetkeyError, scene: Scene) -> Failure:
    return Failure(
        title="This app may not use this way of signing in",
        cause=f"{scene.provider.name} knows the app, but does not give it authorization codes.",
        steps=(
            Step(
                title="Enable the authorization-code grant in the app",
                text="Some providers call it \u201cweb application\u201d or \u201cthree-legged\u201d.",
                link=scene.provider.register_url,
            ),
            Step(title="Try again"),
        ),
    )


def _scope(_: ValetkeyError, scene: Scene) -> Failure:
    name = scene.provider.name
    asked, meant = nearest_scope(scene.scopes, scene.provider.meanings)
    spelling = (Step(title="Is it misspelt?", text=f"{asked} looks like:", copy=meant),) if asked else ()
    which = f"the scope \u201c{asked}\u201d" if asked else "one of the scopes"
    return Failure(
        title=f"{name} does not know {which}",
        cause=f"{name} refused the request, because a permission that we ask for does not exist there, or is not open"
        " to this app.",
        steps=(
            *spelling,
            Step(title="Remove the scope, or enable its API in the app", link=scene.provider.register_url),
            Step(title="Look up how scopes are spelt", link=scene.provider.scopes_url),
        ),
        main="app",
    )


def _code(_: ValetkeyError, scene: Scene) -> Failure:
    return Failure(
        title="The sign-in took too long or was used twice",
        cause=f"{scene.provider.name} did not accept the one-time code any more. Nothing was connected.",
        steps=(
            Step(title="Start again"),
            Step(
                title="If it repeats, check the server\u2019s clock",
                text=f"A code lives for a minute or a few. A clock that is off makes it look older.{_clock(scene)}",
            ),
        ),
        icon="clock",
    )


def _clock(scene: Scene) -> str:
    """Return how far the clocks are apart, to the second: that is all that a provider says of its own."""
    if scene.clock_off is None:
        return ""
    seconds = round(abs(scene.clock_off))
    if seconds <= 1:
        return f" It agrees with that of {scene.provider.name}."
    way = "ahead of" if scene.clock_off > 0 else "behind"
    return f" It is {seconds:,} s {way} that of {scene.provider.name}."


def _away(error: ValetkeyError, scene: Scene) -> Failure:
    wait = error.retry_after if isinstance(error, ProviderUnavailable) else None
    when = f"in {wait:.0f} seconds" if wait else "in a few minutes"
    return Failure(
        title=f"{scene.provider.name} is not answering",
        cause="The last step of connecting did not come through. Nothing was stored, and connections that exist are"
        " not touched.",
        steps=(
            Step(title=f"Try again {when}"),
            Step(title="If it stays so", text=f"Look at the status page of {scene.provider.name}."),
        ),
        icon="retry",
        tone="big-idle",
        status=502,
    )


def _lost(_: ValetkeyError, scene: Scene) -> Failure:
    return replace(
        _away(_, scene),
        title=f"{scene.provider.name} gave no readable answer",
        steps=(Step(title="Start again", text="The one-time code is spent, so a new sign-in is needed."),),
    )


def _app_missing(_: ValetkeyError, scene: Scene) -> Failure:
    return Failure(
        title=f"{scene.provider.name} has no app credentials yet",
        cause=f"Nobody stored a client ID for {scene.provider.credential}, so nobody can connect.",
        steps=(
            Step(title=f"Register an app at {scene.provider.name}", link=scene.provider.register_url),
            Step(title="Store its client ID and secret here"),
        ),
        main="app",
        icon="key",
        tone="big-idle",
    )


def _elsewhere(_: ValetkeyError, scene: Scene) -> Failure:
    return Failure(
        title="The answer of this provider goes elsewhere",
        cause=f"{scene.provider.credential} is declared with a redirect URI of its own, and that address is not ours.",
        steps=(
            Step(title="It is sent to", copy=scene.redirect_uri),
            Step(title="Connect it there, or declare it without redirect_uri"),
        ),
        main="connections",
    )


def _other(error: ValetkeyError, scene: Scene) -> Failure:
    hint = clean(error.hint)
    return Failure(
        title=f"{scene.provider.name} could not be connected",
        cause=f"{_sentence(str(error))} Nothing was connected.",
        steps=(Step(title=_sentence(hint).rstrip(".")),) if hint and "valetkey " not in hint else (),
        main="again" if not isinstance(error, ConfigurationError) else "app",
    )


def _sentence(text: str) -> str:
    text = clean(text, 300)
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "." if text else ""


def _quoted(error: ValetkeyError) -> str:
    """Return what stands in parentheses at the end of a message of ours: there the provider is quoted."""
    head, _, tail = str(error).partition(" (")
    return clean(tail[:-1]) if head and tail.endswith(")") else ""


_BY_CODE: Final[dict[str, Callable[[ValetkeyError, Scene], Failure]]] = {
    "redirect_uri_mismatch": _redirect,
    "invalid_client": _unknown_client,
    "unauthorized_client": _unauthorized,
    "unsupported_response_type": _unauthorized,
    "invalid_scope": _scope,
    "code_refused": _code,
    "exchange_failed": _lost,
    "app_missing": _app_missing,
    "callback_elsewhere": _elsewhere,
}
_BY_CLASS: Final[tuple[tuple[type[ValetkeyError], Callable[[ValetkeyError, Scene], Failure]], ...]] = (
    (StateMismatch, _state),
    (WrongUser, _state),
    (IssuerMismatch, _issuer),
    (AuthorizationDenied, _denied),
    (ClientRejected, _client),
    (ProviderUnavailable, _away),
)
