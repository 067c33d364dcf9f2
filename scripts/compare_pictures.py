"""Compare two folders of pictures by their pixels: ``compare_pictures.py BEFORE AFTER``.

It lists the pages that differ, and by how much, the ones that are new, and the ones that are gone; where a page differs
it writes a picture of the difference beside `AFTER`, in ``AFTER-differs``.  The status is 1 where anything differs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageChops

NEAR = 8
"""Differences of a channel up to this are none: edges of letters are not drawn alike on all machines."""
FAINT = 0.8
"""How much of what is alike is hidden in the picture of a difference."""


def difference(before: Path, after: Path) -> tuple[str, Image.Image | None]:
    """Return how two pictures differ, in words, and a picture that shows where; empty where they do not."""
    with Image.open(before) as one, Image.open(after) as other:
        old, new = one.convert("RGB"), other.convert("RGB")
    if old.size != new.size:
        return f"{old.width}x{old.height} became {new.width}x{new.height}", None
    bands = ImageChops.difference(old, new).split()
    most = ImageChops.lighter(ImageChops.lighter(bands[0], bands[1]), bands[2])
    mask = most.point(lambda value: 255 if value > NEAR else 0)
    box = mask.getbbox()
    if box is None:
        return "", None
    changed = mask.histogram()[255]
    faint = Image.blend(new, Image.new("RGB", new.size, "white"), FAINT)
    faint.paste(Image.new("RGB", new.size, "#d0006f"), mask=mask)
    share = 100 * changed / (new.width * new.height)
    return f"{changed:,} pixels differ ({share:.2f} %), within {box[0]},{box[1]} to {box[2]},{box[3]}", faint


def compare(before: Path, after: Path) -> list[str]:
    """Return what differs between two folders, a line for each picture; pictures of differences are written."""
    old, new = ({file.name for file in folder.glob("*.png")} for folder in (before, after))
    found = [f"{name}: gone" for name in sorted(old - new)] + [f"{name}: new" for name in sorted(new - old)]
    shown = after.parent / f"{after.name}-differs"
    for name in sorted(old & new):
        words, picture = difference(before / name, after / name)
        if words:
            found.append(f"{name}: {words}")
        if picture is not None:
            shown.mkdir(exist_ok=True)
            picture.save(shown / name)
    return found


def main(arguments: list[str]) -> int:
    """Print what differs; return the status of the process."""
    if len(arguments) != 2 or not all(Path(folder).is_dir() for folder in arguments):  # noqa: PLR2004 - two folders
        sys.stderr.write("usage: compare_pictures.py BEFORE AFTER, two folders of PNG files\n")
        return 2
    before, after = (Path(folder).resolve() for folder in arguments)
    found = compare(before, after)
    many = len(list(after.glob("*.png")))
    sys.stdout.write("".join(f"{line}\n" for line in found))
    sys.stdout.write(f"{len(found)} of {many} pictures differ\n" if found else f"all {many} pictures are alike\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
