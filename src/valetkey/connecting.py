"""Connecting with a person at hand: by their browser, by pasting the answer's address, or by a device code."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal, TypeVar
from urllib.parse import SplitResult, quote, urlsplit

from valetkey.engine.backchannel import finish_backchannel, start_backchannel
from valetkey.engine.connect import AuthorizationStart, finish_authorization, start_authorization, wanted_scopes
from valetkey.engine.device import finish_device, start_device
from valetkey.engine.exchange import name_of
from valetkey.engine.flows import KIND as FLOW
from valetkey.engine.leases import Lease
from valetkey.engine.trouble import connect_command
from valetkey.engine.world import World
from valetkey.errors import (
    AuthorizationDenied,
    ConfigurationError,
    ConnectError,
    ConsentExpired,
    StoreError,
    ValetkeyError,
)
from valetkey.interaction import Interaction, open_browser
from valetkey.loopback import LoopbackListener, Outcome, start_file
from valetkey.model.connections import ConnectionKey, Record
from valetkey.model.credentials import OAuth2Credential
from valetkey.protocol.authentication_request import NOTHING_SPECIAL, AuthenticationRequest
from valetkey.protocol.ciba import BackchannelRequest
from valetkey.protocol.urls import is_loopback

T = TypeVar("T")
DEFAULT_PORT: Final = 8421
"""The port of redirect URIs at providers that compare it."""
PERSON_SECONDS: Final = 300.0
"""How long a person may take in the browser."""
_HTTP_PORT: Final = 80
_PROMPT: Final = "Then paste here the whole address that the browser ends on, even if it shows an error there:"
SERVED: Final = "on a page of `valetkey serve --base-url https://...`, whose callback is registered at the provider"
"""Where people connect whose provider answers with a form."""
_SHOW_UP: Final = 15.0
"""Seconds within which a browser usually opens the page."""
_LOOK: Final = 0.5
"""Seconds between two looks at what another process brings about."""


def ensure_suitable(how: str, request: object) -> None:
    """Check that what is asked for besides goes with the way in which the person is asked.

    Raises:
        ConfigurationError: It does not (``request_unsuitable``).
    """
    takes: type | None = {
        "browser": AuthenticationRequest,
        "paste": AuthenticationRequest,
        "ciba": BackchannelRequest,
    }.get(how)
    if request is None or (takes is not None and isinstance(request, takes)):
        return
    kind = takes.__name__ if takes else "nothing"
    msg = f"how={how!r} takes {kind} as request=, and this is {type(request).__name__}"
    hint = f"pass request={kind}(...)" if takes else "leave request= out"
    raise ConfigurationError(msg, code="request_unsuitable", hint=hint)


def _here(function: Callable[[], T]) -> T:
    return function()


def connect_browser(
    world: World,
    credential: OAuth2Credential,
    key: ConnectionKey,
    *,
    scopes: tuple[str, ...],
    port: int | None,
    interaction: Interaction,
    timeout: float = PERSON_SECONDS,
    opener: Callable[[str], bool] = open_browser,
    run: Callable[[Callable[[], Record]], Record] = _here,
    wants: AuthenticationRequest = NOTHING_SPECIAL,
) -> Record:
    """Connect by the browser on this machine (RFC 8252); one tab opens however many processes ask at once.

    Args:
        world: The outside.
        credential: Which integration.
        key: What to connect.
        scopes: Asked for beside the credential's own.
        port: The port to listen on; None for what the credential says.
        interaction: Talks to the person.
        timeout: Seconds that the person may take, and that another process with the browser open is waited for.
        opener: Opens a page in a browser; False: there is none.
        run: Runs the last step, which spends the code: in a flight, say, that Ctrl-C does not end.
        wants: How the person is to be asked.

    Raises:
        ConnectError: ``browser_missing``, ``port_in_use``, ``redirect_https_only``, ``answer_as_form``, and all of
            `finish_authorization`.
        ConsentExpired: The person did not answer in time.
    """
    place = loopback_place(credential, port)
    wanted = frozenset(wanted_scopes(credential, scopes))
    before = world.store.load(key)
    with Lease(world, key) as lease:
        give_up_at = world.clock.monotonic() + timeout
        mine = lease.take()
        while (done := _connected_since(world, key, before, wanted)) is None and not mine:
            if world.clock.monotonic() >= give_up_at:
                raise _still_open(credential, timeout)
            interaction.waiting(f"Another process has the browser open for {name_of(credential)}; waiting for it ...")
            world.clock.sleep(_LOOK)
            mine = lease.take()
        if done is not None:
            return done
        with LoopbackListener(host=place.host, port=place.port, path=place.path, provider=name_of(credential)) as ear:
            uri = ear.redirect_uri
            start = start_authorization(world, credential, key, scopes=scopes, redirect_uri=uri, wants=wants)
            try:
                callback = _answer(ear, start, credential, interaction, opener, timeout)
            except BaseException:
                _drop(world, start)
                raise
            return _told(
                ear,
                credential,
                key,
                lambda: run(lambda: finish_authorization(world, callback, binding=start.binding, owner=key.owner)),
            )


def _still_open(credential: OAuth2Credential, timeout: float) -> ConsentExpired:
    msg = f"another process still has the browser open for {name_of(credential)}, after {timeout:.0f} s"
    return ConsentExpired(msg, hint="answer in the browser page that is open, or end that process, and start again")


def connect_paste(
    world: World,
    credential: OAuth2Credential,
    key: ConnectionKey,
    *,
    scopes: tuple[str, ...],
    interaction: Interaction,
    redirect_uri: str | None = None,
    run: Callable[[Callable[[], Record]], Record] = _here,
    wants: AuthenticationRequest = NOTHING_SPECIAL,
) -> Record:
    """Connect by any browser anywhere: the person opens an address and pastes back the one that they land on.

    Nothing needs to listen at `redirect_uri`: the browser may well show an error there, the address is what counts.

    Raises:
        ConnectError: ``paste_empty``, ``redirect_https_only``, ``answer_as_form``, and all of `finish_authorization`.
    """
    ensure_in_address(credential)
    where = redirect_uri or credential.redirect_uri or loopback_place(credential, None).uri(DEFAULT_PORT)
    start = start_authorization(world, credential, key, scopes=scopes, redirect_uri=where, wants=wants)
    try:
        interaction.show_url(start.url)
        pasted = _pasted(interaction, key)
    except BaseException:
        _drop(world, start)
        raise
    callback = pasted if "://" in pasted.partition("?")[0] else f"{where}?{pasted.removeprefix('?')}"
    return run(lambda: finish_authorization(world, callback, binding=start.binding, owner=key.owner))


def _pasted(interaction: Interaction, key: ConnectionKey) -> str:
    pasted = interaction.ask_callback(_PROMPT).strip().strip("'\"<>")
    if not pasted:
        msg = "no address was pasted"
        raise ConnectError(msg, code="paste_empty", hint=f"start again: {connect_command(key)} --paste")
    return pasted


def connect_device(
    world: World,
    credential: OAuth2Credential,
    key: ConnectionKey,
    *,
    scopes: tuple[str, ...],
    interaction: Interaction,
) -> Record:
    """Connect by a code that the person enters in any browser (RFC 8628); see `start_device` and `finish_device`."""
    flow = start_device(world, credential, key, scopes=scopes)
    interaction.show_code(flow.user_code, flow.verification_uri, flow.verification_uri_complete, flow.expires_in)
    text = "Waiting for the code to be entered (Ctrl-C to stop) ..."
    return finish_device(world, credential, key, flow, scopes=scopes, on_wait=lambda _: interaction.waiting(text))


def connect_backchannel(
    world: World,
    credential: OAuth2Credential,
    key: ConnectionKey,
    *,
    scopes: tuple[str, ...],
    wants: BackchannelRequest,
    interaction: Interaction,
) -> Record:
    """Connect a person who is asked on another device (CIBA); see `start_backchannel` and `finish_backchannel`."""
    flow = start_backchannel(world, credential, key, scopes=scopes, wants=wants)
    minutes = max(1, round(flow.expires_in / 60))
    who = f" by {wants.login_hint}" if wants.login_hint else ""
    shown = f' There it has to say "{wants.binding_message}" too.' if wants.binding_message else ""
    text = f"Waiting {minutes} min for a yes{who} on another device (Ctrl-C to stop) ...{shown}"
    return finish_backchannel(world, credential, key, flow, scopes=scopes, on_wait=lambda _: interaction.waiting(text))


@dataclass(frozen=True, slots=True)
class Place:
    """Where the answer is to come on this machine: host as written, port (None: any), path."""

    host: str
    port: int | None
    path: str

    def uri(self, port: int) -> str:
        """Return the redirect URI, with `port` where any will do."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port or port}{self.path}"


