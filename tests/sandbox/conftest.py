"""One sandbox for the room's tests, on a thread, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tongbao.testing.sandbox import LocalSandbox


@pytest.fixture(scope="package")
def shared() -> Iterator[LocalSandbox]:
    """A running sandbox."""
    with LocalSandbox(seed=11) as sandbox:
        yield sandbox


@pytest.fixture
def box(shared: LocalSandbox) -> LocalSandbox:
    """The sandbox with empty books and no faults."""
    shared.reset()
    return shared
