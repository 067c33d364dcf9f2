"""Stand-ins for the providers that the documentation speaks of, and a terminal to type at.

The programs of the documentation name GitHub and Linear, and they run here as they stand, with the presets that users
get.  A proxy (the variable HTTPS_PROXY) answers in place of those hosts, with a certificate that SSL_CERT_FILE has the
programs trust; behind it is a practice provider for each.  It leads nowhere else, so nothing leaves the machine.
"""

from __future__ import annotations

import base64
import json
import os
import pty
import shlex
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from valetkey.testing import PracticeProvider
from valetkey.testing.provider import OMIT

HERE = Path(__file__).parent
CLIENT_ID = "Ov23liEXAMPLE"
CLIENT_SECRET = "0123456789abcdef-EXAMPLE"
YEARS = 10 * 365 * 86400
HOSTS = ("github.com", "api.github.com", "linear.app", "api.linear.app")


# -- certificates --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a file with the certificate of all hosts of the stand-ins, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    public, now = key.public_key(), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "these tests")])
    not_for = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign")
    usage = dict.fromkeys((*not_for, "encipher_only", "decipher_only"), False)
    made = (
        x509.CertificateBuilder(name, name, public, x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=True, **usage), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    file = tmp_path_factory.mktemp("certificate") / "hosts.pem"
    file.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return file


# -- the hosts that the documentation names ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that came through the proxy."""

    method: str
    host: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path


@dataclass(frozen=True, slots=True)
class Told:
    """What is answered."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] | None = None

    @classmethod
    def json(cls, body: object, status: int = 200) -> Told:
        return cls(status, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def members(self) -> dict[str, Any]:
        members: dict[str, Any] = json.loads(self.body)
        return members


class Elsewhere:
    """GitHub and Linear, as far as the documentation goes there, each over a practice provider of its own.

    Attributes:
        github: The provider behind github.com and api.github.com; the person is octocat.
        linear: The one behind linear.app and api.linear.app; the person is ada.
        asked: Host and path of what came in.
    """

    def __init__(self) -> None:
        self.github = PracticeProvider(access_token_lifetime=YEARS, sends_iss=False)
        self.linear = PracticeProvider(access_token_lifetime=86399, sends_iss=False)
        self.asked: list[str] = []
        for provider, scopes, callbacks in (
            (self.github, ("repo", "read:user"), ("http://127.0.0.1/callback/github",)),
            (self.linear, ("read",), ("http://localhost:8421/callback/linear",)),
        ):
            provider.register_client(
                CLIENT_ID, CLIENT_SECRET, auth="client_secret_post", scopes=scopes, redirect_uris=callbacks
            )
        self.github.approve_as("octocat")
        self.github.change_answer(expires_in=OMIT, refresh_token=OMIT)  # tokens of OAuth apps come alone, without end

    def answer(self, ask: Ask) -> Told:
        self.asked.append(f"{ask.host}{ask.path}")
        route = {
            "github.com/login/oauth/authorize": lambda: self._github_authorize(ask),
            "github.com/login/oauth/access_token": lambda: self._github_token(ask),
            "api.github.com/user": lambda: self._github_user(ask),
            "api.github.com/user/repos": lambda: self._github_repos(ask),
            f"api.github.com/applications/{CLIENT_ID}/token": lambda: self._github_revoke(ask),
            "linear.app/oauth/authorize": lambda: self._at(self.linear, ask, "/authorize"),
            "api.linear.app/oauth/token": lambda: self._at(self.linear, ask, "/token"),
            "api.linear.app/oauth/revoke": lambda: _revoke(self.linear, ask.headers["Authorization"].split()[1]),
            "api.linear.app/graphql": lambda: self._linear_viewer(ask),
        }.get(f"{ask.host}{ask.path}")
        return Told(404, b"no such place in these tests\n") if route is None else route()

    def _at(self, provider: PracticeProvider, ask: Ask, path: str) -> Told:
        """Let the provider answer, under another path."""
        parts = urlsplit(ask.target)
        headers = {n: v for n, v in ask.headers.items() if n.lower() in {"accept", "authorization", "content-type"}}
        return _fetch(provider, ask.method, f"{path}?{parts.query}".rstrip("?"), ask.body, headers)

    def _claims(self, provider: PracticeProvider, ask: Ask) -> Told:
        return _fetch(provider, "GET", "/me", b"", {"Authorization": ask.headers.get("Authorization", "")})

    def _github_authorize(self, ask: Ask) -> Told:
        """Who asks for no scope gets none."""
        asked = parse_qs(urlsplit(ask.target).query).get("scope", [""])[0]
        self.github.narrow_scopes(*asked.split())
        return self._at(self.github, ask, "/authorize")

    def _github_token(self, ask: Ask) -> Told:
        """Write scopes with commas."""
        told = self._at(self.github, ask, "/token")
        if told.status != 200:
            return told
        members = told.members()
        return replace(told, body=json.dumps({**members, "scope": members.get("scope", "").replace(" ", ",")}).encode())

    def _github_user(self, ask: Ask) -> Told:
        who = self._claims(self.github, ask)
        if who.status != 200:
            return who
        me = who.members()
        return Told.json({"id": 583231, "login": me["login"], "name": "The Octocat", "email": None})

    def _github_repos(self, ask: Ask) -> Told:
        who = self._claims(self.github, ask)
        names = ["octocat/hello-world", "octocat/spoon-knife"]
        return who if who.status != 200 else Told.json([{"full_name": name} for name in names])

    def _github_revoke(self, ask: Ask) -> Told:
        """End a token as GitHub does it: DELETE, with Basic and a JSON body."""
        basic = "Basic " + base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if ask.method != "DELETE" or ask.headers.get("Authorization") != basic:
            return Told.json({"message": "Requires authentication"}, 401)
        done = _revoke(self.github, json.loads(ask.body)["access_token"])
        return Told(204) if done.status == 200 else done

    def _linear_viewer(self, ask: Ask) -> Told:
        who = self._claims(self.linear, ask)
        if who.status != 200:
            return who
        me = who.members()
        return Told.json({"data": {"viewer": {"id": me["sub"], "name": me["name"], "email": me["email"]}}})


def _revoke(provider: PracticeProvider, token: str) -> Told:
    form = {"token": token, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return _fetch(provider, "POST", "/revoke", urlencode(form).encode(), kind)


def _fetch(provider: PracticeProvider, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> Told:
    connection = HTTPConnection(urlsplit(provider.url).netloc, timeout=60)
    try:
        connection.request(method, target, body=body or None, headers=dict(headers))
        answer = connection.getresponse()
        passed = {n: v for n, v in answer.getheaders() if n.lower() in {"location", "content-type", "www-authenticate"}}
        return Told(answer.status, answer.read(), passed)
    finally:
        connection.close()


# -- the proxy in front of them ------------------------------------------------------------------------------------


class _Handler(BaseHTTPRequestHandler):
    """Speaks for a host once CONNECT has named it (RFC 9110 section 9.3.6)."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    server: _Proxy
    host = ""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name above
        """Write nothing."""

    def do_CONNECT(self) -> None:
        host = self.path.partition(":")[0]
        if host not in HOSTS:
            self.send_error(502, "no such host in these tests")
            return
        self.send_response(200)
        self.end_headers()
        try:
            self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        except OSError:
            self.close_connection = True
            return
        self.server.wrapped(self.connection)
        self.host = host
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)
        self.close_connection = False

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        ask = Ask(self.command, self.host, self.path, dict(self.headers.items()), body)
        told = self.server.elsewhere.answer(ask) if self.host else Told(403)
        self.send_response(told.status)
        for name, value in (told.headers or {}).items():
            self.send_header(name, value)
        if told.status != 204:
            self.send_header("Content-Length", str(len(told.body)))
        self.end_headers()
        self.wfile.write(told.body)

    do_GET = do_POST = do_DELETE = do_HEAD = _answer  # noqa: N815 - their names above


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, elsewhere: Elsewhere, certificate: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.elsewhere = elsewhere
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate)
        self._open: list[Any] = []

    def wrapped(self, connection: ssl.SSLSocket) -> None:
        self._open.append(connection)

    def server_close(self) -> None:
        super().server_close()
        for connection in self._open:
            connection.close()