def loopback_place(credential: OAuth2Credential, port: int | None) -> Place:
    """Return where to listen for a credential: its own redirect URI, else a path of its own (RFC 8252 section 8.10).

    Raises:
        ConnectError: The provider takes no redirect URI on this machine (``redirect_https_only``), or answers as
            `ensure_in_address` does not want.
        ConfigurationError: `port` is another than that of the declared redirect URI (``port_declared``).
    """
    ensure_in_address(credential)
    declared = urlsplit(credential.redirect_uri)
    if declared.hostname and not (declared.scheme == "http" and is_loopback(declared.hostname)):
        raise _https_only(credential, f"its redirect URI is {credential.redirect_uri}")
    if declared.hostname:
        return Place(declared.hostname, _declared_port(credential, declared, port), declared.path or "/")
    if credential.loopback == "https_only":
        raise _https_only(credential, "the provider takes https redirect URIs only")
    fixed = DEFAULT_PORT if credential.loopback == "fixed_port" else None
    return Place(credential.loopback_host, port or fixed, f"/callback/{quote(credential.name, safe='')}")


def ensure_in_address(credential: OAuth2Credential) -> None:
    """Check that the answer stands in an address, where this machine reads it and a person can copy it.

    Raises:
        ConnectError: It comes as a form, which the served callback alone takes (``answer_as_form``).
    """
    if credential.response_mode == "form_post":
        msg = (
            f'{name_of(credential)} sends its answer as a form (response_mode = "form_post"): no address holds the code'
        )
        raise ConnectError(msg, code="answer_as_form", hint=f"connect {SERVED}")


