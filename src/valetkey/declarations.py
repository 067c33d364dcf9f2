"""What is declared, and by whom: code goes before ``valetkey.toml``, and that before what the command put in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from valetkey.errors import StoreError, StoreUnavailable
from valetkey.model.connections import Document
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.ports import Store
from valetkey.model.wiring import Wiring, default_wiring, find_credential

if TYPE_CHECKING:
    from valetkey.model.secrets import SecretDeclaration

DECLARATION = "declaration"


class Declarations:
    """The declarations of one environment, as code, file and store have them.

    Args:
        env: The environment.
        wiring: A registry of the program's own; None: the default one and ``valetkey.toml``.
        store: Returns the store; called only when code and file do not know a name.
    """

    def __init__(self, env: str, wiring: Wiring | None, store: Callable[[], Store]) -> None:
        self._env = env
        self._wiring = wiring
        self._file: Wiring | None = None
        self._store = store
        self._stored: dict[str, OAuth2Credential] = {}

    @property
    def wiring(self) -> Wiring:
        """What the program declares in code: the registry that was given, else the default one."""
        return default_wiring() if self._wiring is None else self._wiring

    @property
    def file(self) -> Wiring:
        """What ``valetkey.toml`` declares; nothing where the program brought a registry of its own."""
        if self._file is None:
            from valetkey.model.wiring_files import find_wiring_file, load_wiring_file  # noqa: PLC0415

            path = find_wiring_file() if self._wiring is None else None
            self._file = load_wiring_file(path, env=self._env) if path else Wiring()
        return self._file

    def declared(self) -> dict[str, OAuth2Credential]:
        """Return what code and file declare, by name."""
        return {c.name: c for wiring in (self.file, self.wiring) for c in wiring.credentials()}

    def record(self, store: Store) -> None:
        """Let the store know what the program declares, so that command and console do too."""
        from valetkey.model.settings import to_declaration  # noqa: PLC0415 - only programs that declare need it

        for credential in self.declared().values():
            body = {"source": credential.source, "fields": to_declaration(credential)}
            if self._recorded(store, credential.name) != body:
                self._put(store, Document(kind=DECLARATION, env=self._env, id=credential.name, body=body))

    def _recorded(self, store: Store, name: str) -> dict[str, Any] | None:
        try:
            known = store.get_document(DECLARATION, name, env=self._env)
        except StoreError as error:
            if error.code != "row_corrupt":
                raise
            store.delete_document(DECLARATION, name, env=self._env)  # a copy of what is declared: it is made anew
            return None
        return None if known is None else dict(known.body)

    @staticmethod
    def _put(store: Store, document: Document) -> None:
        try:
            store.put_document(document)
        except StoreUnavailable as error:  # what is there can still be read: whoever has to write will say so
            from valetkey.logs import get_logger  # noqa: PLC0415 - only where there is trouble

            get_logger("declarations").warning("the declaration of %s was not recorded: %s", document.id, error)

    def find(self, name: str) -> OAuth2Credential:
        """Return the declared credential with that name.

        Raises:
            ConfigurationError: Nobody declared it (``unknown_credential``); the nearest name is suggested.
        """
        return self.wiring.get(name) or self.file.get(name) or self._stored.get(name) or self._from_store(name)

    def every(self) -> tuple[OAuth2Credential, ...]:
        """Return all declared credentials, by name."""
        declared = self.declared()
        for document in self._store().list_documents(DECLARATION, env=self._env):
            if document.id not in declared:
                declared[document.id] = self._from_store(document.id)
        return tuple(declared[name] for name in sorted(declared))

    def forget(self, name: str) -> None:
        """Drop what this process remembers of a stored declaration."""
        self._stored.pop(name, None)

    def secret(self, secret_id: str) -> SecretDeclaration | None:
        """Return what was declared about a secret, by its id or its name; of an app's secret, what is usual."""
        declared = [secret for wiring in (self.wiring, self.file) for secret in wiring.secrets()]
        by_id = (secret for secret in declared if secret.secret_id == secret_id)
        by_name = (secret for secret in declared if secret.name == secret_id)
        found = next(by_id, None) or next(by_name, None)
        if found is not None:
            return found
        credential = next((c for c in self.every() if c.secret_id == secret_id), None)
        return None if credential is None else self.wiring.app_secret(credential)

    def _from_store(self, name: str) -> OAuth2Credential:
        document = self._store().get_document(DECLARATION, name, env=self._env)
        if document is None:
            raise find_credential(name, (credential.name for credential in self.every()))
        fields = document.body.get("fields")
        if not isinstance(fields, dict):
            raise _damaged(name)
        from valetkey.model.settings import from_declaration  # noqa: PLC0415

        credential = from_declaration(name, cast("dict[str, Any]", fields), source=document.body.get("source", "code"))
        self._stored[name] = credential
        return credential


def _damaged(name: str) -> StoreError:
    return StoreError(
        f"the declaration of {name!r} in the store is damaged: it holds no fields",
        code="row_corrupt",
        hint="restore the store from a backup; what code or valetkey.toml declares is recorded anew by itself",
    )
