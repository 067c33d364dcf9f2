"""Making connect links: the part of the desk that says where people may be sent back to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from valetkey.core import Core
from valetkey.errors import ConfigurationError
from valetkey.model.names import listed

if TYPE_CHECKING:
    from valetkey.engine.links import NewLink
    from valetkey.engine.world import World
    from valetkey.model.connections import ConnectionKey


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
    ) -> NewLink:
        """Make a connect link for a key; `world` says who acts."""
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
        )

    def return_urls(self) -> tuple[str, ...]:
        """Return where people may be sent back to: our own origin, what `create_app` named, what operators set."""
        from valetkey.engine.public import return_urls  # noqa: PLC0415

        core = self.core
        return return_urls(core.store, core.env, own=(core.server_url, core.base_url), named=core.return_urls)
