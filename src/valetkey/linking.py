"""Making connect links: the part of the desk that says where people may be sent back to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from valetkey.core import Core
from valetkey.errors import ConfigurationError
from valetkey.model.credentials import EMPTY
from valetkey.model.names import listed

if TYPE_CHECKING:
    from valetkey.engine.world import World
    from valetkey.model.connections import ConnectionKey, Status
    from valetkey.model.credentials import OAuth2Credential
    from valetkey.model.links import NewLink


class Linking:
    """Makes connect links over a core."""

    def __init__(self, core: Core) -> None:
        self.core = core

    def new_link(
        self,
        key: ConnectionKey,
        scopes: Sequence[str],
        return_to: str | None,
        expires_in: float,
        *,
        only: bool = False,
        world: World | None = None,
        created_by: str = "",
        confirm: bool = False,
        made_with: str = "",
        params: Mapping[str, str] = EMPTY,
        by_program: bool = False,
    ) -> NewLink:
        """Make a connect link for a key; `world` says who acts, the rest as in `create_link`."""
        from valetkey.engine.links import create_link  # noqa: PLC0415
        from valetkey.engine.returns import check_return_url  # noqa: PLC0415

        if return_to:
            check_return_url(return_to, self.return_urls())
        elif confirm:
            msg = "the person has to come back before the connection can be confirmed, and nobody said where to"
            hint = "pass return_to=; or confirm=False, where the link is for somebody who has no session with you"
            raise ConfigurationError(msg, code="return_url_missing", hint=hint)
        return create_link(
            world or self.core.world,
            key,
            scopes=listed(scopes),
            only=only,
            return_to=return_to or "",
            expires_in=expires_in,
            created_by=created_by,
            confirm=confirm,
            made_with=made_with,
            params=params,
            by_program=by_program,
        )

    def return_urls(self) -> tuple[str, ...]:
        """Return where people may be sent back to: our own origin, what `create_app` named, what operators set."""
        from valetkey.engine.public import return_urls  # noqa: PLC0415

        core = self.core
        return return_urls(core.store, core.env, own=(core.server_url, core.base_url), named=core.return_urls)

    def public_callback(self, credential: OAuth2Credential) -> str:
        """Return where the provider sends the browser back to, on the server of ours."""
        if not self.core.base_url:
            raise ConfigurationError(
                f"nobody said where the provider shall send the browser back to for {credential.name!r}",
                code="redirect_uri_missing",
                hint='pass redirect_uri="https://.../callback", or Valet(base_url="https://...")',
            )
        return f"{self.core.base_url.rstrip('/')}/callback/{credential.name}"

    def own(self, declared: OAuth2Credential, key: ConnectionKey, params: Mapping[str, str]) -> OAuth2Credential:
        """Return the credential for a sign-in of `key` with these params, and those that it was given before.

        Raises:
            ConfigurationError: A param is none of its own, or may not stand there (``param_invalid``).
        """
        from valetkey.engine.places import known_params  # noqa: PLC0415
        from valetkey.model.placing import named, signed_in_with  # noqa: PLC0415

        known = known_params(self.core.world, declared, key) if named(declared) - set(params) else {}
        return signed_in_with(declared, {**known, **params})

    def look_up(self, key: ConnectionKey, choose: Mapping[str, str]) -> Status:
        """Look up anew what a connection keeps; see `Valet.look_up`."""
        from valetkey.engine.looking_up import look_up_again  # noqa: PLC0415

        look_up_again(self.core.world, key, choose)
        return self.core.status(key)
