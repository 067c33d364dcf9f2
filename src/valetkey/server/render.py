"""Pages from templates: everything in them is escaped, and their assets are addressed by content."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from valetkey.errors import clean
from valetkey.server.directions import isolated
from valetkey.server.words import in_words, topics

STATIC: Final = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    "waiting.js": "text/javascript",
    "joining.js": "text/javascript",
}
"""The files that pages refer to, and their types."""


@cache
def environment() -> Environment:
    """Return the templates' environment: HTML is escaped, and a name that nobody gave is an error."""
    made = Environment(
        loader=PackageLoader("valetkey.server", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["version_of"] = version_of
    made.filters["topics"] = topics
    made.filters["in_words"] = in_words
    made.filters["shown"] = clean  # others' text without what turns the text around it
    return made


@cache
def asset(name: str) -> bytes:
    """Return a file of the package's ``static`` folder."""
    return files("valetkey.server").joinpath("static", name).read_bytes()


@cache
def version_of(name: str) -> str:
    """Return what changes when the file changes, for its address."""
    return hashlib.sha256(asset(name)).hexdigest()[:12]


def rendered(template: str, context: dict[str, Any]) -> str:
    """Return a page."""
    return isolated(environment().get_template(template).render(context))
