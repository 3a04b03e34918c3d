"""Face to face (alipay.acquire.precreate): a trade for which the shop shows a QR code that the buyer's wallet scans."""

from __future__ import annotations

from typing import Final

from tongbao.kernel.error import RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.protocols.alipay_mapi.field import Fields, invalid, read_positive, read_quantity, required
from tongbao.wire.http import split_url
from tongbao.wire.vocabulary import TradeOpened

QR: Final = "QR_CODE_OFFLINE"
DONE: Final = "SUCCESS"
FAILED: Final = "FAIL"
QR_PATH: Final = "/qr/"
CURRENCY: Final = ("", "156", "CNY")


def read_sum(fields: Fields, largest: Money) -> Money:
    """The sum of a trade at a counter: one field, or price x quantity, or both and equal."""
    if required(fields, "product_code") != QR:
        raise invalid("product_code", f"is not {QR}")
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
    address = opened.cashier_url
    if opened.code:
        scheme, authority, _, _ = split_url(opened.cashier_url)
        address = f"{scheme}://{authority}{QR_PATH}{opened.code}"
    return {"result_code": DONE, "out_trade_no": out_trade_no, "voucher_type": "qrcode", "qr_code": address}


def write_failed(code: str, out_trade_no: str) -> dict[str, str]:
    """The same for a refusal by the rules: the call was understood, and came to nothing."""
    return {"result_code": FAILED, "out_trade_no": out_trade_no, "detail_error_code": code}


def read_opened(leaves: Fields, out_trade_no: str) -> TradeOpened:
    """What the answer says. Raises RemoteProtocolError."""
    if leaves.get("out_trade_no", "") != out_trade_no:
        raise RemoteProtocolError("out_trade_no", "the answer is about another trade", "MALFORMED")
    address = required(leaves, "qr_code")
    try:
        split_url(address)
    except ValueError as error:
        raise invalid("qr_code", str(error), "URL_NOT_ALLOWED") from error
    return TradeOpened("", address, address.rpartition("/")[2])
