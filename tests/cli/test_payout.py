"""Settlement and payouts from the command line: two persons, files, exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_command import PASSWORDS, SECRET, run

PASSWORD = PASSWORDS["TONGBAO_OPERATOR_PASSWORD"]


class Desk:
    """One operator's desk over one installation."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {
            **PASSWORDS,
            "TONGBAO_CHECKER_PASSWORD": PASSWORD,
            "TONGBAO_DATABASE": str(folder / "books.sqlite"),
            "TONGBAO_BASE_URL": "http://127.0.0.1:1",
            "TONGBAO_SECRET": SECRET,
            "TONGBAO_ENVIRONMENT": "test",
        }

    def do(self, *arguments: str, code: int = 0) -> Any:
        """Run a command; what it says as JSON, or its complaint."""
        done = run(self.folder, *arguments, "--json", **self.environ)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if code == 0 else done.stderr


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Two operators and an approved merchant."""
    made = Desk(tmp_path)
    assert run(tmp_path, "migrate", **made.environ).returncode == 0
    made.do("operator", "create", "olga", "--as", "olga")
    made.do("operator", "create", "otto", "--as", "olga")
    return made


@pytest.mark.slow
def test_T67_a_merchants_money_by_two_persons(desk: Desk) -> None:
    """Agreement, card, calendar, settlement, a refused file and an entered one: each act by its person."""
    said = desk.do(
        "merchant", "create", "--as", "olga", "--name", "Shop", "--login", "s@shop.example", "--protocol", "alipay_mapi"
    )
    mine = ("--merchant", said["merchant"])
    desk.do("merchant", "approve", said["merchant"], "--as", "otto", "--reason", "papers")
    terms = desk.folder / "terms.json"
    terms.write_text('{"payout": {"minimum": 100}}')
    put = ("agreement", "put", str(terms), *mine, "--as", "olga", "--reason", "contract")
    assert "MAKER_IS_CHECKER" in desk.do(*put, "--checker", "olga", code=1)
    desk.do(*put, "--checker", "otto")
    assert json.loads(desk.do("agreement", "show", *mine)["agreement"]) == {"payout": {"minimum": 100}}
    card = ("--bank", "ICBC", "--card", "6200000000000018", "--holder", "店主", "--reason", "papers")
    desk.do("payout", "card", *mine, "--as", "olga", *card)
    verify = ("payout", "verify", *mine, "--reason", "seen", "--card")
    assert "MAKER_IS_CHECKER" in desk.do(*verify, "6200000000000018", "--as", "olga", code=1)
    assert "REVIEW_AGAIN: card: " in desk.do(*verify, "6210000000000018", "--as", "otto", code=1)
    assert desk.do(*verify, "6200000000000018", "--as", "otto")["card"] == "**** 0018"
    single = ("payout", "approve", "w1", "--single", *mine, "--as", "otto", "--reason", "seen")
    assert "amount: a single payout is agreed to by its sum" in desk.do(*single, code=2)
    assert "PAYOUT_NOT_FOUND" in desk.do(*single, "--amount", "1", code=1)
    assert desk.do("payout", "waiting", *mine) == []
    standing = ("payout", "standing", "daily", *mine, "--as", "olga", "--keep", "10.5", "--reason", "asked for")
    assert "MAKER_IS_CHECKER" in desk.do(*standing, code=1)
    assert desk.do(*standing, "--checker", "otto")["standing"] == "daily"
    assert "PAYOUT_COOLING" in desk.do("payout", "withdraw", "w1", *mine, "--as", "olga", "--amount", "1", code=1)
    desk.do("calendar", "off", "2027-02-08", "--as", "olga", "--reason", "Spring Festival")
    assert desk.do("calendar", "list") == [{"day": "2027-02-08", "working": False}]
    assert desk.do("settle", "run", "--day", "2026-01-05", "--as", "olga") == []
    file = desk.folder / "wages.csv"
    file.write_text("payout_no,payee,bank,card,name,amount\n1,nobody@x.example,,,,1\n2,,ICBC,6200000000000018,店主,x\n")
    wrong = desk.do("payout", "upload", str(file), *mine, "--as", "olga", code=1)
    assert "line 2: PAYEE_UNKNOWN" in wrong
    assert "line 3: AMOUNT_INVALID" in wrong
    file.write_bytes("流水号,银行,卡号,户名,金额\n2,工商,,,\n".encode("gbk"))
    assert "line 2: " in desk.do("payout", "upload", str(file), *mine, "--as", "olga", code=1)
    file.write_bytes("流水号,银行,卡号,户名,金额\n2,中国工商银行,6200000000000018,店主,1.5\n".encode("gbk"))
    batch = desk.do("payout", "upload", str(file), *mine, "--as", "olga")
    assert (batch["state"], batch["total"]) == ("proposed", "1.50")
    decide = (batch["batch"], *mine, "--reason", "wages")
    assert "MERCHANT_FUNDS" in desk.do("payout", "approve", *decide, "--as", "otto", code=1)
    assert desk.do("payout", "refuse", *decide, "--as", "otto")["state"] == "closed"
    (row,) = desk.do("payout", "list", *mine)
    assert (row["batch"], row["state"]) == (batch["batch"], "closed")
    out = desk.folder / "result.csv"
    desk.do("payout", "result", batch["batch"], *mine, "--out", str(out))
    assert out.read_text("utf-8-sig").splitlines()[1].split(",")[7] == "closed"
    assert desk.do("audit")["audit"] == "clean"


@pytest.mark.slow
def test_T67_a_merchants_people_by_two_operators(desk: Desk) -> None:
    """Entered by one, confirmed by another, given another password, disabled; a batch that is not there is refused."""
    said = desk.do(
        "merchant", "create", "--as", "olga", "--name", "Shop", "--login", "s@shop.example", "--protocol", "alipay_mapi"
    )
    number = said["merchant"]
    person = ("merchant", "operator")
    chen, why = (number, "chen"), ("--reason", "letter")
    desk.environ["TONGBAO_NEW_PASSWORD"] = "12345678"
    assert "payment password" in desk.do(*person, "add", *chen, *why, "--as", "olga", code=1)
    desk.environ["TONGBAO_NEW_PASSWORD"] = "chen-pays-1"
    added = desk.do(*person, "add", *chen, *why, "--as", "olga")
    assert (added["status"], added["version"]) == ("entered", 1)
    assert "chen-pays-1" not in json.dumps(added)
    assert "ALREADY_EXISTS" in desk.do(*person, "add", *chen, *why, "--as", "otto", code=1)
    approve = (*person, "approve", *chen, *why, "--version")
    assert "MAKER_IS_CHECKER" in desk.do(*approve, "1", "--as", "olga", code=1)
    assert "REVIEW_AGAIN: version: " in desk.do(*approve, "2", "--as", "otto", code=1)
    assert desk.do(*approve, "1", "--as", "otto")["status"] == "active"
    assert desk.do(*person, "reset", *chen, *why, "--as", "otto")["version"] == 2
    assert desk.do(*person, "disable", *chen, *why, "--as", "otto")["status"] == "disabled"
    listed = [{"operator": "chen", "status": "disabled", "version": 2, "entered_by": "otto", "approved_by": ""}]
    assert desk.do(*person, "list", number) == listed
    decided = ("refund", "agree", "20260302001", "--merchant", number, *why)
    assert "BATCH_NOT_FOUND" in desk.do(*decided, "--as", "otto", code=1)
    assert "BATCH_NOT_FOUND" in desk.do("payout", "link", "20260302001", "--merchant", number, code=1)
    assert desk.do("audit")["audit"] == "clean"
