"""What the file of a preset with mistakes was probably meant to say.

All mistakes of a file are told at once.  So what is wrong is put right where that is obvious, and else taken out, and
all other checks look at the rest.  What they find missing then was taken out here, and is not told again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, cast

from valetkey.model import credentials, settings
from valetkey.model.credentials import OAuth2Credential
from valetkey.model.places import nearest
from valetkey.model.preset_data import OWN_TO_A_PROGRAM, STAND_IN, field_mistake
from valetkey.model.preset_members import MEMBERS, Mistake
from valetkey.model.preset_shape import shape_mistakes

_KINDS: Final[Mapping[str, str]] = {f.name: str(f.type) for f in fields(OAuth2Credential)}
_NO: Final = frozenset({"false", "no", "off", "0", ""})


@dataclass(slots=True)
class Meant:
    """The data of a preset as it was probably meant.

    Attributes:
        data: It, with members and fields of the right types only.
        mistakes: What had to be mended.
        taken: The places, dotted, of what was taken out.
        spelt: Places with a misspelt name: as they would be right -> as they stand in the file.
        clear: Whether it is clear what kind of declaration is meant; else its fields cannot be held to each other.
    """

    data: dict[str, Any]
    mistakes: list[Mistake]
    taken: set[str]
    spelt: dict[str, str]
    clear: bool = True

    def follows(self, mistake: Mistake) -> bool:
        """Tell whether a mistake follows from what was taken out."""
        place = mistake.field
        return any(place == taken or taken.startswith(f"{place}.") for taken in self.taken)

    def as_written(self, mistake: Mistake) -> Mistake:
        """Return a mistake at the place where it stands in the file."""
        for right, written in self.spelt.items():
            if mistake.field == right or mistake.field.startswith(f"{right}."):
                return replace(mistake, field=written + mistake.field.removeprefix(right))
        return mistake


def meant(data: Mapping[str, Any]) -> Meant:
    """Return what the data of a preset probably means, and what had to be mended for that."""
    found = Meant(cast("dict[str, Any]", _copied(data)), [*shape_mistakes(data)], set(), {})
    for name in [name for name in data if name not in MEMBERS]:
        _respell(found, name)
    for mistake in found.mistakes:
        _take_out(found, mistake.field)
    if "credential" in found.data:
        found.data["credential"] = _fields(found, found.data["credential"])
    return found


def _copied(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _copied(member) for name, member in cast("Mapping[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_copied(one) for one in cast("list[object]", value)]
    return value


def _respell(found: Meant, name: str) -> None:
    """Give a member with an unknown name that of the nearest, where it is of its form."""
    value, right = found.data.pop(str(name)), nearest(str(name), MEMBERS)
    if right is None or right in found.data:
        return
    if any(each.field.partition(".")[0] == right for each in shape_mistakes({right: value})):
        return
    found.data[right] = value
    found.spelt[right] = str(name)
    found.mistakes = [each for each in found.mistakes if each.field != right]  # it is not missing


def _take_out(found: Meant, place: str) -> None:
    """Take out what stands at a place; what is not there is noted all the same, for it is told already."""
    if place in found.spelt.values():
        return
    found.taken.add(place)
    node: Any = found.data
    while place:
        if isinstance(node, dict):
            members = cast("dict[str, Any]", node)
            named = [each for each in members if place == each or place.startswith(f"{each}.")]
            if not named:
                return
            name = max(named, key=len)
            place = place.removeprefix(name).removeprefix(".")
            if not place:
                del members[name]
                return
            node = members[name]
        elif isinstance(node, list):
            entries = cast("list[object]", node)
            number, _, place = place.partition(".")
            if not place:
                entries[int(number) - 1] = {}
                return
            node = entries[int(number) - 1]
        else:
            return


# -- fields of [credential] --------------------------------------------------------------------------------------------


def _fields(found: Meant, given: Mapping[str, object]) -> dict[str, object]:
    """Return the fields with values of the right types, and note what was wrong with them."""
    right: dict[str, object] = {}
    for name, value in given.items():
        if name in OWN_TO_A_PROGRAM:
            text = f"{name} is for the program to say"
            found.mistakes.append(Mistake(f"credential.{name}", text, "remove it"))
            continue
        wrong = field_mistake(name, value)
        if wrong is None:
            right[name] = value
            continue
        found.mistakes.append(wrong)
        meant_name = name if name in settings.SETTINGS else nearest(name, settings.SETTINGS)
        if meant_name is None or (meant_name != name and meant_name in given):
            continue
        if meant_name != name:
            found.spelt[f"credential.{meant_name}"] = f"credential.{name}"
        guess = _guessed(meant_name, value)
        if guess is not None:
            right[meant_name] = guess
        else:
            found.taken.add(f"credential.{meant_name}")
            found.clear = found.clear and not _is_choice(meant_name)
    return right


def _guessed(name: str, value: object) -> object:
    """Return the value that was probably meant; None where nothing can be said."""
    for guess in (value, _by_kind(name, value)):
        if guess is not None and field_mistake(name, guess) is None:
            return guess
    return None


def _by_kind(name: str, value: object) -> object:
    kind = _KINDS[name]
    if name in settings.URLS:
        return STAND_IN
    if kind.startswith("bool"):
        return str(value).strip().lower() not in _NO
    if kind == "tuple[str, ...]" and isinstance(value, str):
        return [part for part in re.split(r"[\s,]+", value) if part]
    if _is_choice(name):
        return nearest(str(value), settings.choices(name))
    return None


def _is_choice(name: str) -> bool:
    return hasattr(credentials, _KINDS[name])
