"""The requests as pairs of inverse functions: fields to intent, and intent to fields. Both ends use both."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address
from typing import Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import MINOR_MAX, Money
from tongbao.protocols.alipay_mapi import counter
from tongbao.protocols.alipay_mapi import messages as m
from tongbao.protocols.alipay_mapi.account import EXPORT_MAX, read_movements, write_movements
from tongbao.protocols.alipay_mapi.batch import (
    read_payouts,
    read_refund_query,
    read_refunds,
    write_payouts,
    write_refund_query,
    write_refunds,
)
from tongbao.protocols.alipay_mapi.field import (
    Fields,
    read_money,
    read_party,
    read_positive,
    read_quantity,
    write_party,
)
from tongbao.protocols.alipay_mapi.royalty import read_royalty, write_royalty
from tongbao.wire.bank import BANKS
from tongbao.wire.field import check_lengths, invalid, read_address, required
from tongbao.wire.movement import PayOutBatch, QueryMovements, QueryRefund, RefundBatch
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import (
    CloseTrade,
    ConfirmNotification,
    Consignee,
    CreateTrade,
    Expiry,
    Freight,
    Intent,
    Method,
    Presentation,
    Product,
    QueryTrade,
    RequestTimestamp,
    Shipping,
    ShipTrade,
)

TOTAL_MAX: Final = Money(10_000_000_000)
PRICE_MAX: Final = Money(100_000_000)
EXPIRY_MIN: Final = 60
EXPIRY_MAX: Final = 15 * 86_400

_EXPIRY: Final = re.compile(r"([1-9][0-9]{0,5})([mhd])", re.ASCII)
_UNIT: Final = {"m": 60, "h": 3_600, "d": 86_400}
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})", re.ASCII)
_AT_COUNTER: Final = (Presentation.QR, Presentation.BARCODE)
_GROUPS: Final = ("", "_1", "_2")
_CONSIGNEE: Final = {
    "receive_name": "name",
    "receive_address": "address",
    "receive_zip": "postcode",
    "receive_phone": "phone",
    "receive_mobile": "mobile",
}


def read_expiry(text: str) -> Expiry | None:
    """``it_b_pay``: ``1m`` to ``15d`` in whole minutes, hours or days, or ``1c`` for the coming midnight."""
    if not text:
        return None
    if text == "1c":
        return Expiry(0)
    match = _EXPIRY.fullmatch(text)
    seconds = int(match[1]) * _UNIT[match[2]] if match else 0
    if not EXPIRY_MIN <= seconds <= EXPIRY_MAX:
        raise invalid("it_b_pay", "is not from 1m to 15d, nor 1c", "EXPIRY_INVALID")
    return Expiry(seconds)


def write_expiry(expiry: Expiry | None) -> str:
    if expiry is None:
        return ""
    if expiry.at_midnight:
        return "1c"
    unit = next((unit for unit in ("d", "h", "m") if expiry.seconds % _UNIT[unit] == 0), "")
    if not unit:
        raise LocalProtocolError("expiry", "it_b_pay counts whole minutes", "EXPIRY_INVALID")
    return f"{expiry.seconds // _UNIT[unit]}{unit}"


# --- creating a trade --------------------------------------------------------------------------------------------


def _read_shipping(fields: Fields) -> tuple[Shipping, ...]:
    options: list[Shipping] = []
    for group in _GROUPS:
        names = [f"logistics_{part}{group}" for part in ("type", "fee", "payment")]
        given = [name for name in names if fields.get(name)]
        if not given and group:
            continue
        if len(given) < len(names):
            missing = next(name for name in names if name not in given)
            raise invalid(missing, "is missing", "LOGISTICS_INVALID" if group else "FIELD_MISSING")
        kind = m.KIND_OF.get(fields[names[0]])
        payer = m.FREIGHT_OF.get(fields[names[2]])
        if kind is None or payer is None:
            raise invalid(names[0] if kind is None else names[2], "is no word of the list", "LOGISTICS_INVALID")
        if any(option.kind == kind for option in options):
            raise invalid(names[0], "is offered twice", "LOGISTICS_INVALID")
        fee = read_money(fields, names[1])
        if fee is not None:
            options.append(Shipping(kind, fee, payer))
    return tuple(options)


def _read_bank(fields: Fields) -> tuple[Method | None, str]:
    word = fields.get("paymethod", "")
    code = fields.get("defaultbank", "")
    if word == "bankPay":
        entry = m.BANK_OF.get(required(fields, "defaultbank"))
        if entry is None or entry[0] not in BANKS:
            raise invalid("defaultbank", "is no bank of the directory", "BANK_UNKNOWN")
        return entry[1], entry[0]
    if not word:
        return None, ""
    method = m.METHOD_OF.get(word)
    if method is None:
        raise invalid("paymethod", "is no way of paying")
    if code and method is Method.BALANCE:
        raise invalid("defaultbank", "does not go with directPay")
    return method, ""


def _read_allowed(fields: Fields) -> tuple[Method, ...]:
    allow, deny = fields.get("enable_paymethod", ""), fields.get("disable_paymethod", "")
    if not allow and not deny:
        return ()
    if allow and deny:
        raise invalid("disable_paymethod", "excludes enable_paymethod")
    name = "enable_paymethod" if allow else "disable_paymethod"
    chosen: set[Method] = set()
    for word in (allow or deny).split("^"):
        if word not in m.ALLOWED_OF:
            raise invalid(name, "holds a word of no way of paying")
        chosen.update(m.ALLOWED_OF[word])
    if deny:
        chosen = set(Method) - chosen
    if not chosen:
        raise invalid(name, "leaves no way of paying")
    return () if len(chosen) == len(Method) else tuple(method for method in Method if method in chosen)


def _read_instant(fields: Fields, about: dict[str, object]) -> Money:
    total = read_positive(fields, "total_fee", TOTAL_MAX)
    price, quantity = read_positive(fields, "price", TOTAL_MAX), read_quantity(fields)
    if total is not None:
        if price is not None or quantity is not None:
            raise invalid("total_fee", "excludes price and quantity", "AMOUNT_CONFLICT")
        return total
    if price is None or quantity is None:
        raise RemoteProtocolError(
            "quantity" if price is not None else "total_fee", "is missing, so there is no sum", "FIELD_MISSING"
        )
    about.update(price=price, quantity=quantity)
    return price * quantity


def _read_shipped(fields: Fields, about: dict[str, object]) -> Money:
    """The sum of an escrow or dual trade: price x quantity, freight if the buyer bears it, plus the discount."""
    if fields.get("total_fee"):
        raise invalid("total_fee", "excludes price and quantity", "AMOUNT_CONFLICT")
    required(fields, "price")
    required(fields, "quantity")
    price, quantity = read_positive(fields, "price", PRICE_MAX), read_quantity(fields)
    shipping = _read_shipping(fields)
    discount = read_money(fields, "discount", signed=True)
    consignee = Consignee(**{ours: fields.get(name, "") for name, ours in _CONSIGNEE.items()})
    about.update(price=price, quantity=quantity, shipping=shipping, discount=discount)
    about["consignee"] = consignee if consignee != Consignee() else None
    if price is None or quantity is None:
        raise RemoteProtocolError("price", "is missing", "FIELD_MISSING")
    freight = shipping[0].fee if shipping[0].payer is Freight.BUYER else Money(0)
    return price * quantity + freight + (discount or Money(0))


def _read_sum(fields: Fields, about: dict[str, object], presentation: Presentation) -> Money:
    """The sum of a trade that is not met on a desk's page, which is one field."""
    about["presentation"] = presentation
    if presentation is Presentation.QR:
        return counter.read_sum(fields, TOTAL_MAX, counter.QR)
    if presentation is Presentation.BARCODE:
        about["code"] = counter.read_code(fields)
        return counter.read_sum(fields, TOTAL_MAX, counter.BARCODE)
    if presentation is Presentation.APP:
        required(fields, "body")
        required(fields, "notify_url")
    total = read_positive(fields, "total_fee", TOTAL_MAX)
    if total is None:
        raise RemoteProtocolError("total_fee", "is missing", "FIELD_MISSING")
    if presentation is Presentation.H5:
        about["methods"] = _read_allowed(fields)
    return total


