"""Check the documentation: the Python in it must pass the type checker, and its links must lead somewhere.

The Python blocks of a page form one module, in which each line stands at the number that it has in the page: so what
the type checker says points at the page.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULES = ROOT / ".cache" / "docs_code"
SETTINGS = {
    "typeCheckingMode": "standard",
    "pythonVersion": "3.11",
    "reportRedeclaration": False,  # a page shows the same function twice: before and after
    "reportMissingModuleSource": False,
}
FENCE = re.compile(r"^\s*```+\s*(\w*)")
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)]*)?\)")


def pages() -> list[Path]:
    """Return all pages of documentation."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def python_of(page: Path) -> str:
    """Return the Python blocks of a page, all other lines blank."""
    return "\n".join(_python_lines(page.read_text(encoding="utf-8"))) + "\n"


def _python_lines(text: str) -> Iterator[str]:
    language: str | None = None
    for line in text.splitlines():
        fence = FENCE.match(line)
        if fence:
            language = fence[1] if language is None else None
            yield ""
        else:
            yield line if language == "python" else ""


def write_modules() -> int:
    """Write the module of every page that has Python in it; return how many there are."""
    shutil.rmtree(MODULES, ignore_errors=True)
    MODULES.mkdir(parents=True)
    (MODULES / "pyrightconfig.json").write_text(json.dumps(SETTINGS))
    count = 0
    for page in pages():
        code = python_of(page)
        if code.strip():
            name = page.relative_to(ROOT).with_suffix(".py").as_posix().replace("/", "__")
            (MODULES / name).write_text(code, encoding="utf-8")
            count += 1
    return count


def broken_links() -> list[str]:
    """Return the relative links that lead to no file."""
    return [
        f"{page.relative_to(ROOT)}: no such file: {target}"
        for page in pages()
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if "://" not in target and not target.startswith("mailto:") and not (page.parent / target).exists()
    ]


def main() -> int:
    """Print every trouble; return 1 when there is one."""
    count = write_modules()
    links = broken_links()
    for link in links:
        print(link)
    types = 0
    if count:
        pyright = Path(sys.executable).with_name("pyright")
        types = subprocess.run([pyright, "--pythonpath", sys.executable, "--project", MODULES], check=False).returncode
    print(f"docs: {len(pages())} pages, {count} with Python, {len(links)} broken links")
    return 1 if links or types else 0


if __name__ == "__main__":
    sys.exit(main())
