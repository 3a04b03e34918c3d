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

GROUP: Final = {"mariadb": "mariadb", "mariadb_server": "mariadb", "browser": "browser"}
"""Tests with one of these fixtures run in one process of an xdist run, so that the costly thing is started once."""


SLOW: Final = frozenset({"mariadb", "postgresql_server", "postgresql_dsn", "browser", "page_desk", "page_phone"})
"""Tests with one of these fixtures wait for a big program to start: make test-fast leaves them out."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the users of one costly fixture together, unless the test names a group of its own."""
    for item in items:
        call = getattr(item, "callspec", None)
        on_server = call is not None and {"mysql", "postgresql"} & {str(value) for value in call.params.values()}
        if on_server or SLOW.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("xdist_group"):
            continue
        names = getattr(item, "fixturenames", ())
        group = next((GROUP[name] for name in names if name in GROUP), None)
        if group:
            item.add_marker(pytest.mark.xdist_group(group))


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
