"""Answers of token endpoints that have places of their own for what RFC 6749 section 5 names."""

from __future__ import annotations

from typing import Final

from valetkey.model.credentials import OAuth2Credential
from valetkey.protocol.bodies import Members, at_path

_OF_ERRORS: Final = frozenset({"error", "error_description"})


def understood(members: Members, credential: OAuth2Credential) -> Members:
    """Return an answer with its members under their standard names, as ``answer_paths`` says where they are.

    Where the access token stands in a place of its own, all declared members are read there, and none of them under its
    standard name: an answer may hold another token set beside it (Slack's bot).  Where nothing stands in that place it
    is an answer of the usual form (a refresh, mostly), and read as such.  An ``error`` that means success is taken
    out.
    """
    paths = credential.answer_paths
    if not paths and not credential.answer_ok:
        return members
    found = {name: value for name, path in paths.items() if (value := at_path(members, path)) is not None}
    here = bool(found.get("access_token"))
    if "access_token" in paths and not here:
        found = {name: value for name, value in found.items() if name in _OF_ERRORS}
    hidden = set(paths) - set(found) - _OF_ERRORS if here else set[str]()
    read = {name: value for name, value in {**members, **found}.items() if name not in hidden}
    if str(read.get("error", "")).lower() in credential.answer_ok:
        del read["error"]
    return read


def holds_token_apart(members: Members, credential: OAuth2Credential) -> bool:
    """Whether an answer holds an access token in the place of its own that the credential declares for it."""
    path = credential.answer_paths.get("access_token", "")
    return bool(path and at_path(members, path))


def places_read(credential: OAuth2Credential) -> frozenset[str]:
    """Return the names of the answer's own members in which something standard stands."""
    return frozenset(path.partition(".")[0] for path in credential.answer_paths.values())
