"""What is installed is what is in the repository: templates, styles, queries, catalogues and vectors too."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from tests.tidy.source import ROOT, list_files

PACKAGE = "src/tongbao/"


def build(target: str, folder: Path) -> Path:
    """Build the ``wheel`` or the ``sdist`` of the checkout into ``folder``."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.iterdir())


def test_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    """Every file of the package but the protocols' tests, the licence, and the command."""
    with zipfile.ZipFile(build("wheel", tmp_path)) as wheel:
        names = set(wheel.namelist())
        entry_points = next(wheel.read(name).decode() for name in names if name.endswith("entry_points.txt"))
    installed = {name for name in names if ".dist-info/" not in name}
    expected = {
        name.removeprefix("src/")
        for name in list_files()
        if name.startswith(PACKAGE) and "tests" not in PurePosixPath(name).parts
    }
    assert installed == expected
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "tongbao = tongbao.cli.main:main" in entry_points


def test_source_archive_can_be_tested(tmp_path: Path) -> None:
    """The archive holds what `make test` and `make lint` need."""
    with tarfile.open(build("sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {"Makefile", "LICENSE", ".importlinter", "conftest.py", "pyproject.toml", "requirements/dev.txt"}
    needed |= {name for name in list_files() if name.startswith(("src/", "tests/"))}
    assert needed - names == set()
