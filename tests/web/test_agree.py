"""The page where a merchant agrees to a batch: only behind a link of ours, and nowhere in production."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.house import ask, house, run
from tongbao.kernel.error import ConfigurationError
from tongbao.web.agree.app import agree_app
from tongbao.wire.http import get


def test_T67_nobody_can_agree_in_production(tmp_path: Path) -> None:
    """Until merchants' people sign in, a link alone may move no real money."""

    async def test() -> None:
        async with house(tmp_path, environment="production") as home:
            with pytest.raises(ConfigurationError, match="sign in"):
                agree_app(home.platform)

    run(test)


@pytest.mark.parametrize("path", ["refunds/x", "refunds/eA.0.0", "payouts/x", "loans/x", "refunds/"])
def test_T57_a_link_that_is_not_ours_shows_nothing(tmp_path: Path, path: str) -> None:
    """Forged, empty or of another kind: a page that says no, and no batch."""

    async def test() -> None:
        async with house(tmp_path) as home:
            answer = await ask(agree_app(home.platform), get(f"http://127.0.0.1:8080/agree/{path}"))
            assert 400 <= answer.status < 500

    run(test)
