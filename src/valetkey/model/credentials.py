"""What a program declares: an OAuth2 integration (`OAuth2Credential`).  Its app is in `app_credentials`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from valetkey.model.app_credentials import AppCredentials
from valetkey.values import Value

__all__ = ["AppCredentials", "OAuth2Credential"]

if TYPE_CHECKING:
    from valetkey.model.located import LookUp, UrlParam

EMPTY: Mapping[str, Any] = MappingProxyType({})

ClientAuth = Literal[
    "client_secret_basic",
    "client_secret_post",
    "client_secret_jwt",
    "private_key_jwt",
    "tls_client_auth",
    "self_signed_tls_client_auth",
    "none",
]
AssertionAudience = Literal["issuer", "token_url"]
ResponseMode = Literal["default", "query", "form_post", "jwt"]
SenderConstraint = Literal["none", "dpop", "mtls"]
SecurityProfile = Literal["none", "mcp", "fapi2"]
RegistrationWay = Literal["auto", "manual", "dynamic"]
GrantType = Literal["authorization_code", "client_credentials", "jwt_bearer", "saml2_bearer", "token_exchange"]
Reach = Literal["token", "grant", "user"]
OnReuse = Literal["deny", "revoke_grant", "revoke_all"]
Loopback = Literal["any_port", "fixed_port", "https_only"]
LoopbackHost = Literal["127.0.0.1", "localhost"]
TokenRequestFormat = Literal["form", "json"]
TokenMethod = Literal["GET", "POST"]
PkceEncoding = Literal["base64url", "hex"]
UserinfoMethod = Literal["GET", "POST"]
SecretCheck = Literal["none", "client_credentials", "introspection"]
RevocationMethod = Literal["POST", "DELETE", "GET"]
RevocationFormat = Literal["form", "json", "query", "none"]
RevocationAuth = Literal[
    "client",
    "client_secret_basic",
    "client_secret_post",
    "client_secret_bearer",
    "client_secret_client",
    "access_token",
    "none",
]
RevocationToken = Literal["any", "access_token", "refresh_token"]
Source = Literal["code", "file", "command", "console"]

ASYMMETRIC = (*(f"{kind}{bits}" for kind in ("RS", "PS", "ES") for bits in (256, 384, 512)), "EdDSA", "Ed25519")
"""The signature algorithms of id tokens whose key is public (RFC 7518 section 3.1, RFC 8037, RFC 9864)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class OAuth2Credential(Value):
    """A declared OAuth2 integration: endpoints, scopes, quirks, and the ids of its two secrets.

    Made by `wire_oauth2_credential`, which fills in what a preset knows and checks every field.

    Attributes:
        name: Its key, as in ``valet.client("github")``.
        display_name: Its name for people.
        description: What the program uses it for.
        security_profile: ``mcp``: as the authorization specification of the Model Context Protocol says.  Then
            `api_base_url` is the MCP server's URL, which says itself where people sign in for it.  ``fapi2``:
            everything weaker than the FAPI 2.0 Security Profile is refused.
        secret_id: Under which id the secret service keeps the app credentials.
        token_secret_id: Under which id it keeps the token object of the program's own default account.
        grant: How grants are got: ``authorization_code`` (also by device), ``client_credentials``, ``jwt_bearer``
            (RFC 7523: by an assertion that the app signs, as service accounts do), ``saml2_bearer`` (RFC 7522), or
            ``token_exchange`` (RFC 8693: for another connection's token).
        assertion_subject: For whom a signed assertion asks (``sub``): a text, or ``{owner}`` or ``{account}`` for that
            of the connection; empty: for whom signs it.
        assertion_claims: Further claims of such an assertion; ``{scope}`` stands for the scopes that are asked for.
            Where a claim takes them, they are not sent beside it.
        grant_audience: For whom such an assertion is (``aud``): the ``token_url``, the ``issuer``, or this very text.
        assertion_secret_id: Under which id the secret service keeps the assertion of ``saml2_bearer``, or of
            ``jwt_bearer`` where somebody else signs it; it is read anew each time.
        authorization_url: The authorization endpoint (RFC 6749 section 3.1).
        token_url: The token endpoint (RFC 6749 section 3.2).
        device_authorization_url: The device authorization endpoint (RFC 8628 section 3.1).
        backchannel_authentication_url: Where a person is asked on another device (OpenID CIBA Core section 7).
        revocation_url: The revocation endpoint (RFC 7009); ``{client_id}`` in its path stands for the app's client id.
        revocation_method: The HTTP method of the revocation.
        revocation_format: Where its parameters go: ``form`` as the RFC says, a ``json`` body, the ``query``, or
            ``none``: no parameters at all (the token then stands in the header).
        revocation_auth: What authenticates it: ``client`` (as `client_auth` says), ``client_secret_basic``,
            ``client_secret_post`` (as members of the body), ``client_secret_bearer`` (the client secret as a bearer
            token), ``client_secret_client`` (the same with the scheme ``Client``), ``access_token`` (the access token,
            which must be alive, as a bearer token or as `token_header` says), or ``none``.
        revocation_token: Which token it takes: ``any`` (the refresh token where there is one, as the RFC says; with
            a reach of ``token`` the access token as well), ``access_token`` only, or ``refresh_token`` only.
        revocation_params: Its parameters, where they are not the RFC's ``token`` and ``token_type_hint``: name ->
            template, with ``{token}``, ``{token_type_hint}``, ``{client_id}`` and the connection's params by name.
        revocation_gone: Answers that mean "it was gone already": HTTP statuses (``"404"``) and error codes.
        introspection_url: The introspection endpoint (RFC 7662).
        signed_introspection: Ask there for signed answers (RFC 9701), and take no others; it needs `issuer`.
        secret_check: By which request a new client secret can be checked at once, without spending anything:
            ``client_credentials`` (the provider lets any app have a token of its own), ``introspection`` (of a token
            that nobody has), or ``none``: then its first refresh checks it.
        userinfo_url: Where the identity of a connected account is read.
        userinfo_method: ``GET``, or ``POST`` for the few that want it.
        userinfo_body: The JSON text to send there, empty for none.
        verify: The URL of one harmless GET that any token may make, to test a connection where there is no userinfo.
        issuer: The issuer identifier (RFC 8414), compared byte for byte with ``iss`` (RFC 9207) and with that of id
            tokens.  Where the URLs for signing in and for tokens are not declared, it stands for all that are
            not: they are read from its metadata.
        iss_advertised: Whether the server says that it always sends ``iss``: then its absence is refused.
        registration: How the app gets to the server: ``manual``: a person adds it; ``dynamic``: it registers itself
            when it is first needed and nobody has added it (RFC 7591); ``auto``: dynamic under the profile ``mcp``.
        registration_url: Where apps register themselves; empty: where the issuer's metadata says.
        client_metadata: What a registration says beside what follows from the rest, as JSON values: ``client_name``,
            ``contacts``, ``jwks`` of its public keys...
        client_id_metadata_url: The https URL of a document that describes the app; where the server takes such
            documents the URL is the client id, and nothing is registered.
        jwks_url: Where the keys are that sign id tokens (RFC 7517); empty: where the issuer's metadata says.
        id_token_algs: The signature algorithms (RFC 7518) that id tokens may have; none: the asymmetric ones that the
            metadata names.  ``HS256`` and its kin, whose key is the client secret, only where they are named here.
        id_token_audiences: What an id token's ``aud`` may hold beside our own client id.
        pushed_authorization_url: Where authorization requests are pushed (RFC 9126), so that the browser carries a
            reference only; empty: they travel by way of the browser.
        require_par: Whether the server takes none that was not pushed: then none is sent otherwise.
        request_object: Whether authorization requests are signed with the app's private key (RFC 9101).
        response_mode: How the answer comes back: ``default``: none is asked for, so in the query; ``form_post``: as a
            form; ``jwt``: signed (JARM), and then no other answer is taken.
        authorization_details: What exactly every sign-in asks for, as JSON text: a list of objects (RFC 9396).
        resources: The APIs that the token is for, as absolute URIs (RFC 8707).
        one_token_per_resource: Whether an access token is for one of the `resources` alone: people sign in for all of
            them, and the grant's own token is for the first.  Else it is for all of them.
        scopes: What is asked for; ``{holes}`` are filled with the declared `params`, as those of URLs are.
        forced_scopes: Asked for in addition, always (an offline scope, say).
        scope_separator: What stands between scopes in requests.
        scope_aliases: A scope as answers spell it -> as it is asked for: where it was granted, both were.
        authorization_fragment: What stands behind the ``#`` of the authorization URL, for a provider that wants that.
        pkce: Whether PKCE with S256 is used (RFC 7636).
        pkce_encoding: How the challenge is written: ``base64url`` as RFC 7636 says, or ``hex``.
        redirect_name: What requests say in place of the redirect URI, where the provider has a name for it (eBay's
            RuName).
        param_names: What this provider calls standard parameters, wherever they are sent: ``client_id`` -> ``app_id``;
            ``response_code`` is the code in the callback, where that is called otherwise than in requests.
        unsent_params: Standard parameters of the code exchange that it does not take.
        additional_params: Further parameters of the authorization URL.
        token_params: Further parameters of the code exchange.
        refresh_params: Further parameters of the refresh.
        token_method: The HTTP method of the token endpoint; with ``GET`` its parameters go into the query.
        refresh_url: Where grants are renewed, if not at `token_url`.
        refresh_method: The HTTP method there.
        refresh_request: All parameters of a renewal where they are not the RFC's: name -> template, with
            ``{refresh_token}``, ``{access_token}``, ``{client_id}``, ``{client_secret}``.  One that names the access
            token and no refresh token renews a grant by its access token itself, while that lives.
        long_lived_url: Where the token that a sign-in bought is traded for one that lives longer, at once.
        long_lived_method: The HTTP method there.
        long_lived_request: Its parameters, as templates with ``{access_token}``, ``{client_id}``, ``{client_secret}``.
        answer_paths: Where a member of the token answer stands in this provider's: name -> dotted path.
        answer_ok: Values of the answer's ``error`` that mean success.
        rate_limit_reset: Response headers that say when to try again, beside ``Retry-After``: a Unix time, or seconds.
        client_auth: How the app proves itself at the token endpoint (RFC 6749 section 2.3, RFC 7523 section 2.2, RFC
            8705 section 2).
        assertion_audience: For whom a client assertion is: the ``issuer`` (RFC 7523bis section 4), or the ``token_url``
            for servers that know the older text alone, and for those whose issuer is not declared.
        assertion_typ: The ``typ`` of a client assertion; ``JWT`` for servers that take no other.
        signing_alg: What the app's key signs with (RFC 7518); empty: what its JWK says, else what suits the key.
        sender_constraint: ``dpop``: tokens are bound to a key of the connection (RFC 9449), and no other are taken;
            ``mtls``: they are bound to the app's certificate (RFC 8705 section 3), which calls of the API carry too.
        dpop_alg: What such a key signs with (RFC 7518).
        signed_secret_claims: The client secret is a JWT that the app's key signs, with these claims (templates with
            ``{client_id}`` and the `params`) beside ``iat``, ``exp`` and ``sub``; empty: it is a text.
        basic_raw: Send id and secret in Basic as they are, for servers that do not form-decode them.
        token_request_format: ``form`` as the RFC says, or ``json`` for the few that want it.
        accept: The ``Accept`` header of token requests.
        redirect_uri: The exact redirect URI to use; by default one is made from the face that connects.
        loopback: Which redirect URIs on the local machine the provider takes.
        loopback_host: How the local machine is spelt in them.
        api_hosts: The hosts that may see the access token; ``*.example.com`` means any host below.
        api_base_url: What relative URLs of API calls are joined to.
        api_headers: Headers that every call of this API needs, also for identity and revocation (a version, say).
            ``{client_id}`` stands for the app's client id, ``{client_secret}`` for its secret.
        api_header_secrets: The same for headers whose value is a secret of its own (a developer token): header -> under
            which id the secret service keeps it; ``{name}`` stands for the credential's name.
        token_header: The header that carries the access token, with all of its value, where that is not RFC 6750's:
            ``X-Shopify-Access-Token: {token}``, ``Authorization: OAuth {token}``; empty: a bearer token, or one with a
            proof where it is bound to a key.
        beside: Another credential of the same app, whose grant each sign-in brings too: for a provider that answers
            with two token sets at once, of a bot and of a person.
        per_owner: Whether a call without an owner is an error.
        params: URL parameters (``tenant``, ``shop``) that were put into the URLs.
        url_params: The rules for params that each connection has its own of: they fill ``{holes}`` at use.
        kept_params: What is kept of a token answer as the connection's params: param name -> dotted path.
        callback_params: What is kept of a callback as the connection's params: param name -> its parameter.
        callback_hmac: The callback's parameter that is the hexadecimal HMAC-SHA256 of all others by the client secret.
        callback_equals: What a callback's parameters have to be: its parameter -> template with the params.
        look_ups: What is asked of the API after connecting, and kept as the connection's params.
        identity: Where the identity stands in the userinfo answer: member name -> dotted path.
        buffer: Seconds before its end at which an access token counts as expired; None: as rule R1 says.
        access_token_lifetime: Seconds, used where the provider does not say (R13).
        refresh_token_lifetime: Seconds of disuse after which the refresh token dies, where known.
        refresh_token_max_lifetime: Seconds after a sign-in at which its refresh tokens end, however much used.
        expiry_in_token: Whether the access token is a JWT whose ``exp`` says when it ends, where the answer does not:
            then that goes before `never_expires`.
        never_expires: Whether a missing or non-positive ``expires_in`` means that the token does not expire.
        retry_in_doubt: Whether a refresh whose answer was lost is tried again with the same token (R9).  It never is
            where reuse ends everything of that user (`on_reuse`), unless a person asks for it.
        rotates_refresh_token: Whether a refresh answers with a new refresh token; None: not known.
        refresh_grace: Seconds during which a spent refresh token is still taken; None: not known.
        refresh_ends_access_token: Whether a refresh ends the access token in use at once: then none is refreshed ahead
            of its time, for calls may be under way with it.
        on_reuse: What the provider does when a spent refresh token comes back; None: not known.
        refresh_on_403: Whether this provider says 403 where it means an invalid token.
        revocation_reach: What a revocation ends: one token, the grant, or all of that user and client.
        error_aliases: Provider error -> standard error (``bad_refresh_token`` -> ``invalid_grant``), for answers of
            the token and device endpoints.
        preset: The preset it was made from.
        source: Who declared it: ``code``, ``file``, ``command`` or ``console``.
    """

    name: str
    display_name: str = ""
    description: str = ""
    security_profile: SecurityProfile = "none"
    secret_id: str = ""
    token_secret_id: str = ""
    grant: GrantType = "authorization_code"
    assertion_subject: str = ""
    assertion_claims: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    grant_audience: str = "token_url"
    assertion_secret_id: str = ""
    authorization_url: str = ""
    token_url: str = ""
    device_authorization_url: str = ""
    backchannel_authentication_url: str = ""
    revocation_url: str = ""
    revocation_method: RevocationMethod = "POST"
    revocation_format: RevocationFormat = "form"
    revocation_auth: RevocationAuth = "client"
    revocation_token: RevocationToken = "any"  # noqa: S105 - which one, not its value
    revocation_params: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    revocation_gone: tuple[str, ...] = ()
    introspection_url: str = ""
    signed_introspection: bool = False
    secret_check: SecretCheck = "none"  # noqa: S105 - a way to check, not a secret
    userinfo_url: str = ""
    userinfo_method: UserinfoMethod = "GET"
    userinfo_body: str = ""
    verify: str = ""
    issuer: str = ""
    iss_advertised: bool = False
    registration: RegistrationWay = "auto"
    registration_url: str = ""
    client_metadata: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    client_id_metadata_url: str = ""
    jwks_url: str = ""
    id_token_algs: tuple[str, ...] = ()
    id_token_audiences: tuple[str, ...] = ()
    pushed_authorization_url: str = ""
    require_par: bool = False
    request_object: bool = False
    response_mode: ResponseMode = "default"
    authorization_details: str = ""
    resources: tuple[str, ...] = ()
    one_token_per_resource: bool = False
    scopes: tuple[str, ...] = ()
    forced_scopes: tuple[str, ...] = ()
    scope_separator: str = " "
    scope_aliases: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    authorization_fragment: str = ""
    pkce: bool = True
    pkce_encoding: PkceEncoding = "base64url"
    redirect_name: str = ""
    param_names: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    unsent_params: tuple[str, ...] = ()
    additional_params: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    token_params: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    refresh_params: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    token_method: TokenMethod = "POST"  # noqa: S105 - a method, not a password
    refresh_url: str = ""
    refresh_method: TokenMethod = "POST"
    refresh_request: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    long_lived_url: str = ""
    long_lived_method: TokenMethod = "POST"
    long_lived_request: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    answer_paths: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    answer_ok: tuple[str, ...] = ()
    rate_limit_reset: tuple[str, ...] = ()
    client_auth: ClientAuth = "client_secret_basic"
    assertion_audience: AssertionAudience = "issuer"
    assertion_typ: str = "client-authentication+jwt"
    signing_alg: str = ""
    sender_constraint: SenderConstraint = "none"
    dpop_alg: str = "ES256"
    signed_secret_claims: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    basic_raw: bool = False
    token_request_format: TokenRequestFormat = "form"  # noqa: S105 - a format, not a password
    accept: str = "application/json"
    redirect_uri: str = ""
    loopback: Loopback = "any_port"
    loopback_host: LoopbackHost = "127.0.0.1"
    api_hosts: tuple[str, ...] = ()
    api_base_url: str = ""
    api_headers: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    api_header_secrets: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    token_header: str = ""
    beside: str = ""
    per_owner: bool = False
    params: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    url_params: tuple[UrlParam, ...] = ()
    kept_params: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    callback_params: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    callback_hmac: str = ""
    callback_equals: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    look_ups: tuple[LookUp, ...] = ()
    identity: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    buffer: float | None = None
    access_token_lifetime: float | None = None
    refresh_token_lifetime: float | None = None
    refresh_token_max_lifetime: float | None = None
    expiry_in_token: bool = False
    never_expires: bool = False
    retry_in_doubt: bool = True
    rotates_refresh_token: bool | None = None
    refresh_grace: float | None = None
    refresh_ends_access_token: bool = False
    on_reuse: OnReuse | None = None
    refresh_on_403: bool = False
    revocation_reach: Reach = "grant"
    error_aliases: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    preset: str = ""
    source: Source = "code"

    @property
    def discovers(self) -> bool:
        """Whether its issuer stands for its URLs: they are read from the issuer's metadata when first needed."""
        ways = (self.authorization_url, self.device_authorization_url, self.backchannel_authentication_url)
        begins = any(ways) or not self.signs_in
        return bool(self.issuer or self.security_profile == "mcp") and not (self.token_url and begins)

    @property
    def registers(self) -> bool:
        """Whether its app may register itself (RFC 7591)."""
        return self.registration == "dynamic" or (self.registration == "auto" and self.security_profile == "mcp")

    @property
    def signs_in(self) -> bool:
        """Whether a person signs in for its grants."""
        return self.grant == "authorization_code"

    @property
    def by_itself(self) -> bool:
        """Whether its tokens are got, and got again, by the app alone: nobody signs in, and nothing is refreshed."""
        return self.grant in {"client_credentials", "jwt_bearer", "saml2_bearer"}

    @property
    def carries_certificate(self) -> bool:
        """Whether requests to the server carry the app's certificate (RFC 8705): it proves the app, or binds tokens."""
        by_certificate = self.client_auth in {"tls_client_auth", "self_signed_tls_client_auth"}
        return by_certificate or self.sender_constraint == "mtls"

    @property
    def asserts(self) -> bool:
        """Whether its tokens are asked for by an assertion (RFC 7521) or another token: a refusal speaks of that."""
        return self.grant in {"jwt_bearer", "saml2_bearer", "token_exchange"}

    @property
    def token_resources(self) -> tuple[str, ...]:
        """The resources that the grant's own access token is asked for."""
        return self.resources[:1] if self.one_token_per_resource else self.resources

    @property
    def resends(self) -> bool:
        """Whether a refresh token whose answer was lost may be sent again without a person's asking (R9)."""
        return self.retry_in_doubt and self.on_reuse != "revoke_all"

    @property
    def proves_by_key(self) -> bool:
        """Whether the app's private key is what proves it at the token endpoint, where others have a secret."""
        return self.client_auth == "private_key_jwt" or bool(self.signed_secret_claims)

    @property
    def renews_by_access_token(self) -> bool:
        """Whether its grants are renewed by the access token itself: the provider gives no refresh tokens."""
        said = "".join(self.refresh_request.values())
        return "{access_token}" in said and "{refresh_token}" not in said

    @property
    def all_scopes(self) -> tuple[str, ...]:
        """The scopes that are asked for: declared ones, then forced ones, each once."""
        return tuple(dict.fromkeys((*self.scopes, *self.forced_scopes)))
