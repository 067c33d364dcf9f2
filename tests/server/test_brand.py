"""The brand: colours that can be read, logos that are drawn anew, and pages for account holders that show both."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from valetkey.errors import ConfigurationError
from valetkey.server.brand import Brand
from valetkey.server.colours import DARK, LIGHT, checks, colour, contrast, nearest, passes
from valetkey.server.logos import LARGEST, redrawn

PAGE = "/console/settings/brand"


def picture(kind: str = "PNG", size: tuple[int, int] = (300, 300), **more: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "#e8702a").save(out, kind, **more)
    return out.getvalue()


def moving(kind: str) -> bytes:
    frames = [Image.new("RGB", (200, 200), colour_) for colour_ in ("red", "blue")]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], duration=100)
    return out.getvalue()


def bomb(width: int, height: int) -> bytes:
    """Return a small PNG whose head promises a large picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def with_text() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "<script>planted</script>")
    return picture(pnginfo=info) + b"PK\x03\x04<script>planted</script>"


SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
MANY_SCANS = picture("JPEG") + b"\xff\xda" * 65


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(SVG, "SVG", id="an SVG with the name of a PNG"),
        pytest.param(b"GIF89a" + bytes(100), "no PNG, JPEG or WebP", id="another kind"),
        pytest.param(b"", "no PNG, JPEG or WebP", id="nothing"),
        pytest.param(picture()[:-200], "damaged, or not whole", id="cut off"),
        pytest.param(picture("JPEG", (2000, 2000))[:2000], "damaged, or not whole", id="cut off jpeg"),
        pytest.param(bomb(3000, 3000), "too many", id="a bomb"),
        pytest.param(bomb(60000, 60000), "too many", id="a bomb that the decoder knows"),
        pytest.param(bomb(2000, 2000), "damaged, or not whole", id="fewer pixels than promised"),
        pytest.param(moving("PNG"), "moves", id="a PNG that moves"),
        pytest.param(moving("WEBP"), "moves", id="a WebP that moves"),
        pytest.param(MANY_SCANS, "too many passes", id="a JPEG of many scans"),
        pytest.param(picture(size=(64, 64)), "too few", id="small"),
        pytest.param(picture(size=(300, 100)), "not square", id="a banner"),
        pytest.param(picture() + bytes(LARGEST), "more than 200 KB", id="long"),
    ],
)
def test_a_hostile_logo_is_refused_with_what_is_wrong(data: bytes, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why) as caught:
        redrawn(data)
    assert caught.value.code == "logo_refused"
    assert "square PNG, JPEG or WebP" in caught.value.hint


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_logo_is_drawn_anew_and_nothing_else_of_its_file_is_kept(kind: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = "planted"
    made = redrawn(with_text() if kind == "PNG" else picture(kind, exif=exif))

    shown = Image.open(io.BytesIO(made))
    assert (shown.format, shown.size, shown.mode) == ("PNG", (192, 192), "RGBA")
    assert b"planted" not in made
    assert b"PK" not in made


def test_the_nearest_colour_passes_and_differs_no_more_than_needed() -> None:
    assert colour(" #E80 ") == "#ee8800"
    for mine in ("#e8702a", "#ffff00", "#ffffff", "#000000", "#1b57c9", "#777777"):
        for theme in (LIGHT, DARK):
            near = nearest(mine, theme)
            assert passes(near, theme), (mine, near)
            assert (near == mine) == passes(mine, theme)
            assert near == mine or contrast(near, theme.text) < 4.7
    assert [check.passes for check in checks("#e8702a", "#e8702a")] == [False, True, True, True]
    assert checks("#e8702a", "#e8702a")[0].ratio == "3.0"
    with pytest.raises(ConfigurationError):
        colour("#12345g")


def send(visitor: Any, logo: bytes | None = None, **fields: str) -> Any:
    visitor.get(PAGE)
    files = {"logo": ("logo.png", logo, "image/png")} if logo is not None else {"none": ("", b"", "text/plain")}
    headers = {"Origin": visitor.site.base}
    return visitor.client.post(PAGE, data={"csrf": visitor.csrf, **fields}, files=files, headers=headers)


def link(site: Any) -> str:
    core = site.server.core
    core.server_url = site.base
    return str(site.practice.valet.connect_link("notes", owner="contoso")).removeprefix(site.base)


def test_what_is_stored_is_shown_to_account_holders(site: Any) -> None:
    operator = site.operator()
    given = {"product": "Acme CRM", "workspace_name": "Contoso Ltd", "privacy_url": "https://acme.example/privacy"}
    given["help"] = "help@acme.example"
    saved = send(operator, picture(), **given, accented="yes", light="#b9500f", dark="#e8702a")
    assert saved.status_code == 303
    assert "Saved." in operator.get(saved.headers["location"]).text

    visitor = site.visitor()
    page = visitor.get(link(site)).text
    for said in (*given.values(), "/brand.css?v=", "/brand/"):
        assert said in page
    assert 'href="mailto:help@acme.example"' in page
    assert "help@acme.example" in visitor.get("/connect/nothing").text
    css = visitor.get("/brand.css" + page.partition("/brand.css")[2].partition('"')[0])
    assert css.text == ":root { --brand-light: #b9500f; --brand-dark: #e8702a; }\n"
    assert css.headers["content-type"].startswith("text/css")
    assert "immutable" in css.headers["cache-control"]
    assert visitor.get("/brand.css?v=other").headers["cache-control"] == "no-cache"
    address = "/brand/" + page.partition("/brand/")[2].partition('"')[0]
    logo = visitor.get(address)
    assert (logo.headers["content-type"], logo.headers["x-content-type-options"]) == ("image/png", "nosniff")
    assert "immutable" in logo.headers["cache-control"]
    assert "sandbox" in logo.headers["content-security-policy"]
    assert Image.open(io.BytesIO(logo.content)).size == (192, 192)
    assert "Acme CRM" in operator.get(f"{PAGE}/preview").text
    events = site.server.core.store.list_events(env=site.server.core.env, newest_first=True)
    assert "brand_changed" in [event.kind for event in events]

    assert send(operator, **given, no_logo="yes").status_code == 303
    page = visitor.get(link(site)).text
    assert "/brand" not in page
    assert visitor.get(address).status_code == visitor.get("/brand.css").status_code == 404


def test_an_accent_that_cannot_be_read_is_not_saved_and_the_nearest_one_is_offered(site: Any) -> None:
    operator = site.operator()
    fields = {"product": "Acme", "accented": "yes", "light": "#e8702a", "dark": "#e8702a"}
    refused = send(operator, **fields)
    assert refused.status_code == 400
    for said in ("Not saved", "1 of 4 fails", nearest("#e8702a", LIGHT), "yours in dark", 'value="Acme"'):
        assert said in refused.text
    assert site.server.brands.stored() == Brand()

    assert send(operator, **fields, do="nearest").status_code == 303
    stored = site.server.brands.stored()
    assert (stored.light, stored.dark) == (nearest("#e8702a", LIGHT), "#e8702a")


@pytest.mark.parametrize(
    ("fields", "logo", "why"),
    [
        pytest.param({"privacy_url": "javascript:alert(1)"}, None, "is not the address of a web page", id="address"),
        pytest.param({"privacy_url": "http://["}, None, "is not the address of a web page", id="broken address"),
        pytest.param({"help": "a@b.example?bcc=c@d.example"}, None, "is not the address of a web page", id="help"),
        pytest.param({"product": "x" * 81}, None, "longer than 80", id="name"),
        pytest.param({"accented": "yes", "light": "red;}", "dark": "#ffffff"}, None, "is no colour", id="colour"),
        pytest.param({}, SVG, "it is an SVG", id="logo"),
    ],
)
def test_what_cannot_be_is_refused_on_the_page(site: Any, fields: dict[str, str], logo: bytes | None, why: str) -> None:
    answer = send(site.operator(), logo, **fields)
    assert answer.status_code == 400
    assert why in answer.text
    assert site.server.brands.stored() == Brand()


def test_what_code_says_is_read_only(served: Callable[..., Any]) -> None:
    site = served(product="From code", privacy_url="https://code.example/", workspace=lambda owner: f"Team {owner}")
    older = site.server.brands.save(Brand(product="Older", privacy_url="https://older.example/"), by="mira")
    operator = site.operator()
    page = operator.get(PAGE).text
    assert page.count("read-only here") == 3
    assert 'name="product"' not in page
    send(operator, product="Sneaky", workspace_name="Sneaky", privacy_url="https://sneaky.example/")
    assert site.server.brands.stored() == older
    shown = site.visitor().get(link(site)).text
    assert "From code" in shown
    assert "Older" not in shown
    assert "//older.example" not in shown
    assert "Team contoso" in shown


def test_only_who_may_do_everything_sees_or_changes_it_and_other_forms_take_no_files(site: Any) -> None:
    somebody = site.operator("connections")
    assert somebody.get(PAGE).status_code == 403
    assert send(somebody, picture(), product="x").status_code == 403
    operator = site.operator()
    operator.get(PAGE)
    answer = operator.client.post(
        "/console/theme",
        data={"csrf": operator.csrf},
        files={"x": ("x", b"x", "text/plain")},
        headers={"Origin": site.base},
    )
    assert answer.status_code == 415
    broken = operator.client.post(
        PAGE, content=b"--x\r\nhalf", headers={"Origin": site.base, "content-type": "multipart/form-data; boundary=x"}
    )
    assert broken.status_code in {400, 403}
