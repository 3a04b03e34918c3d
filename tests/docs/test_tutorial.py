"""The tutorial is executed as it stands, from an empty directory; only its two ports are exchanged for free ones."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.docs.page import Block, read_blocks

BIN = Path(sys.executable).parent
WAIT = 600


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def environment() -> dict[str, str]:
    """The environment of a reader, with a proxy that must not be used."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {**kept, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HTTP_PROXY": "http://127.0.0.1:9"}


def run(block: Block, folder: Path) -> str:
    """Run the command of a console block; what it printed."""
    child = subprocess.run(
        block.command.split(), cwd=folder, env=environment(), capture_output=True, text=True, check=False, timeout=120
    )
    assert child.returncode == 0, child.stderr
    return child.stdout


@contextmanager
def running(command: list[str], folder: Path, port: int, word: str) -> Iterator[None]:
    """A program in the background that is ready when it has said ``word``; ended by its own process."""
    with (folder / f"{port}.log").open("w") as log:
        child = subprocess.Popen(command, cwd=folder, env=environment(), stdout=log, stderr=subprocess.STDOUT)
        try:
            for _ in range(WAIT):
                assert child.poll() is None, (folder / f"{port}.log").read_text()
                if word in (folder / f"{port}.log").read_text():
                    break
                time.sleep(0.1)
            yield
        finally:
            child.terminate()
            child.wait(30)


def blocks_with(ports: dict[str, int]) -> list[Block]:
    """The English tutorial's blocks with other ports."""
    found = []
    for block in read_blocks("en/tutorial.md"):
        text = block.text
        for name, port in ports.items():
            text = text.replace(f":{name}", f":{port}").replace(f"--port {name}", f"--port {port}")
        found.append(Block(block.kind, block.file, text))
    return found


def test_both_languages_show_the_same_code() -> None:
    """Block by block, the Chinese page has the same files, commands and output."""
    assert read_blocks("zh/tutorial.md") == read_blocks("en/tutorial.md")


def test_the_first_part_needs_nothing_but_the_package(tmp_path: Path) -> None:
    """Signing by hand, and by the client."""
    blocks = read_blocks("en/tutorial.md")[:4]
    for block in blocks:
        if block.file:
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
        else:
            assert run(block, tmp_path) == block.output


@pytest.mark.slow
def test_the_whole_tutorial_from_an_empty_directory(tmp_path: Path) -> None:
    """Sandbox, shop, a purchase and a forged request: every command prints what the page says."""
    ports = {"8100": free_port(), "8000": free_port()}
    done = []
    with ExitStack() as stack:
        for block in blocks_with(ports):
            if block.file:
                (tmp_path / block.file).write_text(block.text, encoding="utf-8")
            elif block.command.startswith("tongbao sandbox"):
                command = [str(BIN / "tongbao"), *block.command.split()[1:]]
                stack.enter_context(running(command, tmp_path, ports["8100"], block.output))
            elif "uvicorn" in block.command:
                command = [sys.executable, *block.command.split()[1:]]
                stack.enter_context(running(command, tmp_path, ports["8000"], "startup complete"))
            else:
                assert run(block, tmp_path) == block.output
            done.append(block.file or block.command.split()[-1])
    assert done[-1] == "tamper.py"