def _declared_port(credential: OAuth2Credential, declared: SplitResult, port: int | None) -> int | None:
    own = declared.port
    if own is None and credential.loopback == "any_port":
        return port
    own = own or _HTTP_PORT
    if port not in (None, own):
        msg = f"port {port} does not fit the redirect URI of {credential.name!r}, {credential.redirect_uri}"
        raise ConfigurationError(msg, code="port_declared", hint="leave --port away, or change redirect_uri=")
    return own


def _https_only(credential: OAuth2Credential, why: str) -> ConnectError:
    msg = f"{name_of(credential)} cannot answer to a browser on this machine: {why}"
    hint = (
        "declare redirect_uri= with an https address that is registered at the provider, then: "
        f"valetkey connect {credential.name} --paste; or connect on the server's own page"
    )
    return ConnectError(msg, code="redirect_https_only", hint=hint)


def _answer(
    ear: LoopbackListener,
    start: AuthorizationStart,
    credential: OAuth2Credential,
    interaction: Interaction,
    opener: Callable[[str], bool],
    timeout: float,
) -> str:
    """Open the browser and return the address that it was sent back to."""
    name = name_of(credential)
    with start_file(ear.begin(start.url), name) as page:
        interaction.opening(name)
        if not opener(page.as_uri()):
            msg = "there is no browser to open on this machine"
            hint = 'connect with --device or --paste; in a program: how="device" or how="paste"'
            raise ConnectError(msg, code="browser_missing", hint=hint)
        return _wait(ear, interaction, timeout)


def _wait(ear: LoopbackListener, interaction: Interaction, timeout: float) -> str:
    """Wait for the answer; where no browser showed up for a while, say what can be done."""
    if not ear.answered(within=min(timeout, _SHOW_UP)) and not ear.started:
        interaction.waiting("If no page has opened, stop with Ctrl-C and connect with --paste or --device.")
    return ear.wait(timeout)


def _told(
    ear: LoopbackListener, credential: OAuth2Credential, key: ConnectionKey, finish: Callable[[], Record]
) -> Record:
    """Finish, and tell the browser how it went."""
    try:
        record = finish()
    except BaseException as error:
        ear.report(_failure(credential, key, error))
        raise
    ear.report(_success(credential, record))
    return record


def _success(credential: OAuth2Credential, record: Record) -> Outcome:
    given = [scope for scope in record.requested if scope in record.granted]
    return Outcome(
        kind="connected",
        provider=name_of(credential),
        identity=record.identity.title if record.identity else "",
        granted=len(given),
        requested=len(record.requested),
    )


def _failure(credential: OAuth2Credential, key: ConnectionKey, error: BaseException) -> Outcome:
    code = error.code if isinstance(error, ValetkeyError) else "connect_interrupted"
    kind: Literal["denied", "failed"] = "denied" if isinstance(error, AuthorizationDenied) else "failed"
    return Outcome(kind=kind, provider=name_of(credential), code=code, again=connect_command(key))


def _connected_since(world: World, key: ConnectionKey, before: Record | None, wanted: frozenset[str]) -> Record | None:
    """Return the record if another process connected it since `before`, with all the scopes wanted here."""
    now = world.store.load(key)
    if now is None or now.state != "connected" or not wanted.issubset(now.requested):
        return None
    return now if before is None or now.incarnation != before.incarnation else None


def _drop(world: World, start: AuthorizationStart) -> None:
    """Delete the flow of a sign-in that was given up."""
    with suppress(StoreError):
        world.store.delete_document(FLOW, start.flow_id)
