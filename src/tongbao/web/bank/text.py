"""Every sentence the banks' pages say, in Chinese and English."""

from __future__ import annotations

from typing import Final

SENTENCES: Final[dict[str, tuple[str, str]]] = {
    "simulated": (
        "模拟银行，仅供测试：请勿输入真实卡号，这里没有真实资金。",
        "A simulated bank, for tests only: never enter a real card number; no real money is here.",
    ),
    "bank": ("网上银行支付", "Online banking payment"),
    "counter": ("网点收款台", "Counter"),
    "sum": ("支付金额", "Amount to pay"),
    "cash_sum": ("应收现金", "Cash to take"),
    "payee": ("收款方", "Payee"),
    "payee_name": ("通宝支付平台", "Tongbao, payment platform"),
    "goods": ("商品", "For"),
    "order": ("订单号", "Order"),
    "kind": ("付款方式", "Paying with"),
    "debit": ("借记卡（储蓄卡）", "Debit card"),
    "credit": ("信用卡", "Credit card"),
    "number": ("银行卡号", "Card number"),
    "password": ("支付密码（6 位数字）", "Card password (6 digits)"),
    "pay": ("确认支付", "Pay now"),
    "leave": ("取消支付，返回收银台", "Cancel and go back to the cashier"),
    "test_cards": ("测试卡：点一张即可填好", "Test cards: choose one to fill in the form"),
    "no_cards": ("本行暂无测试卡。", "This bank has issued no test cards."),
    "outcome.ok": ("正常支付", "pays"),
    "outcome.insufficient": ("余额不足", "insufficient funds"),
    "outcome.slow": ("处理较慢", "slow: pays a while later"),
    "outcome.lost": ("应答丢失", "pays, but its answer is lost"),
    "outcome.late": ("超时后才成功", "pays only after everybody gave up"),
    "outcome.closed": ("支付后销户，无法退款", "pays, and is closed then: no refund reaches it"),
    "back": ("返回收银台", "Back to the cashier"),
    "going_back": ("正在返回收银台……", "Taking you back to the cashier ..."),
    "paid": ("支付成功", "Paid"),
    "paid_more": ("款项已从您的账户付出。", "The sum has left your account."),
    "accepted": ("银行处理中", "In progress"),
    "accepted_more": (
        "您的支付指令已受理，处理结果稍后通知收款方，请勿重复支付。",
        "Your order was taken and its result will be told to the payee. Do not pay again.",
    ),
    "failed": ("支付未完成", "Not paid"),
    "failed_more": ("未从您的账户扣款。", "Nothing was taken from your account."),
    "lost": ("网络中断", "Connection lost"),
    "lost_more": (
        "模拟故障：银行可能已经扣款，但没有发出任何应答，也不会把您带回商店。请自行返回订单页查看结果。",
        "A simulated fault: the bank may have taken the money but tells nobody. Return to the shop's page by yourself.",
    ),
    "code": ("缴费码（12 位数字）", "Payment code (12 digits)"),
    "look_up": ("查询", "Look up"),
    "take": ("已收妥现金，确认入账", "Cash counted: enter it"),
    "cash_taken": ("收款成功", "Cash taken"),
    "cash_taken_more": ("请将回单交给顾客。", "Give the customer the receipt."),
    "receipt": ("流水号", "Reference"),
    "counter_lead": (
        "请向顾客索取缴费码，核对金额后收取现金。",
        "Ask the customer for the payment code, check the sum, and take the cash.",
    ),
    "another": ("下一位", "Next customer"),
    "language": ("English", "中文"),
    "unreadable": ("链接无效", "This address is not valid"),
    "unreadable_more": (
        "支付链接不完整或已被改动，请返回收银台重新选择银行。",
        "The address is incomplete or was changed. Go back to the cashier and choose the bank again.",
    ),
    "error.password_wrong": ("支付密码不正确。", "The card password is wrong."),
    "error.card_locked": (
        "密码错误次数过多，此卡已被锁定 3 小时，请换一张卡。",
        "Too many wrong passwords: this card is locked for three hours. Use another card.",
    ),
    "error.card_unknown": ("没有这张卡，或不是本行的卡。", "This bank has no such card."),
    "error.not_debit": ("请使用借记卡（储蓄卡）。", "Use a debit card."),
    "error.not_credit": ("请使用信用卡。", "Use a credit card."),
    "error.not_a_test_card": (
        "这里只接受以 620000 开头的测试卡号，请勿输入真实卡号。",
        "Only test cards that begin with 620000 are taken here. Never enter a real card number.",
    ),
    "error.insufficient_funds": (
        "可用余额不足。请换一张卡，或取消支付。",
        "The available balance does not suffice. Use another card, or cancel.",
    ),
    "error.order_over": ("此订单已经结束。", "This order has ended."),
    "error.order_changed": ("订单与银行记录不符。", "The order differs from the bank's record of it."),
    "error.order_unknown": ("银行没有此订单。", "The bank has no such order."),
    "error.code_unknown": ("没有这个缴费码。", "There is no such payment code."),
    "error.code_used": ("此缴费码已经收过款。", "The cash for this code was taken already."),
    "error.form": ("请完整填写表单。", "Fill in the whole form."),
    "error.foreign": ("请求来自其他网站，已被拒绝。", "The request came from another site and was refused."),
}


def say(language: str, key: str) -> str:
    """One sentence in ``zh`` or ``en``. Raises KeyError for an unknown key."""
    return SENTENCES[key][0 if language == "zh" else 1]


def choose_language(accepted: str) -> str:
    """``zh`` or ``en`` from an Accept-Language header, by its order; ``zh`` for an empty one."""
    for part in accepted.lower().split(",")[:20]:
        tag = part.partition(";")[0].strip()[:2]
        if tag in ("zh", "en"):
            return tag
    return "en" if accepted.strip(" *") else "zh"
