"""What can be imported from the package root, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tongbao

DOCUMENTED = frozenset(
    [
        "Accepted",
        "AsyncClient",
        "AsyncReceiver",
        "BatchTaken",
        "Client",
        "ConfigurationError",
        "ConnectionPool",
        "Consignee",
        "Database",
        "Dialect",
        "Endpoint",
        "Evidence",
        "Expiry",
        "Freight",
        "InvalidSignature",
        "Job",
        "LocalProtocolError",
        "MappedOrderBook",
        "MerchantConfiguration",
        "Method",
        "Money",
        "Movement",
        "MovementKind",
        "MovementState",
        "MovementTable",
        "NotSent",
        "Order",
        "OrderBook",
        "OrderState",
        "OrderTable",
        "OutcomeUnknown",
        "Party",
        "PayOutItem",
        "Payee",
        "Payment",
        "Presentation",
        "Product",
        "Receiver",
        "RefundItem",
        "RefundView",
        "Refused",
        "RemoteProtocolError",
        "Request",
        "Response",
        "ReturnSeen",
        "Shipping",
        "Shown",
        "SmtpMailer",
        "Split",
        "TongbaoError",
        "TradeState",
        "Transaction",
        "Verdict",
        "VerdictKind",
        "enqueue",
        "html_form",
        "html_page",
        "mail_handler",
        "mail_job",
        "parse_major",
        "run_jobs",
        "run_jobs_async",
        "schema",
    ]
)


def test_the_list_is_what_the_documents_say_and_every_name_is_there() -> None:
    """Each name of the list can be imported and is called so where it comes from."""
    assert set(tongbao._EXPORTS) == DOCUMENTED
    for name in DOCUMENTED:
        found = getattr(tongbao, name)
        assert found.__name__ == name
    assert set(dir(tongbao)) >= DOCUMENTED | {"__version__"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="no attribute 'Gateway'"):
        getattr(tongbao, "Gateway")  # noqa: B009 - a plain attribute would be an error of the type checker


def test_importing_the_package_imports_nothing_else() -> None:
    """In a fresh process: only the root module is loaded, and none of its libraries."""
    program = (
        "import sys; before = set(sys.modules); import tongbao; new = set(sys.modules) - before;"
        "print(sorted(name for name in new if name.partition('.')[0] in ('tongbao', 'httpx', 'cryptography')))"
    )
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert child.stdout == "['tongbao']\n"
