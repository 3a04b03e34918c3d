"""What a merchant's operator does on a page, and what the platform does about him: password, word, decision (T59, T60).

These orchestrate commands; no rule is here.
"""

from __future__ import annotations

from tongbao.kernel.error import Refused
from tongbao.service.merchant_operator import (
    AGREE_PAYOUTS,
    AGREE_REFUNDS,
    REFUSE_PAYOUTS,
    REFUSE_REFUNDS,
    WRONG,
    PutMerchantOperator,
    ReserveAgreement,
    SettleAgreement,
)
from tongbao.service.password import Reserved, check_password, check_strength, hash_password
from tongbao.service.payout_act import close_batch
from tongbao.service.payout_batch import BatchSaid, StartBatch
from tongbao.service.platform import Platform
from tongbao.service.refund_batch import ConfirmRefundBatch
from tongbao.store.schema import MERCHANT_OPERATOR
from tongbao.trade.party import MerchantOperator
from tongbao.trade.payout import PayoutBatch
from tongbao.trade.refund import RefundBatch, RefundLine


async def put_operator(platform: Platform, merchant_id: str, name: str, password: str, maker: str, reason: str) -> int:
    """Enter an operator, or give a known one another payment password; his version. Raises Refused."""
    check_strength(password)
    salt, cost, pepper = platform.entropy.token(16), platform.settings.password_cost, platform.secrets.pepper
    stored = await platform.world.compute(lambda: hash_password(password, salt, cost, pepper))
    version: int = await platform.submit(PutMerchantOperator(merchant_id, name, stored, maker, reason))
    return version


async def find_operator(platform: Platform, merchant_id: str, name: str) -> MerchantOperator:
    """A merchant's operator. Raises Refused NOT_FOUND."""
    found: list[MerchantOperator] = await platform.database.load(MERCHANT_OPERATOR, [(merchant_id, name)])
    if not found:
        raise Refused("NOT_FOUND", "the merchant has no such operator")
    return found[0]


async def operators_of(platform: Platform, merchant_id: str) -> list[MerchantOperator]:
    """Every operator of a merchant, by name."""
    rows = await platform.database.read("merchant_operator.of_merchant", {"merchant_id": merchant_id})
    keys = [(merchant_id, name) for (name,) in rows]
    found: list[MerchantOperator] = await platform.database.load(MERCHANT_OPERATOR, keys) if keys else []
    return sorted(found, key=lambda row: row.name)


async def decide_payouts(
    platform: Platform, batch: PayoutBatch, name: str, password: str, *, agrees: bool, reason: str
) -> BatchSaid:
    """A merchant's operator agrees to a batch of payouts, or sends it away. Raises Refused, LOGIN_WRONG for a name or
    password that is wrong."""
    act = AGREE_PAYOUTS if agrees else REFUSE_PAYOUTS
    word = await _word(platform, batch.merchant_id, name, password, act, batch.batch_no, batch.total, batch.currency)
    if not agrees:
        return await close_batch(platform, batch.merchant_id, batch.batch_no, name, reason, word)
    said: BatchSaid = await platform.submit(
        StartBatch(batch.merchant_id, batch.batch_no, name, reason, batch.currency, word)
    )
    return said


async def decide_refunds(
    platform: Platform,
    batch: RefundBatch,
    lines: list[RefundLine],
    name: str,
    password: str,
    *,
    agrees: bool,
    reason: str,
) -> RefundBatch:
    """The same of a batch of refunds with its ``lines``. Raises Refused."""
    act = AGREE_REFUNDS if agrees else REFUSE_REFUNDS
    total, currency = sum(line.amount for line in lines), lines[0].currency
    word = await _word(platform, batch.merchant_id, name, password, act, batch.batch_no, total, currency)
    decided: RefundBatch = await platform.submit(
        ConfirmRefundBatch(batch.merchant_id, batch.batch_no, name, agrees, word, reason)
    )
    return decided


async def _word(
    platform: Platform,
    merchant_id: str,
    name: str,
    password: str,
    act: str,
    batch_no: str,
    amount: int,
    currency: str,
) -> str:
    """A single-use word for one act over one batch. Raises Refused LOGIN_WRONG: an unknown name, a wrong password and a
    locked one cost the same time and get the same answer (T60). The attempt is counted before the hash (T46)."""
    word, pepper = platform.new_token(), platform.secrets.pepper
    try:
        reserved: Reserved = await platform.submit(
            ReserveAgreement(word, merchant_id, name, act, batch_no, amount, currency)
        )
        stored = reserved.stored
    except Refused:
        stored = f"scrypt:{platform.settings.password_cost}:8:1:{'00' * 16}:{'00' * 32}"
        await platform.world.compute(lambda: check_password(password, stored, pepper))
        raise Refused("LOGIN_WRONG", WRONG) from None
    right = await platform.world.compute(lambda: check_password(password, stored, pepper))
    await platform.submit(SettleAgreement(word, merchant_id, name, bool(right)))
    return word
