"""Secrets of the program: kept sealed in the store, chained, and read as app credentials or as token objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

from valetkey.engine.schemas import decode_secret, encode_secret
from valetkey.engine.trouble import app_command
from valetkey.engine.world import grant_label
from valetkey.errors import ConfigurationError, DecryptionFailed
from valetkey.model.app_credentials import SECRETS, AppCredentials
from valetkey.model.app_headers import carries_client_secret
from valetkey.model.connections import ConnectionKey, Document, Record, Sealed
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.names import DEFAULT_ENV
from valetkey.model.paging import each_document
from valetkey.model.ports import Label, Sealer, SecretService, Store
from valetkey.model.sealing import document_label, write_sealed
from valetkey.model.secret_names import read_only, token_secret_id, variable_name
from valetkey.protocol.certificates import BY_CERTIFICATE, uses_certificate
from valetkey.values import Secret

__all__ = [
    "ChainSecrets",
    "StoreSecrets",
    "TokenSecrets",
    "app_variables",
    "decode_secret",
    "encode_secret",
    "key_id_variable",
    "resolve_app",
]

KIND: Final = "secret"
LONGEST_ID: Final = 512


class StoreSecrets:
    """Keeps secrets in the store, sealed, one document each.  Implements `SecretService`.

    Args:
        store: Where.
        sealer: What seals them.
        env: The environment they belong to: others have their own under the same ids.
    """

    def __init__(self, store: Store, sealer: Sealer, env: str) -> None:
        self._store = store
        self._sealer = sealer
        self._env = env

    def get(self, secret_id: str) -> str | None:
        """Return the value, or None when there is none.

        Raises:
            DecryptionFailed: It is there and cannot be opened.
        """
        opened = _opened(self._sealer, lambda: _document_seal(self._store, secret_id, self._env))
        return None if opened is None else opened.decode()

    def set(self, secret_id: str, value: str) -> None:
        """Store the value, replacing any other."""
        if not 0 < len(secret_id) <= LONGEST_ID:
            msg = f"a secret id has 1 to {LONGEST_ID} characters, not {len(secret_id)}"
            raise ConfigurationError(msg, code="secret_id_invalid", hint="choose a shorter secret_id")
        label = document_label(Document(kind=KIND, env=self._env, id=secret_id))
        write_sealed(
            self._sealer,
            value.encode(),
            label,
            lambda sealed: self._store.put_document(Document(kind=KIND, env=self._env, id=secret_id, sealed=sealed)),
        )

    def delete(self, secret_id: str) -> None:
        """Remove the value; no error when there was none."""
        self._store.delete_document(KIND, secret_id, env=self._env)

    def ids(self) -> Iterable[str]:
        """Return the ids of all secrets in this environment, in order."""
        return (document.id for document in each_document(self._store, KIND, env=self._env))


class ChainSecrets:
    """Several secret services as one: the first that has a value answers, the first that can be written is written."""

    def __init__(self, *services: SecretService) -> None:
        self._services = services

    def get(self, secret_id: str) -> str | None:
        """Return the value of the first service that has one, or None."""
        for service in self._services:
            value = service.get(secret_id)
            if value is not None:
                return value
        return None

    def set(self, secret_id: str, value: str) -> None:
        """Store the value in the first service that can be written."""
        self._write(secret_id, lambda service: service.set(secret_id, value))

    def delete(self, secret_id: str) -> None:
        """Remove the value from the first service that can be written."""
        self._write(secret_id, lambda service: service.delete(secret_id))

    def _write(self, secret_id: str, write: Callable[[SecretService], None]) -> None:
        refusal: ConfigurationError | None = None
        for service in self._services:
            try:
                write(service)
            except ConfigurationError as error:
                if error.code != "place_read_only":
                    raise
                refusal = refusal or error
            else:
                return
        raise refusal or read_only(secret_id, "this program", "give the valet a secret service")


class TokenSecrets:
    """The secrets of a valet, where ``get(token_secret_id)`` returns a connection's token object as JSON.

    Connections are looked up by the id itself: ``base``, ``base/owner``, ``base//account``, ``base/owner/account``,
    owner and account percent-encoded.  All other ids go to the secret service behind.

    Args:
        store: Where the connections are.
        sealer: What opens them.
        env: Their environment.
        fallback: The secret service behind.
        credential_by_token_secret_id: Returns the name of the credential with that `token_secret_id`, or None.
    """

    def __init__(
        self,
        store: Store,
        sealer: Sealer,
        env: str,
        fallback: SecretService,
        *,
        credential_by_token_secret_id: Callable[[str], str | None],
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._env = env
        self._fallback = fallback
        self._credential = credential_by_token_secret_id

    def get(self, secret_id: str) -> str | None:
        """Return the token object of the connection with that id, None where it was disconnected; else the secret.

        Raises:
            DecryptionFailed: It is there and cannot be opened.
        """
        record = self._record(secret_id)
        if record is None:
            return self._fallback.get(secret_id)
        opened = _opened(self._sealer, lambda: _grant_seal(self._store.find(record.id)))
        return None if opened is None else opened.decode()

    def set(self, secret_id: str, value: str) -> None:
        """Store a secret; the token object of a connection is only written by connecting (``place_read_only``)."""
        self._refuse_token(secret_id)
        self._fallback.set(secret_id, value)

    def delete(self, secret_id: str) -> None:
        """Remove a secret; the token object of a connection only goes by disconnecting (``place_read_only``)."""
        self._refuse_token(secret_id)
        self._fallback.delete(secret_id)

    def _refuse_token(self, secret_id: str) -> None:
        record = self._record(secret_id)
        if record is not None:
            hint = f"valetkey connect {record.key.credential}, or: valetkey disconnect {record.key.credential}"
            raise read_only(secret_id, f"the token object of {record.key}", hint)

    def _record(self, secret_id: str) -> Record | None:
        for base, owner, account in _readings(secret_id):
            name = self._credential(base)
            record = None if name is None else self._store.load(ConnectionKey(self._env, name, owner, account))
            if record is not None:
                return record
        return None


_Seal = tuple[Sealed, Label]


def _opened(sealer: Sealer, read: Callable[[], _Seal | None]) -> bytes | None:
    """Read and open; once more where a rotation ended the data key between the two.

    Raises:
        DecryptionFailed: It cannot be opened.
    """
    seal = read()
    if seal is None:
        return None
    try:
        return sealer.open(*seal)
    except DecryptionFailed:
        again = read()
        if again == seal:
            raise
    return None if again is None else sealer.open(*again)


def _document_seal(store: Store, secret_id: str, env: str) -> _Seal | None:
    document = store.get_document(KIND, secret_id, env=env)
    return None if document is None or document.sealed is None else (document.sealed, document_label(document))


def _grant_seal(record: Record | None) -> _Seal | None:
    if record is None or record.sealed is None:
        return None
    return record.sealed, grant_label(record.key, record.id, record.incarnation, record.version)


def _readings(secret_id: str) -> Iterable[tuple[str, str | None, str]]:
    """Return what an id may mean, as (base, owner, account): the base may hold slashes of its own."""
    parts = secret_id.split("/")
    for taken in range(min(3, len(parts))):
        split = len(parts) - taken
        base = "/".join(parts[:split])
        owner, account = [*(unquote(part) for part in parts[split:]), "", ""][:2]
        if base and token_secret_id(base, owner or None, account) == secret_id:
            yield base, owner or None, account


@lru_cache(maxsize=256)
def app_variables(credential_name: str) -> tuple[str, str, str, str, str]:
    """Return the variables of a credential's app: client id, client secret, private key, certificate and its key.

    >>> app_variables("google")[:3]
    ('VALETKEY_GOOGLE_CLIENT_ID', 'VALETKEY_GOOGLE_CLIENT_SECRET', 'VALETKEY_GOOGLE_PRIVATE_KEY')
    >>> app_variables("google")[3:]
    ('VALETKEY_GOOGLE_CERTIFICATE', 'VALETKEY_GOOGLE_CERTIFICATE_KEY')
    """
    stem = variable_name(credential_name, "VALETKEY_")
    own = f"{stem}_CLIENT_ID", f"{stem}_CLIENT_SECRET", f"{stem}_PRIVATE_KEY"
    return *own, f"{stem}_CERTIFICATE", f"{stem}_CERTIFICATE_KEY"


def key_id_variable(credential_name: str) -> str:
    """Return the variable with the id by which the provider knows the app's private key.

    >>> key_id_variable("apple")
    'VALETKEY_APPLE_KEY_ID'
    """
    return f"{variable_name(credential_name, 'VALETKEY_')}_KEY_ID"


def resolve_app(
    credential: OAuth2Credential,
    *,
    services: Sequence[SecretService],
    environ: Mapping[str, str],
    env: str = DEFAULT_ENV,
) -> AppCredentials:
    """Return the app credentials of a credential: from the environment, else from the secret ``secret_id``.

    Of the variables each may stand alone: a client id for a public app, or one whose secret or key is kept under
    ``secret_id`` together with the same client id; a client secret or a key for an app whose id is kept there; a key's
    id, and a certificate, with its key, beside what is kept there.  A kept id of a key is not taken for another key.

    Args:
        credential: Whose app.
        services: Where to look for the secret; the first that has it answers.
        environ: The environment variables.
        env: The environment, for the hint.

    Raises:
        ConfigurationError: They are nowhere (``app_missing``), or what is kept does not fit (``secret_invalid``).
    """
    id_variable, *secret_variables = app_variables(credential.name)
    client_id = environ.get(id_variable, "").strip()
    secrets = [environ.get(name, "").strip() for name in secret_variables]
    client_secret, private_key, certificate, key = (Secret(text) if text else None for text in secrets)
    proof, tls = client_secret or private_key, certificate or not uses_certificate(credential)
    key_id = environ.get(key_id_variable(credential.name), "").strip()
    known = key_id or not private_key or not credential.signed_secret_claims
    if client_id and tls and (proof or not _needs_proof(credential)) and known:
        given = AppCredentials(client_id=client_id, client_secret=client_secret, private_key=private_key)
        return replace(given, key_id=key_id, certificate=certificate, certificate_key=key)
    kept = _kept_app(credential, services)
    client_id = client_id or (kept.client_id if kept else "")
    if not client_id:
        raise _app_missing(credential, id_variable, env)
    base = kept if kept and kept.client_id == client_id else AppCredentials(client_id=client_id)
    if certificate:
        base = replace(base, certificate=certificate, certificate_key=key)
    elif key:
        base = replace(base, certificate_key=key)
    if proof:
        key_id = key_id or (base.key_id if _same(private_key, base.private_key) else "")
        return replace(base, client_secret=client_secret, private_key=private_key, key_id=key_id)
    return replace(base, key_id=key_id) if key_id and base.private_key else base


def _same(one: Secret | None, other: Secret | None) -> bool:
    return one is not None and other is not None and one.reveal().strip() == other.reveal().strip()


def _needs_proof(credential: OAuth2Credential) -> bool:
    """Whether its app has a secret or a key: to prove itself, to sign its assertions, or to be sent with calls."""
    signs = credential.grant == "jwt_bearer" and not credential.assertion_secret_id
    by_it = credential.client_auth not in {"none", *BY_CERTIFICATE}
    return by_it or signs or carries_client_secret(credential)


def _kept_app(credential: OAuth2Credential, services: Sequence[SecretService]) -> AppCredentials | None:
    text = ChainSecrets(*services).get(credential.secret_id) if credential.secret_id else None
    if text is None:
        return None
    return _app_of(text, credential.secret_id)


@lru_cache(maxsize=64)
def _app_of(text: str, secret_id: str) -> AppCredentials:
    """Read app credentials.  The text itself is fetched anew for each refresh, and mostly says what it said before."""
    app: AppCredentials = decode_secret(AppCredentials, text, name=secret_id)
    filled: dict[str, Any] = {name: getattr(app, name) or None for name in SECRETS}
    return replace(app, **filled)


def _app_missing(credential: OAuth2Credential, variable: str, env: str) -> ConfigurationError:
    kept = f", and there is no secret {credential.secret_id!r}" if credential.secret_id else ""
    msg = f"there are no app credentials for {credential.name!r}: {variable} is not set{kept}"
    return ConfigurationError(msg, code="app_missing", hint=app_command(credential.name, env))
