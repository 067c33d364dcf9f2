"""Logos: what somebody uploaded is decoded within bounds, and drawn anew as a PNG; nothing else of the file is kept.

So what a file may hold beside its picture (a script, a page, another archive, where it was taken) goes nowhere.  SVG is
refused: it is a document that can do things, and no picture.
"""

from __future__ import annotations

import io
from typing import Final

from PIL import Image, ImageOps, UnidentifiedImageError

from valetkey.errors import ConfigurationError

LARGEST: Final = 200 * 1024
"""Bytes of an uploaded file, at most."""
SMALLEST: Final = 96
"""Pixels of its shorter side, at least."""
MOST_PIXELS: Final = 2048 * 2048
SIDE: Final = 192
"""Pixels of the side of what is stored: four times what is shown, for sharp screens."""
FORMATS: Final = ("PNG", "JPEG", "WEBP")
_SQUARE: Final = 1.1
"""How much longer than the other a side may be; what is left over is transparent."""
_SCAN: Final = b"\xff\xda"
_SCANS: Final = 64
_HINT: Final = f"take a square PNG, JPEG or WebP of at least {SMALLEST} pixels and at most {LARGEST // 1024} KB"


def redrawn(data: bytes) -> bytes:
    """Return an uploaded picture as a PNG of at most `SIDE` pixels square.

    Raises:
        ConfigurationError: It is too large, no picture of a known kind, damaged, or it moves (``logo_refused``).
    """
    if len(data) > LARGEST:
        raise _refused(f"it has more than {LARGEST // 1024} KB")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as found:
            _check(found, data)
            found.load()
            return _drawn(ImageOps.exif_transpose(found).convert("RGBA"))
    except ConfigurationError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _refused("it has far too many pixels") from None
    except UnidentifiedImageError:
        svg = b"<svg" in data[:4096].lower()
        raise _refused("it is an SVG, which can hold scripts" if svg else "it is no PNG, JPEG or WebP") from None
    except Exception as error:
        # Whatever a decoder stumbles over in hostile bytes: it must not become a mistake of ours.
        raise _refused("it is damaged, or not whole") from error


def _check(found: Image.Image, data: bytes) -> None:
    """Look at what the head of the file says, before a pixel is decoded."""
    width, height = found.size
    if width * height > MOST_PIXELS:
        raise _refused(f"it has {width} x {height} pixels, which are too many")
    if min(width, height) < SMALLEST:
        raise _refused(f"it has {width} x {height} pixels, which are too few")
    if max(width, height) > min(width, height) * _SQUARE:
        raise _refused(f"it is not square: it has {width} x {height} pixels")
    if getattr(found, "n_frames", 1) > 1:
        raise _refused("it holds several pictures, or moves")
    if found.format == "JPEG" and data.count(_SCAN) > _SCANS:  # each is decoded over the whole picture
        raise _refused("it is drawn in too many passes")


def _drawn(picture: Image.Image) -> bytes:
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    width, height = picture.size
    side = max(width, height)
    made = Image.new("RGBA", (side, side))  # a new one: no metadata comes along
    made.paste(picture, ((side - width) // 2, (side - height) // 2))
    out = io.BytesIO()
    made.save(out, "PNG", optimize=True)
    return out.getvalue()


def _refused(why: str) -> ConfigurationError:
    return ConfigurationError(f"the logo was not taken: {why}", code="logo_refused", hint=_HINT)
