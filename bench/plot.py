"""Draw docs/benchmarks-light.svg and -dark.svg from what a run printed: `plot.py RUN.txt`."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"
WIDTH, MARGIN = 760, 28
ROW, BAR = 24, 12
PER_CALL = 1.3
LABELS, NAMES = 236, 172
"""Widths of the columns of names, in the upper and the lower part."""


@dataclass(frozen=True)
class Colours:
    """One of the two dresses."""

    ground: str
    edge: str
    text: str
    quiet: str
    grid: str
    ours: str
    others: str
    failed: str


DRESSES = {
    "light": Colours("#ffffff", "#d9dfe5", "#1c2127", "#5b6570", "#e6eaee", "#0b66c3", "#aab4bf", "#c8323b"),
    "dark": Colours("#14181d", "#2d343c", "#e8ecf0", "#9aa4ae", "#2a3138", "#5aa9f8", "#66717d", "#f0686e"),
}


# -- what is drawn -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """Clients on the same HTTP client: name -> how much more CPU a request takes than with that alone, in %."""

    bare: str
    micros: float
    more: dict[str, float]


@dataclass(frozen=True)
class Herd:
    """How many calls failed, and whether the grant outlived them."""

    failed: int
    alive: bool


@dataclass(frozen=True)
class Figures:
    groups: Sequence[Group]
    callers: dict[str, Herd]
    processes: dict[str, Herd]
    taken: str


def read(run: str) -> Figures:
    """Find the figures in what a run printed."""
    return Figures(
        _groups(_rows(run, "Authorized request")),
        _herd(_rows(run, r"\d+ callers on one expired, rotating grant")),
        _herd(_rows(run, r"\d+ processes x \d+ callers on one expired, rotating grant")),
        _taken(run),
    )


def _rows(run: str, title: str) -> list[list[str]]:
    """Return the cells of the table under a title: where columns begin and end, its line of dashes says."""
    found = re.search(rf"^## {title}\n.*?^(-[- ]+)\n(.*?)(?:\n\n|\Z)", run, re.MULTILINE | re.DOTALL)
    if found is None:
        raise SystemExit(f"the run has no table under {title!r}: a plot is drawn from a full run")
    columns = [dashes.span() for dashes in re.finditer("-+", found[1])]
    return [[line[start:end].strip() for start, end in columns] for line in found[2].splitlines()]


def _groups(rows: Sequence[Sequence[str]]) -> list[Group]:
    groups: list[Group] = []
    for name, micros, ratio in rows:
        if ratio:
            groups[-1].more[name] = (float(ratio.removeprefix("x")) - 1) * 100
        else:  # a bare client, before those that stand on it
            groups.append(Group(name, float(micros), {}))
    return groups


def _herd(rows: Sequence[Sequence[str]]) -> dict[str, Herd]:
    return {name: Herd(int(failed), alive == "yes") for name, _, failed, alive in rows}


def _taken(run: str) -> str:
    said = dict(re.findall(r"^(date|machine|Python) +(.+)$", run, re.MULTILINE))
    cores, _, load = said["machine"].split(", ")[:3]  # the pace comes after them
    return f"{said['date'].split()[0]}, Python {said['Python'].split()[0]}, {cores}, {load}"


# -- drawing -----------------------------------------------------------------------------------------------------------


@dataclass
class Sheet:
    """An SVG that grows downwards."""

    colours: Colours
    y: float = MARGIN
    parts: list[str] = field(default_factory=list)

    def text(
        self, x: float, y: float, words: str, *, size: int = 13, at: str = "start", bold: bool = False, colour: str = ""
    ) -> None:
        weight = ' font-weight="600"' if bold else ""
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{at}"{weight} stroke="{self.colours.ground}" '
            f'stroke-width="4" paint-order="stroke" fill="{colour or self.colours.text}">{escape(words)}</text>'
        )

    def bar(self, x: float, y: float, width: float, colour: str) -> None:
        left = min(x, x + width)
        self.parts.append(
            f'<rect x="{left:.1f}" y="{y:g}" width="{max(abs(width), 1):.1f}" height="{BAR}" rx="2" fill="{colour}"/>'
        )

    def line(self, x: float, top: float, bottom: float, colour: str) -> None:
        self.parts.append(f'<path d="M{x:.1f} {top:g}V{bottom:g}" stroke="{colour}"/>')

    def heading(self, title: str, *notes: str) -> None:
        self.y += 18
        self.text(MARGIN, self.y, title, size=18, bold=True)
        for note in notes:
            self.y += 20
            self.text(MARGIN, self.y, note, colour=self.colours.quiet)
        self.y += 16


def draw(figures: Figures, colours: Colours) -> str:
    """Return the picture as SVG."""
    sheet = Sheet(colours)
    _draw_requests(sheet, figures.groups)
    sheet.y += 34
    _draw_herds(sheet, figures.callers, figures.processes)
    sheet.y += 30
    sheet.text(MARGIN, sheet.y, f"One run of make bench: {figures.taken}.", size=12, colour=colours.quiet)
    height = sheet.y + MARGIN - 8
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" '
        f'height="{height:g}" role="img" '
        "font-family=\"system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif\">\n"
        "<title>valetkey beside other OAuth clients</title>\n"
        f'<rect x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1:g}" rx="8" fill="{colours.ground}" '
        f'stroke="{colours.edge}"/>\n' + "\n".join(sheet.parts) + "\n</svg>\n"
    )


def _is_ours(name: str) -> bool:
    return name.startswith("valetkey")


def _draw_requests(sheet: Sheet, groups: Sequence[Group]) -> None:
    colours = sheet.colours
    sheet.heading(
        "What a valid token costs per request",
        "CPU beyond the bare HTTP client that each stands on, over a transport in memory. Shorter is better;",
        "a few per cent, in either direction, are noise.",
    )
    shown = [value for group in groups for value in group.more.values()]
    least, most = min(0.0, *shown), max(shown)
    left, right = MARGIN + LABELS, WIDTH - MARGIN - 64
    scale = (right - left) / (most - least)
    zero = left - least * scale
    top = sheet.y
    sheet.y += 4
    bars: list[tuple[float, str, float]] = []
    for group in groups:
        sheet.y += ROW
        words = f"on {group.bare} ({group.micros:.0f} µs alone)"
        sheet.text(MARGIN, sheet.y - 7, words, size=12, colour=colours.quiet)
        for name, value in group.more.items():
            bars.append((sheet.y, name, value))
            sheet.y += ROW
        sheet.y += 4
    for tick in range(0, int(most) + 1, 20):
        x = zero + tick * scale
        sheet.line(x, top, sheet.y, colours.grid if tick else colours.quiet)
        sheet.text(x, sheet.y + 16, f"{tick} %", size=12, at="middle", colour=colours.quiet)
    for y, name, value in bars:
        mine = _is_ours(name)
        sheet.text(MARGIN + 12, y + 16, name.replace(" httpx2.", " in httpx2.").partition("(auth")[0], bold=mine)
        sheet.bar(zero, y + 6, value * scale, colours.ours if mine else colours.others)
        words = f"{value:+.1f} %".replace("-", "\u2212")
        sheet.text(zero + max(value, 0) * scale + 8, y + 16, words, bold=mine)
    sheet.y += 16


def _draw_herds(sheet: Sheet, callers: dict[str, Herd], processes: dict[str, Herd]) -> None:
    colours = sheet.colours
    sheet.heading(
        "Calls that fail when a token expires under load",
        "Of 100 calls at once on one grant whose refresh token works once. A second use of it ends the grant,",
        "and a person has to sign in again.",
    )
    room = (WIDTH - 2 * MARGIN - NAMES) / 2
    columns = (
        (MARGIN + NAMES, "100 callers in one process", callers),
        (MARGIN + NAMES + room, "4 processes \u00d7 25 callers", processes),
    )
    top = sheet.y + ROW
    for x, title, herds in columns:
        sheet.text(x, sheet.y + 14, title, size=12, bold=True)
        for at, name in enumerate(callers):
            _draw_herd(sheet, x, top + at * ROW, name, herds[name])
    for at, name in enumerate(callers):
        sheet.text(MARGIN + 12, top + at * ROW + 16, name, bold=_is_ours(name))
    sheet.y = top + len(callers) * ROW
    for x, _, _ in columns:
        sheet.line(x, top, sheet.y, colours.quiet)


def _draw_herd(sheet: Sheet, x: float, y: float, name: str, herd: Herd) -> None:
    colours = sheet.colours
    if not herd.failed and herd.alive:
        sheet.text(x + 8, y + 16, "0", bold=_is_ours(name), colour=colours.ours if _is_ours(name) else "")
        return
    width = herd.failed * PER_CALL
    sheet.bar(x, y + 6, width, colours.others if herd.alive else colours.failed)
    words = f"{herd.failed}, grant {'kept' if herd.alive else 'lost'}"
    sheet.text(x + width + 8, y + 16, words)


def pictures(run: str) -> dict[Path, str]:
    """Return the files to write, with what stands in them."""
    figures = read(run)
    return {DOCS / f"benchmarks-{dress}.svg": draw(figures, colours) for dress, colours in DRESSES.items()}


def main(run: Path) -> None:
    for path, drawn in pictures(run.read_text(encoding="utf-8")).items():
        path.write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
