"""What account holders are told about the application that they connect to.

It is said in code (`create_app`), or stored by an operator, in one document for each environment; what code says goes
before.  A logo is a document of its own, by its hash, so that a page reads only its address.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit

from valetkey.errors import ConfigurationError, StoreUnavailable, clean
from valetkey.model.connections import Document, Event
from valetkey.model.ports import Clock, Store
from valetkey.server.colours import DARK, LIGHT, colour, passes
from valetkey.server.views.providers import Mark, mark

KIND: Final = "brand"
LOGO: Final = "brand_logo"
_ID: Final = "brand"
_ROUNDS: Final = 20
LONGEST: Final = 80
"""Characters of a name, at most."""
_LONGEST_URL: Final = 500
_HASH: Final = 16
_MAIL: Final = re.compile(r"[\w.+-]{1,64}@[\w-]+(\.[\w-]+)+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    """The application behind the pages for account holders.

    Attributes:
        product: Its name: "Acme CRM".
        workspace: Returns what an owner's workspace is called, for people; None or an empty answer: the owner's id.
        privacy_url: The page about privacy.
        workspace_name: What everybody's workspace is called, where no function says it.
        light: The colour of the main button in the light theme, as ``#b9500f``; empty: as everywhere.
        dark: The same in the dark theme.
        logo: The hash of its logo; empty: two letters stand for it.
        help: Where people get help: a mail address, or a web page.
    """

    product: str = ""
    workspace: Callable[[str], str | None] | None = None
    privacy_url: str = ""
    workspace_name: str = ""
    light: str = ""
    dark: str = ""
    logo: str = ""
    help: str = ""

    @property
    def mark(self) -> Mark:
        """Its mark: two letters on a colour."""
        return mark(self.product or "your app")

    @property
    def help_url(self) -> str:
        """Where a link to help leads; empty where nobody said."""
        return f"mailto:{self.help}" if _MAIL.fullmatch(self.help) else self.help

    @property
    def css(self) -> str:
        """The stylesheet with its colours; empty where it has none.

        They were checked when they were stored, and are looked at once more: nothing else may get into a stylesheet.
        """
        try:
            light, dark = colour(self.light), colour(self.dark)
        except ConfigurationError:
            return ""
        return f":root {{ --brand-light: {light}; --brand-dark: {dark}; }}\n"

    @property
    def css_version(self) -> str:
        """What changes when the stylesheet does, for its address; empty where there is none."""
        return hashed(self.css.encode()) if self.css else ""

    def workspace_of(self, owner: str | None) -> str:
        """Return what the workspace of an owner is called; empty where there is no owner."""
        if owner is None:
            return ""
        said = (self.workspace(owner) if self.workspace else "") or self.workspace_name
        return clean(said or owner, 120)

    def over(self, stored: Brand) -> Brand:
        """Return this brand, as code gave it, with what was stored for what it does not say."""
        return replace(
            stored,
            product=self.product or stored.product,
            workspace=self.workspace,
            privacy_url=self.privacy_url or stored.privacy_url,
        )


class Brands:
    """What operators stored of the brand of one environment."""

    def __init__(self, store: Store, clock: Clock, env: str) -> None:
        self._store = store
        self._clock = clock
        self._env = env

    def stored(self) -> Brand:
        """Return what is stored; an empty brand where nothing is."""
        return self._read()[0]

    def logo(self, name: str) -> bytes | None:
        """Return the logo with that hash, a PNG."""
        found = self._store.get_document(LOGO, name, env=self._env)
        return None if found is None else base64.b64decode(str(found.body.get("png", "")))

    def save(self, new: Brand, *, logo: bytes | None = None, by: str) -> Brand:
        """Store a brand in place of the one that is there; `logo` is a PNG that was drawn by us, None: as `new` says.

        Raises:
            ConfigurationError: A colour fails the contrast check (``brand_contrast``) or is none (``brand_colour``), a
                name is too long (``brand_name``), or the privacy page is no web address (``brand_url``).
            StoreUnavailable: Others change it all the time.
        """
        checked = _checked(new)
        if logo is not None:
            checked = replace(checked, logo=self._keep(logo))
        for _ in range(_ROUNDS):
            before, version = self._read()
            document = Document(kind=KIND, env=self._env, id=_ID, body=_body(checked))
            if self._store.put_document(document, expect=version) is not None:
                if before.logo not in {"", checked.logo}:
                    self._store.delete_document(LOGO, before.logo, env=self._env)
                self._tell(before, checked, by)
                return checked
        msg = "others change the brand at the same time"
        raise StoreUnavailable(msg, hint="try again")

    def _keep(self, logo: bytes) -> str:
        name = hashed(logo)
        body = {"png": base64.b64encode(logo).decode()}
        self._store.put_document(Document(kind=LOGO, env=self._env, id=name, body=body))
        return name

    def _read(self) -> tuple[Brand, int]:
        found = self._store.get_document(KIND, _ID, env=self._env)
        return (Brand(), 0) if found is None else (_brand(found.body), found.version)

    def _tell(self, before: Brand, after: Brand, by: str) -> None:
        old, new = _body(before), _body(after)
        changed = [name for name in new if old[name] != new[name]]
        if changed:
            event = Event(
                kind="brand_changed", at=self._clock.now(), env=self._env, actor=by, detail={"changed": changed}
            )
            self._store.append_event(event)


def hashed(data: bytes) -> str:
    """Return what names a stylesheet or a logo by its content."""
    return sha256(data).hexdigest()[:_HASH]


_STORED: Final = ("product", "workspace_name", "privacy_url", "light", "dark", "logo", "help")


def _body(brand: Brand) -> dict[str, Any]:
    return {name: getattr(brand, name) for name in _STORED}


def _brand(body: Mapping[str, Any]) -> Brand:
    found: dict[str, Any] = {name: str(body.get(name, "")) for name in _STORED}
    return Brand(**found)


def _checked(new: Brand) -> Brand:
    light, dark = (colour(new.light), colour(new.dark)) if new.light or new.dark else ("", "")
    if light and not (passes(light, LIGHT) and passes(dark, DARK)):
        msg = f"the accent {light} in the light theme, {dark} in the dark one, cannot be read well"
        raise ConfigurationError(msg, code="brand_contrast", hint="take the nearest colour that passes")
    return replace(
        new,
        product=_name(new.product, "product"),
        workspace_name=_name(new.workspace_name, "workspace"),
        privacy_url=_address(new.privacy_url),
        help=new.help.strip() if _MAIL.fullmatch(new.help.strip()) else _address(new.help),
        light=light,
        dark=dark,
    )


def _name(text: str, what: str) -> str:
    plain = clean(text, LONGEST + 1).strip()
    if len(plain) > LONGEST:
        msg = f"the name of the {what} is longer than {LONGEST} characters"
        raise ConfigurationError(msg, code="brand_name", hint="take a shorter one")
    return plain


def _address(text: str) -> str:
    url = text.strip()
    if not url:
        return ""
    try:
        parts = urlsplit(url if url.isprintable() and len(url) <= _LONGEST_URL else "")
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"https", "http"} or not parts.netloc or "@" in parts.netloc:
        msg = f"{clean(url, 80)!r} is not the address of a web page"
        raise ConfigurationError(msg, code="brand_url", hint='write a whole one, such as "https://example.com/privacy"')
    return url
