"""The apps that are registered at the providers, as a program asks for them: ``valet.apps``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from valetkey.app_source import app_of, may_register
from valetkey.client import like
from valetkey.errors import ConfigurationError, StoreError
from valetkey.forks import late_imports
from valetkey.model.app_credentials import SECRETS, AppCredentials
from valetkey.model.credentials import OAuth2Credential
from valetkey.values import Secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valetkey.core import Core
    from valetkey.engine.app_health import AppHealth
    from valetkey.engine.app_replacing import Replacement
    from valetkey.engine.world import World

WEEK = 7 * 86400.0


class Apps:
    """The apps of a valet, by the name of their credential."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def health(self, credential: str) -> AppHealth:
        """Return how an app is: its secrets by fingerprint, and what it does to the connections under it.

        Raises:
            ConfigurationError: Nobody declared the credential (``credential_unknown``).
            StoreError: The store cannot be read.
        """
        return health_of(self._core, self._core.credential(credential))

    def replace_secret(
        self, credential: str, secret: Secret | str, *, overlap: float = WEEK, ends_at: float | None = None
    ) -> Replacement:
        """Give an app a new client secret without downtime.  Create it at the provider beside the one in use.

        One request tries it, all others go on with the secret in use.  With the first answer that takes it, it is the
        one in use; where the provider refuses it, it is dropped and nothing has changed.  Where the provider offers a
        request that spends nothing (`OAuth2Credential.secret_check`), it is checked at once, else with the next
        refresh that is due.  No connection is touched in any case, and no refresh fails.

        Args:
            credential: Whose app.
            secret: The new secret.
            overlap: Seconds for which the old secret is kept after that, and tried where the new one is refused; 0:
                not at all.
            ends_at: When the provider ends the new secret, in Unix seconds, where that is known: valetkey tells of it
                30, 7 and 1 days ahead.

        Raises:
            ConfigurationError: There is no app yet (``app_missing``), it comes from where it cannot be replaced
                (``app_secret_outside``, ``place_read_only``), or an argument is not allowed.
            StoreError: It could not be stored.
        """
        return self._core.call(lambda: replace_secret(self._core, credential, secret, overlap, ends_at))

    def withdraw_secret(self, credential: str) -> bool:
        """Take back a new secret that is not in use yet; False: none waits."""
        return self._core.call(lambda: withdraw_secret(self._core, credential))

    def set_end(self, credential: str, ends_at: float | None) -> None:
        """Say when the provider ends the secret in use, in Unix seconds; None: not at all, or nobody knows.

        Raises:
            ConfigurationError: There is no app (``app_missing``), or that moment is over (``ends_at_invalid``).
        """
        self._core.call(lambda: set_end(self._core, credential, ends_at))


class AsyncApps:
    """The apps of a valet, by the name of their credential."""

    def __init__(self, core: Core) -> None:
        self._core = core

    @like(Apps.health)
    async def health(self, credential: str) -> AppHealth:
        return await self._core.in_flight(lambda: health_of(self._core, self._core.credential(credential)))

    @like(Apps.replace_secret)
    async def replace_secret(
        self, credential: str, secret: Secret | str, *, overlap: float = WEEK, ends_at: float | None = None
    ) -> Replacement:
        return await self._core.in_flight(lambda: replace_secret(self._core, credential, secret, overlap, ends_at))

    @like(Apps.withdraw_secret)
    async def withdraw_secret(self, credential: str) -> bool:
        return await self._core.in_flight(lambda: withdraw_secret(self._core, credential))

    @like(Apps.set_end)
    async def set_end(self, credential: str, ends_at: float | None) -> None:
        await self._core.in_flight(lambda: set_end(self._core, credential, ends_at))


# -- what all faces use ------------------------------------------------------------------------------------------------


def health_of(core: Core, credential: OAuth2Credential) -> AppHealth:
    """Return how an app is; see `Apps.health`."""
    with late_imports:
        from valetkey.engine.app_health import app_health  # noqa: PLC0415

    return app_health(core.world, core.env, credential)


def replace_secret(
    core: Core,
    credential: str,
    secret: Secret | str,
    overlap: float,
    ends_at: float | None,
    *,
    actor: str = "",
) -> Replacement:
    """Give an app a new client secret; `actor` does it, where it is not this face as such."""
    with late_imports:
        from valetkey.engine import app_replacing  # noqa: PLC0415

    declared = core.credential(credential)
    new = _checked_key(declared, secret) if declared.proves_by_key else _checked(secret)
    _refuse_outside(core, declared)
    world = core.acting(actor)
    return app_replacing.replace_secret(world, core.env, declared, new, overlap=overlap, ends_at=ends_at)


def withdraw_secret(core: Core, credential: str, *, actor: str = "") -> bool:
    """Take back a new secret that is not in use yet; `actor` does it, where it is not this face as such."""
    with late_imports:
        from valetkey.engine import app_replacing  # noqa: PLC0415

    return app_replacing.withdraw_secret(core.acting(actor), core.env, core.credential(credential))


