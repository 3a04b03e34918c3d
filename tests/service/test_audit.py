"""The auditor: clean books give nothing, and each planted violation is named. An auditor that cannot find is none."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.history import live
from tests.support.platform import House, Stage
from tests.support.postgresql import Server
from tongbao.service.audit import INVARIANTS, QUERIES, Finding, audit
from tongbao.store.fragment import named_queries
from tongbao.store.schema import TABLES

PLANTS: Final[tuple[tuple[str, str], ...]] = (
    ("I01", "UPDATE posting SET credit = 'nobody:0:balance:CNY' WHERE lane = 0 AND seq = 1"),
    ("I02", "UPDATE account SET balance = balance + 1 WHERE code LIKE 'buyer:%'"),
    ("I03", "UPDATE account SET balance = balance + 1 WHERE code LIKE 'buyer:%'"),
    ("I03", "UPDATE posting SET amount = amount + 1 WHERE lane = 0 AND seq = 2 AND n = 1"),
    ("I04", "UPDATE account SET balance = -1 WHERE code LIKE 'buyer:%'"),
    ("I04", "UPDATE account SET balance = -1, may_go_negative = {true} WHERE code LIKE 'platform:%:fee:%'"),
    ("I05", "DELETE FROM posting WHERE lane = 0 AND seq = 3"),
    ("I05", "DELETE FROM entry WHERE lane = 0 AND seq = 3"),
    ("I05", "UPDATE posting SET amount = 0 WHERE lane = 0 AND seq = 3 AND n = 1"),
    ("I05", "UPDATE posting SET credit = debit WHERE lane = 0 AND seq = 3 AND n = 1"),
    ("I06", "UPDATE account SET currency = 'USD' WHERE code LIKE 'platform:%:fee:%'"),
    ("I07", "UPDATE entry SET key = 'pay:0' WHERE lane = 0 AND seq = 4"),
    ("I07", "UPDATE posting SET amount = amount - 1 WHERE lane = 0 AND seq = 4 AND n = 1"),
    ("I07", "UPDATE entry SET hash = 'x' WHERE lane = 0 AND seq = 4"),
    ("I07", "DELETE FROM entry WHERE lane = 0 AND seq = 4"),
    ("I07", "DELETE FROM entry WHERE lane = 0 AND seq = (SELECT entry_seq FROM lane)"),
    (
        "I07",
        "INSERT INTO entry SELECT lane, seq + 99, key, '', '', '', at, business_day, hash FROM entry",
    ),
    ("I07", "UPDATE lane SET head = ''"),
    ("I07", "UPDATE entry SET at = at - 1 WHERE lane = 0 AND seq = 4"),
    ("I08", "UPDATE payment SET counts = {false} WHERE out_trade_no = 'A'"),
    ("I08", "UPDATE trade SET state = 'finished', paid_attempt = 1 WHERE out_trade_no = 'E'"),
    ("I09", "UPDATE trade SET state = 'unpaid' WHERE out_trade_no = 'A'"),
    ("I09", "UPDATE case_file SET state = 'closed' WHERE kind = 'late_payment'"),
    ("I09", "DELETE FROM case_file WHERE kind = 'late_payment' AND state = 'open'"),
    ("I09", "UPDATE payment SET state = 'late' WHERE state = 'failed'"),
    ("I09", "DELETE FROM refund WHERE out_trade_no = 'P'"),
    ("I09", "UPDATE payment SET state = 'captured' WHERE out_trade_no = 'J' AND attempt = 1"),
    ("I10", "UPDATE payment SET state = 'captured', counts = {true} WHERE out_trade_no = 'G'"),
    ("I11", "UPDATE instruction SET bank_ref = 'same', bank = 'ICBC' WHERE out_trade_no = 'G' AND kind = 'pay'"),
    ("I12", "UPDATE payment SET amount = 999 WHERE out_trade_no = 'A'"),
    ("I12", "UPDATE payment SET currency = 'USD' WHERE out_trade_no = 'A'"),
    ("I12", "UPDATE instruction SET amount = 1 WHERE out_trade_no = 'J'"),
    ("I12", "UPDATE payment SET flow = 'escrow' WHERE out_trade_no = 'A'"),
    ("I12", "UPDATE posting SET amount = 1 WHERE n = 1 AND seq = (SELECT seq FROM entry WHERE out_trade_no = 'A')"),
    ("I13", "UPDATE refund SET amount = amount + 1 WHERE out_trade_no = 'P'"),
    ("I13", "UPDATE trade SET refunded = 0 WHERE out_trade_no = 'V'"),
    ("I13", "DELETE FROM refund WHERE out_trade_no = 'P'"),
    ("I14", "UPDATE refund SET state = 'failed' WHERE out_trade_no = 'P'"),
    ("I14", "UPDATE refund SET state = 'succeeded' WHERE state = 'accepted'"),
    ("I14", "UPDATE refund SET state = 'accepted' WHERE state = 'failed'"),
    ("I14", "DELETE FROM entry WHERE kind = 'refunded'"),
    ("I14", "DELETE FROM entry WHERE kind = 'refund' AND out_trade_no = 'C'"),
    ("I14", "UPDATE refund SET buyer_id = 'somebody' WHERE out_trade_no = 'P'"),
    ("I14", "UPDATE refund_line SET state = 'failed' WHERE state = 'succeeded'"),
    ("I14", "UPDATE refund_batch SET ended = 1 WHERE state = 'done'"),
    ("I14", "DELETE FROM refund_line WHERE n = 2"),
    ("I15", "UPDATE refund SET from_escrow = 1 WHERE out_trade_no = 'C'"),
    ("I16", "UPDATE refund SET state = 'succeeded' WHERE state = 'accepted'"),
    ("I16", "UPDATE account SET balance = balance + 1 WHERE code LIKE '%:refunding:%'"),
    ("I16", "UPDATE trade_return SET refunding = 0 WHERE out_trade_no = 'K'"),
    ("I16", "UPDATE trade_return SET from_escrow = 0 WHERE out_trade_no = 'C'"),
    ("I16", "UPDATE trade_return SET charged_back = 0 WHERE out_trade_no = 'K'"),
    ("I43", "UPDATE refund SET ended_at = NULL WHERE out_trade_no = 'P'"),
    ("I43", "UPDATE refund SET state = 'accepted' WHERE state = 'failed'"),
    ("I43", "UPDATE refund SET method = 'balance', bank = '' WHERE out_trade_no = 'K'"),
    ("I15", "UPDATE trade SET state = 'shipped' WHERE out_trade_no = 'B'"),
    ("I15", "UPDATE trade SET amount = 1001 WHERE out_trade_no = 'C'"),
    ("I17", "UPDATE instruction SET inquire_at = NULL, moved_at = moved_at - 1800000 WHERE state = 'unknown'"),
    ("I18", "UPDATE event SET to_state = 'paid' WHERE out_trade_no = 'B' AND to_state = 'finished'"),
    ("I18", "UPDATE event SET from_state = 'finished', to_state = 'unpaid' WHERE out_trade_no = 'A'"),
    ("I19", "DELETE FROM event WHERE out_trade_no = 'B' AND seq = 2"),
    ("I19", "UPDATE trade SET version = version + 1 WHERE out_trade_no = 'B'"),
    ("I19", "UPDATE trade SET state = 'shipped' WHERE out_trade_no = 'C'"),
    ("I19", "UPDATE event SET from_state = 'shipped' WHERE out_trade_no = 'B' AND seq = 2"),
    ("I19", "UPDATE trade SET version = 0 WHERE out_trade_no = 'C'"),
    ("I20", "DELETE FROM event WHERE out_trade_no = 'A'"),
    ("I20", "UPDATE event SET at = at + 1 WHERE cause LIKE 'pay:%'"),
    ("I20", "DELETE FROM entry WHERE kind = 'release'"),
    ("I20", "DELETE FROM event WHERE cause LIKE 'refund_failed:%'"),
    ("I20", "DELETE FROM entry WHERE kind = 'refund_back'"),
    ("I20", "UPDATE event SET cause = 'refund:1' WHERE out_trade_no = 'P' AND cause LIKE 'refund:%'"),
    ("I21", "UPDATE event SET notify_state = 'pending', next_at = at - 400000 WHERE notify_state = 'delivered'"),
    ("I21", "UPDATE event SET notify_state = 'pending', next_at = NULL WHERE notify_state = 'delivered'"),
    ("I21", "DELETE FROM case_file WHERE kind = 'notification_blocked'"),
    ("I22", "UPDATE attempt SET answer_class = 'STATUS' WHERE out_trade_no = 'C'"),
    ("I22", "DELETE FROM attempt WHERE out_trade_no = 'C'"),
    ("I23", "UPDATE event SET attempts = 7 WHERE out_trade_no = 'C'"),
    ("I23", "UPDATE attempt SET at = at + 200000 WHERE out_trade_no = 'C' AND n = 1"),
    ("I23", "UPDATE event SET resends = 0 WHERE out_trade_no = 'A'"),
    ("I29", "INSERT INTO gap VALUES ('ICBC', 'pay', '1', 'there', 20260301, 5, 'CNY', 0, 'case', 'none', 20260301)"),
    (
        "I29",
        "INSERT INTO case_file VALUES ('x', 'statement_credit', '', '', '', 5, 'CNY', 'closed', '', 0, 0, 'x')",
    ),
    ("I29", "INSERT INTO statement VALUES ('ICBC', 20260301, '', 1, 0, 0, 0, 0, 1, 0)"),
    ("I30", "INSERT INTO answer SELECT * FROM answer"),
    ("I30", "UPDATE answer SET request_hash = ''"),
    ("I30", "UPDATE trade SET trade_no = 'same'"),
    ("I30", "UPDATE entry SET key = 'same' WHERE seq < 3"),
    ("I30", "UPDATE refund SET refund_id = 'same'"),
    ("I30", "UPDATE refund SET refund_no = 'same' WHERE out_trade_no = 'V'"),
    ("I31", "UPDATE payment SET intent = 'same' WHERE out_trade_no IN ('A', 'B')"),
    ("I32", "UPDATE trade SET fee = fee + 1 WHERE out_trade_no = 'A'"),
    ("I32", "UPDATE trade_return SET fee_back = 0 WHERE out_trade_no = 'V'"),
    ("I32", "UPDATE refund SET fee = 0 WHERE out_trade_no = 'V'"),
    ("I32", "UPDATE trade SET fee = 1 WHERE out_trade_no = 'C'"),
    ("I32", "UPDATE trade SET fee = amount + 1 WHERE out_trade_no = 'A'"),
    ("I32", "UPDATE posting SET amount = 1 WHERE credit LIKE 'merchant:%:pending:%'"),
    ("I32", "UPDATE posting SET amount = amount + 1 WHERE credit LIKE '%:fee:%' AND debit LIKE '%0003:payout:%'"),
    ("I32", "UPDATE split SET amount = amount + 1"),
    ("I32", "UPDATE split_part SET returned = returned + 1"),
    ("I32", "UPDATE share SET given = given + 1 WHERE given > 0"),
    ("I32", "DELETE FROM entry WHERE kind = 'split_back'"),
    ("I32", "UPDATE split_return SET amount = amount + 1"),
    ("I32", "UPDATE split_return SET return_id = 'other'"),
    ("I32", "UPDATE split_return SET split_no = 'other'"),
    ("I33", "UPDATE counter SET amount = amount + 1"),
    ("I34", "UPDATE payment SET merchant_id = '2088000000000002' WHERE out_trade_no = 'A'"),
    ("I34", "UPDATE event SET merchant_id = '2088000000000002' WHERE out_trade_no = 'A'"),
    ("I34", "UPDATE instruction SET merchant_id = '2088000000000002' WHERE out_trade_no = 'G'"),
    ("I34", "UPDATE attempt SET out_trade_no = 'Z' WHERE out_trade_no = 'A'"),
    ("I34", "UPDATE case_file SET out_trade_no = 'Z' WHERE out_trade_no = 'G'"),
    ("I34", "UPDATE authorisation SET merchant_id = 'other'"),
    ("I34", "UPDATE refund SET merchant_id = 'other'"),
    ("I34", "UPDATE claim SET merchant_id = 'other'"),
    ("I34", "UPDATE refund_batch SET batch_no = 'other'"),
    ("I34", "UPDATE trade SET merchant_id = 'other'"),
    ("I34", "UPDATE entry SET merchant_id = '2088000000000002' WHERE out_trade_no = 'A'"),
    ("I35", "UPDATE merchant SET environment = 'production'"),
    ("I36", "UPDATE attempt SET token = 1 WHERE out_trade_no = 'C'"),
    ("I36", "UPDATE event SET lease_token = 0"),
    ("I37", "DELETE FROM audit WHERE act = 'merchant.approved'"),
    ("I37", "UPDATE audit SET actor = 'somebody' WHERE act = 'key.put'"),
    ("I37", "UPDATE audit SET subject = 'x' WHERE act = 'key.put'"),
    ("I37", "DELETE FROM audit WHERE seq = (SELECT audit_seq FROM lane)"),
    (
        "I37",
        "INSERT INTO audit SELECT lane, seq + 99, at, actor, act, subject, reason, '', '', hash FROM audit",
    ),
    ("I37", "UPDATE merchant SET approved_by = created_by"),
    (
        "I37",
        "UPDATE merchant_key SET key_id = 'new'",
    ),
    ("I37", "UPDATE lane SET audit_head = ''"),
    ("I37", "UPDATE correction SET checker = maker WHERE state = 'posted'"),
    ("I37", "UPDATE correction SET maker = 'somebody' WHERE state = 'proposed'"),
    ("I37", "UPDATE correction SET state = 'proposed'"),
    ("I37", "UPDATE claim SET decided_by = proposed_by"),
    ("I37", "UPDATE claim SET decided_by = 'somebody' WHERE state = 'decided'"),
    ("I37", "DELETE FROM audit WHERE act = 'chargeback.enter'"),
    ("I37", "DELETE FROM audit WHERE act = 'chargeback.agree'"),
    ("I37", "UPDATE audit SET actor = 'olga' WHERE act = 'chargeback.agree'"),
    ("I38", "UPDATE merchant_key SET secret = 'in the open'"),
    ("I37", "UPDATE operator SET created_by = name WHERE name = 'otto'"),
    ("I37", "UPDATE audit SET act = 'x' WHERE act = 'operator.register'"),
    ("I37", "UPDATE audit SET act = 'x' WHERE act = 'operator.approve'"),
    ("I37", "UPDATE operator SET status = 'active' WHERE name = 'oda'"),
    ("I37", "UPDATE operator SET checker = created_by WHERE name = 'ole'"),
    ("I37", "UPDATE operator SET checker = '' WHERE name = 'ole'"),
    ("I38", "UPDATE operator SET password_hash = 'plain'"),
    ("I38", "UPDATE buyer SET pay_hash = '741852'"),
    ("I38", "UPDATE buyer SET login_hash = 'plain'"),
    ("I39", "UPDATE authorisation SET state = 'denied' WHERE state = 'used'"),
    ("I39", "UPDATE authorisation SET state = 'used' WHERE state = 'denied'"),
    ("I39", "UPDATE authorisation SET amount = 999 WHERE out_trade_no = 'A'"),
    ("I39", "UPDATE authorisation SET act = 'confirm' WHERE out_trade_no = 'A'"),
    ("I40", "UPDATE trade SET paid_at = created_at - 1 WHERE out_trade_no = 'A'"),
    ("I40", "UPDATE trade SET moved_at = moved_at + 864000000 WHERE out_trade_no = 'E'"),
    ("I40", "UPDATE payment SET ended_at = created_at - 1 WHERE out_trade_no = 'A'"),
    ("I40", "UPDATE entry SET at = at - 1000 WHERE seq = 9"),
    ("I40", "UPDATE audit SET at = at + 1000 WHERE seq = 2"),
    ("I40", "UPDATE event SET at = at + 864000000 WHERE out_trade_no = 'B' AND seq = 1"),
    ("I41", "UPDATE trade SET terms = '{{}}' WHERE out_trade_no = 'A'"),
    ("I41", "UPDATE trade SET terms = 'no JSON' WHERE out_trade_no = 'A'"),
    ("I41", "UPDATE trade SET amount = 5 WHERE out_trade_no = 'E'"),
    ("I41", "UPDATE trade SET currency = 'USD' WHERE out_trade_no = 'E'"),
    ("I41", "UPDATE trade SET product = 'escrow' WHERE out_trade_no = 'E'"),
    ("I42", "INSERT INTO bill VALUES ('2088000000000001', 20260301, 'trade', 'CNY', 0, 1, 0, 0, 1, 0)"),
    ("I42", "INSERT INTO bill VALUES ('2088000000000001', 20260301, 'account', 'CNY', 0, 0, 1, 0, 1, 0)"),
    ("S01", "UPDATE account SET balance = balance - 1 WHERE code LIKE '%:suspense:%'"),
    ("S01", "UPDATE case_file SET amount = 1 WHERE kind = 'late_payment'"),
    ("S02", "UPDATE instruction SET state = 'failed' WHERE out_trade_no = 'G'"),
    ("S02", "UPDATE payment SET state = 'failed' WHERE out_trade_no = 'J'"),
    ("S02", "UPDATE instruction SET instruction_no = 'x' WHERE kind = 'refund'"),
    ("S02", "DELETE FROM instruction WHERE out_trade_no = 'J'"),
    ("S02", "DELETE FROM instruction WHERE out_trade_no = 'K' AND kind = 'refund'"),
    ("S02", "UPDATE instruction SET amount = 1 WHERE out_trade_no = 'K' AND kind = 'refund'"),
    ("S02", "UPDATE instruction SET state = 'failed' WHERE out_trade_no = 'K' AND kind = 'refund'"),
    ("I16", "UPDATE payout SET state = 'closed' WHERE payout_no = 'p5'"),
    ("I16", "UPDATE payout_batch SET state = 'closed' WHERE batch_no = 'b2'"),
    ("I37", "UPDATE payout SET checker = maker WHERE payout_no = 'p6'"),
    ("I37", "UPDATE payout_card SET checker = maker"),
    ("I37", "DELETE FROM audit WHERE act = 'card.standing_agree'"),
    ("I37", "UPDATE audit SET actor = 'maria' WHERE act = 'card.standing_agree'"),
    ("I37", "UPDATE payout_batch SET first = checker WHERE batch_no = 'b3'"),
    ("I37", "UPDATE payout_batch SET first = '' WHERE batch_no = 'b3'"),
    ("I37", "UPDATE payout SET first = '' WHERE payout_no = 'p6'"),
    ("I37", "UPDATE payout SET first = maker WHERE payout_no = 'p6'"),
    ("I37", "UPDATE payout SET first = 'ole' WHERE payout_no = 'p6'"),
    ("I37", "UPDATE payout SET first = '', checker = '' WHERE payout_no = 'p6'"),
    ("I37", "UPDATE payout_batch SET first_maker = checker WHERE batch_no = 'b3'"),
    ("I37", "UPDATE payout_batch SET checker_maker = first WHERE batch_no = 'b3'"),
    ("I37", "UPDATE payout_batch SET first = '', checker = '' WHERE batch_no = 'b3'"),
    ("I37", "UPDATE refund_batch SET agreed_by = 'olga' WHERE batch_no = 'rb2'"),
    ("I37", "UPDATE merchant_operator SET checker = maker WHERE name = 'li'"),
    ("I37", "UPDATE merchant_operator SET name = 'xu' WHERE name = 'li'"),
    ("I38", "UPDATE merchant_operator SET pay_hash = '741852'"),
    ("I39", "UPDATE authorisation SET amount = 1 WHERE act = 'agree:payouts'"),
    ("I39", "UPDATE authorisation SET state = 'denied' WHERE act = 'refuse:refunds'"),
    ("I39", "UPDATE payout_batch SET state = 'proposed' WHERE batch_no = 'b4'"),
    ("I34", "UPDATE authorisation SET act = 'agree:refunds' WHERE act = 'agree:payouts'"),
    ("I37", "UPDATE switch SET actor = 'nobody'"),
    ("I37", "UPDATE calendar_day SET actor = 'nobody'"),
    ("I43", "DELETE FROM entry WHERE kind = 'payout_return'"),
    ("I43", "UPDATE payout SET state = 'failed' WHERE payout_no = 'p1'"),
    ("S02", "UPDATE instruction SET state = 'failed' WHERE kind = 'payout' AND state = 'succeeded'"),
    ("S02", "DELETE FROM instruction WHERE kind = 'payout'"),
    ("I45", "UPDATE instruction SET state = 'succeeded' WHERE kind = 'payout' AND state = 'unknown'"),
    ("I45", "UPDATE instruction SET state = 'unknown' WHERE kind = 'payout' AND state = 'succeeded'"),
    ("I45", "UPDATE instruction SET bank = 'CCB' WHERE kind = 'pay' AND state = 'succeeded'"),
    ("I45", "UPDATE posting SET credit = 'bank:CCB:0:CNY' WHERE credit LIKE 'bank:ICBC:%'"),
    ("I45", "UPDATE posting SET debit = 'bank:CCB:0:CNY' WHERE debit LIKE 'merchant:%:payout:%'"),
    ("I45", "UPDATE chargeback SET amount = amount + 1"),
    ("I45", "INSERT INTO instruction SELECT * FROM instruction WHERE kind = 'refund' AND state = 'succeeded'"),
    ("S10", "UPDATE settlement SET amount = amount + 1"),
    ("S10", "UPDATE settlement_line SET amount = amount + 1"),
    ("S10", "UPDATE share SET settled = settled - 1"),
    ("S10", "UPDATE settlement SET state = 'open'"),
    ("S11", "UPDATE payout_batch SET paid = paid + 1"),
    ("S11", "DELETE FROM payout WHERE batch_no = 'b1' AND n = 1"),
    ("S12", "UPDATE combined SET amount = amount + 1 WHERE out_trade_no = 'CO'"),
    ("S12", "DELETE FROM combined_trade WHERE out_trade_no = 'CP' AND n = 2"),
    ("S12", "UPDATE combined SET paid_at = NULL WHERE out_trade_no = 'CO'"),
    ("S12", "UPDATE trade SET buyer_id = '2088000000000098' WHERE out_trade_no = 'CO2'"),
    ("I34", "DELETE FROM combined WHERE out_trade_no = 'CO'"),
    ("I39", "UPDATE authorisation SET state = 'denied' WHERE out_trade_no = 'CO'"),
    ("I39", "UPDATE payment SET intent = 'somebody:1' WHERE out_trade_no = 'CO1'"),
    ("S03", "UPDATE trade SET due_at = NULL WHERE out_trade_no = 'E'"),
    ("S03", "UPDATE trade SET due_at = 1 WHERE out_trade_no = 'A'"),
    ("S03", "UPDATE trade SET due_at = NULL WHERE out_trade_no = 'Y'"),
    ("S03", "UPDATE claim SET state = 'disputed' WHERE out_trade_no = 'Y'"),
)
"""What is planted behind the platform's back, and the invariant whose name must come up."""


