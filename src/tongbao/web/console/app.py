"""The console as an ASGI application under ``/console``, for sandbox and demonstration.

In production it needs operators who sign in, with roles and a second factor; that is not built yet, so it refuses to
start there rather than stand open.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.routing import Route

from tongbao.kernel.error import ConfigurationError
from tongbao.service.platform import Platform
from tongbao.web.console.desk import Desk
from tongbao.web.console.port import Mails, NoRecords, Records, Tamper, no_mails
from tongbao.web.page.asset import serve_asset
from tongbao.web.page.shell import Shell
from tongbao.wire.asgi import Application


def console_app(
    platform: Platform,
    *,
    recorder: Records | None = None,
    mails: Mails = no_mails,
    tamper: Tamper | None = None,
) -> Application:
    """The console. ``recorder`` holds the raw requests of the seven-steps page, ``mails`` gives the mailbox newest
    first, ``tamper`` sends a forged notification. Raises ConfigurationError in production. Also answers ``/``."""
    if platform.settings.environment == "production":
        raise ConfigurationError("console", "the console has no operator sign-in yet and may not run in production")
    shell = Shell(platform)
    desk = Desk(shell, recorder or NoRecords(), mails, tamper)
    trade = "/console/trades/{trade_no:str}"
    routes = [
        Route("/", shell.handle(desk.front), methods=["GET"]),
        Route("/console", shell.handle(desk.trades), methods=["GET"]),
        Route("/console/", shell.handle(desk.front), methods=["GET"]),
        Route(trade, shell.handle(desk.trade), methods=["GET"]),
        Route(f"{trade}/resend", shell.handle(desk.resend), methods=["POST"]),
        Route(f"{trade}/tamper", shell.handle(desk.tamper), methods=["POST"]),
        Route("/console/notifications", shell.handle(desk.notifications), methods=["GET"]),
        Route("/console/refusals", shell.handle(desk.refusals), methods=["GET"]),
        Route("/console/cases", shell.handle(desk.cases), methods=["GET"]),
        Route("/console/mails", shell.handle(desk.mails), methods=["GET"]),
        Route("/page/{name:str}", serve_asset, methods=["GET"]),
        Route("/{rest:path}", shell.handle(shell.lost), methods=["GET", "POST"]),
    ]
    return Starlette(routes=routes)
