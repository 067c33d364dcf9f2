"""NetSuite and FreshBooks: revocations that take the refresh token, in a form by Basic, and as JSON with the secret."""

from __future__ import annotations

from base64 import b64decode

from shared.scene import Scene, body, form, well

NETSUITE = "https://1234567-sb1.suitetalk.api.netsuite.com/services/rest/auth/oauth2/v1"
FRESHBOOKS = "https://api.freshbooks.com/auth/oauth"
TOKENS = {"access_token": "a1", "refresh_token": "r1", "token_type": "bearer", "expires_in": 3600}
ME = "GET https://api.freshbooks.com/auth/api/v1/users/me"
CONSTANT_CONTACT = "POST https://authz.constantcontact.com/oauth2/default/v1/token"


def test_netsuite_is_given_the_refresh_token_alone(scene: Scene) -> None:
    scene.open("netsuite", params={"account_id": "1234567-sb1"})
    scene.says(f"POST {NETSUITE}/token", well(**TOKENS))
    scene.says(f"POST {NETSUITE}/revoke", well())
    scene.sign_in()

    assert scene.valet.disconnect("netsuite").revoked
    sent = scene.only(f"POST {NETSUITE}/revoke")
    assert b64decode(sent.headers["authorization"].removeprefix("Basic ")) == b"the-app:the-s3cret"
    assert form(sent) == {"token": "r1"}


def test_freshbooks_is_given_the_refresh_token_as_json(scene: Scene) -> None:
    scene.open("freshbooks")
    scene.says(f"POST {FRESHBOOKS}/token", well(**TOKENS))
    scene.says(ME, well(response={"id": 7, "email": "s@example.com", "first_name": "Some"}))
    scene.says(f"POST {FRESHBOOKS}/revoke", well())
    scene.sign_in()

    scene.valet.disconnect("freshbooks")
    sent = scene.only(f"POST {FRESHBOOKS}/revoke")
    assert "authorization" not in sent.headers
    assert body(sent) == {"client_id": "the-app", "client_secret": "the-s3cret", "token": "r1"}


def test_constant_contact_wants_the_secret_in_the_header(scene: Scene) -> None:
    scene.open("constant-contact")
    scene.says(CONSTANT_CONTACT, well(**TOKENS))
    scene.says("GET https://api.cc.email/v3/account/summary", well(encoded_account_id="x1"))
    scene.sign_in()

    sent = scene.only(CONSTANT_CONTACT)
    assert b64decode(sent.headers["authorization"].removeprefix("Basic ")) == b"the-app:the-s3cret"
    assert "client_secret" not in form(sent)
