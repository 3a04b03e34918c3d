"""Tongbao: third-party payment, both ends of the wire.

What a merchant imports comes from here, lazily: ``from tongbao import Client, MerchantConfiguration, Money``.
This module must never import anything of its own when it is itself imported (see the decision record on lazy import).
"""

__version__ = "0.1.0"

_EXPORTS = {
    "Accepted": "tongbao.merchant.verdict",
    "AsyncClient": "tongbao.merchant.client",
    "AsyncReceiver": "tongbao.merchant.receiver",
    "BatchTaken": "tongbao.wire.movement",
    "Client": "tongbao.merchant.client",
    "ConfigurationError": "tongbao.kernel.error",
    "ConnectionPool": "tongbao.merchant.pool",
    "Consignee": "tongbao.wire.vocabulary",
    "Database": "tongbao.merchant.database",
    "Dialect": "tongbao.merchant.database",
    "Endpoint": "tongbao.merchant.endpoint",
    "Evidence": "tongbao.merchant.order",
    "Expiry": "tongbao.wire.vocabulary",
    "Freight": "tongbao.wire.vocabulary",
    "InvalidSignature": "tongbao.kernel.error",
    "Job": "tongbao.merchant.order",
    "LocalProtocolError": "tongbao.kernel.error",
    "MappedOrderBook": "tongbao.merchant.book",
    "MerchantConfiguration": "tongbao.merchant.configuration",
    "Method": "tongbao.wire.vocabulary",
    "Money": "tongbao.kernel.money",
    "Movement": "tongbao.merchant.movement",
    "MovementKind": "tongbao.merchant.movement",
    "MovementState": "tongbao.wire.movement",
    "MovementTable": "tongbao.merchant.movement",
    "NotSent": "tongbao.wire.world",
    "Order": "tongbao.merchant.order",
    "OrderBook": "tongbao.merchant.book",
    "OrderState": "tongbao.merchant.order",
    "OrderTable": "tongbao.merchant.book",
    "OutcomeUnknown": "tongbao.kernel.error",
    "Party": "tongbao.wire.vocabulary",
    "PayOutItem": "tongbao.wire.movement",
    "Payee": "tongbao.wire.party",
    "Payment": "tongbao.merchant.order",
    "Presentation": "tongbao.wire.vocabulary",
    "Product": "tongbao.wire.vocabulary",
    "Receiver": "tongbao.merchant.receiver",
    "RefundItem": "tongbao.wire.movement",
    "RefundView": "tongbao.wire.movement",
    "Refused": "tongbao.kernel.error",
    "RemoteProtocolError": "tongbao.kernel.error",
    "Request": "tongbao.wire.http",
    "Response": "tongbao.wire.http",
    "ReturnSeen": "tongbao.merchant.verdict",
    "Shipping": "tongbao.wire.vocabulary",
    "Shown": "tongbao.merchant.verdict",
    "SmtpMailer": "tongbao.merchant.mail",
    "Split": "tongbao.wire.movement",
    "TongbaoError": "tongbao.kernel.error",
    "TradeState": "tongbao.wire.vocabulary",
    "Transaction": "tongbao.merchant.database",
    "Verdict": "tongbao.merchant.verdict",
    "VerdictKind": "tongbao.merchant.verdict",
    "enqueue": "tongbao.merchant.record",
    "html_form": "tongbao.merchant.page",
    "html_page": "tongbao.merchant.page",
    "mail_handler": "tongbao.merchant.mail",
    "mail_job": "tongbao.merchant.mail",
    "parse_major": "tongbao.kernel.money",
    "run_jobs": "tongbao.merchant.job",
    "run_jobs_async": "tongbao.merchant.job",
    "schema": "tongbao.merchant.schema",
}
"""What can be imported from here, and the module each name comes from."""


def __getattr__(name: str) -> object:
    """Import on first use, so that ``import tongbao`` costs nothing."""
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib  # noqa: PLC0415 - one of the two places of lazy import

    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_EXPORTS])
