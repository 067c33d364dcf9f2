"""``/v1/owners``."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from valetkey.engine.consequences import of_forget
from valetkey.engine.disconnect import forget as forget_owner
from valetkey.server.api import models, shapes
from valetkey.server.api.caller import Manager, beyond_limits
from valetkey.server.api.problems import problems

router: Final = APIRouter(prefix="/owners", tags=["Owners"])


@router.post("/forget", summary="Forget an owner", responses=problems(400))
async def forget(caller: Manager, wanted: models.Forgetting) -> models.Forgotten:
    """Revoke and erase everything of an owner: tokens, identities, rows, and their place in API keys.

    Scope: `manage`.  The owner stands in the body, so that it gets into no log of addresses.  Repeating it is safe; an
    owner whom nobody knows has no connections.  With `dry_run` nothing is changed, and `would` says what it would do.
    """
    key = caller.key
    if key.credentials or (key.owners and wanted.owner not in key.owners):
        raise beyond_limits("this API key does not see everything of that owner, so it cannot forget them")
    core = caller.server.core
    if wanted.dry_run:
        await core.in_flight(caller.server.calls.flush)
        would = await core.in_flight(lambda: of_forget(caller.world, wanted.owner, core.env, discreet=key.limited))
        return models.Forgotten(connections=[shapes.of_consequences(one) for one in would])
    done = await core.in_flight(lambda: forget_owner(caller.world, wanted.owner, core.env))
    return models.Forgotten(connections=[shapes.of_ended(one, discreet=key.limited) for one in done])
