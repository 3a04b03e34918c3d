"""The files that the rules look at, parsed once, and what a rule finds in them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import Final

ROOT: Final = Path(__file__).parents[2]

_SKIPPED: Final = frozenset({".git", ".venv", "__pycache__", "dist", "build", "node_modules"})


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One broken rule: where, and what to do instead."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True)
class Source:
    """One Python file. ``path`` is relative to the repository, with slashes."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text, self.path)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Every node of the tree."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def room(self) -> str:
        """The room below ``src/tongbao``: ``kernel``, ``wire``, ...; empty for the package root itself."""
        parts = PurePosixPath(self.path).parts
        return parts[2] if len(parts) > 3 and parts[:2] == ("src", "tongbao") else ""

    @cached_property
    def is_test(self) -> bool:
        """Whether this file is a test, or a helper beside tests."""
        parts = PurePosixPath(self.path).parts
        return parts[0] == "tests" or "tests" in parts[:-1]

    @cached_property
    def names(self) -> dict[str, str]:
        """What each imported name stands for: ``dt`` for ``datetime``, ``now`` for ``tongbao.kernel.time.now``."""
        found: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    whole = alias.name if alias.asname else alias.name.partition(".")[0]
                    found[alias.asname or whole] = whole
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
        return found

    def dotted(self, node: ast.AST) -> str:
        """The full name behind a name or a chain of attributes; empty if its root was not imported."""
        tail: list[str] = []
        while isinstance(node, ast.Attribute):
            tail.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.names:
            return ""
        return ".".join([self.names[node.id], *reversed(tail)])

    def finding(self, node: ast.AST | int, message: str) -> Finding:
        """A finding at ``node`` (or at a line number)."""
        return Finding(self.path, node if isinstance(node, int) else getattr(node, "lineno", 1), message)


@cache
def list_files() -> tuple[str, ...]:
    """Every file of the repository that is or may be committed, relative, sorted."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        output = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        found = [name for name in output.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):  # a source archive, or no git here
        walked = (path.relative_to(ROOT) for path in ROOT.rglob("*"))
        found = [path.as_posix() for path in walked if not _SKIPPED.intersection(path.parts)]
    return tuple(sorted(name for name in found if (ROOT / name).is_file()))


def read_sources(*prefixes: str) -> Iterator[Source]:
    """The Python files below any of ``prefixes``, one after another; a tree lives as long as its source is kept."""
    for name in list_files():
        if name.endswith(".py") and name.startswith(prefixes):
            yield Source(name, (ROOT / name).read_text(encoding="utf-8"))
