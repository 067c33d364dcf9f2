"""What one run of the command shares: where it works, and the valet's core behind it, opened when it is needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from valetkey.errors import ConfigurationError

if TYPE_CHECKING:
    from valetkey.client import OAuth2Client
    from valetkey.core import Core
    from valetkey.desk import Desk
    from valetkey.errors import DecryptionFailed
    from valetkey.model.connections import ConnectionKey, Page, Query, Record, Status
    from valetkey.model.credentials import OAuth2Credential
    from valetkey.model.wiring import SecretDeclaration
    from valetkey.source import TokenSource

UNDECLARED: Final = "credential_unknown"
BROKEN: Final = "sealed_broken"
"""The error of one grant that cannot be opened while others can."""


@dataclass(slots=True)
class Session:
    """One run of the command.

    Attributes:
        env: The environment that was asked for; None: as ``VALETKEY_ENV`` says.
        store: Where the store is; None: the embedded one.
        key: Where the master key is; None: as the environment says, else beside the store.
        json: Whether answers are JSON objects.
        makes_store: Whether a store that was named and is not there is made: not by commands that only look, or a
            mistyped path would look like lost connections.
        serves: Whether this run goes on for long and serves others: then it hears what other processes change.
    """

    env: str | None = None
    store: str | None = None
    key: str | None = None
    json: bool = False
    makes_store: bool = False
    serves: bool = False
    _core: Core | None = field(default=None, repr=False)

    @property
    def core(self) -> Core:
        """The inside of the valet.

        Raises:
            StoreUnavailable: The store was named, is not there, and this command makes none (``store_missing``).
        """
        if self._core is None:
            from valetkey.core import Core  # noqa: PLC0415 - not for --help

            if self.store is not None and not self.makes_store:
                from valetkey.stores import demand_store  # noqa: PLC0415

                demand_store(self.store)
            actor = "console" if self.serves else "command"
            self._core = Core(self.store, env=self.env, key=self.key, actor=actor, one_shot=not self.serves)
        return self._core

    @property
    def desk(self) -> Desk:
        """What the valet's methods do."""
        from valetkey.desk import Desk  # noqa: PLC0415

        return Desk(self.core)

    def credential(self, name: str) -> OAuth2Credential:
        """Return the declared credential.

        Raises:
            ConfigurationError: Nobody declared it; the hint says how to, from here.
        """
        try:
            return self.core.credential(name)
        except ConfigurationError as error:
            raise self.hinted(error, name) from error

    def hinted(self, error: ConfigurationError, name: str) -> ConfigurationError:
        """Return the error with a hint for people at a shell: one line instead of a line of Python."""
        if error.code != UNDECLARED:
            return error
        from valetkey.model.places import nearest  # noqa: PLC0415 - only on the way to an error
        from valetkey.model.presets import preset_ids  # noqa: PLC0415

        near = nearest(name, [credential.name for credential in self.core.credentials()])
        if near is not None:
            hint = f'use "{near}"; all of them: valetkey app list'
        elif name in preset_ids():
            hint = f"valetkey app add {name}"
        elif (known := nearest(name, preset_ids(), least=0.8)) is not None:
            hint = f'is "{known}" meant? valetkey app add {known}; another provider: valetkey app add --help'
        else:
            hint = f"to declare it: valetkey app add {name} --preset PROVIDER; see: valetkey providers list"
        return ConfigurationError(str(error), code=error.code, hint=hint)

    def key_of(self, name: str, owner: str | None, account: str) -> ConnectionKey:
        """Return the key of a connection of a declared credential."""
        from valetkey.model.wiring import check_owner  # noqa: PLC0415

        key = self.desk.key(name, owner, account)
        check_owner(key.owner, self.credential(name))
        return key

    def source(self, name: str, owner: str | None, account: str, resource: str | None = None) -> TokenSource:
        """Return where the connection's token comes from, or its token for one resource.

        Raises:
            ConfigurationError: The declaration does not list the resource.
        """
        key = self.key_of(name, owner, account)
        if resource is None:
            return self.core.source(key)
        from valetkey.model.resources import check_resource  # noqa: PLC0415 - few ask for one

        return self.core.source(key, check_resource(self.credential(name), resource))

    def client(self, name: str, owner: str | None, account: str, resource: str | None = None) -> OAuth2Client:
        """Return a client for the connection."""
        from valetkey.client import OAuth2Client, client_of  # noqa: PLC0415

        return client_of(OAuth2Client, self.core, self.source(name, owner, account, resource))

    def declared_secret(self, secret_id: str) -> SecretDeclaration | None:
        """Return what code or file declare about a secret."""
        return self.core.declarations.wiring.secret_for(secret_id) or self.core.declarations.file.secret_for(secret_id)

    # -- looking: one row that nobody declares any more must not hide the others

    def known(self, name: str) -> OAuth2Credential:
        """Return the declared credential, or what is known without a declaration: its name."""
        from valetkey.model.credentials import OAuth2Credential  # noqa: PLC0415

        try:
            return self.core.credential(name)
        except ConfigurationError as error:
            if error.code != UNDECLARED:
                raise
            return OAuth2Credential(name=name, display_name=name)

    def statuses(self, query: Query, cursor: str | None, limit: int) -> Page:
        """Return a page of statuses; that of a row which nobody declares is ``app_error``."""
        from valetkey.model.connections import Page  # noqa: PLC0415

        try:
            return self.core.statuses(query, cursor, limit)
        except ConfigurationError as error:
            if error.code != UNDECLARED:
                raise
        page = self.core.store.list(query, cursor=cursor, limit=limit)
        return Page(tuple(self._status(record) for record in page.items), page.cursor)

    def _status(self, record: Record) -> Status:
        from valetkey.engine.status import status_of  # noqa: PLC0415

        try:
            return self.core.status(record.key)
        except ConfigurationError as error:
            if error.code != UNDECLARED:
                raise
            stub = self.known(record.key.credential)
            return status_of(record.key, record, stub, now=self.core.clock.now(), app_error=UNDECLARED)

    def damage(self, key: ConnectionKey) -> DecryptionFailed | None:
        """Return why the grant of a connection cannot be opened, None where it can: it shows nowhere else before use.

        Raises:
            DecryptionFailed: No grant can be opened: the key is missing, or another one.
        """
        from valetkey.engine.world import open_grant  # noqa: PLC0415
        from valetkey.errors import DecryptionFailed  # noqa: PLC0415

        record = self.core.store.load(key)
        try:
            if record is not None:
                open_grant(self.core.world, record)
        except DecryptionFailed as error:
            if error.code != BROKEN:
                raise
            return error
        return None

    def close(self) -> None:
        """Wait for what is under way, and let go of all handles."""
        core, self._core = self._core, None
        if core is not None:
            core.close()
