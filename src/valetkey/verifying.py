"""Whether a provider's API takes the token of a connection: what ``client.verify()`` asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valetkey.forks import late_imports

if TYPE_CHECKING:
    from valetkey.core import Core
    from valetkey.engine.probing import Probe
    from valetkey.model.connections import ConnectionKey


def verify(core: Core, key: ConnectionKey) -> Probe:
    """Make the harmless call; see `engine.probing.probe`."""
    with late_imports:
        from valetkey.engine.probing import probe  # noqa: PLC0415 - seldom asked

    return probe(core.world, key)
