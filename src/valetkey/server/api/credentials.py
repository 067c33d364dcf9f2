"""``/v1/credentials``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Path

from valetkey.apps import health_of
from valetkey.model.credentials import OAuth2Credential
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
    return models.CredentialList(items=[_shape(caller, one, troubles) for one in caller.credentials()])


@router.get("/{name}", summary="Get a credential", responses=problems(404))
def get_credential(
    caller: Reader, name: Annotated[str, Path(description="Its name.", max_length=100, examples=["github"])]
) -> models.Credential:
    """Return one declared credential.

    Scope: `read`.
    """
    return _shape(caller, caller.credential(name), caller.server.core.app_errors())


def _shape(caller: Reader, credential: OAuth2Credential, troubles: Mapping[str, str]) -> models.Credential:
    health = health_of(caller.server.core, credential)
    return shapes.of_credential(credential, troubles.get(credential.name, ""), health)
