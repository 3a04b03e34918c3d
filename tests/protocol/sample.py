"""One plain intent for each thing that a folder can say: what laws and attacks start from.

For each thing there is to say there are alternatives as rich as words allow. A folder is asked with its own client
end: the first alternative, with as little left out as possible, that it can say is its sample. A folder whose samples
do not reach an operation of its manifest breaks a law: then a richer alternative is missing here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields, replace
from datetime import date
from functools import cache
from itertools import combinations
from typing import Any, Final, get_args

from tests.protocol.bench import NOW, Pair, make_pair, products
from tongbao.kernel.error import LocalProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY, later
from tongbao.wire.loader import load_protocol
from tongbao.wire.movement import (
    AfterIntent,
    CancelTrade,
    ExchangeCode,
    FetchBill,
    FetchCertificates,
    MovementState,
    PayOut,
    PayOutBatch,
    PayOutItem,
    QueryBalance,
    QueryMovements,
    QueryPayOut,
    QueryPayOutBatch,
    QueryRefund,
    QuerySplit,
    QuerySplitReturn,
    QueryUnsplit,
    RecoverRefund,
    RefundBatch,
    RefundItem,
    RefundTrade,
    RequestBill,
    ReturnSplit,
    Split,
    SplitTrade,
)
from tongbao.wire.party import Party, Payee
from tongbao.wire.vocabulary import (
    Carriage,
    CloseCombined,
    CloseTrade,
    CombinedPart,
    ConfirmNotification,
    CreateCombined,
    CreateTrade,
    EnterTrade,
    Intent,
    Presentation,
    Product,
    QueryCombined,
    QueryTrade,
    RequestTimestamp,
    ShipTrade,
)

NUMBER: Final = "201504011203050123456789"
TRADE_NO: Final = "2015040100001000980012345678"
OTHER_NO: Final = "2015040100001000980012345680"
AFTER_URL: Final = "http://shop.example.com/after"

AFTER_KINDS: Final[frozenset[type]] = frozenset(get_args(AfterIntent))


def simple_create(product: Product, presentation: Presentation = Presentation.PAGE, **more: Any) -> CreateTrade:
    return CreateTrade(
        merchant="",
        out_trade_no=NUMBER,
        product=product,
        subject="测试商品",
        amount=Money(1_000),
        presentation=presentation,
        **more,
    )


_BUYERS: Final = (Party(), Party("2088000000000099"), Party("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"))
_PAYEES: Final = (
    Payee(Party("", "a@example.com"), name="张三"),
    Payee(Party("2088000000000099"), name="张三"),
    Payee(Party("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"), name="张三"),
    Payee(Party("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o")),
    Payee(name="张三", bank="ICBC", card="6222020200112230", branch="杭州分行"),
    Payee(name="张三", bank="ICBC", card="6222020200112230"),
)
_SHARES: Final = tuple(
    Split(receiver=receiver, amount=Money(100), memo="分润", name=name, kind=kind)
    for kind in ("", "MERCHANT_ID", "PERSONAL_OPENID", "userId", "loginName")
    for name in ("李四", "")
    for receiver in (Party("", "partner@example.com"), Party("2088000000000077"), Party("1900000109"))
)


def _presented(product: Product, presentation: Presentation) -> list[CreateTrade]:
    codes = ("280123456789012345", "130123456789012345") if presentation is Presentation.BARCODE else ("",)
    return [
        simple_create(
            product, presentation, code=code, buyer=buyer, client_ip=address, notify_url=target, return_url=target
        )
        for code in codes
        for target in ("", AFTER_URL)
        for buyer in _BUYERS
        for address in ("", "192.0.2.7")
    ]


def _combined(presentation: Presentation) -> list[Intent]:
    parts = (
        CombinedPart(out_trade_no=NUMBER, subject="测试商品", amount=Money(1_000), passback="shop7"),
        CombinedPart(
            out_trade_no="20150401P2",
            subject="茶",
            amount=Money(50),
            merchant="1900000117",
            provided=True,
            passback="x",
        ),
        CombinedPart(out_trade_no="20150401P3", subject="壶", amount=Money(1), merchant="1900000125", passback="y"),
    )
    return [
        CreateCombined(
            merchant="",
            out_trade_no="20150401W1",
            parts=parts,
            buyer=buyer,
            notify_url=AFTER_URL,
            presentation=presentation,
            client_ip="192.0.2.7",
        )
        for buyer in _BUYERS
    ]


def _refunds(asks_password: bool, shares: tuple[tuple[Split, ...], ...]) -> list[Intent]:
    return [
        RefundBatch(
            merchant="",
            batch_no="20150401001",
            items=(
                RefundItem(trade_no=TRADE_NO, amount=Money(350), reason="协商退款", splits=share),
                RefundItem(trade_no=OTHER_NO, amount=Money(100), reason="缺货"),
            ),
            asked_at=NOW,
            notify_url=AFTER_URL,
            asks_password=asks_password,
        )
        for share in shares
    ]


def _whole_batch(asks_password: bool) -> PayOutBatch:
    """A batch that says nothing of its payer, and a word about itself."""
    payee = Payee(Party("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"), name="张三")
    return PayOutBatch(
        merchant="",
        batch_no="20150401001",
        items=(
            PayOutItem(payout_no="0001", payee=payee, amount=Money(2_000), memo="佣金"),
            PayOutItem(payout_no="0002", payee=payee, amount=Money(1_050), memo="奖金"),
        ),
        total=Money(3_050),
        count=2,
        name="四月佣金",
        memo="四月的佣金与奖金",
        notify_url=AFTER_URL,
        asks_password=asks_password,
    )


def _payouts(asks_password: bool) -> list[Intent]:
    batches: list[Intent] = [
        PayOutBatch(
            merchant="",
            batch_no="20150401001",
            items=(
                PayOutItem(payout_no="0001", payee=payee, amount=Money(2_000), memo="佣金"),
                PayOutItem(payout_no="0002", payee=payee, amount=Money(1_050), memo="奖金"),
            ),
            total=Money(3_050),
            count=2,
            name=name,
            payer=Party("", "seller@example.com"),
            payer_name="示例公司",
            day=date(2015, 4, 1),
            notify_url=AFTER_URL,
            asks_password=asks_password,
        )
        for payee in _PAYEES
        for name in ("四月佣金", "")
    ]
    return [*batches, _whole_batch(asks_password)]


_FREE: Final[tuple[list[Intent], ...]] = (
    [QueryTrade(merchant="", out_trade_no=NUMBER)],
    [QueryTrade(merchant="", trade_no=TRADE_NO)],
    [CloseTrade(merchant="", out_trade_no=NUMBER)],
    [ShipTrade(merchant="", trade_no=TRADE_NO, carrier="顺丰速运", kind="express")],
    [ConfirmNotification(merchant="", notification_id="637b04133cbb1b5c5f1b3f3d2c9a8e70")],
    [RequestTimestamp(merchant="")],
    [EnterTrade(merchant="", code="20130428abcdef0123456789")],
    [
        RefundTrade(
            merchant="",
            refund_no="20150403001",
            trade_no=TRADE_NO,
            out_trade_no=NUMBER,
            amount=Money(350),
            total=Money(1_000),
            reason="协商退款",
            notify_url=AFTER_URL,
        )
    ],
    _refunds(False, ((),)),
    _refunds(True, ((),)),
    _refunds(False, tuple((share,) for share in _SHARES)),
    [
        QueryRefund(
            merchant="",
            refund_no="20150403001",
            refund_id="50000000382019052",
            batch_no="20150401001",
            trade_no=TRADE_NO,
            out_trade_no=NUMBER,
        )
    ],
    [RecoverRefund(merchant="", refund_id="50000000382019052", refund_no="20150403001")],
    [CancelTrade(merchant="", trade_no=TRADE_NO, out_trade_no=NUMBER)],
    [
        SplitTrade(merchant="", split_no="20150403002", splits=(share,), trade_no=TRADE_NO, out_trade_no=NUMBER)
        for share in _SHARES
    ],
    [
        SplitTrade(
            merchant="", split_no="20150403003", splits=splits, trade_no=TRADE_NO, out_trade_no=NUMBER, finish=True
        )
        for splits in ((), *[(share,) for share in _SHARES])
    ],
    [QuerySplit(merchant="", split_no="20150403002", trade_no=TRADE_NO, out_trade_no=NUMBER)],
    [
        ReturnSplit(
            merchant="",
            return_no="20150404001",
            giver_id="1900000109",
            amount=Money(100),
            split_no="20150403002",
            split_id=split_id,
            memo="退回分账",
        )
        for split_id in ("30000000382019052", "")
    ],
    [QuerySplitReturn(merchant="", return_no="20150404001", split_no="20150403002")],
    [QueryUnsplit(merchant="", trade_no=TRADE_NO)],
    [
        PayOut(
            merchant="",
            payout_no="20150405001",
            payee=payee,
            amount=Money(2_000),
            memo="佣金",
            title="四月佣金",
            notify_url=AFTER_URL,
        )
        for payee in _PAYEES
    ],
    _payouts(False),
    _payouts(True),
    [QueryPayOut(merchant="", payout_no="20150405001", payout_id="20150405110070001502", batch_no="20150401001")],
    [QueryPayOut(merchant="", payout_no="20150405001")],
    [QueryPayOut(merchant="", payout_id="20150405110070001502")],
    [QueryPayOut(merchant="", payout_no="0001", batch_no="20150401001")],
    [QueryPayOut(merchant="", payout_id="20150405110070001502", batch_id="20150401110070001500")],
    [QueryPayOutBatch(merchant="", batch_no="20150401001", lines=True, offset=20, most=50, only=MovementState.FAILED)],
    [QueryPayOutBatch(merchant="", batch_id="20150401110070001500")],
    [QueryBalance(merchant="")],
    [
        QueryMovements(
            merchant="",
            since=NOW,
            until=later(NOW, DAY - 1_000),
            page=page,
            page_size=size,
            trade_no=TRADE_NO,
            out_trade_no=NUMBER,
            serial="2015040100001",
        )
        for page, size in ((2, 100),)
    ],
    [QueryMovements(merchant="", since=NOW, until=later(NOW, DAY - 1_000), page_size=100_000)],
    [RequestBill(merchant="", day=date(2015, 3, 31), compressed=zipped) for zipped in (False, True)],
    [RequestBill(merchant="", day=date(2015, 3, 31), kind="account", compressed=zipped) for zipped in (False, True)],
    [FetchBill(merchant="", word="WyJ3IiwgIjE5MDAiXQ.0mwwp0c5f.Znmtbxp03eWRokyd_Z7-oQ")],
    [FetchBill(merchant="", day=date(2015, 3, 31), compressed=zipped) for zipped in (False, True)],
    [FetchCertificates(merchant="", serial="5157F09EFDC096DE15EBE81A47057A7232F1B8E1")],
    *[_combined(where) for where in (Presentation.QR, Presentation.WALLET, Presentation.APP, Presentation.H5)],
    [QueryCombined(merchant="", out_trade_no="20150401W1")],
    [
        CloseCombined(
            merchant="",
            out_trade_no="20150401W1",
            parts=(("", NUMBER, False), ("1900000117", "20150401P2", True), ("1900000125", "20150401P3", False)),
        )
    ],
    [ExchangeCode(merchant="", code="4b203fe6c11548bcabd8da5bb087a83b")],
    [ExchangeCode(merchant="", refresh="201208134b203fe6c11548bcabd8da5bb087a83b")],
)
"""What does not depend on the product; each list holds alternatives for one thing to say."""


def _candidates(sold: list[Product]) -> Iterator[list[Intent]]:
    for product in sold:
        yield [simple_create(product)]
    for product in sold:
        for presentation in Presentation:
            if presentation is not Presentation.PAGE:
                yield list(_presented(product, presentation))
        yield [simple_create(product, splits=(share,)) for share in _SHARES]
        yield [simple_create(product, split_later=True)]
    yield from _FREE


def poorer(intent: Intent) -> Iterator[Intent]:
    """The intent, then the same with one optional text, sum or time left out, then with two, and so on."""
    spare = [
        member.name
        for member in fields(intent)
        if member.default is not MISSING
        and member.default in (None, "")
        and getattr(intent, member.name) not in (None, "")
        and member.name != "code"
    ]
    for count in range(len(spare) + 1):
        for names in combinations(spare, count):
            silent: dict[str, Any] = {member.name: member.default for member in fields(intent) if member.name in names}
            yield replace(intent, **silent)


def _first_said(pair: Pair, alternatives: list[Intent]) -> tuple[Intent, str, Carriage] | None:
    poorest: list[Iterator[Intent]] = [poorer(intent) for intent in alternatives]
    for rows in (alternatives, [thin for row in poorest for thin in row]):
        for intent in rows:
            try:
                call = pair.manifest.client.encode(intent, pair.credentials, NOW)
            except LocalProtocolError:
                continue
            return (intent, pair.manifest.server.claim(call.request()).operation, call.carriage)
    return None


def weakest_pair(name: str, algorithm: str = "", mode: str = "") -> Pair:
    """The folder's quick pair: its last algorithm (or another that is named) in its first charset."""
    manifest = load_protocol(name)
    return make_pair(name, algorithm or manifest.algorithms[-1], (manifest.charsets or ("",))[0], mode=mode)