def _read_seller(fields: Fields, presentation: Presentation) -> Party:
    """The payee: in an order string one word, at a counter the partner where nobody is named."""
    if presentation is Presentation.APP:
        return read_party(required(fields, "seller_id"))
    seller = Party(fields.get("seller_id", ""), fields.get("seller_account_name") or fields.get("seller_email", ""))
    if not seller and presentation in _AT_COUNTER:
        return Party(fields["partner"])
    if not seller:
        raise RemoteProtocolError(
            "seller_id", "is missing, and so are seller_email and seller_account_name", "FIELD_MISSING"
        )
    return seller


def _read_create(fields: Fields, product: Product, presentation: Presentation) -> CreateTrade:
    for name in ("out_trade_no", "subject"):
        required(fields, name)
    kind = "1" if presentation in _AT_COUNTER else required(fields, "payment_type")
    if kind not in m.PAYMENT_TYPES or (product is not Product.INSTANT and kind != "1"):
        raise invalid("payment_type", "is no kind of payment")
    seller = _read_seller(fields, presentation)
    buyer = Party(fields.get("buyer_id", ""), fields.get("buyer_account_name") or fields.get("buyer_email", ""))
    passback = fields.get("extra_common_param", "")
    if "&" in passback or "=" in passback:
        raise invalid("extra_common_param", "may not hold & or =")
    about: dict[str, object] = {}
    echo = {
        name: fields[name] for name in ("_input_charset", "sign_type", "service", "payment_type") if fields.get(name)
    }
    if presentation is not Presentation.PAGE:
        amount = _read_sum(fields, about, presentation)
    elif product is Product.INSTANT:
        amount = _read_instant(fields, about)
        about["splits"] = read_royalty(fields, amount)
        method, bank = _read_bank(fields)
        about.update(method=method, bank=bank, methods=_read_allowed(fields))
        about["client_ip"] = _read_ip(fields.get("exter_invoke_ip", ""))
        if bank:
            echo["paymethod"] = "bankPay"
    else:
        amount = _read_shipped(fields, about)
    if amount.minor <= 0:
        raise invalid("price", "leaves nothing to pay", "AMOUNT_NOT_POSITIVE")
    if amount.minor > MINOR_MAX or amount > TOTAL_MAX:
        raise invalid("quantity", f"makes a sum above {TOTAL_MAX.text()}", "AMOUNT_INVALID")
    return CreateTrade(
        merchant=fields["partner"],
        out_trade_no=fields["out_trade_no"],
        product=product,
        subject=fields["subject"],
        amount=amount,
        body=fields.get("body", ""),
        seller=seller,
        buyer=buyer,
        notify_url=read_address(fields, "notify_url"),
        return_url="" if presentation is Presentation.APP else read_address(fields, "return_url"),
        error_url=read_address(fields, "error_notify_url"),
        show_url=read_address(fields, "show_url"),
        expiry=read_expiry(fields.get("it_b_pay", "")),
        passback=passback,
        anti_phishing_key=fields.get("anti_phishing_key", "") if _asks_key(product, presentation) else "",
        echo=echo,
        **about,  # type: ignore[arg-type]
    )


