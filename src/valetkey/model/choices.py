"""What a look-up found several of: the entries of a list, one of which is used, and the others a person can choose."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from valetkey.values import Value

SUFFIX: Final = ":choices"
"""Params of that ending hold what there is to choose from, as JSON: no name of a param has a colon."""
MOST: Final = 50


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Choice(Value):
    """One entry to choose: its `id`, which is the value of the param, and its `label` for people."""

    id: str
    label: str


def pack(choices: Sequence[Choice]) -> str:
    """Return choices as the text that a connection keeps."""
    return json.dumps([[one.id, one.label] for one in choices[:MOST]], ensure_ascii=False, separators=(",", ":"))


def choices_of(params: Mapping[str, str]) -> Mapping[str, tuple[Choice, ...]]:
    """Return what a connection with these params has to choose from: param name -> its choices, where several are."""
    return {
        name.removesuffix(SUFFIX): tuple(Choice(str(one[0]), str(one[1])) for one in json.loads(text))
        for name, text in params.items()
        if name.endswith(SUFFIX)
    }


def plain(params: Mapping[str, str]) -> Mapping[str, str]:
    """Return the params without what there is to choose from."""
    if not any(name.endswith(SUFFIX) for name in params):
        return params
    return {name: value for name, value in params.items() if not name.endswith(SUFFIX)}
