"""The control plane under ``/_sandbox/``: JSON in, JSON out, errors as problem details. Never present in production."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tongbao.kernel.error import OutcomeUnknown, ProtocolError, Refused
from tongbao.kernel.time import business_day
from tongbao.sandbox.deed import CHECKER, MAKER, Deed, do_deed, tell_after
from tongbao.sandbox.fault import FAULTS, Fault, FaultBook
from tongbao.sandbox.hand import Hand
from tongbao.sandbox.mailbox import Mailbox
from tongbao.sandbox.story import event_word, tell_events, tell_story, tell_trade
from tongbao.sandbox.trust import change_trust
from tongbao.service.agree import ChangeAgreement
from tongbao.service.audit import audit
from tongbao.service.create import check_address
from tongbao.service.handed import open_order
from tongbao.service.outbox import resend
from tongbao.service.platform import Platform
from tongbao.service.scan import claim_product, open_product
from tongbao.service.story import when
from tongbao.service.wallet import consent, issue_code, told_buyer
from tongbao.store.schema import EVENT, TRADE
from tongbao.trade.record import Event, Trade
from tongbao.wire.loader import protocol_names

LISTED: Final = 200

TABLE: Final[dict[str, str]] = {
    "GET trades": "the latest trades",
    "GET trades/{out_trade_no}": "one trade; ?protocol= and ?merchant= where the number is ambiguous (else 409)",
    "POST trades/{out_trade_no}/pay": 'what the buyer would do: {"method": "balance|debit|credit|outlet", '
    '"buyer": login, "card": number, "cash": "later", "code": cash code, "flow": "instant|escrow"}; '
    '"code" with "outlet" pays an open cash code at the counter; '
    'a dual trade is paid "instant" unless "flow" says otherwise; '
    "answers with payment_state, or 409 PAYMENT_STATE where the money came too late",
    "POST buyers/{login}/code": 'a payment code of the buyer\'s wallet: {"protocol": name}; answers {"code"}',
    "POST buyers/{login}/consent": 'the buyer lets a merchant know him: {"protocol": name, "merchant": number}; '
    'answers {"code", "buyer"}, to be exchanged by the merchant',
    "POST buyers/{login}/scan": "the buyer's wallet scans a code, of an order or of a product, or is handed an "
    'order string: {"text": text}; '
    "answers with the trade that it leads to",
    "POST products": "where a merchant is asked, until a reset, when a code of a product is scanned: "
    '{"protocol": name, "merchant": number, "url": address}',
    "POST trust": "by what the platform signs for a merchant, until a reset: "
    '{"protocol": name, "merchant": number, "trust": "certificate|both|public_key"}',
    "POST trades/{out_trade_no}/confirm": "the buyer confirms receipt of an escrow trade",
    "POST trades/{out_trade_no}/act": 'what buyer, seller and operators do after the payment: {"act": '
    '"refund|ship|ask_refund|withdraw|return_goods|dispute|extend|agree|refuse|propose|decide", "amount": fen, '
    '"goods": true, "reason": text, "actor": operator}; answers with trade, claim and refunds',
    "POST trades/{out_trade_no}/charge_back": "the buyer denies his card's payment, and his bank takes it back, which "
    'its statement of the day says: {"amount": fen}, or all that is left; answers {"bank", "ref", "payment", '
    '"amount"}; the platform enters it when that day is over',
    "GET notifications": "the latest notifications with their attempts",
    "POST notifications/{id}/resend": "send one again now; answers with the attempt",
    "GET clock": "both readings",
    "POST clock": '{"advance": seconds}: returns when all due duties and deliveries have run',
    "GET faults": "the faults in force, and the table of all there are",
    "POST faults": '{"faults": [{"what", "percent", "target", "times"}], "seed": number}: replaces all',
    "GET differences": "banks' statements that were compared, newest first",
    "POST differences": '{"bank": "ICBC", "each": 1}: today\'s statement of that bank will be wrong so many times in '
    "every way; answers with the numbers that a reconciliation must find, by class (what is missing of the last three "
    "hours before midnight a day later: it might still come)",
    "GET mails": "the mailbox",
    "GET story/{out_trade_no}": "everything about one order",
    "GET audit": "every invariant, checked now; I45 with the banks' own book",
    "POST reset": "a new, empty book; merchants and keys stay",
}
"""The control plane at a glance (the reference page is made from it)."""


@dataclass(frozen=True, slots=True)
class Controls:
    """What the control plane turns. ``settle`` runs every due duty; ``advance`` moves business time by so many seconds,
    running what falls due on the way; ``reset`` empties the books."""

    platform: Platform
    hand: Hand
    mailbox: Mailbox
    faults: FaultBook
    settle: Callable[[], Awaitable[None]]
    advance: Callable[[int], Awaitable[None]]
    reset: Callable[[], Awaitable[None]]
    plant: Callable[[str, int, int], Awaitable[dict[str, list[str]]]]
    """(bank, business date, how many of each class) -> numbers by class: makes a bank's statement wrong."""
    bank_differences: Callable[[], Awaitable[Sequence[tuple[str, int, int]]]]
    """(bank, what its book says, what ours say) for each bank whose own book disagrees (I45)."""


