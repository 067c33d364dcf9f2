"""``valetkey request``: call an API; the token never leaves the process."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import click

from valetkey.cli.commands import command, credential_argument, pass_session, resource_option, whose
from valetkey.cli.exits import NOT_WELL, OK, Stop
from valetkey.cli.session import Session
from valetkey.cli.terminal import is_terminal, out, sanitised, say
from valetkey.errors import clean

if TYPE_CHECKING:
    import httpx2

_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"


@command(
    "request",
    makes_store=True,
    examples=(
        "valetkey request github /user | jq .login",
        'valetkey request github POST /user/repos --json-body -d \'{"name": "new"}\'',
        "valetkey request google -o photo.jpg --fail /drive/v3/files/ID?alt=media",
        "valetkey request github /user --fail --include",
    ),
)
@credential_argument
@click.argument("words", metavar="[METHOD] URL", nargs=-1, required=True)
@whose
@resource_option
@click.option("-d", "--data", metavar="DATA", help="Send this: text, @FILE, or - for stdin.")
@click.option("--json-body", is_flag=True, help="The data is JSON.")
@click.option("-H", "--header", "headers", metavar="'NAME: VALUE'", multiple=True, help="Add a header.")
@click.option("-L", "--location", is_flag=True, help="Follow redirects, as far as the token may go there.")
@click.option("--fail", is_flag=True, help="Exit with 1 where the API answers 400 or above.")
@click.option("-i", "--include", is_flag=True, help="Show status and headers of the answer too.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False), help="Write the body to a file.")
@pass_session
def request(
    session: Session,
    *,
    name: str,
    words: Sequence[str],
    owner: str | None,
    account: str,
    resource: str | None,
    data: str | None,
    json_body: bool,
    headers: Sequence[str],
    location: bool,
    fail: bool,
    include: bool,
    output: str | None,
) -> int:
    """Call an API as the connection NAME and write the body of its answer to stdout.

    URL is a whole one, or a path under the API's base.  METHOD is GET, or POST where there is data.  The token goes
    only to hosts that belong to the credential; a 401 is answered by one refresh and one retry.
    """
    method, url = _method_and_url(words, has_data=data is not None)
    content = None if data is None else _content(data)
    if json_body:
        _check_json(content)
    client = session.client(name, owner, account, resource)
    options = {
        "headers": _headers(headers, has_data=content is not None, json_body=json_body),
        "follow_redirects": location,
    }
    with client.stream(method, url, content=content, **options) as response, _sink(output) as sink:
        if include:
            _write_head(response, sink)
        ended = _write_body(response, sink)
    if response.is_error:
        if not ended and output is None and is_terminal(sys.stderr):
            say()  # whoever looks at both has the status on a line of its own; the bytes of the body are the API's
        say(f"{response.status_code} {clean(response.reason_phrase)}".strip())
    return NOT_WELL if fail and response.is_error else OK


def _method_and_url(words: Sequence[str], *, has_data: bool) -> tuple[str, str]:
    if len(words) == 1:
        return ("POST" if has_data else "GET"), words[0]
    method, url, *rest = words
    if rest or not method.isalpha() or "/" not in url:
        msg = "write [METHOD] URL, such as: GET /user, or https://api.example.com/items"
        raise click.UsageError(msg)
    return method.upper(), url


def _content(data: str) -> bytes:
    """Return the body: kept in memory, so that it can be sent a second time after a 401."""
    if data == "-":
        return sys.stdin.buffer.read()
    return Path(data[1:]).read_bytes() if data.startswith("@") else data.encode()


def _check_json(content: bytes | None) -> None:
    try:
        json.loads(content or b"")
    except ValueError:
        msg = "the data is not JSON"
        raise Stop(msg, code="body_invalid", hint="give -d a JSON text, or leave --json-body away") from None


def _headers(given: Sequence[str], *, has_data: bool, json_body: bool) -> list[tuple[str, str]]:
    headers: list[tuple[str, str]] = []
    for line in given:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            msg = f"a header is written 'NAME: VALUE', not {clean(line, 60)!r}"
            raise click.UsageError(msg)
        headers.append((name.strip(), value.strip()))
    if any(name.lower() == "authorization" for name, _ in headers):
        msg = "the Authorization header is what this command is for: leave it away"
        raise click.UsageError(msg)
    if has_data and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", _JSON if json_body else _FORM))
    return headers


@contextmanager
def _sink(output: str | None) -> Generator[BinaryIO | None]:
    """Give where the body goes as bytes; None: to a terminal, as text."""
    if output is not None:
        with Path(output).open("wb") as file:
            yield file
    elif is_terminal(sys.stdout) or not hasattr(sys.stdout, "buffer"):
        yield None
    else:
        sys.stdout.flush()
        yield cast("BinaryIO", sys.stdout.buffer)


def _write_head(response: httpx2.Response, sink: BinaryIO | None) -> None:
    lines = [f"{response.http_version} {response.status_code} {response.reason_phrase}".strip()]
    lines += [f"{name}: {value}" for name, value in response.headers.multi_items()]
    if sink is None:
        out(sanitised("\n".join(lines)) + "\n")
    else:
        sink.write(("\r\n".join(lines) + "\r\n\r\n").encode())


def _write_body(response: httpx2.Response, sink: BinaryIO | None) -> bool:
    """Write the body; return whether its last line is ended."""
    if sink is None:
        _write_text(response)
        return True
    ended = True
    for chunk in response.iter_bytes():
        sink.write(chunk)
        sink.flush()
        ended = chunk.endswith(b"\n") if chunk else ended
    return ended


def _write_text(response: httpx2.Response) -> None:
    """Write the body for eyes: as text that cannot steer the terminal, with a line break at its end."""
    last = "\n"
    for text in response.iter_text():
        sys.stdout.write(sanitised(text))
        sys.stdout.flush()
        last = text[-1:] or last
    if last != "\n":
        out()