@cache
def said_intents(name: str, algorithm: str = "", mode: str = "") -> tuple[tuple[Intent, str, Carriage], ...]:
    """Every sample of a folder with its operation and who carries it, as far as this algorithm signs it, and as this
    mode says it."""
    manifest = load_protocol(name)
    offered = set(manifest.operations.values())
    pair = weakest_pair(name, algorithm, mode)
    found = [
        _first_said(pair, alternatives)
        for alternatives in _candidates(products(manifest))
        if type(alternatives[0]) in offered
    ]
    return tuple(said for said in found if said is not None)


def simple_intents(name: str, algorithm: str = "") -> list[Intent]:
    """One sample for each operation that the folder has, in the order of the candidates."""
    first: dict[str, Intent] = {}
    for intent, operation, _ in said_intents(name, algorithm):
        first.setdefault(operation, intent)
    return list(first.values())


def server_intents(name: str, algorithm: str = "") -> list[Intent]:
    """Those of ``simple_intents`` that the merchant's server carries, whose answers his client reads."""
    carriage = {id(intent): carriage for intent, _, carriage in said_intents(name, algorithm)}
    return [intent for intent in simple_intents(name, algorithm) if carriage[id(intent)] is Carriage.SERVER]


def every_candidate() -> list[Intent]:
    """All alternatives of everything that can be said about money after the payment."""
    return [intent for alternatives in _FREE for intent in alternatives if type(intent) in AFTER_KINDS]
