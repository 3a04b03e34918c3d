"""The rules about one Python file. Each takes a Source and yields what is wrong with it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from tests.tidy.source import Finding, Source

MONEY_ROOMS: Final = frozenset({"kernel", "ledger", "trade", "service", "store"})
LAZY: Final = frozenset({"src/tongbao/__init__.py", "src/tongbao/wire/loader.py"})
FUNCTION_LINES: Final = 70
MODULE_LINES: Final = 500
SHAPELESS: Final = frozenset({"util", "utils", "helper", "helpers", "misc", "common", "tools"})
SECRET: Final = frozenset(
    {"sign", "signature", "mac", "hmac", "token", "digest", "password", "passwd", "secret", "nonce_hash"}
)

_LEFTOVER: Final = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X]|HA[C]K|NotImplemented[E]rror)\b")
_NAIVE: Final = {
    "datetime.datetime.now": 0,
    "datetime.datetime.fromtimestamp": 1,
    "datetime.datetime.combine": 2,
    "datetime.datetime": 7,
    "datetime.time": 4,
}
_ALWAYS_NAIVE: Final = frozenset(
    {"datetime.datetime.utcnow", "datetime.datetime.utcfromtimestamp", "datetime.datetime.today"}
)
_TEXT_NAIVE: Final = frozenset({"datetime.datetime.strptime", "datetime.datetime.fromisoformat"})

Function = ast.FunctionDef | ast.AsyncFunctionDef


def find_float(source: Source) -> Iterator[Finding]:
    """Money is counted in whole minor units: no float literal, no ``float()``, no true division of names."""
    if source.room not in MONEY_ROOMS:
        return
    pauses = _seconds(source)
    for node in source.nodes:
        if node in pauses:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            yield source.finding(node, f"{node.value} is a float: use whole minor units or milliseconds")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float":
            yield source.finding(node, "float(): use whole minor units or milliseconds")
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div) and not _is_path(node):
            yield source.finding(node, "/ makes a float: use // or Money.allocate")


def _seconds(source: Source) -> set[ast.AST]:
    """Everything inside ``sleep(...)`` and ``timeout=...``: seconds to wait, which are no money."""
    calls = [node for node in source.nodes if isinstance(node, ast.Call)]
    waits = [part for call in calls if _last_name(call.func) == "sleep" for part in call.args]
    waits += [keyword.value for call in calls for keyword in call.keywords if keyword.arg == "timeout"]
    return {node for wait in waits for node in ast.walk(wait)}


def _is_path(node: ast.BinOp | ast.AugAssign) -> bool:
    """Whether a division joins a path: one side, at least, is text."""
    sides = [node.left, node.right] if isinstance(node, ast.BinOp) else [node.value]
    texts = [side for side in sides if isinstance(side, ast.JoinedStr)]
    return bool(texts) or any(isinstance(side, ast.Constant) and isinstance(side.value, str) for side in sides)


def find_naive_time(source: Source) -> Iterator[Finding]:
    """A datetime always says its offset."""
    aware = _made_aware(source)
    for node in source.nodes:
        if not isinstance(node, ast.Call):
            continue
        name = source.dotted(node.func)
        keywords = {keyword.arg for keyword in node.keywords}
        if name in _ALWAYS_NAIVE:
            yield source.finding(node, f"{name}: naive; use an Instant and kernel.time.china")
        elif name in _TEXT_NAIVE and node not in aware:
            yield source.finding(node, f"{name}: naive; follow it with .replace(tzinfo=...), or use parse_china")
        elif name in _NAIVE and len(node.args) <= _NAIVE[name] and not keywords & {"tz", "tzinfo", None}:
            yield source.finding(node, f"{name} without an offset: pass tzinfo=CHINA")


def _made_aware(source: Source) -> set[ast.AST]:
    """Calls whose value gets its offset at once: ``strptime(...).replace(tzinfo=...)``."""
    return {
        node.func.value
        for node in source.nodes
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "replace"
        and any(keyword.arg == "tzinfo" for keyword in node.keywords)
    }


def find_hidden_import(source: Source) -> Iterator[Finding]:
    """Imports stand at the top; two files load on demand, and say so."""
    if source.path in LAZY:
        return
    reported: set[ast.AST] = set()
    for outer in source.nodes:
        if not isinstance(outer, Function | ast.Lambda):
            continue
        for node in ast.walk(outer):
            if isinstance(node, ast.Import | ast.ImportFrom) and node not in reported:
                reported.add(node)
                yield source.finding(node, "import inside a function: move it to the top")
    for node in source.nodes:
        if isinstance(node, ast.Call):
            called = source.dotted(node.func) or (node.func.id if isinstance(node.func, ast.Name) else "")
            if called in ("importlib.import_module", "__import__"):
                yield source.finding(node, f"{called}: only {', '.join(sorted(LAZY))} load on demand")


def find_long_function(source: Source) -> Iterator[Finding]:
    """A function fits on a screen."""
    for node in source.nodes:
        if isinstance(node, Function):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield source.finding(node, f"{node.name} has {lines} lines, more than {FUNCTION_LINES}: split it")


def find_long_module(source: Source) -> Iterator[Finding]:
    """A module is one subject, unless it holds nothing but tables."""
    lines = source.text.count("\n")
    table = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
    if lines > MODULE_LINES and not all(isinstance(node, table) for node in source.tree.body):
        yield source.finding(1, f"{lines} lines, more than {MODULE_LINES}: split it")


def find_open_comparison(source: Source) -> Iterator[Finding]:
    """A secret is compared in constant time (T23). The store's tokens are fencing numbers, which are no secret."""
    secret = SECRET - {"token"} if source.room == "store" else SECRET
    for node in source.nodes:
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        for operator, left, right in zip(node.ops, sides, sides[1:], strict=False):
            constant = isinstance(left, ast.Constant) or isinstance(right, ast.Constant)
            if isinstance(operator, ast.Eq | ast.NotEq) and not constant:
                name = next((name for name in map(_last_name, (left, right)) if _last_word(name) in secret), "")
                if name:
                    yield source.finding(node, f"{name} compared by ==: use hmac.compare_digest (T23)")


