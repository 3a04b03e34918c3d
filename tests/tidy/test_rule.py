"""Each rule finds the snippet that breaks it and lets the right one pass: a rule that cannot fail is no rule."""

from __future__ import annotations

import pytest

from tests.tidy import rule, window
from tests.tidy.repository import find_origin, find_private_key, read_text
from tests.tidy.source import Source

MONEY = "src/tongbao/ledger/entry.py"
WEB = "src/tongbao/web/page.py"


def source(text: str, path: str = MONEY) -> Source:
    """A file with this text."""
    return Source(path, text)


@pytest.mark.parametrize(
    "text", ["fee = 0.006", "fee = float(rate)", "fee = amount / 100", "amount /= 2", "def a(x): return {1: [2.0]}"]
)
def test_float_is_found(text: str) -> None:
    """Every way to a float in a money room, and none elsewhere."""
    assert len(list(rule.find_float(source(text)))) == 1
    assert list(rule.find_float(source(text, WEB))) == []


def test_seconds_to_wait_are_no_money() -> None:
    """A pause between tries may be a fraction of a second."""
    assert list(rule.find_float(source("await asyncio.sleep(turn * 0.02)\nwait_for(task, timeout=0.5)"))) == []


def test_whole_numbers_and_paths_pass() -> None:
    """Whole numbers, floor division, annotations and joined paths are no floats."""
    text = "def a(x: float) -> float: ...\nb = 7 // 2\nc = folder / 'schema.sql'\nd = folder / f'{name}.sql'\n"
    assert list(rule.find_float(source(text))) == []


@pytest.mark.parametrize(
    "call",
    [
        "datetime.now()",
        "datetime.utcnow()",
        "datetime.today()",
        "datetime.fromtimestamp(0)",
        "datetime(2009, 1, 1)",
        "datetime.strptime(a, b)",
        "datetime.strptime(a, b).replace(second=0)",
        "datetime.fromisoformat(a)",
        "datetime.combine(a, b)",
        "dt.datetime.now()",
    ],
)
def test_naive_time_is_found(call: str) -> None:
    """Every way to a datetime without an offset."""
    found = list(rule.find_naive_time(source(f"import datetime as dt\nfrom datetime import datetime\nx = {call}")))
    assert [finding.line for finding in found] == [3]


def test_aware_time_passes() -> None:
    """Offsets by keyword, by position and at once afterwards; other things called now."""
    text = (
        "from datetime import datetime\na = datetime.now(CHINA)\nb = datetime(2009, 1, 1, tzinfo=CHINA)\n"
        "c = datetime.strptime(a, b).replace(tzinfo=CHINA)\nd = clock.now()\ne = datetime.combine(a, b, CHINA)\n"
    )
    assert list(rule.find_naive_time(source(text))) == []


@pytest.mark.parametrize(
    "text",
    [
        "def a():\n    import json",
        "class A:\n    def b(self):\n        if c:\n            from json import loads",
        "def a():\n    def b():\n        import json",
        "import importlib\nx = importlib.import_module('json')",
        "x = __import__('json')",
    ],
)
def test_hidden_import_is_found(text: str) -> None:
    """Imports in functions and imports by call, once each; the two lazy files may."""
    assert len(list(rule.find_hidden_import(source(text)))) == 1
    assert list(rule.find_hidden_import(source(text, "src/tongbao/wire/loader.py"))) == []


def test_import_at_the_top_passes() -> None:
    """Also below a condition or a try."""
    assert list(rule.find_hidden_import(source("import json\nif a:\n    import re\n"))) == []


def test_long_function_is_found() -> None:
    """Seventy lines pass, seventy-one do not."""
    assert list(rule.find_long_function(source("def a():\n" + "    b()\n" * 69))) == []
    assert len(list(rule.find_long_function(source("def a():\n" + "    b()\n" * 70)))) == 1
    assert len(list(rule.find_long_function(source("class A:\n  async def a(self):\n" + "    b()\n" * 70)))) == 1


