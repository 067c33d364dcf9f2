"""``valetkey app add``: take the client id and secret that a provider gave, and declare what is not declared yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace as dataclass_replace
from typing import TYPE_CHECKING, Any, Final, get_args

import click

from valetkey.cli.app_keys import ensure_takes_secret, no_signing_key, read_pem
from valetkey.cli.commands import command, credential_argument, pairs, pass_session
from valetkey.cli.completion import complete_presets
from valetkey.cli.exits import Stop
from valetkey.cli.output import emit
from valetkey.cli.prompts import ask, ask_hidden, at_hand, read_stdin
from valetkey.cli.session import Session
from valetkey.cli.terminal import out, say, warn
from valetkey.errors import ConfigurationError, clean
from valetkey.model.app_headers import carries_client_secret
from valetkey.model.credentials import AppCredentials, ClientAuth, GrantType
from valetkey.model.registry import declare
from valetkey.model.settings import to_declaration
from valetkey.values import Secret

if TYPE_CHECKING:
    from valetkey.model.credentials import OAuth2Credential
    from valetkey.model.presets import Preset

_BY_SECRET: Final = frozenset({"client_secret_basic", "client_secret_post", "client_secret_jwt"})
_BY_HAND: Final = ("--issuer, or --authorization-url and --token-url,", "for a provider without a preset")


_FIELDS: Final = (
    click.option(
        "--preset", metavar="PROVIDER", shell_complete=complete_presets, help="Take the provider's facts from here."
    ),
    click.option("--scope", "scopes", metavar="SCOPE", multiple=True, help="Ask for this; may be given again."),
    click.option(
        "--param", "params", metavar="NAME=VALUE", multiple=True, callback=pairs, help="For the URLs: tenant, shop..."
    ),
    click.option("--redirect-uri", metavar="URL", help="Use exactly this redirect URI."),
    click.option("--authorization-url", metavar="URL", help="Without a preset: the authorization endpoint."),
    click.option("--token-url", metavar="URL", help="Without a preset: the token endpoint."),
    click.option("--device-authorization-url", metavar="URL", help="The device authorization endpoint."),
    click.option("--backchannel-authentication-url", metavar="URL", help="Where people are asked on another device."),
    click.option("--revocation-url", metavar="URL", help="The revocation endpoint."),
    click.option("--userinfo-url", metavar="URL", help="Where it says who connected."),
    click.option("--issuer", metavar="URL", help="The issuer identifier; it stands for the URLs that are not given."),
    click.option("--api-base-url", metavar="URL", help="What relative URLs of calls are joined to."),
    click.option("--api-host", "api_hosts", metavar="HOST", multiple=True, help="A host that may see the token."),
    click.option(
        "--client-auth",
        type=click.Choice(get_args(ClientAuth)),
        help="How the app proves itself.",
    ),
    click.option("--grant", type=click.Choice(get_args(GrantType)), help="How tokens are got."),
    click.option("--assertion-subject", metavar="TEXT", help="For whom a jwt_bearer asks: TEXT, {owner} or {account}."),
    click.option("--assertion-secret-id", metavar="ID", help="The secret with an assertion that others made."),
    click.option("--introspection-url", metavar="URL", help="The introspection endpoint."),
    click.option("--per-owner", is_flag=True, default=None, help="Every call has to name an owner."),
)


def _with_fields(function: Any) -> Any:
    for option in reversed(_FIELDS):
        function = option(function)
    return function


@command(
    "add",
    json=True,
    makes_store=True,
    examples=(
        "valetkey app add github",
        "valetkey app add github --client-id Ov23liEXAMPLE --secret-stdin < file",
        "valetkey app add work --preset microsoft --param tenant=contoso.com",
        "valetkey app add robot --grant jwt_bearer --key-file service-account.json \\",
        "    --token-url https://oauth2.googleapis.com/token",
        "valetkey app add intern --api-host api.example.com \\",
        "    --authorization-url https://login.example.com/authorize \\",
        "    --token-url https://login.example.com/token",
    ),
)
@credential_argument
@click.option("--client-id", metavar="ID", help="The client id; asked for otherwise.")
@click.option("--secret-stdin", is_flag=True, help="Read the client secret from stdin.")
@click.option("--public", is_flag=True, help="There is no client secret.")
@click.option(
    "--private-key-file",
    "--key-file",
    metavar="FILE",
    help='The private key: PEM, a JWK, or a service account\'s JSON; "-" is stdin.',
)
@click.option("--key-id", metavar="ID", help="The id that the provider gave to that key (Apple's Key ID).")
@click.option("--certificate-file", metavar="FILE", help="The certificate for TLS, PEM; its key there, or as above.")
@_with_fields
@pass_session
def add(
    session: Session,
    /,
    *,
    name: str,
    client_id: str | None,
    secret_stdin: bool,
    public: bool,
    private_key_file: str | None,
    key_id: str | None,
    certificate_file: str | None,
    **fields: Any,
) -> None:
    """Add the app that you registered at a provider, under the credential NAME.

    It says where to register it and with which redirect URI, and asks for client id and secret, which are stored
    sealed.  A NAME that nobody declared is declared here, from the preset of the same name or from what you give.
    """
    if secret_stdin and public:
        msg = "--secret-stdin and --public: there is a client secret, or there is none."
        raise click.UsageError(msg)
    if private_key_file == "-" and (secret_stdin or certificate_file == "-"):
        msg = "stdin is for one of them: give the others as files."
        raise click.UsageError(msg)
    if key_id and private_key_file is None:
        msg = "--key-id is the id of a key: give the key with --private-key-file."
        raise click.UsageError(msg)
    given = {field: value for field, value in fields.items() if value not in (None, (), {})}
    credential, preset = _declared(session, name, given)
    if secret_stdin:
        ensure_takes_secret(credential)
    _say_where(credential, preset)
    labels: Mapping[str, str] = preset.register_labels if preset is not None else {}
    key, certificate = (Secret(read_pem(path)) if path else None for path in (private_key_file, certificate_file))
    proves = credential.client_auth in _BY_SECRET and not credential.signed_secret_claims
    by_secret = proves or carries_client_secret(credential)
    no_secret = public or (not by_secret and not secret_stdin)
    signs = credential.grant == "jwt_bearer" and not credential.assertion_secret_id
    if signs and key is None:
        raise _no_key(credential)
    app = _service_account(key) or _app(labels, client_id=client_id, secret_stdin=secret_stdin, public=no_secret)
    if signs and key is not None:
        app = _signing(credential, app, key)
    else:
        app = with_keys(session, credential, app, key=app.private_key or key, certificate=certificate)
        if credential.signed_secret_claims and not app.private_key:
            raise no_signing_key(credential)
    _store(session, credential, dataclass_replace(app, key_id=key_id) if key_id else app)
    if session.json:
        emit({"name": credential.name, "secret_id": credential.secret_id, "client_id": app.client_id})
        return
    out(f'Stored, sealed, as secret "{credential.secret_id}".')
    for header, secret_id in credential.api_header_secrets.items():
        say(f"Calls carry a secret in the header {header}: valetkey secret set {secret_id}")
    say(f"  -> {_next_step(credential)}")


def _next_step(credential: OAuth2Credential) -> str:
    from valetkey.cli.apps import redirect_uri_of  # noqa: PLC0415 - it imports from here
    from valetkey.connecting import SERVED  # noqa: PLC0415 - slower than all else here

    if credential.by_itself:
        return f"valetkey token {credential.name}"
    if credential.grant == "token_exchange":
        return f"valetkey exchange {credential.name} --from NAME --audience SERVICE"
    if credential.response_mode == "form_post":
        return f"connect {SERVED}"
    uri = redirect_uri_of(credential)
    if not uri:
        return f"valetkey app add {credential.name} --redirect-uri https://..., as registered there"
    return f"valetkey connect {credential.name}" + (" --paste" if uri.startswith("https:") else "")


# -- the declaration ---------------------------------------------------------------------------------------------------


def _declared(session: Session, name: str, given: Mapping[str, Any]) -> tuple[OAuth2Credential, Preset | None]:
    """Return the credential, as it is declared or as it is declared now, and its preset."""
    known = _known(session, name)
    if known is not None and known.source not in {"command", "console"}:
        if given:
            options = ", ".join(f"--{field.replace('_', '-')}" for field in given)
            where = "valetkey.toml" if known.source == "file" else "the program"
            msg = f"{name} is declared in {where}, which {options} cannot change"
            raise Stop(
                msg, code="credential_declared_elsewhere", hint=f"change it in {where}, or leave the options away"
            )
        return known, _preset(known.preset)
    before = to_declaration(known) if known is not None else {}
    return _made(name, {field: value for field, value in before.items() if field != "source"}, given)


def _known(session: Session, name: str) -> OAuth2Credential | None:
    try:
        return session.core.credential(name)
    except ConfigurationError as error:
        if error.code != "credential_unknown":
            raise
        return None


def _made(name: str, before: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[OAuth2Credential, Preset | None]:
    """Declare `name` from what is given, else from what was declared before, else from the preset of that name."""
    by_hand = not {"authorization_url", "token_url", "issuer"}.isdisjoint(given)
    anew = "preset" in given or by_hand
    base: Mapping[str, Any] = {} if anew else _beside_params(name, before) if "params" in given else before
    preset_id: str = given.get("preset") or base.get("preset") or ("" if by_hand or base else _same_name(name))
    preset = _preset(preset_id)
    fields: dict[str, Any] = {**base, **given, "preset": preset_id or None}
    if "params" in given:
        fields["params"] = {**base.get("params", {}), **given["params"]}
    if preset is not None and not base:
        fields["params"] = _asked_params(preset, fields.get("params", {}))
    return declare(name, fields, source="command"), preset


def _beside_params(name: str, before: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what was declared beside what the preset says for the params of then: its URLs are filled anew."""
    preset_id, params = before.get("preset"), before.get("params", {})
    if not preset_id:
        return before
    then = to_declaration(declare(name, {"preset": preset_id, "params": params}, source="command"))
    own = {field: value for field, value in before.items() if value != then.get(field)}
    return {**own, "preset": preset_id, "params": params}


