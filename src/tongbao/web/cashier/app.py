"""The cashier as an ASGI application: ``/cashier/WORD...``, ``/account...`` and the files under ``/page/``."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.routing import Route

from tongbao.service.platform import Platform
from tongbao.web.cashier.account import AccountDesk
from tongbao.web.cashier.claim import ClaimDesk
from tongbao.web.cashier.hint import Hint, check_hints
from tongbao.web.cashier.pay import PayDesk
from tongbao.web.cashier.result import ResultDesk
from tongbao.web.page.asset import serve_asset
from tongbao.web.page.shell import Shell
from tongbao.wire.asgi import Application

SEGMENTS = ("cashier", "account", "page")
"""First path segments that belong to this application."""


def cashier_app(platform: Platform, hints: Sequence[Hint] = ()) -> Application:
    """The cashier and the buyer's account. ``hints`` are demonstration buyers whose passwords may be shown; raises
    ConfigurationError when there are any in production. Expects the whole path: mount it by ``SEGMENTS``."""
    shell = Shell(platform)
    shown = check_hints(platform, hints)
    pay, result, account = PayDesk(shell, shown), ResultDesk(shell), AccountDesk(shell, shown)
    claim = ClaimDesk(shell)
    word = "/cashier/{word:str}"
    routes = [
        Route(word, shell.handle(pay.choose), methods=["GET"]),
        Route(f"{word}/login", shell.handle(pay.log_in), methods=["POST"]),
        Route(f"{word}/logout", shell.handle(pay.log_out), methods=["POST"]),
        Route(f"{word}/pay", shell.handle(pay.pay), methods=["POST"]),
        Route(f"{word}/bank", shell.handle(pay.go_to_bank), methods=["POST"]),
        Route(f"{word}/outlet", shell.handle(pay.ask_code), methods=["POST"]),
        Route(f"{word}/bank/{{attempt:int}}", shell.handle(result.leave), methods=["GET"]),
        Route(f"{word}/result", shell.handle(result.show), methods=["GET"]),
        Route(f"{word}/home", shell.handle(result.go_home), methods=["GET"]),
        Route("/account", shell.handle(account.show), methods=["GET"]),
        Route("/account/login", shell.handle(account.log_in), methods=["POST"]),
        Route("/account/logout", shell.handle(account.log_out), methods=["POST"]),
        Route("/account/trades/{trade_no:str}", shell.handle(account.trade), methods=["GET"]),
        Route("/account/trades/{trade_no:str}", shell.handle(account.confirm), methods=["POST"]),
        Route("/account/trades/{trade_no:str}/claim", shell.handle(claim.act), methods=["POST"]),
        Route("/page/{name:str}", serve_asset, methods=["GET"]),
        Route("/{rest:path}", shell.handle(shell.lost), methods=["GET", "POST"]),
    ]
    return Starlette(routes=routes)
