"""Inviting an operator again."""

from __future__ import annotations

import re
from typing import Any

import pytest

from valetkey.errors import ConfigurationError

OPERATORS = "/console/settings/operators"
PASSWORD = "four words of my own"


def test_a_new_link_withdraws_the_older_invitation(site: Any) -> None:
    operators, mira = site.server.operators, site.operator()
    _, first = operators.invite("jo", "look", by="mira")
    page = mira.get(OPERATORS).text
    assert "New link" in page
    fields = {"do": "renew", "name": "jo", "nonce": page.partition('name="nonce" value="')[2].partition('"')[0]}
    answer = mira.post(f"{OPERATORS}/change", **fields)
    token = re.search(r"token=([\w-]+)", answer.text)
    assert answer.status_code == 200
    assert token is not None
    assert operators.invited(first.reveal()) is None
    assert operators.invited(token[1]).name == "jo"

    again = mira.post(f"{OPERATORS}/change", **fields)
    assert (again.status_code, again.headers["location"]) == (303, OPERATORS), "a reload makes no third link"
    assert operators.invited(token[1]) is not None
    assert operators.accept(token[1], PASSWORD).name == "jo"
    with pytest.raises(ConfigurationError) as caught:
        operators.renew("jo", by="mira")
    assert caught.value.code == "operator_joined"
