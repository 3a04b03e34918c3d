"""The pytest plugin of this repository: the shared fixtures, their processes under xdist, the account of skips."""

from __future__ import annotations

import gc
from typing import Final

import pytest

from tests.support.missing import count, summarise

pytest_plugins = [
    "tests.support.browser",
    "tests.support.mariadb",
    "tests.support.postgresql",
    "tests.support.platform",
]

GROUP: Final = {"mariadb": "mariadb", "mariadb_server": "mariadb", "mysql": "mariadb", "browser": "browser"}
"""Tests with one of these fixtures or parameters run in one process of an xdist run, so that the costly thing is
started once."""


SLOW: Final = frozenset(
    {"mariadb", "mysql", "postgresql", "postgresql_server", "postgresql_dsn", "browser", "page_desk", "page_phone"}
)
"""Tests with one of these fixtures or parameters wait for a big program to start: make test-fast leaves them out."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the users of one costly fixture together, unless the test names a group of its own."""
    for item in items:
        call = getattr(item, "callspec", None)
        values = () if call is None else tuple(str(value) for value in call.params.values())
        names = (*getattr(item, "fixturenames", ()), *values)
        if SLOW.intersection(names):
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("xdist_group"):
            continue
        group = next((GROUP[name] for name in names if name in GROUP), None)
        if group:
            item.add_marker(pytest.mark.xdist_group(group))


class Grouped:
    """In a process of an xdist run: the group that xdist wrote into a test's address is where pytest reads it.

    pytest-xdist 3.8 writes it to ``_nodeid``, which pytest reads no more since 9.2: it keeps the address in ``_id``.
    Without this every mark ``xdist_group`` is without effect. What either does otherwise is left as it is.
    """

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            written = vars(item).get("_nodeid")
            if written is not None and written != item.nodeid:
                setattr(item, "_id", type(item.id).parse(written))  # noqa: B010 - no part of its interface


def pytest_configure(config: pytest.Config) -> None:
    """Registered late, so that it comes after xdist's own last."""
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(Grouped(), "grouped")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What was imported and collected stays until the end: the collector of garbage need not look at it again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end, in red, what was not tested on this machine."""
    reports = terminalreporter.getreports("skipped")
    lines = summarise(count(str(report.longrepr[-1]) for report in reports if isinstance(report.longrepr, tuple)))
    if lines:
        terminalreporter.section("NOT TESTED ON THIS MACHINE", sep="!", red=True, bold=True)
        for line in lines:
            terminalreporter.write_line(line, red=True)
