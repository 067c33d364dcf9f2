"""What values have in common: how they print and compare, without code compiled for each class."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass, field, replace

import pytest

from valetkey.model.credentials import OAuth2Credential
from valetkey.values import Request, Secret, Value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Point(Value):
    x: int
    y: int = 0
    hidden: str = field(default="", repr=False)
    aside: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What `dataclass` would write."""

    x: int
    y: int = 0
    hidden: str = field(default="", repr=False)
    aside: str = field(default="", compare=False)


class Other(Point):
    __slots__ = ()


def test_it_prints_as_a_dataclass_does() -> None:
    assert repr(Point(x=1, hidden="a", aside="b")) == repr(Written(x=1, hidden="a", aside="b")).replace(
        "Written", "Point"
    )


def test_it_is_equal_by_what_it_holds_and_is() -> None:
    assert Point(x=1, aside="this") == Point(x=1, aside="that")
    assert Point(x=1) != Point(x=2)
    assert Point(x=1, hidden="a") != Point(x=1, hidden="b")
    assert Point(x=1) != Written(x=1)
    assert Point(x=1) != Other(x=1)


def test_equal_ones_have_one_hash() -> None:
    assert len({Point(x=1, aside="this"), Point(x=1, aside="that"), Point(x=2)}) == 2
    with pytest.raises(TypeError):
        hash(Point(x=[]))  # type: ignore[arg-type]


def test_it_is_frozen_and_travels() -> None:
    point = Point(x=1, y=2)
    with pytest.raises(AttributeError):
        point.x = 3  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(point)) == copy.deepcopy(point) == replace(Point(x=1), y=2)  # noqa: S301 - own


def test_what_is_declared_is_compared_in_full_and_shows_no_secret() -> None:
    declared = OAuth2Credential(name="shop", scopes=("read",))
    assert declared == OAuth2Credential(name="shop", scopes=("read",))
    assert declared != replace(declared, scopes=("write",))
    sent = Request(method="POST", url="https://shop.example/token", body=b"secret", dpop_key=Secret("key"))
    assert "secret" not in repr(sent)
    assert "key" not in repr(sent)
    assert sent != replace(sent, body=b"other")