def _problem(status: int, code: str, detail: str) -> JSONResponse:
    body = {"type": f"urn:tongbao:{code.lower()}", "title": code, "status": status, "detail": detail}
    return JSONResponse(body, status, media_type="application/problem+json")


_STATUS: Final = {
    "TRADE_NOT_FOUND": 404,
    "NOT_FOUND": 404,
    "AMBIGUOUS": 409,
    "PAYMENT_STATE": 409,
    "FIELD_INVALID": 400,
    "MALFORMED": 400,
}

Act = Callable[["Controls", Request], Awaitable[Any]]


def _route(controls: Controls, path: str, method: str, act: Act) -> Route:
    async def endpoint(request: Request) -> JSONResponse:
        try:
            return JSONResponse(await act(controls, request))
        except Refused as refusal:
            return _problem(_STATUS.get(refusal.code, 422), refusal.code, refusal.detail)
        except ProtocolError as error:
            return _problem(400, error.code, str(error))
        except OutcomeUnknown as unknown:
            return _problem(503, "UNKNOWN", str(unknown))

    return Route(f"/_sandbox/{path}", endpoint, methods=[method])


async def _body(request: Request, allowed: tuple[str, ...]) -> dict[str, Any]:
    raw = await request.body()
    try:
        said = json.loads(raw or b"{}")
    except (ValueError, RecursionError):
        raise Refused("MALFORMED", "the body is not JSON") from None
    if not isinstance(said, dict):
        raise Refused("MALFORMED", "the body is not an object")
    for name in said:
        if name not in allowed:
            raise Refused("FIELD_INVALID", f"{name}: unknown; known: {', '.join(allowed)}")
    return said


def _text(said: dict[str, Any], name: str) -> str:
    value = said.get(name, "")
    if not isinstance(value, str):
        raise Refused("FIELD_INVALID", f"{name}: is not text")
    return value


def _number(said: dict[str, Any], name: str, default: int) -> int:
    value = said.get(name, default)
    if type(value) is not int:
        raise Refused("FIELD_INVALID", f"{name}: is not a whole number")
    return value


async def find(platform: Platform, request: Request) -> Trade:
    """The trade a path names. Raises Refused TRADE_NOT_FOUND, AMBIGUOUS."""
    number = unquote(request.path_params["number"])
    rows = await platform.database.read("trade.by_out_trade_no", {"out_trade_no": number})
    trades: list[Trade] = await platform.database.load(TRADE, [tuple(row) for row in rows]) if rows else []
    for name, value in (("protocol", "protocol"), ("merchant", "merchant_id")):
        wanted = request.query_params.get(name)
        trades = [trade for trade in trades if wanted in (None, getattr(trade, value))]
    if not trades:
        raise Refused("TRADE_NOT_FOUND", f"no trade {number!r}")
    if len(trades) > 1:
        names = ", ".join(f"{trade.protocol}/{trade.merchant_id}" for trade in trades)
        raise Refused("AMBIGUOUS", f"several trades have this number: {names}")
    return trades[0]