def strip(stage: Stage) -> None:
    """Take all constraints and triggers away, so that anything can be planted."""
    names = [table.name for table in TABLES] + ["attempt"]
    end = " CASCADE" if stage.dialect == "postgresql" else ""
    free = [] if stage.dialect == "postgresql" else ["PRAGMA foreign_keys = OFF"]
    stage.execute(
        *free,
        *[
            statement
            for name in names
            for statement in (
                f"CREATE TABLE stripped AS SELECT * FROM {name}",
                f"DROP TABLE {name}{end}",
                f"ALTER TABLE stripped RENAME TO {name}",
            )
        ],
    )


def find(stage: Stage) -> set[str]:
    """Ids of what the auditor finds, with a worker expected to be at work."""

    async def look() -> set[str]:
        async with stage.open_database() as database:
            return {finding.id for finding in await audit(database, stage.clock.now, environment="test")}

    return asyncio.run(look())


@pytest.fixture(scope="module")
def sqlite_origin(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The history in a SQLite file without constraints."""
    path = tmp_path_factory.mktemp("history") / "books.sqlite"
    shutil.copy(sqlite_template, path)
    stage = Stage("sqlite", str(path))
    stage.play(live, furnished=False)
    strip(stage)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return stage


@pytest.fixture(scope="module")
def postgresql_origin(postgresql_server: Server, postgresql_template: str) -> Iterator[Stage]:
    """The history in a PostgreSQL database without constraints."""
    with postgresql_server.database(postgresql_template) as dsn:
        stage = Stage("postgresql", dsn)
        stage.play(live, furnished=False)
        strip(stage)
        yield stage


def test_the_history_is_clean(stage: Stage) -> None:
    """An eventful day leaves nothing to find, with the worker's own invariant included."""

    async def scene(house: House) -> list[Any]:
        await live(house)
        return await house.audit(worker=True)

    assert stage.play(scene, furnished=False) == []


def test_every_invariant_has_a_plant() -> None:
    """No invariant is listed that no test has shown to be found."""
    assert {invariant for invariant, _ in PLANTS} == set(INVARIANTS)


def test_every_audit_query_is_used() -> None:
    """No query of the auditor's file is forgotten."""
    walks = {"audit.moves", "audit.plans", "audit.lanes"}
    pages = {"audit.entry_page", "audit.posting_page", "audit.audit_page", "audit.trade_page", "audit.bills"}
    pages |= {"audit.day_postings"}
    # a sandbox's audit, which has the banks' own book at hand
    pages |= {"audit.bank_moves", "audit.bank_pending"}
    written = {name for name in named_queries() if name.startswith("audit.")}
    assert {query for _, query in QUERIES} | walks | pages == written


def _first_of_each() -> list[Any]:
    """Every plant; beyond the first of each invariant they are slow."""
    seen: set[str] = set()
    found = []
    for invariant, plant in PLANTS:
        found.append(pytest.param(invariant, plant, marks=[pytest.mark.slow] if invariant in seen else []))
        seen.add(invariant)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("invariant", "plant"), _first_of_each())
