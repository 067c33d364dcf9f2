"""Write down what follows from the presets that come along.

That is their index (src/valetkey/presets/index.json), their list in docs/presets.md, their count in README.md, and the
JSON Schema of their files (docs/preset.schema.json), which follows from the model.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from valetkey.model.preset_index import BUILT_IN, INDEX, row
from valetkey.model.preset_schema import schema
from valetkey.model.presets import Preset, load_preset

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "presets.md"
README = ROOT / "README.md"
SCHEMA = ROOT / "docs" / "preset.schema.json"
BEGIN, END = "<!-- begin: written by `make providers` -->", "<!-- end -->"
COUNTED = re.compile(r"(?<=one of )\d+(?= presets)|(?<=More presets than )\d+")
UNITS = ((86400, "day"), (3600, "h"), (60, "min"), (1, "s"))
ENDS = {"token": "one token", "grant": "the grant", "user": "everything of that user"}
REUSE = {"deny": "reuse is refused", "revoke_grant": "reuse ends the grant", "revoke_all": "reuse ends everything"}


def presets() -> list[Preset]:
    """Return the presets that come along, by their ids."""
    return [load_preset(name) for name in sorted(path.stem for path in BUILT_IN.glob("*.toml"))]


def written() -> dict[Path, str]:
    """Return the text of each file that is written, as it should be."""
    page, readme = PAGE.read_text(encoding="utf-8"), README.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    listed = "\n".join(_list(presets()))
    return {
        INDEX: _index(presets()),
        SCHEMA: json.dumps(schema(), indent=2) + "\n",
        PAGE: f"{before}{BEGIN}\n{listed}\n{END}{rest.partition(END)[2]}",
        README: COUNTED.sub(str(len(presets())), readme),
    }


def _index(known: list[Preset]) -> str:
    rows = (json.dumps(row(preset.listed), ensure_ascii=False) for preset in known)
    return "[\n" + ",\n".join(rows) + "\n]\n"


def _list(known: list[Preset]) -> Iterator[str]:
    families: defaultdict[str, list[str]] = defaultdict(list)
    yield f"{len(known)} presets. What is not known is left empty.\n"
    yield "| preset | provider | access token | refresh token | revoking ends | checked |"
    yield "|---|---|---|---|---|---|"
    for preset in known:
        if preset.family:
            families[preset.family].append(preset.id)
            continue
        told = (_access(preset), _refresh(preset), _revoking(preset), preset.verified.level)
        yield f"| `{preset.id}` | {preset.display_name} | {' | '.join(told)} |"
    yield "\nOf families: the members say only what is different, so an app asks for the scopes of one API, and its"
    yield "token goes to that API alone.\n"
    for family, members in sorted(families.items()):
        yield f"- of `{family}`: " + ", ".join(f"`{name}`" for name in members)


def _access(preset: Preset) -> str:
    life = preset.fields.get("access_token_lifetime")
    ends = "no end" if preset.fields.get("never_expires") else ""
    return ", or ".join(part for part in (ends, lasting(life)) if part)


def _refresh(preset: Preset) -> str:
    fields = preset.fields
    rotates = {True: "rotates", False: "stays", None: ""}[fields.get("rotates_refresh_token")]
    grace, idle = lasting(fields.get("refresh_grace")), lasting(fields.get("refresh_token_lifetime"))
    reuse = REUSE.get(str(fields.get("on_reuse")), "")
    told = (rotates, f"{grace} grace" if grace else "", reuse, f"{idle} idle" if idle else "")
    return ", ".join(part for part in told if part)


def _revoking(preset: Preset) -> str:
    if not preset.fields.get("revocation_url"):
        return "no endpoint known"
    return ENDS[str(preset.fields.get("revocation_reach", "grant"))]


def lasting(seconds: object) -> str:
    """Return a time as people say it, rounded to the largest unit that fits nearly: ``1 h``, ``90 days``."""
    if not isinstance(seconds, int | float) or not seconds:
        return ""
    size, unit = next((each for each in UNITS if seconds >= each[0] * 0.99), UNITS[-1])
    many = round(seconds / size, 1)
    return f"{many:g} {unit}{'s' if unit == 'day' and many != 1 else ''}"


def main() -> int:
    """Write what is not as it should be."""
    for path, text in written().items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"written: {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
