"""Write down what follows from the presets that come along.

That is their index (src/valetkey/presets/index.json), their list in docs/presets.md and their count in README.md, their
pages (docs/providers/) with what leads to them in mkdocs.yml, and the JSON Schema of their files
(docs/preset.schema.json), which follows from the model.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import provider_pages as pages

from valetkey.model.left_out import left_out
from valetkey.model.preset_data import LEVELS
from valetkey.model.preset_index import BUILT_IN, INDEX, row
from valetkey.model.preset_schema import schema
from valetkey.model.presets import Preset, load_preset

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "presets.md"
PAGES = ROOT / "docs" / "providers"
NAVIGATION = ROOT / "mkdocs.yml"
README = ROOT / "README.md"
SCHEMA = ROOT / "docs" / "preset.schema.json"
BEGIN, END = "begin: written by `make providers`", "end"
FIELDS = "begin: fields, written by `make providers`"
ABSENT = "begin: left out, written by `make providers`"
COUNTED = re.compile(r"(?<=one of )\d+(?= presets)|(?<=More presets than )\d+")


def presets() -> list[Preset]:
    """Return the presets that come along, by their ids."""
    return [load_preset(name) for name in sorted(path.stem for path in BUILT_IN.glob("*.toml"))]


def written() -> dict[Path, str]:
    """Return the text of each file that is written, as it should be."""
    known = presets()
    return {
        INDEX: _index(known),
        SCHEMA: json.dumps(schema(), indent=2) + "\n",
        PAGE: _page(known),
        NAVIGATION: _between(
            NAVIGATION.read_text(encoding="utf-8"), f"      # {BEGIN}", f"      # {END}", _navigation(known)
        ),
        README: COUNTED.sub(str(len(known)), README.read_text(encoding="utf-8")),
        PAGES / "index.md": pages.listing(known),
        **{PAGES / f"{preset.id}.md": pages.page(preset) for preset in known},
    }


def left_over() -> list[Path]:
    """Return the pages of presets that are there no more."""
    return sorted(set(PAGES.glob("*.md")) - set(written()))


def _page(known: Sequence[Preset]) -> str:
    text = PAGE.read_text(encoding="utf-8")
    text = _between(text, f"<!-- {BEGIN} -->", f"<!-- {END} -->", _list(known))
    text = _between(text, f"<!-- {ABSENT} -->", "<!-- end: left out -->", _absent())
    return _between(text, f"<!-- {FIELDS} -->", "<!-- end: fields -->", _fields())


def _absent() -> Iterator[str]:
    yield "| name | provider | why | source | month | instead |"
    yield "|---|---|---|---|---|---|"
    for one in sorted(left_out().values(), key=lambda each: each.id):
        instead = f"[`{one.instead}`](providers/{one.instead}.md)" if one.instead else ""
        told = (f"`{one.id}`", pages.escaped(one.provider), pages.escaped(one.why), pages.linked(one.source), one.month)
        yield f"| {' | '.join(told)} | {instead} |"


def _fields() -> Iterator[str]:
    yield "| field | value | meaning |"
    yield "|---|---|---|"
    for name, described in schema()["properties"]["credential"]["properties"].items():
        meaning = re.sub(r"``(.+?)``", r"`\1`", described["description"]).replace("|", "\\|")
        yield f"| `{name}` | {_value(described)} | {meaning} |"


def _value(described: dict[str, Any]) -> str:
    if "enum" in described:
        return ", ".join(f"`{word}`" for word in described["enum"])
    if described["type"] == "string":
        return "URL" if "pattern" in described else "text"
    if described["type"] == "array":
        return "list of texts" if described["items"].get("type") == "string" else "list of tables"
    return {"boolean": "true or false", "number": "seconds", "object": "table of texts"}[described["type"]]


def _between(text: str, begin: str, end: str, lines: Iterator[str]) -> str:
    before, _, rest = text.partition(f"{begin}\n")
    inside = "\n".join(lines)
    return f"{before}{begin}\n{inside}\n{end}{rest.partition(end)[2]}"


def _index(known: Sequence[Preset]) -> str:
    rows = (json.dumps(row(preset.listed), ensure_ascii=False) for preset in known)
    return "[\n" + ",\n".join(rows) + "\n]\n"


def _navigation(known: Sequence[Preset]) -> Iterator[str]:
    for preset in sorted(known, key=pages.by_name):
        yield f"      - {json.dumps(preset.display_name, ensure_ascii=False)}: providers/{preset.id}.md"


def _list(known: Sequence[Preset]) -> Iterator[str]:
    families: defaultdict[str, list[str]] = defaultdict(list)
    yield f"{len(known)} presets. What is not known is left empty.\n"
    yield "| preset | provider | access token | refresh token | revoking ends | checked |"
    yield "|---|---|---|---|---|---|"
    for preset in known:
        if preset.family:
            families[preset.family].append(f"[`{preset.id}`](providers/{preset.id}.md)")
            continue
        told = (pages.access(preset), pages.refreshing(preset), pages.revoking(preset), preset.verified.level)
        yield f"| [`{preset.id}`](providers/{preset.id}.md) | {preset.display_name} | {' | '.join(told)} |"
    yield "\nOf families: the members say only what is different, so an app asks for the scopes of one API, and its"
    yield "token goes to that API alone.\n"
    for family, members in sorted(families.items()):
        yield f"- of `{family}`: " + ", ".join(members)


def counted(known: Sequence[Preset]) -> str:
    """Return how many entries there are, and of how many what is known."""
    levels = ", ".join(f"{sum(preset.verified.level == level for preset in known)} {level}" for level in LEVELS)
    facts = {
        "revocation": [bool(preset.fields.get("revocation_url")) for preset in known],
        "identity": [bool(preset.fields.get("userinfo_url") or preset.fields.get("issuer")) for preset in known],
        "rotation": [preset.fields.get("rotates_refresh_token") is not None for preset in known],
        "sources": [bool(preset.sources) for preset in known],
    }
    told = ", ".join(f"{what} of {sum(there)}" for what, there in facts.items())
    return f"providers: {len(known)} entries (checked against: {levels}); known are {told}"


def main() -> int:
    """Write what is not as it should be; with ``--count`` print how much is known instead."""
    if sys.argv[1:] == ["--count"]:
        print(counted(presets()))
        return 0
    PAGES.mkdir(exist_ok=True)
    for path, text in written().items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"written: {path.relative_to(ROOT)}")
    for path in left_over():
        path.unlink()
        print(f"removed: {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