def test_a_plant_is_found_in_sqlite(invariant: str, plant: str, sqlite_origin: Stage, tmp_path: Path) -> None:
    """The auditor names the invariant that a change behind its back has broken."""
    path = tmp_path / "planted.sqlite"
    shutil.copy(sqlite_origin.where, path)
    stage = Stage("sqlite", str(path), sqlite_origin.clock)
    assert find(stage) == set()
    stage.execute(plant.format(true="1", false="0"))
    assert invariant in find(stage)


@pytest.mark.slow
@pytest.mark.parametrize(("invariant", "plant"), dict(PLANTS).items())
def test_a_plant_is_found_in_postgresql(
    invariant: str, plant: str, postgresql_origin: Stage, postgresql_server: Server
) -> None:
    """The same in PostgreSQL, once for each invariant."""
    with postgresql_server.database(postgresql_origin.where.rsplit("/", 1)[1]) as dsn:
        stage = Stage("postgresql", dsn, postgresql_origin.clock)
        stage.execute(plant.format(true="true", false="false"))
        assert invariant in find(stage)


def test_findings_are_cut(sqlite_stage: Stage) -> None:
    """A finding shows twenty rows at most."""

    async def scene(house: House) -> list[Finding]:
        for number in range(30):
            await house.open(f"T{number}")
        sqlite_stage.execute("UPDATE trade SET terms_hash = ''")
        return await audit(house.platform)

    (finding,) = sqlite_stage.play(scene, audited=False)
    assert (finding.id, len(finding.rows)) == ("I41", 20)


def test_a_bare_database_needs_a_time(sqlite_stage: Stage) -> None:
    """Only a platform has a clock to ask."""

    async def look() -> None:
        async with sqlite_stage.open_database() as database:
            await audit(database)

    with pytest.raises(ValueError, match="what time it is"):
        asyncio.run(look())
