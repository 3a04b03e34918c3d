"""The sandbox's WeChat Pay as contract tests need it: credentials, a buyer who pays, genuine notifications."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.contract.harness import Ear
from tongbao.cli.after import SETTLE_DAYS
from tongbao.kernel.time import DAY, business_date, parse_china
from tongbao.testing.sandbox import LocalSandbox

Message = tuple[str, dict[str, str], bytes]


class City:
    """A sandbox, a shop's ear, and what a test of one library asks of both."""

    def __init__(self, protocol: str, sandbox: LocalSandbox, ear: Ear) -> None:
        self.protocol = protocol
        self.sandbox = sandbox
        self.ear = ear
        self.credentials: dict[str, Any] = sandbox.credentials["protocols"][protocol]
        self.buyer = str(sandbox.credentials["buyers"][0]["login"])

    @property
    def gateway(self) -> str:
        return str(self.credentials["base_url"])

    @property
    def merchant(self) -> str:
        """The merchant's number, whatever the interface calls it."""
        return str(self.credentials.get("mchid") or self.credentials["mch_id"])

    def pay(self, number: str) -> Message:
        """The buyer pays; the notification that follows: path, headers, body."""
        seen = len(self.ear.heard)
        self.sandbox.pay(number)
        return self.ear.wait(seen + 1)

    def trust(self, by: str) -> None:
        """Have the platform sign by its ``certificate`` or its ``public_key`` alone."""
        self.sandbox.control("POST", "trust", {"protocol": self.protocol, "merchant": self.merchant, "trust": by})

    @property
    def sub_merchant(self) -> str:
        """The merchant in whose name this one may ask, as his service provider."""
        return str(self.sandbox.credentials["merchant"]["sub_ids"][self.protocol])

    def openid(self, merchant: str = "") -> str:
        """The buyer as this merchant knows him, or another."""
        asked = {"protocol": self.protocol, "merchant": merchant or self.merchant}
        return str(self.sandbox.control("POST", f"buyers/{self.buyer}/consent", asked)["buyer"])

    def code(self) -> str:
        """A payment code that the buyer's wallet shows."""
        answer = self.sandbox.control("POST", f"buyers/{self.buyer}/code", {"protocol": self.protocol})
        return str(answer["code"])

    def next_day(self) -> str:
        """Let the day go by, and what was paid be settled, whatever holidays are near; the day, as bills name it."""
        today = business_date(parse_china(str(self.sandbox.control("GET", "clock")["business_text"])))
        self.sandbox.advance(SETTLE_DAYS * DAY // 1_000)
        return today.isoformat()


def order(number: str, url: str, fen: int = 10_100, **more: Any) -> dict[str, Any]:
    """An order's body, without the merchant."""
    amount = {"total": fen, "currency": "CNY"}
    return {"description": "测试商品", "out_trade_no": number, "notify_url": url, "amount": amount, **more}


def combined(number: str, town: City, *orders: tuple[str, int, dict[str, str]]) -> dict[str, Any]:
    """A combined order's body, without who asks; each order is its number, its fen and whose it is."""
    parts = [
        {
            "mchid": town.merchant,
            "out_trade_no": at,
            "description": f"测试商品 {at}",
            "attach": f"店 {at}",
            "amount": {"total_amount": fen, "currency": "CNY"},
            **whose,
        }
        for at, fen, whose in orders
    ]
    scene = {"payer_client_ip": "192.0.2.7", "h5_info": {"type": "Wap"}}
    return {
        "combine_out_trade_no": number,
        "notify_url": town.ear.url,
        "sub_orders": parts,
        "combine_payer_info": {"openid": town.openid()},
        "scene_info": scene,
    }


def refund(number: str, refund_no: str, url: str, fen: int = 100, total: int = 10_100) -> dict[str, Any]:
    """A refund's body."""
    amount = {"refund": fen, "total": total, "currency": "CNY"}
    return {
        "out_trade_no": number,
        "out_refund_no": refund_no,
        "reason": "商品已售完",
        "notify_url": url,
        "amount": amount,
    }


def said_in(body: bytes) -> dict[str, Any]:
    """The envelope of a notification."""
    envelope: dict[str, Any] = json.loads(body)
    return envelope


@contextmanager
def city(protocol: str, ear: Ear) -> Iterator[City]:
    """A fresh one."""
    with LocalSandbox() as sandbox, ear:
        yield City(protocol, sandbox, ear)
