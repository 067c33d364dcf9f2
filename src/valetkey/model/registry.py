"""The registry of declarations, and how one is made from what a program or a file says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from valetkey.errors import ConfigurationError
from valetkey.model.credentials import AppCredentials, OAuth2Credential, Source
from valetkey.model.names import check_name, find_credential
from valetkey.model.secret_names import variable_name
from valetkey.model.secrets import SecretDeclaration

if TYPE_CHECKING:
    from valetkey.model.places import Place

_RANK: Final[Mapping[Source, int]] = {"code": 2, "file": 1, "command": 0, "console": 0}

_UNTOLD: Final = {"loopback": "fixed_port"}
"""What holds for presets that do not tell: nobody knows whether another port than the registered one will do."""


def declare(
    name: object, given: Mapping[str, object], *, source: Source = "code", where: str = "", toml: bool = False
) -> OAuth2Credential:
    """Make a credential from the fields of a declaration, without registering it anywhere.

    A missing name is that of the preset.  `where` (a file and table) and `toml` are for messages and hints.

    Raises:
        ConfigurationError: Anything is wrong with it; the message names the declaration, the hint the edit.
    """
    from valetkey.model.places import Place  # noqa: PLC0415 - a program that declares nothing needs none of it
    from valetkey.model.settings import build, known_fields  # noqa: PLC0415

    preset_id = given.get("preset")
    checked = check_name(preset_id if name is None and preset_id else name)
    place = Place(f'credential "{checked}"', where, toml)
    known_fields(place, given)
    if preset_id is None or preset_id == "":
        return build(checked, given, place=place, source=source)
    if not isinstance(preset_id, str):
        place.refuse("preset is not text", code="field_type", hint=f"write {place.line('preset', 'github')}")
    from valetkey.model.presets import load_preset  # noqa: PLC0415 - nor one without presets this

    try:
        preset = load_preset(preset_id)
    except ConfigurationError as error:
        place.refuse(str(error), code=error.code, hint=error.hint)
    made = build(checked, given, place=place, source=source, base={**_UNTOLD, **preset.fields}, rules=preset.url_params)
    if preset.legacy:
        from valetkey.model.last_days import warn_of_last_days  # noqa: PLC0415 - few presets have one

        warn_of_last_days(made, preset)
    return made


def _place(title: str) -> Place:
    from valetkey.model.places import Place  # noqa: PLC0415 - see `declare`

    return Place(title)


class Wiring:
    """A registry of declared credentials and secrets, in the order of their declaration.

    Safe for threads and for forked children without a lock: each entry is put in by one atomic `dict.setdefault`, and
    what it may clash with is looked at after that, so of two that clash at least one sees the other.
    """

    def __init__(self) -> None:
        self._credentials: dict[str, OAuth2Credential] = {}
        self._secrets: dict[str, SecretDeclaration] = {}

    def __repr__(self) -> str:
        return f"<Wiring of {len(self._credentials)} credentials, {len(self._secrets)} secrets>"

    def oauth2_credential(self, name: str | None = None, **fields: Any) -> OAuth2Credential:
        """Declare a credential; the keywords are those of `wire_oauth2_credential`.

        Declaring the same again changes nothing.

        Raises:
            ConfigurationError: A field is wrong, or the name is taken (``credential_duplicate``).
        """
        return self.add(declare(name, fields))

    def add(self, credential: OAuth2Credential) -> OAuth2Credential:
        """Register a credential that is made already.

        Raises:
            ConfigurationError: ``credential_duplicate``, ``secret_id_duplicate``, ``name_collision``,
                ``issuer_shared``.
        """
        known = self._credentials.setdefault(credential.name, credential)
        if known != credential:
            raise _duplicate(known, credential)
        if known is credential:
            others = [other for other in list(self._credentials.values()) if other is not credential]
            clash = next(filter(None, (_clash(credential, other) for other in others)), None)
            if clash is not None:
                self._credentials.pop(credential.name, None)
                raise clash
        return known

    def secret(
        self,
        name: str,
        *,
        display_name: str = "",
        description: str = "",
        schema: type[Any] | None = None,
        secret_id: str | None = None,
    ) -> SecretDeclaration:
        """Declare a secret; see `wire_secret`.

        Raises:
            ConfigurationError: A field is wrong, or (``secret_duplicate``) name or id are taken.
        """
        declared = _secret(name, display_name, description, schema, name if secret_id is None else secret_id)
        known = self._secrets.setdefault(declared.name, declared)
        twin = self.secret_for(declared.secret_id)
        if known != declared or (twin is not None and twin != declared):
            if known is declared:
                self._secrets.pop(declared.name, None)
            _place(f'secret "{declared.name}"').refuse(
                f'the name or the id "{declared.secret_id}" is declared already, otherwise',
                code="secret_duplicate",
                hint="remove one of the two wire_secret() calls, or give one another name and secret_id",
            )
        return known

    def get(self, name: str) -> OAuth2Credential | None:
        """Return the declared credential, or None."""
        return self._credentials.get(name)

    def credential(self, name: str) -> OAuth2Credential:
        """Return the declared credential.

        Raises:
            ConfigurationError: ``credential_unknown``, with the nearest name.
        """
        found = self._credentials.get(name)
        if found is None:
            raise find_credential(name, list(self._credentials))
        return found

    def credentials(self) -> tuple[OAuth2Credential, ...]:
        """Return the declared credentials, in order."""
        return tuple(self._credentials.values())

    def secrets(self) -> tuple[SecretDeclaration, ...]:
        """Return the declared secrets, in order."""
        return tuple(self._secrets.values())

    def secret_for(self, secret_id: str) -> SecretDeclaration | None:
        """Return what was declared about the secret kept under that id, or None."""
        return next((secret for secret in self.secrets() if secret.secret_id == secret_id), None)

    def app_secret(self, credential: OAuth2Credential) -> SecretDeclaration:
        """Return what the app credentials of `credential` are checked against: its own declaration, or the usual."""
        return self.secret_for(credential.secret_id) or SecretDeclaration(
            name=credential.secret_id,
            display_name=f"{credential.display_name} app",
            schema=AppCredentials,
            secret_id=credential.secret_id,
        )

    def merge(self, other: Wiring) -> None:
        """Take over what `other` declares.  Where both declare a name, code goes before file, file before command.

        Raises:
            ConfigurationError: ``credential_duplicate`` or ``secret_duplicate``: both of the same rank, and different.
        """
        for credential in other.credentials():
            known = self._credentials.get(credential.name)
            if known is None or _RANK[known.source] == _RANK[credential.source]:
                self.add(credential)
            elif _RANK[known.source] < _RANK[credential.source]:
                self._credentials[credential.name] = credential
        for s in other.secrets():
            self.secret(
                s.name, display_name=s.display_name, description=s.description, schema=s.schema, secret_id=s.secret_id
            )


def _duplicate(known: OAuth2Credential, new: OAuth2Credential) -> ConfigurationError:
    from valetkey.model.settings import to_declaration  # noqa: PLC0415 - only on the way to an error

    before, after = to_declaration(known), to_declaration(new)
    differ = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return ConfigurationError(
        f'credential "{new.name}" is declared twice, and differs in {", ".join(differ)}',
        code="credential_duplicate",
        hint="remove one of the two declarations, or give one another name",
    )


def _clash(new: OAuth2Credential, other: OAuth2Credential) -> ConfigurationError | None:
    """Look for two credentials that would use one environment variable, write one secret, or mix up two servers."""
    if variable_name(new.name) == variable_name(other.name):
        return _place(f'credential "{new.name}"').error(
            f'it shares the environment variables VALETKEY_{variable_name(new.name)}_... with "{other.name}"',
            code="name_collision",
            hint="give one of the two a name that differs in more than case, dots and dashes",
        )
    ours, theirs = f"{new.token_secret_id}/", f"{other.token_secret_id}/"
    if ours.startswith(theirs) or theirs.startswith(ours) or new.token_secret_id == other.secret_id:
        place = _place(f'credential "{new.name}"')
        return place.error(
            f'its token_secret_id "{new.token_secret_id}" is in use by credential "{other.name}"',
            code="secret_id_duplicate",
            hint=f"write {place.line('token_secret_id', f'{new.name}-oauth-token')}, or leave it out",
        )
    for one, whose in ((new, other), (other, new)):
        lent = {whose.secret_id, whose.token_secret_id}.intersection(one.api_header_secrets.values())
        if lent:
            return _place(f'credential "{one.name}"').error(
                f'api_header_secrets names "{min(lent)}", which holds what is of credential "{whose.name}"',
                code="secret_id_duplicate",
                hint="give the header a secret of its own",
            )
    return _one_issuer_for_two_servers(new, other)


def _one_issuer_for_two_servers(new: OAuth2Credential, other: OAuth2Credential) -> ConfigurationError | None:
    """Refuse an issuer that would not tell whose answer it is that came back (RFC 9207 section 4)."""
    if not new.issuer or new.issuer != other.issuer:
        return None
    for field in ("authorization_url", "token_url"):
        ours, theirs = getattr(new, field), getattr(other, field)
        if ours and theirs and ours != theirs:
            return _place(f'credential "{new.name}"').error(
                f'it has the issuer of credential "{other.name}", but another {field}',
                code="issuer_shared",
                hint=f"give both the same {field}, or each the issuer that its own server names",
            )
    return None


def _secret(
    name: object, display_name: str, description: str, schema: type[Any] | None, secret_id: str
) -> SecretDeclaration:
    checked = check_name(name, what="secret")
    place = _place(f'secret "{checked}"')
    if not secret_id.strip():
        place.refuse(
            "secret_id is empty",
            code="secret_id_missing",
            hint=f"write {place.line('secret_id', checked)}, or leave it out: that is its default",
        )
    if schema is not None and not (hasattr(schema, "__dataclass_fields__") or hasattr(schema, "model_validate")):
        place.refuse(
            "schema is neither a dataclass nor a pydantic model",
            code="field_type",
            hint="pass a dataclass, such as schema=AppCredentials, or leave it out for plain text",
        )
    return SecretDeclaration(
        name=checked,
        display_name=display_name or checked,
        description=description,
        schema=schema,
        secret_id=secret_id,
    )
