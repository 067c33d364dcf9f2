"""Asking a person on another device for a yes (OpenID CIBA Core 1.0), in poll mode."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from valetkey.errors import ConfigurationError
from valetkey.model.credentials import AppCredentials, OAuth2Credential
from valetkey.protocol.bodies import read_members, seconds
from valetkey.protocol.device import INTERVAL, LONGEST_INTERVAL
from valetkey.protocol.forms import post
from valetkey.protocol.refusals import Refusal, read_refusal, refused
from valetkey.protocol.token_request import token_request
from valetkey.values import Params, Request, Response, Secret

CIBA_GRANT: Final = "urn:openid:params:grant-type:ciba"
_ID: Final = re.compile(r"[\x20-\x7e]+")
_MESSAGE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class BackchannelRequest:
    """Who is to be asked on another device, and what they are shown there (section 7.1).

    Exactly one of the three hints says who.

    Attributes:
        login_hint: The person's name at the provider, as a phone number or an e-mail.
        login_hint_token: A token that says who it is.
        id_token_hint: An id token that was got before.
        binding_message: A short text that is shown both here and there, so that the person sees that they belong
            together.
        user_code: The person's secret code, where the provider wants one; it is sent once and kept nowhere.
        acr_values: How strongly the person is to sign in; one of them is checked for in the id token.
    """

    login_hint: str = ""
    login_hint_token: Secret | None = field(default=None, repr=False)
    id_token_hint: Secret | None = field(default=None, repr=False)
    binding_message: str = ""
    user_code: Secret | None = field(default=None, repr=False)
    acr_values: tuple[str, ...] = ()

    def params(self) -> Params:
        """Return the parameters of the request.

        Raises:
            ConfigurationError: There is other than one hint (``hint_not_one``), or the message is no short line
                (``binding_message_invalid``).
        """
        hints = {
            "login_hint": self.login_hint,
            "login_hint_token": self.login_hint_token.reveal() if self.login_hint_token else "",
            "id_token_hint": self.id_token_hint.reveal() if self.id_token_hint else "",
        }
        if sum(map(bool, hints.values())) != 1:
            msg = "who is asked has to be said by exactly one of login_hint, login_hint_token and id_token_hint"
            raise ConfigurationError(
                msg, code="hint_not_one", hint='request=BackchannelRequest(login_hint="ada@example.com")'
            )
        if len(self.binding_message) > _MESSAGE or not self.binding_message.isprintable():
            msg = "binding_message is shown on a small screen, and this is no short line"
            raise ConfigurationError(
                msg, code="binding_message_invalid", hint="use a word and a number, such as 'X-42'"
            )
        return {
            **hints,
            "binding_message": self.binding_message,
            "user_code": self.user_code.reveal() if self.user_code else "",
            "acr_values": " ".join(self.acr_values),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Backchannel:
    """What the server wants to be polled with (section 7.3).

    Attributes:
        auth_req_id: What the polls carry; never shown.
        expires_in: Seconds after which nobody can answer any more.
        interval: Seconds between two polls, from the sending of one to that of the next.
    """

    auth_req_id: Secret
    expires_in: float
    interval: float = INTERVAL


def backchannel_request(
    credential: OAuth2Credential, app: AppCredentials, *, scopes: Sequence[str], wants: BackchannelRequest
) -> Request:
    """Return the request that has the person asked (section 7.1).

    Raises:
        ConfigurationError: The scope ``openid`` is not asked for (``openid_missing``); the app cannot prove itself
            (``client_public``); see also `BackchannelRequest.params` and `forms.post`.
    """
    if "openid" not in scopes:
        msg = f"{credential.name}: a person can be asked on another device only with the scope openid"
        raise ConfigurationError(
            msg, code="openid_missing", hint=f"declare {credential.name!r} with scopes=['openid', ...]"
        )
    if credential.client_auth == "none":
        msg = f"{credential.name}: only an app that proves itself may have a person asked, and client_auth is 'none'"
        hint = f"declare {credential.name!r} with client_auth='private_key_jwt' or 'client_secret_basic'"
        raise ConfigurationError(msg, code="client_public", hint=hint)
    params: Params = {
        "scope": credential.scope_separator.join(scopes),
        "authorization_details": credential.authorization_details,
        "resource": credential.resources,
        **wants.params(),
    }
    what = "backchannel_authentication_url"
    return post(credential.backchannel_authentication_url, params, what=what, credential=credential, app=app)


def parse_backchannel(response: Response, *, credential: OAuth2Credential, now: float) -> Backchannel | Refusal:
    """Read the answer (section 7.3); never raises.  `now` is Unix seconds.  ``expires_in`` must be there."""
    members = read_members(response.body) if response.status in range(200, 300) else None
    if members is None or refused(members):
        return read_refusal(response, credential=credential, now=now)
    found, life = members.get("auth_req_id"), seconds(members.get("expires_in"))
    if not (isinstance(found, str) and _ID.fullmatch(found) and life):
        note = "an answer without a usable auth_req_id or expires_in"
        return replace(read_refusal(response, credential=credential, now=now), note=note)
    interval = min(seconds(members.get("interval")) or INTERVAL, LONGEST_INTERVAL)
    return Backchannel(auth_req_id=Secret(found), expires_in=life, interval=interval)


def backchannel_token_request(credential: OAuth2Credential, app: AppCredentials, *, auth_req_id: Secret) -> Request:
    """Return one poll of the token endpoint (section 10.1).  Its answer is read by `parse_token_response`.

    Raises:
        ConfigurationError: See `forms.post` and `forms.merged`.
    """
    params = {"grant_type": CIBA_GRANT, "auth_req_id": auth_req_id.reveal()}
    return token_request(credential, app, params, extra=credential.token_params)
