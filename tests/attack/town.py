"""A platform with both protocols' faces and three merchants, asked over ASGI; and what a merchant signs by hand."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tests.web.house import BASE, MERCHANT, NOTIFY, RETURN, SECRET, House, ask, house
from tongbao.kernel.time import Instant
from tongbao.service.party import ChangeMerchant, PutKey, RegisterMerchant
from tongbao.trade.party import Merchant, MerchantKey
from tongbao.web.app import Web, build_web
from tongbao.web.faces.page import PlainPages
from tongbao.wire.form import encode_form
from tongbao.wire.http import FORM, Request, Response, post

SECOND: Final = "2088000000000022"
SECOND_SECRET: Final = "s3c0nds3c0nds3c0nds3c0nds3c0nd02"
NUMBERED: Final = "10001234567"
NUMBERED_SECRET: Final = "n7mb3r3dn7mb3r3dn7mb3r3dn7mb3r3dn7mb3r3d"
UNKNOWN: Final = "2088000000000077"
ALIPAY_URL: Final = f"{BASE}/alipay_mapi/gateway.do"
NODE_URL: Final = f"{BASE}/yeepay/app-merchant-proxy/node"
COMMAND_URL: Final = f"{BASE}/yeepay/app-merchant-proxy/command"
BUY_ORDER: Final = (
    "p0_Cmd", "p1_MerId", "p2_Order", "p3_Amt", "p4_Cur", "p5_Pid",
    "p6_Pcat", "p7_Pdesc", "p8_Url", "p9_SAF", "pa_MP", "pb_ServerNotifyUrl",
    "pd_FrpId", "pm_Period", "pn_Unit", "pr_NeedResponse", "pt_UserName", "pt_PostalCode",
    "pt_Address", "pt_TeleNo", "pt_Mobile", "pt_Email", "pt_LeaveMessage",
)  # fmt: skip


def sign_md5(fields: Mapping[str, str], key: str) -> str:
    """Sorted ``name=value``, joined by ``&``, the key behind it."""
    text = "&".join(f"{name}={value}" for name, value in sorted(fields.items()) if value)
    return hashlib.md5((text + key).encode()).hexdigest()


def alipay(fields: Mapping[str, str], partner: str = MERCHANT, key: str = SECRET) -> Request:
    """A signed request of Alipay's classic interface."""
    whole = {"partner": partner, "_input_charset": "utf-8", **fields}
    signed = {**whole, "sign": sign_md5(whole, key), "sign_type": "MD5"}
    return post(ALIPAY_URL, encode_form(tuple(signed.items())), FORM)


def create(number: str, **changes: str) -> Request:
    """A signed creation of an instant trade of 10 yuan; a change to '' leaves a field out."""
    fields = {
        "service": "create_direct_pay_by_user", "out_trade_no": number, "subject": "tea pot", "payment_type": "1",
        "seller_id": MERCHANT, "total_fee": "10.00", "notify_url": NOTIFY, "return_url": RETURN, **changes,
    }  # fmt: skip
    return alipay(fields)


def create_escrow(number: str, **changes: str) -> Request:
    """A signed creation of an escrow trade of 2 x 88.00 + 12.00 - 5.00."""
    fields = {
        "service": "create_partner_trade_by_buyer", "out_trade_no": number, "subject": "tea", "payment_type": "1",
        "seller_id": MERCHANT, "price": "88.00", "quantity": "2", "discount": "-5.00", "logistics_type": "EXPRESS",
        "logistics_fee": "12.00", "logistics_payment": "BUYER_PAY", "notify_url": NOTIFY, **changes,
    }  # fmt: skip
    return alipay(fields)


def positional(fields: Mapping[str, str], order: Iterable[str], key: str = NUMBERED_SECRET) -> str:
    """YeePay's: the values in the table's order with nothing between."""
    text = "".join(fields.get(name, "") for name in order)
    return hmac.new(key.encode(), text.encode(), hashlib.md5).hexdigest()