def _asks_key(product: Product, presentation: Presentation) -> bool:
    return product is not Product.ESCROW and presentation is Presentation.PAGE


def _read_ip(text: str) -> str:
    if text:
        try:
            IPv4Address(text)
        except AddressValueError as error:
            raise invalid("exter_invoke_ip", "is no IPv4 address", "CLIENT_IP_INVALID") from error
    return text


def _write_create(intent: CreateTrade) -> dict[str, str]:
    service = m.SERVICE_OF.get((intent.product, intent.presentation))
    if service is None:
        raise LocalProtocolError("presentation", "the interface has no service for this", "UNKNOWN_SERVICE")
    fields = {
        "service": service,
        "out_trade_no": intent.out_trade_no,
        "subject": intent.subject,
        "body": intent.body,
        "payment_type": "1",
        "seller_id": intent.seller.id,
        "seller_email": intent.seller.login,
        "buyer_id": intent.buyer.id,
        "buyer_email": intent.buyer.login,
        "notify_url": intent.notify_url,
        "return_url": intent.return_url,
        "error_notify_url": intent.error_url,
        "show_url": intent.show_url,
        "it_b_pay": write_expiry(intent.expiry),
        "extra_common_param": intent.passback,
        "anti_phishing_key": intent.anti_phishing_key,
    }
    if intent.presentation is Presentation.APP:
        fields |= {"seller_id": write_party(intent.seller, "seller"), "seller_email": ""}
        fields["body"] = intent.body or intent.subject
    if intent.presentation is Presentation.QR:
        fields |= {"product_code": counter.QR, "payment_type": ""}
    if intent.presentation is Presentation.BARCODE:
        fields |= {"product_code": counter.BARCODE, "payment_type": "", "dynamic_id_type": counter.KIND}
        fields["dynamic_id"] = intent.code
    return fields | (_write_instant(intent) if intent.product is Product.INSTANT else _write_shipped(intent))


