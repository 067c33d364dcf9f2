"""What is declared, and by whom: code goes before ``valetkey.toml``, and that before what the command put in."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, cast

from valetkey.errors import ConfigurationError, StoreError, StoreUnavailable
from valetkey.forks import late_imports
from valetkey.model.connections import Document
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.paging import each_document
from valetkey.model.ports import Store
from valetkey.model.wiring import Wiring, default_wiring, find_credential

if TYPE_CHECKING:
    from pathlib import Path

    from valetkey.model.secrets import SecretDeclaration

DECLARATION = "declaration"
_SECRET: Final = re.compile(r"(?i)secret|passw|api[-_]?key|developer[-_]?token|^authorization$")
"""Names of headers and parameters whose values are not recorded: a declaration stands in the store in clear."""
_APP: Final = re.compile(r"(?:\{client_(?:id|secret)\}[ :;,]*)+")


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
        self._path: Path | None = None

    @property
    def wiring(self) -> Wiring:
        """What the program declares in code: the registry that was given, else the default one."""
        return default_wiring() if self._wiring is None else self._wiring

    @property
    def file(self) -> Wiring:
        """What ``valetkey.toml`` declares; nothing where the program brought a registry of its own."""
        if self._file is None:
            from valetkey.model.wiring_files import find_wiring_file, load_wiring_file  # noqa: PLC0415

            found = find_wiring_file() if self._wiring is None else None
            self._path = found.resolve() if found else None
            self._file = load_wiring_file(self._path, env=self._env) if self._path else Wiring()
        return self._file

    def declared(self) -> dict[str, OAuth2Credential]:
        """Return what code and file declare, by name."""
        return {c.name: c for wiring in (self.file, self.wiring) for c in wiring.credentials()}

    def record(self, store: Store) -> None:
        """Let the store know what the program declares, so that command and console do too."""
        with late_imports:
            from valetkey.model.settings import to_declaration  # noqa: PLC0415 - only programs that declare need it

        for credential in self.declared().values():
            body: dict[str, Any] = {"source": credential.source, "fields": _shown(to_declaration(credential))}
            if credential.source == "file":
                body["file"] = str(self._path)
            known = self._recorded(store, credential.name)
            if known != body:
                self._refuse_stranger(credential, known, body)
                self._put(store, Document(kind=DECLARATION, env=self._env, id=credential.name, body=body))

    def _refuse_stranger(
        self, credential: OAuth2Credential, known: dict[str, Any] | None, body: dict[str, Any]
    ) -> None:
        """Refuse a ``valetkey.toml`` that merely lies where we are and declares otherwise what is declared already.

        A folder that somebody else filled, a cloned repository, must not lead tokens to other hosts.
        """
        if credential.source != "file" or known is None or known.get("file") == body["file"] or self._is_chosen():
            return
        if known.get("fields") != body["fields"]:
            raise ConfigurationError(
                f"{self._path} declares {credential.name!r} otherwise than it is declared already",
                code="file_not_chosen",
                hint=f"if you trust that file: export VALETKEY_CONFIG={self._path}; else leave this folder",
            )

    def _is_chosen(self) -> bool:
        """Whether the file was named by the person, or is where this person's settings are."""
        return bool(os.environ.get("VALETKEY_CONFIG")) or (
            self._path is not None and self._path.parent != self._path.cwd().resolve()
        )

    def _recorded(self, store: Store, name: str) -> dict[str, Any] | None:
        try:
            known = store.get_document(DECLARATION, name, env=self._env)
        except StoreError as error:
            if error.code != "row_corrupt":
                raise
            store.delete_document(DECLARATION, name, env=self._env)  # a copy of what is declared: it is made anew
            return None
        return None if known is None else dict(known.body)

    def put(self, store: Store, credential: OAuth2Credential) -> None:
        """Record a declaration that neither code nor a file holds.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        from valetkey.model.settings import to_declaration  # noqa: PLC0415 - only programs that declare need it

        body = {"source": credential.source, "fields": to_declaration(credential)}
        store.put_document(Document(kind=DECLARATION, env=self._env, id=credential.name, body=body))

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
            ConfigurationError: Nobody declared it (``credential_unknown``); the nearest name is suggested.
        """
        return self.wiring.get(name) or self.file.get(name) or self._from_store(name)

    def every(self) -> tuple[OAuth2Credential, ...]:
        """Return all declared credentials, by name."""
        declared = self.declared()
        for document in self._documents():
            if document.id not in declared:
                declared[document.id] = _declared(document)
        return tuple(declared[name] for name in sorted(declared))

    def _documents(self) -> Iterator[Document]:
        return each_document(self._store(), DECLARATION, env=self._env)

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
        return _declared(document)


def _declared(document: Document) -> OAuth2Credential:
    fields = document.body.get("fields")
    if not isinstance(fields, dict):
        raise _damaged(document.id)
    from valetkey.model.settings import from_declaration  # noqa: PLC0415

    return from_declaration(document.id, cast("dict[str, Any]", fields), source=document.body.get("source", "code"))


def _damaged(name: str) -> StoreError:
    return StoreError(
        f"the declaration of {name!r} in the store is damaged: it holds no fields",
        code="row_corrupt",
        hint="restore the store from a backup; what code or valetkey.toml declares is recorded anew by itself",
    )


def _shown(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a declaration as it is recorded: in clear, so without values that are secrets by their names."""
    return {
        name: {k: v for k, v in cast("dict[str, Any]", value).items() if not _SECRET.search(k) or _harmless(name, v)}
        if isinstance(value, dict)
        else value
        for name, value in fields.items()
    }


def _harmless(field: str, value: object) -> bool:
    """Whether a value with such a name tells no secret: the id of one, or nothing but where those of the app go."""
    return field == "api_header_secrets" or (field == "api_headers" and _APP.fullmatch(str(value)) is not None)
