"""Both facades are one: the same names, the same parameters, the same documentation."""

from __future__ import annotations

import inspect

import pytest

from valetkey import AsyncOAuth2Client, AsyncValet, OAuth2Client, Valet
from valetkey.apps import Apps, AsyncApps

ONLY_ASYNC = {"lifespan"}


def public(cls: type) -> dict[str, object]:
    return {name: member for name, member in inspect.getmembers(cls) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("sync", "other"),
    [
        pytest.param(Valet, AsyncValet, id="valets"),
        pytest.param(OAuth2Client, AsyncOAuth2Client, id="clients"),
        pytest.param(Apps, AsyncApps, id="apps"),
    ],
)
def test_the_twins_have_the_same_names_parameters_and_documentation(sync: type, other: type) -> None:
    ours, theirs = public(sync), public(other)

    assert set(theirs) - ONLY_ASYNC == set(ours)
    for name, member in ours.items():
        twin = theirs[name]
        assert inspect.getdoc(twin) == inspect.getdoc(member), name
        assert inspect.getdoc(member), f"{name} has no documentation"
        if inspect.isroutine(member):
            mine = inspect.signature(member)  # type: ignore[arg-type]
            assert list(mine.parameters.values()) == list(inspect.signature(twin).parameters.values()), name  # type: ignore[arg-type]


def test_constructors_are_the_same() -> None:
    assert inspect.signature(Valet) == inspect.signature(AsyncValet)
    assert inspect.signature(OAuth2Client) == inspect.signature(AsyncOAuth2Client)


def test_everything_that_waits_is_awaited_in_the_async_twin() -> None:
    plain = {"client", "lifespan", "auth", "env", "secrets", "stream", "supply_assertions"}
    for cls in (AsyncValet, AsyncOAuth2Client, AsyncApps):
        for name, member in public(cls).items():
            if name not in plain and inspect.isroutine(member):
                assert inspect.iscoroutinefunction(member), f"{cls.__name__}.{name}"
