"""What the laws ask of every protocol: random intents and views of trades, plausible and a little nasty.

A folder is asked what its manifest offers, and nothing else has to be told to the laws:

- ``operations`` decides which intents are met. ``sample.py`` finds, with the folder's own client end, the richest plain
  intent of each kind that the folder can say, and ``movement.py`` redraws its values; a folder whose operation needs
  members that no candidate there speaks of gets a richer candidate in ``sample.py``.
- An intent that is not offered must be refused by ``encode`` with LocalProtocolError, and so must every member that the
  protocol has no field for (``wire.loss.find_loss``): presentation, code and splits of a trade, splits of a refund, ...
- ``notifies_refund``, ``notifies_payout`` and the batches among the operations decide which notifications are met. What
  has no message must be refused by ``notify`` with LocalProtocolError.
- ``bill`` is written and read for the kinds that it can write (``trade``, ``account``).
- What an answer or a notification has no field for is declared in ``unsaid``, by the name of the intent that it
  answers: ``("QueryRefund", "amount")``, ``("RefundTrade", "state")``, ``("QueryBalance", "held")``,
  ``("Notification", "amount")``, ``("BillLine", "fee")``. A state that is said by another state's word stands in
  ``said_as``, as ``refund:closed`` or ``payout:closed`` -> the state that is read.
- The quick pair of a folder is its last algorithm in its first charset; all others are ``slow``.
"""

from __future__ import annotations

from hypothesis import strategies as st

from tests.protocol.bench import products
from tongbao.kernel.money import Money
from tongbao.kernel.time import Instant, parse_china
from tongbao.wire.bank import BANKS
from tongbao.wire.contract import Manifest
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import (
    CloseTrade,
    ConfirmNotification,
    Consignee,
    CreateTrade,
    EnterTrade,
    Expiry,
    Freight,
    Intent,
    Method,
    Notification,
    Presentation,
    Product,
    QueryTrade,
    RequestTimestamp,
    Shipping,
    ShipTrade,
    TradeState,
    TradeView,
)

CHINESE = "测试商品红色棉茶叶张三鎔喆堃"
MARKS = "&=%+#?;:/\\|^$<>\"'`~!@*()[]{} ,.-_"
LETTERS = "abcXYZ019"