@pytest.fixture
def elsewhere(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Elsewhere]:
    """Put the stand-ins in the place of GitHub and Linear, for this process and those that it starts."""
    elsewhere = Elsewhere()
    with elsewhere.github, elsewhere.linear, _Proxy(elsewhere, certificate) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        browser = shlex.join([sys.executable, str(HERE / "programs" / "browser.py")])
        settings = {
            "HTTPS_PROXY": f"http://127.0.0.1:{proxy.server_address[1]}",
            "SSL_CERT_FILE": str(certificate),
            "CURL_CA_BUNDLE": str(certificate),
            "REQUESTS_CA_BUNDLE": str(certificate),
            "BROWSER": f"{browser} %s &",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONWARNINGS": "error,ignore::ResourceWarning",
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        yield elsewhere
        proxy.shutdown()
        thread.join(60)


# -- a terminal ----------------------------------------------------------------------------------------------------


class Terminal:
    """A terminal, and a person who answers what commands ask.

    Attributes:
        answers: Prompt -> what is typed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answers: dict[str, str] = {}

    def type(self, command: str) -> str:
        """Run a command line in a shell of its own, and return all that the screen shows."""
        master, slave = pty.openpty()
        try:
            program = str(HERE / "programs" / "terminal.py")
            shell = subprocess.Popen(
                [sys.executable, program, "sh", "-c", command],
                **dict.fromkeys(("stdin", "stdout", "stderr"), slave),
                cwd=self.folder,
                start_new_session=True,
            )
            os.close(slave)
            with shell:
                return self._watch(master).replace("\r\n", "\n")
        finally:
            os.close(master)

    def _watch(self, master: int) -> str:
        screen, asked = "", 0
        while True:
            try:
                seen = os.read(master, 65536)
            except OSError:  # the last program left the terminal
                seen = b""
            if not seen:
                return screen
            screen += seen.decode()
            for prompt, answer in self.answers.items():
                if screen.endswith(prompt) and len(screen) > asked:
                    os.write(master, f"{answer}\n".encode())
                    asked = len(screen)


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Give a terminal of 120 columns without colours."""
    for name, value in {"COLUMNS": "120", "NO_COLOR": "1", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    return Terminal(tmp_path)