def _same_name(name: str) -> str:
    """Return the preset of the same name.

    Raises:
        Stop: There is none, so nobody knows this provider.
        ConfigurationError: There is none for a reason that is known.
    """
    from valetkey.model.left_out import left_out  # noqa: PLC0415
    from valetkey.model.places import did_you_mean  # noqa: PLC0415
    from valetkey.model.presets import load_preset, preset_ids  # noqa: PLC0415

    known = preset_ids()
    if name in known:
        return name
    if name in left_out():
        load_preset(name)  # which says why there is none
    msg = f'nobody declared "{clean(name, 60)}", and there is no provider of that name{did_you_mean(name, known)}'
    options, when = _BY_HAND
    hint = f"add --preset PROVIDER (valetkey providers list), or {options} {when}"
    raise Stop(msg, code="credential_unknown", hint=hint)


def _preset(preset_id: str) -> Preset | None:
    from valetkey.model.presets import load_preset  # noqa: PLC0415

    return load_preset(preset_id) if preset_id else None


def _asked_params(preset: Preset, given: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of the preset's URLs; what is missing is asked for where somebody is at hand."""
    params = dict(given)
    for name, rule in preset.asked_params.items():
        if name not in params and not rule.default and not rule.per_connection and at_hand():
            example = f", such as {rule.example}" if rule.example else ""
            params[name] = ask(f"{rule.description or name}{example}", otherwise=f"--param {name}=...")
    return params


# -- the app -----------------------------------------------------------------------------------------------------------


def _say_where(credential: OAuth2Credential, preset: Preset | None) -> None:
    """Say where an app is registered, and with which redirect URI: the very one that connecting uses."""
    from valetkey.cli.apps import redirect_uri_of  # noqa: PLC0415 - it imports from here

    where = f" at {preset.register_url}" if preset is not None and preset.register_url else ""
    uri = redirect_uri_of(credential)
    if uri:
        say(f"Register an OAuth app{where} with this redirect URI: {uri}")
    elif where:
        say(f"Register an OAuth app{where}.")
    if preset is not None and preset.redirect_note and credential.signs_in:
        say(f"  {preset.redirect_note}")
    if not uri and credential.signs_in:
        warn(f"{clean(credential.display_name)} takes no redirect URI on this machine")


def _app(
    labels: Mapping[str, str],
    *,
    client_id: str | None,
    secret_stdin: bool,
    public: bool,
) -> AppCredentials:
    """Return client id and secret, asking for what was not given."""
    label = labels.get("client_id", "Client ID")
    found = client_id.strip() if client_id else ask(label, otherwise="--client-id")
    if public:
        return AppCredentials(client_id=found)
    secret = _secret(labels.get("client_secret", "Client secret"), secret_stdin=secret_stdin)
    return AppCredentials(client_id=found, client_secret=Secret(secret) if secret else None)


def _service_account(key: Secret | None) -> AppCredentials | None:
    """Return the app that a service account's key file stands for; None where it is a mere key."""
    if key is None:
        return None
    try:
        return AppCredentials.from_service_account(key.reveal())
    except ValueError:
        return None


def _no_key(credential: OAuth2Credential) -> Stop:
    msg = f"the app of {credential.name} signs with a private key, and none was given"
    return Stop(msg, code="private_key_missing", hint="give it with --key-file FILE: PEM, a JWK, or a JSON key file")


def _signing(credential: OAuth2Credential, app: AppCredentials, key: Secret) -> AppCredentials:
    """Return an app that is of no use without a key, with it.

    Raises:
        ConfigurationError: It is no private key, or none that fits.
    """
    from valetkey.protocol.client_authentication import app_key  # noqa: PLC0415 - only for those who have a key

    signing = app if app.private_key else dataclass_replace(app, private_key=key)
    app_key(credential, signing)
    return signing


def _secret(label: str, *, secret_stdin: bool) -> str:
    if secret_stdin:
        return read_stdin().strip()
    if not at_hand():
        msg = f"{label} is needed, and there is nobody to ask"
        hint = "pipe it in and add --secret-stdin; or add --public if there is none"
        raise Stop(msg, code="terminal_missing", hint=hint)
    return ask_hidden(f"{label} (hidden; empty for a public client)")


def with_keys(
    session: Session,
    credential: OAuth2Credential,
    app: AppCredentials,
    *,
    key: Secret | None,
    certificate: Secret | None,
) -> AppCredentials:
    """Return the app with its key and certificate: those given, else those that were made or kept for it before.

    Raises:
        ConfigurationError: One cannot be read, or does not fit.
    """
    from valetkey.app_keys import app_or_none, waiting_key  # noqa: PLC0415
    from valetkey.engine.app_keys import described, next_key_id  # noqa: PLC0415
    from valetkey.protocol.certificates import read_certificate, uses_certificate  # noqa: PLC0415

    before = app_or_none(session.core, credential)
    if uses_certificate(credential):
        kept = before if before is not None and certificate is None else None
        pair = (certificate, key) if certificate else (kept and kept.certificate, kept and kept.certificate_key)
        app = dataclass_replace(app, certificate=pair[0] or None, certificate_key=pair[1] or None)
        if certificate:
            read_certificate(credential, app)
    if not credential.proves_by_key and not credential.request_object:
        return app
    found = (None if certificate else key) or (before.private_key if before else None)
    if found is None and (found := waiting_key(session.core, credential)) is not None:
        session.core.secret_service.delete(next_key_id(credential))
    if found is not None:
        described(credential, found, "in_use")
    known_as = before.key_id if before is not None and found == before.private_key else app.key_id
    return dataclass_replace(app, private_key=found, key_id=known_as)


def _store(session: Session, credential: OAuth2Credential, app: AppCredentials) -> None:
    """Store the app, then the declaration: what is declared has its app."""
    from valetkey.app_files import set_variables  # noqa: PLC0415
    from valetkey.desk import Desk  # noqa: PLC0415

    Desk(session.core).save_app(credential, app)
    set_outside = set_variables(credential.name)
    if set_outside:
        warn(f"{' and '.join(set_outside)} in the environment goes before what was stored now")
