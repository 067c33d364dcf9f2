"""``/v1/credentials``."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path

from valetkey.server.api import models, shapes
from valetkey.server.api.caller import Reader
from valetkey.server.api.problems import problems

router: Final = APIRouter(prefix="/credentials", tags=["Credentials"])


@router.get("", summary="List credentials", responses=problems())
def list_credentials(caller: Reader) -> models.CredentialList:
    """Return the declared credentials that the key may see, by name.

    Scope: `read`.
    """
    troubles = caller.server.core.app_errors()
    items = [shapes.of_credential(one, troubles.get(one.name, "")) for one in caller.credentials()]
    return models.CredentialList(items=items)


@router.get("/{name}", summary="Get a credential", responses=problems(404))
def get_credential(
    caller: Reader, name: Annotated[str, Path(description="Its name.", max_length=100, examples=["github"])]
) -> models.Credential:
    """Return one declared credential.

    Scope: `read`.
    """
    return shapes.of_credential(caller.credential(name), caller.server.core.app_errors().get(name, ""))
