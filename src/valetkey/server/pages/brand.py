"""The settings page of the brand, and what it is made of on the pages for account holders: a stylesheet and a logo."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from starlette.datastructures import UploadFile
from starlette.responses import Response

from valetkey.errors import ConfigurationError
from valetkey.model.presets import load_preset
from valetkey.server.asking import Ask, get, post
from valetkey.server.brand import LONGEST, Brand
from valetkey.server.notices import go_with, told
from valetkey.server.texts import said
from valetkey.server.views.asks import asked
from valetkey.server.views.brand import accent
from valetkey.server.views.providers import of_preset

PAGE: Final = "/console/settings/brand"
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_SAMPLE: Final = ("openid", "https://www.googleapis.com/auth/calendar.readonly")


def show(ask: Ask) -> Response:
    """Show the brand."""
    return _page(ask, ask.server.brands.stored())


def save(ask: Ask) -> Response:
    """Store what was entered; what code says is not taken from a form."""
    brands = ask.server.brands
    before = brands.stored()
    new = _entered(ask, before)
    try:
        logo = _logo(ask)
        brands.save(new, logo=logo, by=ask.operator.operator)
    except ConfigurationError as error:
        return _page(ask, new, status=400, trouble=f"Not saved: {error}. Next: {error.hint}.")
    return go_with(ask, PAGE, "ok", "Saved. The pages for account holders show it from now on.")


def _entered(ask: Ask, before: Brand) -> Brand:
    given = ask.server.brand
    new = Brand(
        product=before.product if given.product else ask.field("product"),
        workspace_name=before.workspace_name if given.workspace else ask.field("workspace_name"),
        privacy_url=before.privacy_url if given.privacy_url else ask.field("privacy_url"),
        help=ask.field("help"),
        logo="" if ask.field("no_logo") else before.logo,
    )
    if not ask.field("accented"):
        return new
    light, dark = ask.field("light"), ask.field("dark")
    shown = accent(replace(new, light=light, dark=dark))
    if ask.field("do") == "nearest" and shown.used:
        light, dark = shown.near_light, shown.near_dark
    return replace(new, light=light, dark=dark)


def _logo(ask: Ask) -> bytes | None:
    """Return the logo that was sent, drawn anew.

    Raises:
        ConfigurationError: It is refused (``logo_refused``).
    """
    from valetkey.server.logos import LARGEST, redrawn  # noqa: PLC0415 - few requests need a decoder of pictures

    sent = ask.form.get("logo")
    if not isinstance(sent, UploadFile) or not sent.filename:
        return None
    return redrawn(sent.file.read(LARGEST + 1))


def _page(ask: Ask, brand: Brand, *, status: int = 200, trouble: str = "") -> Response:
    return ask.page(
        "settings-brand.html",
        status=status,
        given=ask.server.brand,
        brand=brand,
        accent=accent(brand),
        longest=LONGEST,
        trouble=trouble,
        told=told(ask),
    )


def preview(ask: Ask) -> Response:
    """Show the page that a connect link opens, for a provider that is only an example."""
    shown = of_preset(load_preset("google"))
    brand = ask.brand
    product = brand.product or str(said("product.unknown"))
    words = {"product": product, "provider": shown.name, "workspace": brand.workspace_of("contoso")}
    return ask.page(
        "connect-page.html",
        provider=shown,
        t=said,
        w=words,
        description="",
        params=(),
        asks=asked(_SAMPLE, shown, str(said("connect.other", **words).unescape())),
        privacy_url=brand.privacy_url,
        ends="24 h",
        action=ask.url(f"{PAGE}/preview"),
    )


def leave_preview(ask: Ask) -> Response:
    """Lead back from the preview: its buttons begin nothing."""
    return ask.go(PAGE)


# -- for the pages of account holders ----------------------------------------------------------------------------------


def stylesheet(ask: Ask) -> Response:
    """Answer with the two colours.  An address with their hash stays good for ever; another one is asked for anew."""
    brand = ask.brand
    if not brand.css:
        return Response(status_code=404)
    known = ask.request.query_params.get("v") == brand.css_version
    return Response(brand.css, media_type="text/css", headers={"cache-control": _FOR_EVER if known else "no-cache"})


def logo(ask: Ask) -> Response:
    """Answer with the logo of that hash."""
    found = ask.server.brands.logo(ask.request.path_params["name"])
    if found is None:
        return Response(status_code=404)
    headers = {"cache-control": _FOR_EVER, "content-security-policy": "default-src 'none'; sandbox"}
    return Response(found, media_type="image/png", headers=headers)


ROUTES: Final = [
    get("/brand.css", stylesheet, grade=None),
    get("/brand/{name:str}.png", logo, grade=None),
    get(PAGE, show, grade="everything"),
    post(PAGE, save, grade="everything", files=1),
    get(f"{PAGE}/preview", preview, grade="everything"),
    post(f"{PAGE}/preview", leave_preview, grade="everything"),
]