async def _trades(controls: Controls, request: Request) -> Any:
    rows = await controls.platform.database.read("trade.recent", {"most": LISTED})
    trades = await controls.platform.database.load(TRADE, [tuple(row) for row in rows]) if rows else []
    trades.sort(key=lambda trade: (trade.created_at, trade.trade_no), reverse=True)
    return [await tell_trade(controls.platform, trade) for trade in trades]


async def _trade(controls: Controls, request: Request) -> Any:
    return await tell_trade(controls.platform, await find(controls.platform, request))


async def _pay(controls: Controls, request: Request) -> Any:
    said = await _body(request, ("method", "buyer", "card", "cash", "code", "flow"))
    trade = await find(controls.platform, request)
    paid = await controls.hand.pay(
        trade,
        _text(said, "method") or "balance",
        _text(said, "buyer"),
        card=_text(said, "card"),
        cash=_text(said, "cash"),
        flow=_text(said, "flow"),
        code=_text(said, "code"),
    )
    # a bank's notice may still be on its way
    await controls.settle()
    after = await controls.platform.find_trade(trade.merchant_id, trade.out_trade_no)
    state = await controls.hand.payment_state(after, paid["payment"])
    if state in ("late", "returned"):
        raise Refused("PAYMENT_STATE", f"payment {paid['payment']}: {state}; the trade is {after.state}")
    told = {name: value for name, value in paid.items() if value}
    return {"trade_no": after.trade_no, "state": after.state, "payment_state": state, **told}


def _protocol(said: dict[str, Any]) -> str:
    name = _text(said, "protocol")
    if name not in protocol_names():
        raise Refused("FIELD_INVALID", f"protocol: one of {', '.join(protocol_names())}")
    return name


async def _code(controls: Controls, request: Request) -> Any:
    said = await _body(request, ("protocol",))
    buyer = controls.hand.buyer(unquote(request.path_params["login"]))
    prefix = controls.platform.protocol(_protocol(said)).code_prefix
    if not prefix:
        raise Refused("FIELD_INVALID", "protocol: its wallet has no payment codes")
    return {"code": await issue_code(controls.platform, buyer.buyer_id, prefix)}


async def _consent(controls: Controls, request: Request) -> Any:
    said = await _body(request, ("protocol", "merchant"))
    buyer = controls.hand.buyer(unquote(request.path_params["login"]))
    name, merchant_id = _protocol(said), _text(said, "merchant")
    code = await consent(controls.platform, buyer.buyer_id, merchant_id)
    return {"code": code, "buyer": told_buyer(controls.platform, name, merchant_id, buyer.buyer_id)}


async def _scan(controls: Controls, request: Request) -> Any:
    said = await _body(request, ("text",))
    buyer, text = controls.hand.buyer(unquote(request.path_params["login"])), _text(said, "text")
    product = claim_product(text)
    if product is not None:
        trade = await open_product(controls.platform, *product, buyer.buyer_id)
    else:
        trade = await open_order(controls.platform, text)
    return {"protocol": trade.protocol, "merchant": trade.merchant_id, "out_trade_no": trade.out_trade_no}


async def _products(controls: Controls, request: Request) -> Any:
    said = await _body(request, ("protocol", "merchant", "url"))
    name, url = _protocol(said), _text(said, "url")
    if controls.platform.protocol(name).product_codes is None:
        raise Refused("FIELD_INVALID", "protocol: it has no codes of products")
    merchant = await controls.platform.merchant(_text(said, "merchant"))
    check_address("url", url, merchant)
    agreed = json.loads(merchant.settings)
    agreed["product_urls"] = {**agreed.get("product_urls", {}), name: url}
    change = ChangeAgreement(merchant.merchant_id, json.dumps(agreed), MAKER, CHECKER, "sandbox")
    return {"merchant": merchant.merchant_id, "version": await controls.platform.submit(change)}


