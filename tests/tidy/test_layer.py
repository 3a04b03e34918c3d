"""The rooms see only what they may; and each contract notices when one does not."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy.source import ROOT

ROOMS = (
    *("kernel", "wire", "protocols", "ledger", "trade", "store", "service", "merchant", "contrib"),
    *("testing", "runtime", "worker", "sandbox", "web", "shop", "sim", "cli"),
)

PLANTED = {
    "kernel/planted.py": "import tongbao.wire",
    "wire/planted.py": "import tongbao.runtime",
    "runtime/planted.py": "import tongbao.ledger",
    "ledger/planted.py": "import socket",
    "trade/planted.py": "import tongbao.protocols.one",
    "protocols/one/__init__.py": "",
    "protocols/two/__init__.py": "import tongbao.protocols.one",
    "protocols/two/tests/test_two.py": "import os",
    "merchant/planted.py": "import tongbao.trade",
    "shop/planted.py": "import tongbao.service",
}


def contracts() -> dict[str, str]:
    """The names of the contracts by their ids."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter", encoding="utf-8")
    mark = "importlinter:contract:"
    return {section.removeprefix(mark): parser[section]["name"] for section in parser.sections() if mark in section}


def lint(root: Path) -> tuple[int, str]:
    """Check the package below ``root``/src against our contracts, in a process of its own."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()"]
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), "COLUMNS": "300", "NO_COLOR": "1"}
    done = subprocess.run(
        [*command, "--no-cache", "--no-logo", str(ROOT / ".importlinter")],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def build(root: Path, files: dict[str, str]) -> None:
    """An empty house with all its rooms, and these files in it."""
    package = root / "src" / "tongbao"
    for name in ["__init__.py", *(f"{room}/__init__.py" for room in ROOMS)]:
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).touch()
    for name, text in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(f"{text}\n")


def test_rooms_see_only_what_they_may() -> None:
    """The import contracts hold for the package as it is."""
    status, output = lint(ROOT)
    assert status == 0, output


def test_every_contract_can_break(tmp_path: Path) -> None:
    """One wrong import planted for each contract breaks it; tests beside a protocol may touch the outside."""
    build(tmp_path, PLANTED)
    status, output = lint(tmp_path)
    assert status == 1
    assert [name for name in contracts().values() if f"{name} BROKEN" not in output] == [], output
    assert "test_two" not in output


@pytest.mark.parametrize(
    ("files", "broken"),
    [
        ({}, 0),
        ({"cellar/wine.py": ""}, 1),
        ({"contrib/flask.py": "import tongbao.merchant"}, 0),
        ({"cli/main.py": "import tongbao.runtime"}, 0),
        ({"web/page.py": "import tongbao.runtime"}, 1),
        ({"service/pay.py": "from tongbao.protocols import one", "protocols/one/__init__.py": ""}, 1),
    ],
    ids=["empty", "unlisted-room", "contrib-sees-merchant", "cli-sees-runtime", "web-sees-runtime", "folder-named"],
)
def test_contract_bounds(tmp_path: Path, files: dict[str, str], broken: int) -> None:
    """Exceptions are let through, and no more than they say; a room that nobody listed is found."""
    build(tmp_path, files)
    _, output = lint(tmp_path)
    assert f"{broken} broken" in output, output
