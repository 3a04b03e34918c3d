"""The application under ``/agree``: one page a batch, shown by a link, decided by the merchant's operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.routing import Route

from tongbao.service.platform import Platform
from tongbao.web.agree.desk import AgreeDesk
from tongbao.web.cashier.hint import Hint, check_hints
from tongbao.web.page.shell import Shell
from tongbao.wire.asgi import Application

SEGMENT: Final = "agree"


def agree_app(platform: Platform, hints: Sequence[Hint] = ()) -> Application:
    """The page. ``hints`` are a sandbox's operators, shown beside the fields. Raises ConfigurationError for hints in
    production (T71)."""
    shell = Shell(platform)
    desk = AgreeDesk(shell, check_hints(platform, hints))
    routes = [
        Route("/agree/{kind:str}/{word:str}", shell.handle(desk.show), methods=["GET"]),
        Route("/agree/{kind:str}/{word:str}", shell.handle(desk.decide), methods=["POST"]),
        Route("/{rest:path}", shell.handle(shell.lost), methods=["GET", "POST"]),
    ]
    return Starlette(routes=routes)
