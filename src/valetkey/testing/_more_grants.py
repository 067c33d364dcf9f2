"""What the practice provider can do beside the usual: assertions, exchange of tokens, and asking on a phone (CIBA)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from valetkey.testing._faults import Faults
from valetkey.testing._grant_types import CIBA
from valetkey.testing._http import Call, Reply
from valetkey.testing._ledger import within
from valetkey.testing._refused import Refused
from valetkey.testing._signing import OPENID_SCOPES
from valetkey.testing._site import Site, refusal
from valetkey.testing._token_endpoint import authenticate, must_allow, read_form

_HINTS = ("login_hint", "login_hint_token", "id_token_hint")


class MoreGrants(Faults):
    """Whom the provider trusts, and what a person answers who is asked on a phone."""

    _site: Site

    def trust(self, issuer: str, public_key: Mapping[str, Any]) -> None:
        """Take assertions (RFC 7523) that `issuer` signs with the key whose public half, a JWK, this is."""
        self._site.trust.keys[issuer] = public_key

    def allow_target(self, target: str) -> None:
        """Let tokens be exchanged for this audience or resource (RFC 8693), or be asked for it (RFC 8707).

        Once there is one, others are refused; a token that names resources opens those routes of the API alone that lie
        at their addresses or below.
        """
        self._site.trust.targets.add(target)

    def require_user_code(self, login: str, code: str) -> None:
        """Ask this person on a phone only where the request brings the person's own code (CIBA section 7.1.2)."""
        self._site.trust.user_codes[login] = code

    def answer_phone(self, login: str, *, approve: bool = True) -> None:
        """Play the person who is asked on a phone (CIBA).

        Raises:
            LookupError: Nobody asks this person.
        """
        waiting = self._site.trust.asked.pop(login, None)
        if waiting is None:
            msg = f"nobody asks {login}"
            raise LookupError(msg)
        self._site.consents.decide_device(waiting, login=login, scopes=waiting.scopes if approve else None)


def backchannel_authentication(site: Site, call: Call) -> Reply:
    """Start asking a person on a phone (OpenID CIBA Core section 7)."""
    try:
        form = read_form(call)
        client = authenticate(site, call, form)
        must_allow(client, CIBA)
        scopes = within(form.get("scope", ""), client.scopes, OPENID_SCOPES)
        hint = _hint(form, scopes)
        _check_user_code(site.trust.user_codes.get(hint), form.get("user_code"))
        auth_req_id, waiting = site.consents.start_device(client, scopes)
    except Refused as refused:
        return refusal(refused)
    site.trust.asked[hint] = waiting
    life, interval = int(site.ledger.rules.device_code_lifetime), int(waiting.interval)
    members = {"auth_req_id": auth_req_id, "expires_in": life, "interval": interval}
    return site.faults.rendered("ciba", 200, members)


def _hint(form: Mapping[str, str], scopes: tuple[str, ...]) -> str:
    """Return who is meant.

    Raises:
        Refused: It is not a request of CIBA (section 7.1): it has other than one hint, or no scope ``openid``.
    """
    hints = [form[name] for name in _HINTS if name in form]
    if "openid" not in scopes or len(hints) != 1:
        raise Refused(error="invalid_request", why="the scope openid and exactly one hint are needed")
    return hints[0]


def _check_user_code(wanted: str | None, given: str | None) -> None:
    """Compare a person's code with the one that came (section 13).

    Raises:
        Refused: It is missing, or another one.
    """
    if wanted is not None and given != wanted:
        error = "invalid_user_code" if given else "missing_user_code"
        raise Refused(error=error, why="this person is asked with a code only")