def _write_instant(intent: CreateTrade) -> dict[str, str]:
    fields = {"exter_invoke_ip": intent.client_ip}
    if intent.price is None and intent.quantity is None:
        fields["total_fee"] = intent.amount.text()
    elif intent.price is not None:
        fields |= {"price": intent.price.text(), "quantity": str(intent.quantity or 1)}
    if intent.bank:
        code = m.BANK_CODE.get((intent.bank, intent.method))
        if code is None:
            raise LocalProtocolError("bank", "the interface has no code for that bank and card", "BANK_UNKNOWN")
        fields |= {"paymethod": "bankPay", "defaultbank": code}
    elif intent.method is not None:
        fields["paymethod"] = m.PAYMETHOD_OF[intent.method]
    if intent.methods:
        fields["enable_paymethod"] = "^".join([m.ALLOWED_WORD[method] for method in intent.methods])
    return fields | write_royalty(intent.splits)


def _write_shipped(intent: CreateTrade) -> dict[str, str]:
    options = intent.shipping or (Shipping("none", Money(0), Freight.SELLER),)
    if len(options) > len(_GROUPS):
        raise LocalProtocolError("shipping", "at most three ways of shipping can be offered", "LOGISTICS_INVALID")
    fields = {}
    for group, option in zip(_GROUPS, options, strict=False):
        if option.kind not in m.LOGISTICS_OF:
            raise LocalProtocolError("shipping", f"no such kind: {option.kind}", "LOGISTICS_INVALID")
        fields[f"logistics_type{group}"] = m.LOGISTICS_OF[option.kind]
        fields[f"logistics_fee{group}"] = option.fee.text()
        fields[f"logistics_payment{group}"] = m.FREIGHT_WORD[option.payer]
    price = intent.price
    if price is None:
        freight = options[0].fee if options[0].payer is Freight.BUYER else Money(0)
        price = intent.amount - freight - (intent.discount or Money(0))
    fields |= {"price": price.text(), "quantity": str(intent.quantity or 1)}
    fields["discount"] = intent.discount.text() if intent.discount else ""
    for name, ours in _CONSIGNEE.items():
        fields[name] = getattr(intent.consignee, ours) if intent.consignee else ""
    return fields


# --- the other services ------------------------------------------------------------------------------------------


def _read_ship(fields: Fields) -> ShipTrade:
    word = fields.get("transport_type") or fields.get("create_transport_type", "")
    if not word:
        raise RemoteProtocolError("transport_type", "is missing", "FIELD_MISSING")
    if word not in m.KIND_OF:
        raise invalid("transport_type", "is no word of the list", "LOGISTICS_INVALID")
    return ShipTrade(
        merchant=fields["partner"],
        trade_no=required(fields, "trade_no"),
        carrier=required(fields, "logistics_name"),
        tracking_no=fields.get("invoice_no", ""),
        kind=m.KIND_OF[word],
    )


def _read_close(fields: Fields) -> CloseTrade:
    role = fields.get("trade_role", "")
    if role not in ("", "S", "B"):
        raise invalid("trade_role", "is neither S nor B")
    trade_no, number = _numbers(fields, "out_order_no")
    return CloseTrade(
        merchant=fields["partner"],
        trade_no=trade_no,
        out_trade_no=number,
        role={"S": "seller", "B": "buyer", "": ""}[role],
    )


def _numbers(fields: Fields, name: str) -> tuple[str, str]:
    trade_no, number = fields.get("trade_no", ""), fields.get(name, "")
    if not trade_no and not number:
        raise RemoteProtocolError("trade_no", f"is missing, and so is {name}", "FIELD_MISSING")
    return trade_no, number


