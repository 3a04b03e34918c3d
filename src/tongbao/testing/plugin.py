"""The pytest plugin: ``tongbao_sandbox`` is one sandbox for the whole run, ``tongbao`` the same with empty books."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tongbao.testing.sandbox import LocalSandbox


@pytest.fixture(scope="session")
def tongbao_sandbox() -> Iterator[LocalSandbox]:
    """A running sandbox, shared by all tests of the run."""
    with LocalSandbox() as sandbox:
        yield sandbox


@pytest.fixture
def tongbao(tongbao_sandbox: LocalSandbox) -> LocalSandbox:
    """The running sandbox with empty books; keys and addresses are the same in every test."""
    tongbao_sandbox.reset()
    return tongbao_sandbox