def buy(number: str, **changes: str) -> Request:
    """A signed Buy of 10 yuan."""
    fields = {
        "p0_Cmd": "Buy", "p1_MerId": NUMBERED, "p2_Order": number, "p3_Amt": "10.00", "p4_Cur": "CNY",
        "p5_Pid": "tea", "p8_Url": RETURN, "p9_SAF": "0", "pr_NeedResponse": "1", **changes,
    }  # fmt: skip
    signed = {**fields, "hmac": positional(fields, BUY_ORDER)}
    return post(NODE_URL, encode_form(tuple(signed.items()), "gbk"), FORM)


def inquire(number: str) -> Request:
    """A signed query of the old version."""
    fields = {"p0_Cmd": "QueryOrdDetail", "p1_MerId": NUMBERED, "p2_Order": number}
    return post(COMMAND_URL, encode_form((*fields.items(), ("hmac", positional(fields, fields)))), FORM)


@dataclass
class Town:
    """The platform behind its faces."""

    home: House
    web: Web

    async def ask(self, request: Request) -> Response:
        return await ask(self.web.main, request)

    async def ask_all(self, requests: Iterable[Request]) -> list[Response]:
        """Many at once, so that they share the disk's syncs."""
        waiting = list(requests)
        answers: list[Response] = []
        for start in range(0, len(waiting), 64):
            answers += await asyncio.gather(*(self.ask(request) for request in waiting[start : start + 64]))
        return answers

    async def trades(self) -> list[tuple[Any, ...]]:
        """Every trade: merchant, number, protocol, product, sum, state."""
        rows = await self.home.platform.database.read("trade.recent", {"most": 100_000})
        found = []
        for merchant_id, out_trade_no in [tuple(row)[:2] for row in rows]:
            trade = await self.home.platform.find_trade(merchant_id, out_trade_no)
            found.append((merchant_id, out_trade_no, trade.product, trade.amount, trade.state, trade.terms))
        return sorted(found)

    async def refusals(self) -> list[tuple[Any, ...]]:
        return await self.home.platform.database.read("refusal.recent", {"most": 100_000})

    def check_logs(self) -> None:
        """Nothing failed, and no secret was logged."""
        assert [event for event, _ in self.home.logged if event.startswith("face.")] == []
        assert not any(secret in repr(self.home.logged) for secret in (SECRET, SECOND_SECRET, NUMBERED_SECRET))


async def settle(home: House, number: str, protocol: str, *keys: tuple[str, str, str], hosts: str = "[]") -> None:
    """An approved merchant of one protocol with his keys: algorithm, use and text of each."""
    merchant = Merchant(
        number, f"shop {number}", "applied", "test", f"{number}@shop.example", '["instant","escrow","dual"]',
        f'["{protocol}"]', hosts, NOTIFY, RETURN, 90, 60, 1, 0, False, "{}", "", "", Instant(0), 0,
    )  # fmt: skip
    await home.platform.submit(RegisterMerchant(merchant, "op1"))
    await home.platform.submit(ChangeMerchant(number, "approved", "op2", "ok"))
    for algorithm, use, text in keys:
        name, zero = f"{algorithm}-{use}", Instant(0)
        envelope = home.platform.vault.close(text.encode(), number, protocol, name)
        key = MerchantKey(number, protocol, name, 0, algorithm, use, envelope, "active", zero, zero)
        await home.platform.submit(PutKey(key, "op1"))
    home.platform.rings.forget()


@asynccontextmanager
async def town(folder: Path, environment: str = "test") -> AsyncIterator[Town]:
    """The first merchant is the house's own; the second may use addresses of one host only; the third speaks
    YeePay's protocol."""
    async with house(folder, environment) as home:
        await settle(home, SECOND, "alipay_mapi", ("MD5", "both", SECOND_SECRET), hosts='["shop.example"]')
        await settle(home, NUMBERED, "yeepay", ("HMAC-MD5", "both", NUMBERED_SECRET))
        yield Town(home, build_web(home.platform, PlainPages()))


def like_a_browser(request: Request) -> Request:
    """The same from somebody who looks at the answer."""
    return replace(request, headers=(*request.headers, (b"Accept", b"text/html")))
