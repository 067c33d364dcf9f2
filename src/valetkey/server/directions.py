"""Names in letters that run from right to left, kept from moving what stands beside them.

A name in Hebrew or Arabic takes numbers, dots and other names beside it along into its own direction (Unicode Standard
Annex 9).  ``<bdi>`` keeps it to itself.  It is put in when a page is done, around all such words of its text, for no
template then has to think of it, and what providers say is covered too.
"""

from __future__ import annotations

import re
from typing import Final

_LETTER: Final = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe\U00010800-\U00010fff\U0001e800-\U0001efff"
_ANY: Final = re.compile(f"[{_LETTER}]")
_WORD: Final = re.compile(r"[^\s<>&;,()\u00b7\u2013\u201c\u201d]+")
_JOINS: Final = re.compile(r"[\s\d./:+-]+")
"""What may stand between two words of one name: whatever else is there is its neighbour's."""
_TRAILING: Final = ".:!?\u2026\u2019"
_TAG: Final = re.compile(r"(<(?:[^<>\"]|\"[^\"]*\")*>)")
_NAME: Final = re.compile(r"<(/?)([a-z]+)")
_PLAIN: Final = frozenset({"title", "option", "textarea", "script", "style", "svg", "bdi"})
"""Elements that hold text alone, or that isolate already."""


def isolated(html: str) -> str:
    """Return a page with its words that run from right to left in ``<bdi>``; attributes stay as they are."""
    if not _ANY.search(html):
        return html
    done: list[str] = []
    within = ""
    for part in _TAG.split(html):
        if part.startswith("<") and (found := _NAME.match(part)):
            closes, name = found[1], found[2]
            if not within and not closes and name in _PLAIN:
                within = name
            elif closes and name == within:
                within = ""
        elif not within:
            part = _marked(part)  # noqa: PLW2901 - the same part, with marks
        done.append(part)
    return "".join(done)


def _marked(text: str) -> str:
    """Return text of a page with its names in ``<bdi>``: words that run from right to left, and what joins them."""
    done: list[str] = []
    at = 0
    for begin, end in _names(text):
        done += (text[at:begin], "<bdi>", text[begin:end], "</bdi>")
        at = end
    return "".join((*done, text[at:]))


def _names(text: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for word in _WORD.finditer(text):
        if not _ANY.search(word[0]):
            continue
        begin, end = word.start(), word.start() + len(word[0].rstrip(_TRAILING))
        if found and _JOINS.fullmatch(text, found[-1][1], begin):
            begin = found.pop()[0]
        found.append((begin, end))
    return found