def set_end(core: Core, credential: str, ends_at: float | None, *, actor: str = "") -> None:
    """Say when the secret in use ends; `actor` does it, where it is not this face as such."""
    with late_imports:
        from valetkey.engine import app_replacing  # noqa: PLC0415

    app_replacing.set_end(core.acting(actor), core.env, core.credential(credential), ends_at)


def keep(core: Core, credential: OAuth2Credential, app: AppCredentials) -> None:
    """Store app credentials, sealed, as what was declared about them wants them.

    Raises:
        ConfigurationError: They do not fit what was declared about them, or the place is read-only.
    """
    with late_imports:
        from valetkey.engine.secrets import encode_secret  # noqa: PLC0415

    declared = core.declarations.secret(credential.secret_id)
    schema = (declared.schema if declared is not None else None) or AppCredentials
    secrets = {name: getattr(app, name) for name in SECRETS}
    members = {"client_id": app.client_id, **{name: one.reveal() for name, one in secrets.items() if one}}
    if app.key_id:
        members["key_id"] = app.key_id
    core.secret_service.set(credential.secret_id, encode_secret(schema, members, name=credential.secret_id))


def errors_of(core: Core, credentials: Sequence[OAuth2Credential]) -> dict[str, str]:
    """Return for each of these credentials whose app cannot be used, why."""
    world = at_a_glance(core, len(credentials))
    return {one.name: error for one in credentials if (error := trouble_of(core, one, world))}


def trouble_of(core: Core, credential: OAuth2Credential, world: World) -> str:
    """Return why the app of a credential cannot be used, empty when it can; `world` is where to look."""
    with late_imports:
        from valetkey.engine.apps import app_state, held_against  # noqa: PLC0415

    try:
        app = world.app(credential)
    except (ConfigurationError, StoreError) as error:
        if not _of_the_app(error):
            raise
        return "" if error.code == "app_missing" and may_register(core, credential) else error.code
    held = held_against(app, app_state(world, core.env, credential))
    return "" if held is None else str(held.body.get("error") or "client_rejected")


def at_a_glance(core: Core, credentials: int) -> World:
    """Return the world to look at the apps of so many credentials in: not one question of the store for each."""
    with late_imports:
        from valetkey.engine.app_facts import KIND as APPS  # noqa: PLC0415
        from valetkey.engine.glance import FEW, glance  # noqa: PLC0415
        from valetkey.engine.secrets import KIND as KEPT  # noqa: PLC0415
    if credentials <= FEW:
        return core.world
    seen = glance(getattr(core.store, "ledger", core.store), core.env, APPS, KEPT)
    if core.given_app is not None:
        return replace(core.world, store=seen)
    service = core.secrets_in(seen)

    def app(credential: OAuth2Credential) -> AppCredentials:
        return app_of(core, credential, service)

    return replace(core.world, store=seen, app=app)


def outside(credential: OAuth2Credential) -> tuple[str, ...]:
    """Return the environment variables that the app credentials come from."""
    with late_imports:
        from valetkey.app_files import set_variables  # noqa: PLC0415

    return set_variables(credential.name)


def _refuse_outside(core: Core, credential: OAuth2Credential) -> None:
    """Refuse where a new secret could not come into the place of the one in use."""
    what = "PRIVATE_KEY" if credential.proves_by_key else "CLIENT_SECRET"
    variables = [name for name in outside(credential) if name.endswith(what)]
    if core.given_app is None and not variables:
        service, secret_id = core.given_secrets, credential.secret_id
        if service is not None and (text := service.get(secret_id)) is not None:
            service.set(secret_id, text)  # the same again: a place that is only read says so now
        return
    where = "the program" if core.given_app is not None else f"the variable {variables[-1]}"
    raise ConfigurationError(
        f"the client secret of {credential.name!r} comes from {where}, where valetkey cannot replace it",
        code="app_secret_outside",
        hint=f"change it there; or take it away there and run: valetkey app add {credential.name}",
    )


def _checked(secret: Secret | str) -> Secret:
    text = secret.reveal() if isinstance(secret, Secret) else secret
    if not text or text != text.strip() or not text.isprintable():
        msg = "the client secret is not one: it is empty, or holds spaces at its ends or what cannot be seen"
        raise ConfigurationError(msg, code="secret_invalid", hint="copy it again")
    return Secret(text)


def _checked_key(credential: OAuth2Credential, key: Secret | str) -> Secret:
    with late_imports:
        from valetkey.engine.app_keys import described  # noqa: PLC0415 - only for those who have a key

    found = key if isinstance(key, Secret) else Secret(key)
    described(credential, found, "next")
    return found


def _of_the_app(error: ConfigurationError | StoreError) -> bool:
    """Whether an app that cannot be read is the trouble of that app alone, and not of the store or of its key."""
    if isinstance(error, StoreError):
        return error.code in {"sealed_broken", "row_corrupt"}
    return not error.code.startswith("key")