def notification_id(text: str) -> str:
    """The id as we issued it. Ours hold no percent sign, so a client that encoded it once too often is understood."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)


def read_intent(service: str, fields: Fields) -> Intent:
    """The intent of a request. Raises RemoteProtocolError naming the field."""
    check_lengths(fields, m.LENGTHS_OF.get(service, m.LENGTHS))
    merchant = required(fields, "partner")
    entry = m.SERVICES[service]
    if entry.product is not None:
        return _read_create(fields, entry.product, entry.presentation)
    if service == m.QUERY:
        trade_no, number = _numbers(fields, "out_trade_no")
        return QueryTrade(merchant=merchant, trade_no=trade_no, out_trade_no=number)
    if service == m.CONFIRM:
        return ConfirmNotification(merchant=merchant, notification_id=notification_id(required(fields, "notify_id")))
    return _READERS[service](fields)


_READERS: Final[dict[str, Callable[[Fields], Intent]]] = {
    m.CLOSE: _read_close,
    m.SHIP: _read_ship,
    m.TIMESTAMP: lambda fields: RequestTimestamp(merchant=fields["partner"]),
    m.REFUND: lambda fields: read_refunds(fields, asks_password=False),
    m.REFUND_PWD: lambda fields: read_refunds(fields, asks_password=True),
    m.REFUND_QUERY: read_refund_query,
    m.PAYOUT: lambda fields: read_payouts(fields, asks_password=False),
    m.PAYOUT_PWD: lambda fields: read_payouts(fields, asks_password=True),
    m.ACCOUNT: lambda fields: read_movements(m.ACCOUNT, fields),
    m.EXPORT: lambda fields: read_movements(m.EXPORT, fields),
}


def write_service(intent: Intent) -> str:
    """The service that carries what the server asks, '' for what a browser carries."""
    if isinstance(intent, QueryMovements):
        return m.EXPORT if intent.page_size == EXPORT_MAX else m.ACCOUNT
    return _SERVICE.get(type(intent), "")


_SERVICE: Final[dict[type, str]] = {
    RefundBatch: m.REFUND,
    QueryRefund: m.REFUND_QUERY,
    PayOutBatch: m.PAYOUT,
    QueryTrade: m.QUERY,
    CloseTrade: m.CLOSE,
    ShipTrade: m.SHIP,
}


def write_intent(intent: Intent) -> dict[str, str]:
    """Service and fields of an intent, without the common ones. Raises LocalProtocolError naming the field."""
    if isinstance(intent, CreateTrade):
        return _write_create(intent)
    if isinstance(intent, QueryTrade):
        return {"service": m.QUERY, "trade_no": intent.trade_no, "out_trade_no": intent.out_trade_no}
    if isinstance(intent, CloseTrade):
        if intent.role not in ("", "seller", "buyer"):
            raise LocalProtocolError("role", "is neither seller nor buyer")
        role = {"seller": "S", "buyer": "B", "": ""}[intent.role]
        return {
            "service": m.CLOSE,
            "trade_no": intent.trade_no,
            "out_order_no": intent.out_trade_no,
            "trade_role": role,
        }
    if isinstance(intent, ShipTrade):
        if intent.kind not in ("", *m.LOGISTICS_OF):
            raise LocalProtocolError("kind", f"no such kind of shipping: {intent.kind}", "LOGISTICS_INVALID")
        return {
            "service": m.SHIP,
            "trade_no": intent.trade_no,
            "logistics_name": intent.carrier,
            "invoice_no": intent.tracking_no,
            "transport_type": m.LOGISTICS_OF[intent.kind or "express"],
        }
    if isinstance(intent, RequestTimestamp):
        return {"service": m.TIMESTAMP}
    if isinstance(intent, ConfirmNotification):
        return {"service": m.CONFIRM, "notify_id": intent.notification_id}
    if isinstance(intent, RefundBatch):
        return write_refunds(intent)
    if isinstance(intent, QueryRefund):
        return write_refund_query(intent)
    if isinstance(intent, PayOutBatch):
        return write_payouts(intent)
    if isinstance(intent, QueryMovements):
        return write_movements(intent)
    raise LocalProtocolError("intent", f"{type(intent).__name__} cannot be said here", "UNKNOWN_SERVICE")
