"""Build the wheel and the source archive, and see that they hold what users need and nothing else."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "valetkey"


def build(kind: str, folder: str) -> Path:
    """Build a ``wheel`` or ``sdist`` into `folder` and return its path."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", folder]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    suffix = {"wheel": "*.whl", "sdist": "*.tar.gz"}[kind]
    return next(Path(folder).glob(suffix))


def sources() -> set[str]:
    """Return the files of the package as they must stand in the wheel."""
    files = (path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(PACKAGE.parent).as_posix() for path in files}


def wheel_troubles(wheel: Path) -> list[str]:
    """Return what is wrong with the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        entry_points = next(archive.read(name).decode() for name in names if name.endswith("entry_points.txt"))
    inside = {name for name in names if ".dist-info/" not in name}
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    commands = [f"{name} = {target}" for name, target in declared["scripts"].items()]
    return [
        *(f"the wheel lacks {name}" for name in sorted(sources() - inside)),
        *(f"the wheel should not hold {name}" for name in sorted(inside - sources())),
        *(f"the wheel lacks {name}" for name in ["valetkey/py.typed"] if name not in inside),
        *(["the wheel holds no presets"] if not any(name.endswith(".toml") for name in inside) else []),
        *(["the wheel lacks its licence"] if not any(name.endswith("licenses/LICENSE") for name in names) else []),
        *(f"the wheel lacks the entry point {line}" for line in commands if line not in entry_points),
    ]


def sdist_troubles(sdist: Path) -> list[str]:
    """Return what is wrong with the source archive."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = ["LICENSE", "README.md", "pyproject.toml", "constraints.txt", "tests/conftest.py"]
    return [
        *(f"the source archive lacks {name}" for name in wanted if name not in names),
        *(f"the source archive should not hold {name}" for name in sorted(names) if "node_modules" in name),
    ]


def main() -> int:
    """Print every trouble; return 1 when there is one."""
    with tempfile.TemporaryDirectory() as folder:
        wheel, sdist = build("wheel", folder), build("sdist", folder)
        troubles = wheel_troubles(wheel) + sdist_troubles(sdist)
    for trouble in troubles:
        print(trouble)
    print(f"wheel: {len(sources())} files, {'troubled' if troubles else 'all there'}")
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
