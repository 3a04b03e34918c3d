"""The README: its code runs, its commands exist, and both languages show the same."""

from __future__ import annotations

import json
import re
import runpy
from html.parser import HTMLParser
from pathlib import Path
from threading import Thread
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

import httpx
import pytest

from tests.docs.page import ROOT, read_blocks
from tongbao.cli.main import build_parser
from tongbao.contrib.wsgi import read_request
from tongbao.testing.sandbox import LocalSandbox

READMES = ["README.md", "README.zh.md"]
PORT = 8000


class Form(HTMLParser):
    """The one form of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = given["action"]
        elif tag == "input" and given.get("name"):
            self.fields[given["name"]] = given["value"]


class Quiet(WSGIRequestHandler):
    """Says nothing."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Not a word."""


def test_both_languages_show_the_same_code_and_the_same_commands() -> None:
    """Block by block, apart from the picture and the words beside the first commands."""
    english, chinese = ([block for block in read_blocks(f"../{name}") if block.kind != "mermaid"] for name in READMES)
    assert chinese == english
    targets = [re.findall(r"^make [a-z-]+", (ROOT / name).read_text("utf-8"), re.MULTILINE) for name in READMES]
    assert targets[0] == targets[1] == ["make demo-once", "make demo", "make test"]


@pytest.mark.parametrize("name", READMES)
def test_every_make_target_exists(name: str) -> None:
    """Nobody is sent to a target that is not there."""
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^|[`(（])make ([a-z-]+)", (ROOT / name).read_text("utf-8"), re.MULTILINE))
    assert "demo-once" in named
    assert named - known == set()


@pytest.mark.parametrize("name", READMES)
def test_every_command_exists(name: str) -> None:
    """The words after ``tongbao`` in code are commands, and the options of its console blocks are understood."""
    text = (ROOT / name).read_text("utf-8")
    commands = re.findall(r"`tongbao ([^`]+)`", text)
    commands += [re.sub(r"^\S*tongbao ", "", b.command) for b in read_blocks(f"../{name}") if b.kind == "console"]
    assert len(commands) > 2
    for command in commands:
        assert build_parser().parse_args(command.split()).command == command.split()[0]


@pytest.mark.slow
def test_the_shop_of_the_readme_sells_a_cup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pay page carries a buyer to the cashier; the notification comes, is accepted, and the order is paid."""
    block = next(block for block in read_blocks("../README.md") if block.file == "shop.py")
    monkeypatch.chdir(tmp_path)
    answers: list[tuple[int, bytes]] = []
    shop: dict[str, object] = {}

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        answer = shop["notify"](read_request(environ))  # type: ignore[operator]
        answers.append((answer.status, answer.body))
        start_response(f"{answer.status} said", [("Content-Length", str(len(answer.body)))])
        return [answer.body]

    with (
        LocalSandbox() as sandbox,
        make_server("127.0.0.1", 0, application, handler_class=Quiet) as server,
        httpx.Client(trust_env=False, follow_redirects=True) as browser,
    ):
        Path("tongbao-sandbox.json").write_text(json.dumps(sandbox.credentials), "utf-8")
        Path("shop.py").write_text(block.text.replace(f":{PORT}/", f":{server.server_port}/"), "utf-8")
        shop |= runpy.run_path("shop.py")
        listening = Thread(target=server.serve_forever)
        listening.start()
        form = Form(shop["pay"]("A1"))  # type: ignore[operator]
        assert browser.post(form.action, data=form.fields).status_code == 200
        assert sandbox.pay("A1")["state"] == "paid"
        server.shutdown()
        listening.join()
        for name in ("client", "receiver"):
            shop[name].close()  # type: ignore[attr-defined]
        assert sandbox.audit() == "clean"
    assert answers == [(200, b"success")]
    book, database = shop["book"], shop["database"]
    assert str(database.read(lambda transaction: book.find(transaction, "A1")).state) == "paid"  # type: ignore[attr-defined]
