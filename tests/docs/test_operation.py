"""The how-to pages of sandbox and platform: same code in both languages, commands that exist, tests that pass."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.page import ROOT, read_blocks
from tongbao.cli.env import FORMS
from tongbao.cli.main import build_parser
from tongbao.merchant.configuration import MerchantConfiguration
from tongbao.sandbox.fault import FAULTS
from tongbao.testing.sandbox import LocalSandbox
from tongbao.wire.loader import protocol_names

PAGES = [
    "add-a-protocol",
    "operate-the-platform",
    "read-the-audit",
    "test-your-shop",
    "time-and-faults",
    "use-the-sandbox",
]


def commands_of(page: str) -> list[list[str]]:
    """The arguments of every ``tongbao`` that a page's consoles call, or its text quotes."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    consoles = "\n".join(block.text for block in read_blocks(page) if block.kind == "console").replace("\\\n", " ")
    found = re.findall(r"^[$#] (?:\w+=\S+ )?tongbao (.*)$", consoles, re.MULTILINE)
    found += re.findall(r"`tongbao ([^`]+)`", text)
    return [shlex.split(command) for command in found]


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_show_the_same_code(page: str) -> None:
    """Block by block."""
    assert read_blocks(f"zh/how-to/{page}.md") == read_blocks(f"en/how-to/{page}.md")


@pytest.mark.parametrize("page", [f"{language}/how-to/{page}.md" for language in ("en", "zh") for page in PAGES])
def test_every_command_of_a_page_is_understood(page: str) -> None:
    """Options and all; a command that is only named (``tongbao merchant``) is one."""
    for command in commands_of(page):
        try:
            build_parser().parse_args(command)
        except SystemExit:
            with pytest.raises(SystemExit) as caught:
                build_parser().parse_args([*command, "--help"])
            assert caught.value.code == 0, command


def test_every_fault_that_a_page_orders_exists() -> None:
    """And the bodies of its calls are JSON."""
    text = (ROOT / "docs/en/how-to/time-and-faults.md").read_text("utf-8")
    bodies = [json.loads(body) for body in re.findall(r"-d '([^']+)'", text)]
    ordered = {fault["what"] for body in bodies for fault in body.get("faults", [])}
    assert len(bodies) > 3
    assert ordered - set(FAULTS) == set()


@pytest.mark.slow
@pytest.mark.parametrize("protocol", protocol_names())
def test_what_env_prints_can_be_pasted(protocol: str, running: LocalSandbox, tmp_path: Path) -> None:
    """The Django block makes a configuration, the dotenv lines make the same."""
    merchant = running.configuration(protocol).merchant
    said = running.credentials["protocols"][protocol]
    (tmp_path / "settings.py").write_text(FORMS["django"](protocol, said), encoding="utf-8")
    assert runpy.run_path(str(tmp_path / "settings.py"))["TONGBAO"].merchant == merchant
    environment = {}
    for line in FORMS["dotenv"](protocol, said).splitlines():
        name, _, value = line.partition("=")
        environment[name] = json.loads(value) if value.startswith('"') else value
    assert MerchantConfiguration.from_environment(environment).merchant == merchant


@pytest.fixture(scope="module")
def running() -> Iterator[LocalSandbox]:
    """One sandbox for this module."""
    with LocalSandbox() as sandbox:
        yield sandbox


@pytest.mark.slow
def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    """Shop, fixture and tests as they stand, in an empty directory."""
    console = ""
    for block in read_blocks("en/how-to/test-your-shop.md"):
        if block.file:
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
        elif block.kind == "console":
            console = block.output
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[0] == console.splitlines()[0]
