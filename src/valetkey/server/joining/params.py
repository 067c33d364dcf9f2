"""What a person says of a connection's own params before they leave for the provider."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from valetkey.engine.places import known_params
from valetkey.model.asked_params import LONGEST, asked, open_to_people, takes, understood
from valetkey.model.connections import ConnectionKey
from valetkey.model.credentials import EMPTY, OAuth2Credential
from valetkey.model.located import UrlParam
from valetkey.model.placing import placed
from valetkey.server.asking import Ask
from valetkey.server.views.param_fields import PREFIX


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a form said.

    Attributes:
        came: Whether it held the fields at all.
        typed: What was typed, as it was.
        given: What was meant, as far as it may stand there.
        wrong: Which may not, or are missing: param -> ``empty`` or ``wrong``.
    """

    came: bool
    typed: Mapping[str, str]
    given: Mapping[str, str]
    wrong: Mapping[str, str]


def left_to_ask(
    ask: Ask, credential: OAuth2Credential, key: ConnectionKey, given: Mapping[str, str] = EMPTY
) -> tuple[UrlParam, ...]:
    """Return the rules of what a person has to say before a sign-in of `key`, for which `given` was given."""
    return asked(credential, {**known_params(ask.server.core.world, credential, key), **given})


def in_place(
    ask: Ask, credential: OAuth2Credential, key: ConnectionKey, given: Mapping[str, str] = EMPTY
) -> OAuth2Credential:
    """Return the credential as a sign-in of `key` sees it: its params, where known, are in its URLs."""
    return placed(credential, {**known_params(ask.server.core.world, credential, key), **given})


def answers(ask: Ask, credential: OAuth2Credential, rules: Iterable[UrlParam]) -> Answers:
    """Read what a form says to these rules."""
    typed: dict[str, str] = {}
    given: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for rule in rules:
        typed[rule.name] = ask.field(f"{PREFIX}{rule.name}")[: 2 * LONGEST]
        meant = understood(credential, rule, typed[rule.name])
        if meant and takes(credential, rule, meant):
            given[rule.name] = meant
        elif meant or not rule.default:
            wrong[rule.name] = "wrong" if meant else "empty"
    came = any(f"{PREFIX}{name}" in ask.form for name in typed)
    return Answers(came=came, typed=typed, given=given, wrong=wrong)


def typed_params(ask: Ask, credential: OAuth2Credential) -> dict[str, str]:
    """Return what was typed of a connection's params, as it is meant; what was left empty is not there."""
    typed = [(rule, ask.field(f"{PREFIX}{rule.name}")) for rule in open_to_people(credential)]
    return {rule.name: understood(credential, rule, text) for rule, text in typed if text.strip()}