def _last_name(node: ast.AST) -> str:
    """``sign`` for ``sign``, ``message.sign``, ``form["sign"]``, ``form.get("sign")`` and ``sign.lower()``."""
    match node:
        case ast.Name(id=name) | ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str(name)), *_]):
            return name
        case ast.Call(func=ast.Attribute(value=value, attr=attribute)):
            return attribute if _last_word(attribute) in SECRET else _last_name(value)
        case ast.Call(func=ast.Name(id=name)) | ast.Attribute(attr=name):
            return name
    return ""


def _last_word(name: str) -> str:
    return name.lower().strip("_").rpartition("_")[2]


def find_print(source: Source) -> Iterator[Finding]:
    """Only the command line speaks to the terminal."""
    if source.room == "cli":
        return
    for node in source.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield source.finding(node, "print outside cli: return a value, or World.log(event, field=...)")


def find_shapeless_name(source: Source) -> Iterator[Finding]:
    """A file is called after what is in it."""
    path = PurePosixPath(source.path)
    for name in (path.stem, *path.parts[2:-1]):
        if name.lower() in SHAPELESS:
            yield source.finding(1, f"{name} says nothing: name the subject")


def find_leftover(source: Source) -> Iterator[Finding]:
    """What is unfinished is not committed."""
    for number, line in enumerate(source.text.splitlines(), 1):
        found = _LEFTOVER.search(line)
        if found:
            yield source.finding(number, f"{found[0]}: finish it, or file an issue and say in the docs what is missing")


def find_missing_docstring(source: Source) -> Iterator[Finding]:
    """Every module says what it is for; so does what it offers, unless a short typed definition says it all."""
    if ast.get_docstring(source.tree) is None:
        kind = "package" if source.path.endswith("__init__.py") else "module"
        yield source.finding(1, f"{kind} without a docstring: say what it is for and what it must never do")
    yield from _missing_docstrings(source, source.tree.body, inside="")


def _missing_docstrings(source: Source, body: list[ast.stmt], inside: str) -> Iterator[Finding]:
    for node in body:
        if not isinstance(node, ast.ClassDef | Function) or node.name.startswith("_"):
            continue
        if ast.get_docstring(node) is None and not _is_obvious(node, bool(inside)):
            yield source.finding(node, f"{inside}{node.name} without a docstring: units, shapes, errors raised")
        if isinstance(node, ast.ClassDef):
            yield from _missing_docstrings(source, node.body, f"{inside}{node.name}.")


def _is_obvious(node: ast.ClassDef | Function, is_method: bool) -> bool:
    """A short typed function, a method (its class explains it), a small class, an enumeration."""
    if isinstance(node, ast.ClassDef):
        return any(_last_name(base).endswith("Enum") for base in node.bases) or (node.end_lineno or 0) - node.lineno < 5
    return is_method or (node.end_lineno or 0) - node.body[0].lineno < 8


def find_silent_test(source: Source) -> Iterator[Finding]:
    """A test says in one line what it proves."""
    for node in source.nodes:
        if isinstance(node, Function) and node.name.startswith("test_") and ast.get_docstring(node) is None:
            yield source.finding(node, f"{node.name} without a docstring: say what it proves")