async def _trust(controls: Controls, request: Request) -> Any:
    said = await _body(request, ("protocol", "merchant", "trust"))
    await change_trust(controls.platform, _protocol(said), _text(said, "merchant"), _text(said, "trust"))
    return {"trust": _text(said, "trust")}


async def _confirm(controls: Controls, request: Request) -> Any:
    trade = await find(controls.platform, request)
    await controls.hand.confirm(trade)
    after = await controls.platform.find_trade(trade.merchant_id, trade.out_trade_no)
    return {"trade_no": after.trade_no, "state": after.state}


async def _act(controls: Controls, request: Request) -> Any:
    said = await _body(request, ("act", "amount", "goods", "reason", "actor"))
    trade = await find(controls.platform, request)
    amount = _number(said, "amount", 0) if "amount" in said else None
    deed = Deed(trade, amount, said.get("goods") is True, _text(said, "reason"), _text(said, "actor"))
    await do_deed(controls.platform, _text(said, "act"), deed)
    # a bank may have to be asked
    await controls.settle()
    return await tell_after(controls.platform, await controls.platform.find_trade(*deed.of))


async def _charge_back(controls: Controls, request: Request) -> Any:
    said = await _body(request, ("amount",))
    trade = await find(controls.platform, request)
    return await controls.hand.charge_back(trade, _number(said, "amount", 0) if "amount" in said else None)


async def _notifications(controls: Controls, request: Request) -> Any:
    rows = await controls.platform.database.read("event.recent", {"most": LISTED})
    told = []
    seen: set[tuple[str, str]] = set()
    for merchant_id, out_trade_no, _ in rows:
        if (merchant_id, out_trade_no) in seen:
            continue
        seen.add((merchant_id, out_trade_no))
        trade = await controls.platform.find_trade(merchant_id, out_trade_no)
        told += [
            {"out_trade_no": out_trade_no, "trade_no": trade.trade_no, "protocol": trade.protocol, **event}
            for event in await tell_events(controls.platform, trade)
            if event["target"]
        ]
    return told


async def _resend(controls: Controls, request: Request) -> Any:
    merchant_id, _, rest = unquote(request.path_params["number"]).partition(":")
    out_trade_no, _, seq = rest.rpartition(":")
    if not (seq.isascii() and seq.isdigit() and len(seq) < 5):
        raise Refused("NOT_FOUND", "no such notification")
    await resend(controls.platform, merchant_id, out_trade_no, int(seq))
    await controls.settle()
    events: list[Event] = await controls.platform.database.load(EVENT, [(merchant_id, out_trade_no, int(seq))])
    trade = await controls.platform.find_trade(merchant_id, out_trade_no)
    told = await tell_events(controls.platform, trade)
    mine = next(event for event in told if event["id"] == event_word(events[0]))
    return {**mine, "attempt": mine["attempts"][-1] if mine["attempts"] else None}


async def _clock(controls: Controls, request: Request) -> Any:
    clock = controls.platform.world.clock
    business, wire = clock.business(), clock.wire()
    return {"business": business, "wire": wire, "business_text": when(business), "wire_text": when(wire)}


async def _advance(controls: Controls, request: Request) -> Any:
    said = await _body(request, ("advance",))
    seconds = _number(said, "advance", -1)
    if not 0 <= seconds <= 400 * 86_400:
        raise Refused("FIELD_INVALID", "advance: between 0 and 34560000 seconds")
    await controls.advance(seconds)
    return await _clock(controls, request)


async def _faults(controls: Controls, request: Request) -> Any:
    faults = [{name: getattr(fault, name) for name in fault.__slots__} for fault in controls.faults.faults]
    return {"faults": faults, "table": FAULTS}


