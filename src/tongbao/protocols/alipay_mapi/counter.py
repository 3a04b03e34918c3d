"""Face to face: the shop shows a QR code that the buyer's wallet scans (alipay.acquire.precreate), or it scans the code
that the wallet shows (alipay.acquire.createandpay)."""

from __future__ import annotations

from typing import Final

from tongbao.kernel.error import RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.protocols.alipay_mapi.field import Fields, read_money, read_positive, read_quantity, write_time
from tongbao.wire.field import check_address, invalid, read_time, required
from tongbao.wire.http import origin_of
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import TradeOpened, TradeState, TradeView

QR: Final = "QR_CODE_OFFLINE"
BARCODE: Final = "BARCODE_PAY_OFFLINE"
KIND: Final = "bar_code"
KINDS: Final = (KIND, "barcode")
PAID: Final = "ORDER_SUCCESS_PAY_SUCCESS"
PAYING: Final = "ORDER_SUCCESS_PAY_INPROCESS"
UNPAID: Final = "ORDER_SUCCESS_PAY_FAIL"
NO_ORDER: Final = "ORDER_FAIL"
_PAYING_CODES: Final = frozenset(("CODE_INVALID", "INSUFFICIENT_FUNDS", "BUYER_DISABLED", "METHOD_NOT_ALLOWED"))
DONE: Final = "SUCCESS"
FAILED: Final = "FAIL"
QR_PATH: Final = "/qr/"
CURRENCY: Final = ("", "156", "CNY")


def read_code(fields: Fields) -> str:
    """The code that the buyer's wallet showed."""
    if required(fields, "dynamic_id_type") not in KINDS:
        raise invalid("dynamic_id_type", f"is not {KIND}")
    code = required(fields, "dynamic_id")
    if len(code) > 32 or not code.isascii() or not code.isalnum():
        raise invalid("dynamic_id", "is no payment code")
    return code


def read_sum(fields: Fields, largest: Money, product: str) -> Money:
    """The sum of a trade at a counter: one field, or price x quantity, or both and equal."""
    if required(fields, "product_code") != product:
        raise invalid("product_code", f"is not {product}")
    if fields.get("currency", "") not in CURRENCY:
        raise invalid("currency", "is not 156", "CURRENCY_NOT_ALLOWED")
    if fields.get("royalty_type") or fields.get("royalty_parameters"):
        raise invalid("royalty_type", "sharing the sum is not offered here")
    total = read_positive(fields, "total_fee", largest)
    price, quantity = read_positive(fields, "price", largest), read_quantity(fields)
    if (price is None) != (quantity is None):
        raise RemoteProtocolError("quantity" if quantity is None else "price", "is missing", "FIELD_MISSING")
    parts = price * quantity if price is not None and quantity is not None else None
    if total is not None and parts is not None and total != parts:
        raise invalid("total_fee", "is not price times quantity", "AMOUNT_CONFLICT")
    found = total or parts
    if found is None:
        raise RemoteProtocolError("total_fee", "is missing", "FIELD_MISSING")
    return found


def write_opened(opened: TradeOpened, out_trade_no: str) -> dict[str, str]:
    """Leaves of ``<alipay>`` in the answer. The code is an address of the platform that names the trade to a wallet."""
    address = f"{origin_of(opened.cashier_url)}{QR_PATH}{opened.code}" if opened.code else opened.cashier_url
    return {"result_code": DONE, "out_trade_no": out_trade_no, "voucher_type": "qrcode", "qr_code": address}


def write_failed(word: str, out_trade_no: str, code: str, *, scanned: bool) -> dict[str, str]:
    """The same for a refusal by the rules, ``code``: the call was understood, and came to nothing, or not yet to an end
    where the buyer must agree in his wallet."""
    result = FAILED
    if scanned:
        result = PAYING if code == "BUYER_PAYING" else UNPAID if code in _PAYING_CODES else NO_ORDER
    return {"result_code": result, "out_trade_no": out_trade_no, "detail_error_code": word}


def write_paid(view: TradeView) -> dict[str, str]:
    """Leaves of ``<alipay>`` for a trade that was paid by the code of a wallet."""
    return {
        "result_code": PAID if view.is_paid else PAYING,
        "trade_no": view.trade_no,
        "out_trade_no": view.out_trade_no,
        "buyer_user_id": view.buyer.id,
        "total_fee": view.amount.text() if view.amount is not None else "",
        "gmt_payment": write_time(view.paid_at),
    }


def read_paid(leaves: Fields, out_trade_no: str, merchant: str) -> TradeView:
    """What the answer says of a trade that was paid. Raises RemoteProtocolError."""
    if leaves.get("out_trade_no", "") != out_trade_no:
        raise RemoteProtocolError("out_trade_no", "the answer is about another trade", "MALFORMED")
    amount = read_money(leaves, "total_fee")
    if amount is None:
        raise RemoteProtocolError("total_fee", "is missing", "FIELD_MISSING")
    return TradeView(
        merchant=merchant,
        out_trade_no=out_trade_no,
        trade_no=required(leaves, "trade_no"),
        state=TradeState.PAID,
        amount=amount,
        buyer=Party(leaves.get("buyer_user_id", "")),
        paid_at=read_time(leaves, "gmt_payment"),
    )


def read_opened(leaves: Fields, out_trade_no: str) -> TradeOpened:
    """What the answer says. Raises RemoteProtocolError."""
    if leaves.get("out_trade_no", "") != out_trade_no:
        raise RemoteProtocolError("out_trade_no", "the answer is about another trade", "MALFORMED")
    address = check_address("qr_code", required(leaves, "qr_code"))
    return TradeOpened("", address, address.rpartition("/")[2])
