"""``/v1/providers``."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query

from valetkey.errors import ConfigurationError
from valetkey.model.presets import load_preset, search_presets
from valetkey.server.api import models, shapes
from valetkey.server.api.caller import Reader
from valetkey.server.api.problems import nothing_here, problems

router: Final = APIRouter(prefix="/providers", tags=["Providers"])


@router.get("", summary="List providers", responses=problems())
def list_providers(caller: Reader, wanted: Annotated[models.ProviderFilter, Query()]) -> models.ProviderList:  # noqa: ARG001 - its scope is checked
    """Return the providers for which there is a preset, the best match first.

    Scope: `read`.
    """
    return models.ProviderList(items=[shapes.of_listed(listed) for listed in search_presets(wanted.search or "")])


@router.get("/{preset_id}", summary="Get a provider", responses=problems(404))
def get_provider(
    caller: Reader,  # noqa: ARG001 - its scope is checked
    preset_id: Annotated[str, Path(description="The preset's id.", max_length=64, examples=["github"])],
) -> models.Provider:
    """Return what is known of one provider.

    Scope: `read`.
    """
    try:
        return shapes.of_preset(load_preset(preset_id))
    except ConfigurationError as error:
        if error.code != "preset_unknown":
            raise
        raise nothing_here() from None