def test_long_module_is_found() -> None:
    """Five hundred lines pass, more do not, unless they are a table."""
    assert list(rule.find_long_module(source("a()\ndef b(): ...\n" * 250))) == []
    assert len(list(rule.find_long_module(source("a = 1\ndef b(): ...\n" * 251)))) == 1
    assert list(rule.find_long_module(source("BANK = {\n" + '    "ICBC": "工商银行",\n' * 600 + "}\n"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "sign == expected",
        "expected != message.signature",
        "form['sign'] == x",
        "form.get('sign') == x",
        "sign.lower() == x",
        "x == hasher.digest()",
        "csrf_token == x",
        "a < b == pay_password",
    ],
)
def test_open_comparison_is_found(text: str) -> None:
    """T23: a secret compared by == or !=, under any of its shapes."""
    assert len(list(rule.find_open_comparison(source(text)))) == 1


@pytest.mark.parametrize(
    "text", ["sign == ''", "sign_type == other", "token is None", "compare_digest(sign, x)", "a == b"]
)
def test_harmless_comparison_passes(text: str) -> None:
    """Emptiness, types of signatures, and constant-time comparisons."""
    assert list(rule.find_open_comparison(source(text))) == []


def test_fencing_token_passes_in_the_store() -> None:
    """A lane's fencing token is a number that everybody may know."""
    assert list(rule.find_open_comparison(source("lane.token != token", "src/tongbao/store/commit.py"))) == []
    assert len(list(rule.find_open_comparison(source("sign != token", "src/tongbao/store/commit.py")))) == 1


def test_print_is_found_outside_cli() -> None:
    """Print belongs to the command line."""
    assert len(list(rule.find_print(source("print(1)")))) == 1
    assert list(rule.find_print(source("print(1)", "src/tongbao/cli/main.py"))) == []


def test_shapeless_name_is_found() -> None:
    """Files and folders without a subject."""
    assert len(list(rule.find_shapeless_name(source("", "src/tongbao/trade/utils.py")))) == 1
    assert len(list(rule.find_shapeless_name(source("", "src/tongbao/common/fee.py")))) == 1
    assert list(rule.find_shapeless_name(source("", "src/tongbao/trade/fee.py"))) == []


@pytest.mark.parametrize("word", ["T-ODO", "F-IXME", "X-XX", "NotImplemented-Error"])
def test_leftover_is_found(word: str) -> None:
    """Marks of unfinished work, in code and in comments."""
    word = word.replace("-", "")
    assert [finding.line for finding in rule.find_leftover(source(f"a = 1\n# {word}: later\n"))] == [2]
    assert list(rule.find_leftover(source(f"a = 'a{word}b'\n"))) == []


def test_missing_docstring_is_found() -> None:
    """Modules, classes and functions that offer something without a word about it."""
    body = "    a()\n" * 9
    text = f"def a():\n{body}\nclass B:\n    x = 1\n{body}\ndef _c():\n{body}\ndef d() -> int:\n    return 1\n"
    assert [finding.line for finding in rule.find_missing_docstring(source(text))] == [1, 1, 12]
    text = f'"""M."""\ndef a():\n    """A."""\n{body}\nclass B:\n  """B."""\n  def c(self):\n{body}'
    assert list(rule.find_missing_docstring(source(text))) == []


def test_silent_test_is_found() -> None:
    """A test without a word about what it proves."""
    assert len(list(rule.find_silent_test(source("def test_a():\n    b()\n")))) == 1
    assert list(rule.find_silent_test(source('def test_a():\n    """Proves."""\ndef b(): ...\n'))) == []


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "from time import monotonic",
        "import random",
        "import os\nx = os.environ['A']",
        "from os import urandom",
        "from datetime import datetime\nx = datetime.now(CHINA)",
        "import datetime\nx = datetime.date.today()",
        "from uuid import uuid4",
        "import asyncio\nx = asyncio.sleep(1)",
        "import socket",
        "import urllib.request",
        "from http import client",
        "import httpx",
        "import sqlite3",
    ],
)
def test_window_is_found(text: str) -> None:
    """Every window outside runtime, each with what to use instead."""
    found = list(window.find_window(source(text)))
    assert len(found) == 1
    assert "use " in found[0].message
    assert list(window.find_window(source(text, "src/tongbao/runtime/clock.py"))) == []


def test_window_lookalikes_pass() -> None:
    """Names of our own, harmless parts of the same modules, and drivers where they belong."""
    text = "from tongbao.kernel.time import china\nimport os\nfrom urllib.parse import quote\nx = os.path.join(a, b)\n"
    assert list(window.find_window(source(text))) == []
    assert list(window.find_window(source("import sqlite3", "src/tongbao/store/sqlite.py"))) == []


def test_every_ban_names_a_replacement() -> None:
    """A ban without a way out would only be worked around."""
    assert [ban.name for ban in window.BANS if not ban.instead] == []


def test_private_key_is_found() -> None:
    """A real key block, also inside a Python string; not a mere header, not among vectors."""
    block = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIC" + "A" * 60
    escaped = block.replace("\n", "\\n")
    assert len(list(find_private_key("docs/a.md", block))) == 1
    assert len(list(find_private_key("tests/a.py", escaped))) == 1
    assert list(find_private_key("tests/a.py", "-----BEGIN " + "PRIVATE KEY-----\n{body}")) == []
    assert list(find_private_key("src/tongbao/protocols/x/vectors/key.pem", block)) == []
    assert list(find_private_key("tests/throwaway_key.pem", block)) == []


@pytest.mark.parametrize("text", ["https://pypi|.org/simple", "cd /ro|ot/x", "/wo|rk/shared/a", "/home/|me/a"])
def test_origin_is_found(text: str) -> None:
    """Index hosts and machine paths."""
    assert len(list(find_origin("docs/a.md", text.replace("|", "")))) == 1


def test_ordinary_paths_pass() -> None:
    """Addresses and paths of the project itself."""
    assert (
        list(find_origin("a.md", "http://127.0.0.1/home/ /usr/sbin ./work/main src/root/x https://x.example/root/"))
        == []
    )


def test_binary_is_not_read() -> None:
    """A picture has no text."""
    assert read_text(b"\x89PNG\0\0") == ""
    assert read_text("通宝".encode("gbk")) != ""