words = st.text(LETTERS + CHINESE + MARKS, max_size=24)
names = st.text(LETTERS + CHINESE, min_size=1, max_size=12)
wild = st.one_of(words, st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cn", "Co")), max_size=12))
numbers = st.one_of(
    st.text("0123456789ABCXYZabcxyz_-", min_size=1, max_size=32), st.text("0123456789", min_size=24, max_size=24)
)
digits = st.text("0123456789", min_size=16, max_size=28)
ids = st.text("0123456789abcdef", min_size=32, max_size=34)
sums = st.integers(1, 9_999_999_999).map(Money)
small = st.integers(1, 9_999_999).map(Money)
instants = st.integers(parse_china("2008-01-01 00:00:00") // 1_000, parse_china("2035-01-01 00:00:00") // 1_000).map(
    lambda seconds: Instant(seconds * 1_000)
)
logins = st.sampled_from(("", "buyer@example.com", "seller+1@example.com", "13800000000"))
parties = st.builds(Party, id=st.sampled_from(("", "2088000000000001", "2088000000000099")), login=logins)
addresses = st.sampled_from(
    (
        "",
        "http://shop.example.com/notify",
        "https://shop.example.com:8443/respond.php?code=alipay&a=%2F",
        "http://127.0.0.1:9/x",
    )
)
consignees = st.builds(
    Consignee,
    name=names,
    address=words,
    postcode=st.just("310000"),
    phone=st.just("0571-88888888"),
    mobile=st.just("13800000000"),
)
shippings = st.builds(
    Shipping, kind=st.sampled_from(("post", "express", "ems", "none")), fee=small, payer=st.sampled_from(Freight)
)


@st.composite
def creations(draw: st.DrawFn, product: Product, presentation: Presentation = Presentation.PAGE) -> CreateTrade:
    """A request for money whose sum agrees with its parts."""
    price, quantity, discount = None, None, None
    shipping: tuple[Shipping, ...] = ()
    consignee = None
    if product is Product.INSTANT:
        amount = draw(sums)
        if draw(st.booleans()):
            price, quantity = draw(small), draw(st.integers(1, 99))
            amount = price * quantity
    else:
        price, quantity = draw(small), draw(st.integers(1, 9))
        shipping = tuple(draw(st.lists(shippings, min_size=1, max_size=3, unique_by=lambda option: option.kind)))
        discount = draw(st.one_of(st.none(), st.integers(-price.minor * quantity + 1, 9_999).map(Money)))
        amount = price * quantity + (discount or Money(0))
        if shipping[0].payer is Freight.BUYER:
            amount += shipping[0].fee
        consignee = draw(st.one_of(st.none(), consignees))
    instant = product is Product.INSTANT
    return CreateTrade(
        merchant="",
        out_trade_no=draw(numbers),
        product=product,
        subject=draw(st.one_of(names, wild.filter(bool))),
        amount=amount,
        body=draw(wild),
        price=price,
        quantity=quantity,
        discount=discount,
        shipping=shipping,
        consignee=consignee,
        seller=draw(parties),
        buyer=draw(parties),
        notify_url=draw(addresses),
        return_url=draw(addresses),
        show_url=draw(addresses),
        expiry=draw(st.one_of(st.none(), st.integers(0, 21_600).map(lambda minutes: Expiry(minutes * 60)))),
        method=draw(st.one_of(st.none(), st.sampled_from(Method))) if instant else None,
        bank=draw(st.sampled_from(("", *BANKS))) if instant and draw(st.booleans()) else "",
        passback=draw(st.one_of(names, words)),
        client_ip=draw(st.sampled_from(("", "192.0.2.7"))) if instant else "",
        presentation=presentation,
    )


def intents(manifest: Manifest) -> st.SearchStrategy[Intent]:
    """Any intent the folder says it carries."""
    kinds = set(manifest.operations.values())
    options: list[st.SearchStrategy[Intent]] = [
        creations(product, manifest.presentations[0]) for product in products(manifest)
    ]
    optional = st.one_of(st.just(""), numbers)
    if QueryTrade in kinds:
        options.append(st.builds(QueryTrade, merchant=st.just(""), trade_no=optional, out_trade_no=optional))
    if CloseTrade in kinds:
        roles = st.sampled_from(("", "seller", "buyer"))
        options.append(
            st.builds(CloseTrade, merchant=st.just(""), trade_no=optional, out_trade_no=optional, role=roles)
        )
    if ShipTrade in kinds:
        options.append(
            st.builds(
                ShipTrade,
                merchant=st.just(""),
                trade_no=digits,
                carrier=st.one_of(names, words),
                tracking_no=st.one_of(st.just(""), numbers),
                kind=st.sampled_from(("", "post", "express", "ems", "none")),
            )
        )
    if ConfirmNotification in kinds:
        options.append(st.builds(ConfirmNotification, merchant=st.just(""), notification_id=ids))
    if EnterTrade in kinds:
        options.append(
            st.builds(EnterTrade, merchant=st.just(""), code=st.text("0123456789abcXYZ", min_size=8, max_size=32))
        )
    if RequestTimestamp in kinds:
        options.append(st.just(RequestTimestamp(merchant="")))
    return st.one_of(options)


STATES = {
    Product.INSTANT: (TradeState.UNPAID, TradeState.PAID, TradeState.FINISHED, TradeState.CLOSED),
    Product.ESCROW: (
        TradeState.UNPAID,
        TradeState.ESCROWED,
        TradeState.SHIPPED,
        TradeState.FINISHED,
        TradeState.CLOSED,
    ),
    Product.DUAL: (TradeState.UNPAID, TradeState.ESCROWED, TradeState.SHIPPED, TradeState.FINISHED, TradeState.CLOSED),
}


def payee_example(manifest: Manifest) -> str:
    """The number under which the example is paid."""
    number = manifest.merchant_example
    return manifest.payee.number(number) if manifest.payee is not None else number


@st.composite
def views(draw: st.DrawFn, manifest: Manifest) -> TradeView:
    """A trade as the platform knows it, in any state that its product has."""
    product = draw(st.sampled_from(products(manifest)))
    state = draw(st.sampled_from(STATES[product]))
    amount = draw(sums)
    paid = state in (TradeState.PAID, TradeState.ESCROWED, TradeState.SHIPPED, TradeState.FINISHED)
    shipped = product is not Product.INSTANT and state in (TradeState.SHIPPED, TradeState.FINISHED)
    back = draw(st.one_of(st.none(), st.integers(0, amount.minor).map(Money))) if paid else None
    return TradeView(
        merchant=manifest.merchant_example,
        out_trade_no=draw(numbers),
        trade_no=draw(digits),
        state=state,
        product=product,
        subject=draw(st.one_of(names, wild.filter(bool))),
        body=draw(wild),
        amount=amount,
        shipping=draw(st.one_of(st.none(), shippings)) if product is not Product.INSTANT else None,
        consignee=draw(st.one_of(st.none(), consignees)) if product is not Product.INSTANT else None,
        seller=Party(payee_example(manifest), draw(logins)),
        buyer=draw(parties),
        created_at=draw(instants),
        paid_at=draw(instants) if paid else None,
        shipped_at=draw(instants) if shipped else None,
        ended_at=draw(instants) if state in (TradeState.FINISHED, TradeState.CLOSED) else None,
        moved_at=draw(instants),
        refunded=back,
        refunded_at=draw(instants) if back is not None and back.minor else None,
        passback=draw(names),
        bank_serial=draw(st.sampled_from(("", "B2015040100012345"))),
    )


def notifications(manifest: Manifest) -> st.SearchStrategy[Notification]:
    return st.builds(Notification, id=ids, at=st.none(), trade=views(manifest))


PERSON = Party("2088000000000099", "buyer@example.com")
HOME = Consignee("张三", "浙江省 杭州市", "310000", "", "13800000000")
PAID_STATE = {
    Product.INSTANT: TradeState.PAID,
    Product.ESCROW: TradeState.ESCROWED,
    Product.DUAL: TradeState.SHIPPED,
}
