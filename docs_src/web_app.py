"""A web application whose users connect their own GitHub accounts.  The standard library is all that it needs."""

from collections.abc import Callable, Iterable
from html import escape
from http.cookies import SimpleCookie
from wsgiref.simple_server import make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from valetkey import ConnectError, ProviderUnavailable, ReauthorizationRequired, Valet, wire_oauth2_credential

BASE_URL = "http://localhost:8000"  # in production https://...; register BASE_URL/callback/github at GitHub
COOKIE = "connecting"

wire_oauth2_credential("github", preset="github", scopes=["read:user"], per_owner=True)
valet = Valet(base_url=BASE_URL)  # one for the whole application, at module level

Page = tuple[str, str, list[tuple[str, str]]]


def home(user: str, _: WSGIEnvironment) -> Page:
    try:
        answer = valet.client("github", owner=user).get("/user")
    except ReauthorizationRequired as problem:  # never connected, or no longer: problem.reason says why
        return "200 OK", f"<p>{escape(str(problem))}.</p><a href='/connect'>Connect GitHub</a>", []
    login = answer.raise_for_status().json()["login"]
    return "200 OK", f"<p>GitHub knows you as {escape(login)}.</p>", []


def connect(user: str, _: WSGIEnvironment) -> Page:
    start = valet.authorize("github", owner=user)
    secure = "; Secure" if BASE_URL.startswith("https:") else ""
    cookie = f"{COOKIE}={start.binding.reveal()}; Path=/callback/github; Max-Age=600; HttpOnly; SameSite=Lax{secure}"
    return "303 See Other", "", [("Location", start.url), ("Set-Cookie", cookie)]


def callback(user: str, environ: WSGIEnvironment) -> Page:
    kept = SimpleCookie(environ.get("HTTP_COOKIE", "")).get(COOKIE)
    url = f"{BASE_URL}/callback/github?{environ.get('QUERY_STRING', '')}"  # as the browser sees it, not the proxy
    try:
        valet.finish(url, binding=kept.value if kept else "", owner=user)
    except ConnectError as problem:  # denied, too late, another browser, another user, ...
        return "400 Bad Request", f"<p>{escape(str(problem))}.</p><a href='/connect'>Try again</a>", []
    return "303 See Other", "", [("Location", "/"), ("Set-Cookie", f"{COOKIE}=; Path=/callback/github; Max-Age=0")]


PAGES: dict[str, Callable[[str, WSGIEnvironment], Page]] = {
    "/": home,
    "/connect": connect,
    "/callback/github": callback,
}


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    status, text, headers = answer_to(environ)
    start_response(status, [("Content-Type", "text/html; charset=utf-8"), *headers])
    return [text.encode()]


def answer_to(environ: WSGIEnvironment) -> Page:
    user = environ.get("REMOTE_USER")  # your login, not ours
    page = PAGES.get(environ["PATH_INFO"])
    if not user:
        return "401 Unauthorized", "<p>Sign in first.</p>", []
    if page is None:
        return "404 Not Found", "<p>No such page.</p>", []
    try:
        return page(user, environ)
    except ProviderUnavailable:  # connections stay as they are
        return "503 Service Unavailable", "<p>GitHub does not answer. Try again in a minute.</p>", []


if __name__ == "__main__":
    with make_server("127.0.0.1", 8000, app) as server:
        server.serve_forever()
