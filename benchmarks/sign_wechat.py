"""What API v3 of WeChat Pay costs: signatures, answers, notifications, beside raw cryptography and wechatpayv3.

All in one run, turn by turn, on one core: signing a request, verifying an answer, and reading a whole notification
(headers, signature, AES-256-GCM, fields).
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks import machine
from benchmarks.payment import Plan
from benchmarks.report import Series, table
from benchmarks.sign import seconds
from tests.contract.harness import Script
from tests.protocol.bench import NOW, Pair, make_pair
from tongbao.kernel.money import Money
from tongbao.protocols.wechatpay_v3 import PROTOCOL, codec
from tongbao.protocols.wechatpay_v3 import messages as m
from tongbao.wire.http import Request
from tongbao.wire.party import Party
from tongbao.wire.sign import private_pem, public_pem
from tongbao.wire.vocabulary import Notification, QueryTrade, TradeFound, TradeState, TradeView

TEXT: Final = f"POST\n/v3/pay/transactions/native\n1427860985\n{'5' * 32}\n{'x' * 400}\n"


def _view() -> TradeView:
    return TradeView(
        out_trade_no="T20260101000001",
        trade_no="4200000000202601010000000001",
        state=TradeState.PAID,
        amount=Money(1_234),
        buyer=Party("oUpF8uMEb4qRXf22hE3X68TekukE"),
        paid_at=NOW,
        passback="客户的说明",
        echo={"appid": "wxd930ea5d5a258f4f", "trade_type": "NATIVE"},
    )


def _library(pair: Pair, theirs: RSAPrivateKey, own: RSAPrivateKey) -> Script:
    options = {
        "mchid": pair.credentials.merchant,
        "private_key": private_pem(own),
        "cert_serial_no": pair.settings["serial_no"],
        "apiv3_key": pair.settings["apiv3_key"],
        "appid": pair.settings["appid"],
        "public_key": public_pem(theirs.public_key()),
        "public_key_id": pair.settings["platform_serial_no"],
    }
    nowhere = {"gateway": "http://127.0.0.1:9", "certificate": "", "serial": ""}
    return Script.python("wechatpayv3", "wechatpayv3_python.py", options=options, trust="public_key", **nowhere)


def _works(pair: Pair, theirs: RSAPrivateKey, own: RSAPrivateKey, note: Request) -> dict[str, Callable[[], object]]:
    scheme, digest, raw = padding.PKCS1v15(), hashes.SHA256(), TEXT.encode("ascii")
    key = next(key for key in pair.credentials.ring.sign if key.algorithm == m.ALGORITHM)
    signature, secret = own.sign(raw, scheme, digest), codec.content_key(pair.ring)
    public, sealed = own.public_key(), AESGCM(secret).encrypt(b"0" * 12, b"x" * 400, b"transaction")
    claim, _ = pair.read(PROTOCOL.client.encode(_question(), pair.credentials, NOW).request())
    answer = PROTOCOL.server.answer(claim, TradeFound(_view()), pair.ring, NOW)

    def raw_notification() -> None:
        public.verify(signature, raw, scheme, digest)
        AESGCM(secret).decrypt(b"0" * 12, sealed, b"transaction")

    return {
        "sign: raw": lambda: base64.b64encode(own.sign(raw, scheme, digest)),
        "sign: ours": lambda: codec.sign(raw, key),
        "answer: ours": lambda: PROTOCOL.client.decode(_question(), answer, pair.credentials, NOW),
        "notification: raw": raw_notification,
        "notification: ours": lambda: PROTOCOL.client.decode_notification(note, pair.credentials, NOW),
    }


def _question() -> QueryTrade:
    return QueryTrade(merchant="", out_trade_no="T20260101000001")


def on_wechat(plan: Plan, say: Callable[[str], None]) -> str:
    """Signatures, answers and notifications of API v3, turn by turn."""
    machine.pin(0, machine.OURS)
    pair = make_pair("wechatpay_v3", m.ALGORITHM)
    theirs = next(key.material for key in pair.ring.sign if key.algorithm == m.ALGORITHM)
    own = next(key.material for key in pair.credentials.ring.sign if key.algorithm == m.ALGORITHM)
    if not isinstance(theirs, RSAPrivateKey) or not isinstance(own, RSAPrivateKey):
        raise TypeError("the bench has no RSA keys")
    note = PROTOCOL.server.notify(
        Notification(id="EV-1", at=NOW, trade=_view()), "https://shop.example.com/notify", pair.ring, NOW
    )
    works = _works(pair, theirs, own, note)
    figures = {name: Series() for name in works}
    headers = {name.decode("ascii"): value.decode("ascii") for name, value in note.headers}
    asked: dict[str, dict[str, Any]] = {
        "sign": {"text": TEXT},
        "notification": {"headers": headers, "body": note.body.decode("utf-8")},
    }
    with _library(pair, theirs, own) as script:
        machine.pin(script.pid, machine.OURS)
        for _ in range(plan.rounds * 3):
            for name, work in works.items():
                figures[name].add(seconds(work, plan.times) / plan.times * 1e6)
            for what, said in asked.items():
                spent = script.ask("measure", what=what, times=plan.times, **said)
                figures.setdefault(f"{what}: wechatpayv3", Series()).add(spent / plan.times * 1e6)
    machine.pin(0, *machine.CORES)
    say("WeChat Pay: signatures are measured")
    rows = [[name, f"{one.median:.1f}", one.spread] for name, one in sorted(figures.items())]
    ratio = figures["notification: wechatpayv3"].median / figures["notification: ours"].median
    head = "WeChat Pay API v3, RSA of 2,048 bits, microseconds of the processor each"
    last = table("Ratio", ("", ""), [["our reading of a notification, times wechatpayv3's speed", f"{ratio:.1f}"]])
    return table(head, ("", "median", "spread"), rows) + "\n" + last
