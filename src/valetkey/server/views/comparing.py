"""Comparing what we send with what stands at the provider: redirect URIs to the letter, scopes by resemblance."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Final


def difference(ours: str, theirs: str) -> tuple[tuple[tuple[str, bool], ...], str]:
    """Mark in `theirs` what differs from `ours`; returns its pieces (with whether they differ) and it in words."""
    pieces: list[tuple[str, bool]] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        text = theirs[c:d] if kind != "delete" else ""
        if text:
            pieces.append((text, kind != "equal"))
        elif kind == "delete":
            pieces.append((f"[{ours[a:b]} is missing]", True))
    return tuple(pieces), _said(ours, theirs)


def _said(ours: str, theirs: str) -> str:
    if ours == theirs:
        return "They are the same."
    for what, plain in _USUAL:
        if plain(ours) == plain(theirs):
            return f"The difference is marked: {what}."
    return "The differences are marked."


_USUAL: Final[tuple[tuple[str, Callable[[str], str]], ...]] = (
    ("a slash at the end", lambda text: text.rstrip("/")),
    ("spaces around it", lambda text: text.strip()),
    ("http instead of https, or the other way round", lambda text: text.partition("://")[2]),
    ("capital and small letters", lambda text: text.lower()),
    ("localhost instead of 127.0.0.1, or the other way round", lambda text: text.replace("localhost", "127.0.0.1")),
)


def nearest_scope(asked: tuple[str, ...], known: dict[str, str]) -> tuple[str, str]:
    """Return the scope that is most likely misspelt and the known one that it resembles; empty texts for none."""
    for scope in asked:
        close = [] if scope in known else difflib.get_close_matches(scope, known, n=1, cutoff=0.75)
        if close:
            return scope, close[0]
    return "", ""
