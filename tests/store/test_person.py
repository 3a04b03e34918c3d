"""Books from before the rules on second persons: who was let in stays, what waits goes by the rules of today."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.platform import Stage
from tongbao.store.migrate import migrate_postgresql, migrate_sqlite

BEFORE: Final = 9
"""The last version whose operators and payouts know nothing of it."""

SHOP: Final = "2088000000000001"


def insert(table: str, **values: Any) -> str:
    """A row as SQL."""
    said = ", ".join(str(value) if not isinstance(value, str) else f"'{value}'" for value in values.values())
    return f"INSERT INTO {table} ({', '.join(values)}) VALUES ({said})"


def operator(name: str, maker: str) -> str:
    return insert(
        "operator", name=name, role="both", status="active", password_hash="x", created_by=maker, created_at=1
    )


def batch(number: str, state: str, first: str, checker: str) -> str:
    texts = dict.fromkeys(("name", "digest", "protocol", "notify_url", "echo", "maker"), "")
    numbers = dict.fromkeys(("fee", "ended", "failed", "paid", "created_at"), 0)
    ones = dict.fromkeys(("count", "total", "loaded", "loaded_sum"), 1)
    named = {"merchant_id": SHOP, "batch_no": number, "batch_id": number, "currency": "CNY", "source": "api"}
    return insert("payout_batch", **named, state=state, first=first, checker=checker, **texts, **numbers, **ones)


def payout(number: str, state: str, checker: str) -> str:
    texts = dict.fromkeys(("payee_id", "payee", "bank", "digest", "memo", "title", "code", "bank_ref"), "")
    texts |= dict.fromkeys(("protocol", "notify_url", "batch_no"), "")
    named = {"merchant_id": SHOP, "payout_no": number, "payout_id": number, "kind": "card", "secret": "v1:a:b:c"}
    more = {"currency": "CNY", "source": "api", "maker": "key", "n": 1, "amount": 1, "fee": 0, "created_at": 1}
    return insert("payout", **named, state=state, checker=checker, **texts, **more)


@pytest.mark.slow
def test_F06_books_of_before_the_second_persons(stage: Stage, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Operators stay active and are told apart from the first two; a first who agreed is remembered with who entered
    him; what has started took as many as it had."""
    lite = stage.dialect == "sqlite"
    old = Stage(stage.dialect, str(tmp_path / "old.sqlite") if lite else request.getfixturevalue("postgresql_dsn"))

    def migrate(target: int | None = None) -> None:
        if lite:
            migrate_sqlite(old.where, target)
        else:
            asyncio.run(migrate_postgresql(old.where, target))

    migrate(BEFORE)
    texts = dict.fromkeys(("name", "environment", "login", "products", "protocols", "hosts", "notify_url"), "")
    texts |= dict.fromkeys(("return_url", "settings", "created_by", "approved_by"), "")
    numbers = dict.fromkeys(("refund_days", "fee_rate", "fee_min", "fee_cap", "created_at", "version"), 0)
    person = {"merchant_id": SHOP, "name": "li", "status": "active", "pay_hash": "scrypt:1:2:3:4:5"}
    old.execute(
        insert("merchant", merchant_id=SHOP, status="applied", anti_phishing=False, **texts, **numbers),
        insert(
            "merchant_operator",
            **person,
            attempts=0,
            locked_until=0,
            maker="anna",
            checker="bo",
            changed_at=1,
            version=1,
        ),
        *[operator(name, "anna") for name in ("anna", "bo", "cy")],
        batch("waits", "proposed", f"{SHOP}/op:li", ""),
        batch("runs", "running", f"{SHOP}/op:li", "bo"),
        batch("small", "running", "", ""),
        payout("sent", "sent", "bo"),
        payout("free", "sent", ""),
        payout("waits", "proposed", ""),
    )
    migrate()
    assert old.execute("SELECT name, status, checker FROM operator ORDER BY name") == [
        (name, "active", None) for name in ("anna", "bo", "cy")
    ]
    assert old.execute("SELECT batch_no, first_maker, due FROM payout_batch ORDER BY batch_no") == [
        ("runs", "", 2),
        ("small", "", 0),
        ("waits", "anna", 0),
    ]
    found = old.execute("SELECT payout_no, first, due FROM payout ORDER BY payout_no")
    assert found == [("free", "", 0), ("sent", "", 1), ("waits", "", 0)]
