"""How a page in WeChat learns who its visitor is: the addresses of WeChat's web authorisation, in a sandbox only.

``/connect/oauth2/authorize`` leads the buyer to the wallet's consent, ``/sns/oauth2/access_token`` exchanges the code
for his openid. Source: WeChat's pages on web authorisation (网页授权); of its error numbers 40029 stands there, the
others are unverified.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tongbao.kernel.error import Refused
from tongbao.sandbox.credential import protocol_credentials
from tongbao.sandbox.state import SandboxState, app_secret
from tongbao.service.create import Asker
from tongbao.service.platform import Platform
from tongbao.service.wallet import exchange_code
from tongbao.wire.movement import ExchangeCode

SEGMENTS: Final = ("connect", "sns")
"""First path segments that belong to this application."""

SCOPES: Final = ("snsapi_base", "snsapi_userinfo")
INVALID_APPID: Final = (40013, "invalid appid")
INVALID_SECRET: Final = (40125, "invalid appsecret")
INVALID_CODE: Final = (40029, "invalid code")
INVALID_REFRESH: Final = (40030, "invalid refresh_token")
INVALID_ARGUMENT: Final = (40035, "invalid argument")


@dataclass(frozen=True, slots=True)
class _Account:
    """Whose an appid is."""

    protocol: str
    merchant_id: str
    secret: str = field(repr=False)


def _accounts(platform: Platform, state: SandboxState) -> dict[str, _Account]:
    found: dict[str, _Account] = {}
    for name, party in state.parties.items():
        if any(entry.name == "appid" for entry in platform.protocol(name).credentials):
            appid = protocol_credentials(name, platform, party, "http://127.0.0.1")["appid"]
            found[appid] = _Account(name, party.merchant_id, app_secret(state, appid))
    return found


def _error(number: int, text: str) -> Response:
    """As WeChat says it: status 200 and a number."""
    return JSONResponse({"errcode": number, "errmsg": text}, headers={"Cache-Control": "no-store"})


class _Desk:
    def __init__(self, platform: Platform, accounts: Mapping[str, _Account]) -> None:
        self._platform = platform
        self._accounts = accounts

    async def authorize(self, request: Request) -> Response:
        """To the wallet's consent; both scopes ask the buyer there."""
        said = request.query_params
        account = self._accounts.get(said.get("appid", ""))
        if account is None:
            return _error(*INVALID_APPID)
        if said.get("response_type") != "code" or said.get("scope") not in SCOPES or not said.get("redirect_uri"):
            return _error(*INVALID_ARGUMENT)
        names = {"redirect_uri": said["redirect_uri"], "state": said.get("state", "")}
        query = urlencode({"merchant": account.merchant_id, **names})
        return RedirectResponse(f"/wallet/consent?{query}", 302, {"Cache-Control": "no-store"})

    async def token(self, request: Request) -> Response:
        """The code of a consent, once."""
        said = request.query_params
        account = self._accounts.get(said.get("appid", ""))
        if account is None:
            return _error(*INVALID_APPID)
        if not hmac.compare_digest(said.get("secret", "").encode(), account.secret.encode()):
            return _error(*INVALID_SECRET)
        if said.get("grant_type") != "authorization_code":
            return _error(*INVALID_ARGUMENT)
        asked = ExchangeCode(merchant=account.merchant_id, code=said.get("code", ""))
        return await self._exchange(account, asked, INVALID_CODE)

    async def refresh(self, request: Request) -> Response:
        """An older token's ``refresh_token``, within thirty days."""
        said = request.query_params
        account = self._accounts.get(said.get("appid", ""))
        if account is None:
            return _error(*INVALID_APPID)
        if said.get("grant_type") != "refresh_token" or not said.get("refresh_token"):
            return _error(*INVALID_REFRESH)
        asked = ExchangeCode(merchant=account.merchant_id, refresh=said["refresh_token"])
        return await self._exchange(account, asked, INVALID_REFRESH)

    async def _exchange(self, account: _Account, asked: ExchangeCode, wrong: tuple[int, str]) -> Response:
        try:
            found = await exchange_code(self._platform, Asker(account.merchant_id, account.protocol), asked)
        except Refused as refusal:
            if refusal.code not in ("CODE_INVALID", "AUTHORISATION_INVALID"):
                raise
            return _error(*wrong)
        body = {
            "access_token": found.token,
            "expires_in": found.seconds,
            "refresh_token": found.refresh,
            "openid": found.buyer.id,
            "scope": SCOPES[0],
        }
        return JSONResponse(body, headers={"Cache-Control": "no-store"})


def oauth_app(platform: Platform, state: SandboxState) -> Starlette:
    """The application under ``/connect`` and ``/sns``. Raises Refused in production, where it must not exist."""
    if platform.settings.environment == "production":
        raise Refused("STATE_CONFLICT", "a platform of one's own has no web authorisation of WeChat's")
    desk = _Desk(platform, _accounts(platform, state))
    return Starlette(
        routes=[
            Route("/connect/oauth2/authorize", desk.authorize, methods=["GET"]),
            Route("/sns/oauth2/access_token", desk.token, methods=["GET"]),
            Route("/sns/oauth2/refresh_token", desk.refresh, methods=["GET"]),
        ]
    )