async def _order_faults(controls: Controls, request: Request) -> Any:
    said = await _body(request, ("faults", "seed"))
    wanted = said.get("faults", [])
    if not isinstance(wanted, list) or not all(isinstance(one, dict) for one in wanted):
        raise Refused("FIELD_INVALID", "faults: is not a list of objects")
    faults = []
    for one in wanted:
        unknown = set(one) - {"what", "percent", "target", "times"}
        if unknown:
            raise Refused("FIELD_INVALID", f"{min(unknown)}: unknown")
        faults.append(
            Fault(_text(one, "what"), _number(one, "percent", 100), _text(one, "target"), _number(one, "times", -1))
        )
    seed = str(_number(said, "seed", 0))
    controls.faults.order(faults, controls.platform.world.random(f"faults:{seed}") if "seed" in said else None)
    return await _faults(controls, request)


async def _differences(controls: Controls, request: Request) -> Any:
    rows = await controls.platform.database.read("statement.all", {"most": 100})
    names = ("bank", "day", "digest", "lines", "income", "outcome", "matched", "waiting", "differences")
    return [dict(zip(names, row, strict=False)) for row in rows]


async def _plant(controls: Controls, request: Request) -> Any:
    said = await _body(request, ("bank", "each"))
    today = business_day(controls.platform.world.clock.business())
    return await controls.plant(_text(said, "bank"), today, _number(said, "each", 1))


async def _mails(controls: Controls, request: Request) -> Any:
    return [
        {
            "at": when(kept.at),
            "from": kept.mail.sender,
            "to": kept.mail.to,
            "subject": kept.mail.subject,
            "text": kept.mail.text,
            "key": kept.mail.key,
        }
        for kept in controls.mailbox.mails()
    ]


async def _story(controls: Controls, request: Request) -> Any:
    return await tell_story(controls.platform, await find(controls.platform, request))


async def tell_audit(controls: Controls) -> Any:
    """``"clean"``, or a list of {id, rows}. Here I45 means the banks' own book too, which is at hand."""
    found = [(one.id, one.rows) for one in await audit(controls.platform)]
    theirs = tuple(await controls.bank_differences())
    if theirs:
        found.append(("I45", theirs))
    return "clean" if not found else [{"id": id_, "rows": rows} for id_, rows in found]


async def _audit(controls: Controls, request: Request) -> Any:
    return {"audit": await tell_audit(controls)}


async def _reset(controls: Controls, request: Request) -> Any:
    await controls.reset()
    return {"reset": True}


def control_app(controls: Controls) -> Starlette:
    """The control plane. Raises Refused in production, where it must not exist."""
    if controls.platform.settings.environment == "production":
        raise Refused("STATE_CONFLICT", "there is no control plane in production")
    table: tuple[tuple[str, str, Act], ...] = (
        ("trades", "GET", _trades),
        ("trades/{number:path}/pay", "POST", _pay),
        ("trades/{number:path}/confirm", "POST", _confirm),
        ("trades/{number:path}/act", "POST", _act),
        ("trades/{number:path}/charge_back", "POST", _charge_back),
        ("trades/{number:path}", "GET", _trade),
        ("buyers/{login}/code", "POST", _code),
        ("buyers/{login}/consent", "POST", _consent),
        ("buyers/{login}/scan", "POST", _scan),
        ("products", "POST", _products),
        ("trust", "POST", _trust),
        ("notifications", "GET", _notifications),
        ("notifications/{number:path}/resend", "POST", _resend),
        ("clock", "GET", _clock),
        ("clock", "POST", _advance),
        ("faults", "GET", _faults),
        ("faults", "POST", _order_faults),
        ("differences", "GET", _differences),
        ("differences", "POST", _plant),
        ("mails", "GET", _mails),
        ("story/{number:path}", "GET", _story),
        ("audit", "GET", _audit),
        ("reset", "POST", _reset),
    )
    return Starlette(routes=[_route(controls, path, method, act) for path, method, act in table])
