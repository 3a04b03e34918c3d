"""The wallet as an ASGI application under ``/wallet`` and ``/qr``."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.routing import Route

from tongbao.service.platform import Platform
from tongbao.web.cashier.hint import Hint, check_hints
from tongbao.web.page.shell import Shell
from tongbao.web.wallet.consent import ConsentDesk
from tongbao.web.wallet.desk import WalletDesk
from tongbao.wire.asgi import Application

SEGMENTS = ("wallet", "qr")
"""First path segments that belong to this application; ``/qr/CODE`` is what a QR code of ours says."""


def wallet_app(platform: Platform, hints: Sequence[Hint] = ()) -> Application:
    """The wallet. ``hints`` are demonstration buyers whose passwords may be shown; raises ConfigurationError when there
    are any in production."""
    shell = Shell(platform)
    shown = check_hints(platform, hints)
    desk, known = WalletDesk(shell, shown), ConsentDesk(shell, shown)
    routes = [
        Route("/wallet", shell.handle(desk.show), methods=["GET"]),
        Route("/wallet/login", shell.handle(desk.log_in), methods=["POST"]),
        Route("/wallet/logout", shell.handle(desk.log_out), methods=["POST"]),
        Route("/wallet/code/{brand:str}", shell.handle(desk.show_code), methods=["GET"]),
        Route("/wallet/open", shell.handle(desk.open), methods=["POST"]),
        Route("/qr/{code:str}", shell.handle(desk.scan), methods=["GET"]),
        Route("/wallet/trades/{code:str}", shell.handle(desk.trade), methods=["GET"]),
        Route("/wallet/trades/{code:str}", shell.handle(desk.pay), methods=["POST"]),
        Route("/wallet/consent", shell.handle(known.ask), methods=["GET"]),
        Route("/wallet/consent", shell.handle(known.agree), methods=["POST"]),
        Route("/{rest:path}", shell.handle(shell.lost), methods=["GET", "POST"]),
    ]
    return Starlette(routes=routes)
