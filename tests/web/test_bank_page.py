"""The banks' pages over HTTP, as a browser without scripts sees them."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from tests.web.branch import BACK, CARDS, PASSWORD, Branch, play
from tests.web.house import ask
from tongbao.kernel.time import HOUR
from tongbao.service.channel import sign_query
from tongbao.web.bank.look import LOOKS, look_of, name_of
from tongbao.web.bank.rule import BankRefused
from tongbao.web.bank.text import SENTENCES, choose_language, say
from tongbao.wire.bank import BANKS, OUTLET
from tongbao.wire.form import Pairs, parse_form
from tongbao.wire.http import FORM, Response, get, post

pytestmark = pytest.mark.slow


def page(answer: Response) -> str:
    return answer.body.decode("utf-8")


def error_of(answer: Response) -> str:
    found = re.search(r'data-error="([a-z_]+)"', page(answer))
    return found[1] if found else ""


def state_of(answer: Response) -> str:
    found = re.search(r'data-state="([a-z_]+)"', page(answer))
    return found[1] if found else ""


def test_T61_the_page_shows_what_is_paid(tmp_path: Path) -> None:
    """Sum, payee, goods and order are on the page, escaped, in both languages; nothing runs on it."""

    async def test(here: Branch) -> None:
        handover = await here.start("A1")
        for language, words in (
            ("zh", ("支付金额", "通宝支付平台", "中国工商银行")),
            ("en", ("Amount to pay", "Pay now")),
        ):
            answer = await here.visit(handover.url, language)
            said = page(answer)
            assert answer.status == 200
            for word in (*words, "10.00", "青花瓷 &lt;b&gt;", handover.instruction_no):
                assert word in said
            assert "<b>" not in said.replace("<b>6200", "")
            assert "<script" not in said
            assert " style=" not in said
            assert f'lang="{"zh-CN" if language == "zh" else "en"}"' in said
        answer = await here.visit(handover.url)
        policy = answer.header("content-security-policy") or ""
        for part in ("default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"):
            assert part in policy
        assert "unsafe" not in policy
        assert answer.header("cache-control") == "no-store"

    play(tmp_path, test)


def test_the_language_follows_the_browser(tmp_path: Path) -> None:
    """Without ``lang`` the browser's own language counts; the link to the other one keeps the signed address valid."""

    async def test(here: Branch) -> None:
        handover = await here.start("A1")
        english = replace(get(handover.url), headers=((b"Accept-Language", b"en-GB,en;q=0.9"),))
        said = page(await ask(here.app, english))
        assert "Pay now" in said
        other = re.search(r'class="tongue" href="([^"]+)"', said)
        assert other is not None
        link = handover.url.partition("?")[0] + unescape(other[1])
        assert "确认支付" in page(await ask(here.app, get(link)))

    play(tmp_path, test)


def test_paying_on_the_page(tmp_path: Path) -> None:
    """A wrong password is said, a right one pays, and the page leads back to the cashier without a redirect."""

    async def test(here: Branch) -> None:
        url = (await here.start("A1")).url
        wrong = await here.fill(url, number=CARDS["ok"], password="909090", act="pay")
        assert (wrong.status, error_of(wrong)) == (400, "password_wrong")
        assert f'value="{CARDS["ok"]}"' in page(wrong)
        assert "909090" not in page(wrong)
        done = await here.fill(url, number="6200+0000-0000+0018", password=PASSWORD, act="pay")
        assert (done.status, state_of(done)) == (200, "paid")
        assert f'id="back" href="{BACK}"' in page(done)
        assert done.header("refresh") == f"2; url={BACK}"
        assert (await here.trade("A1")).state == "paid"
        for again in (await here.visit(url), await here.fill(url, number=CARDS["ok"], password=PASSWORD, act="pay")):
            assert state_of(again) == "paid"
        assert await here.bank.balance(CARDS["ok"]) == 99_000

    play(tmp_path, test)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"number": "6200000000009999", "password": PASSWORD}, "card_unknown"),
        ({"number": CARDS["credit"], "password": PASSWORD}, "not_debit"),
        ({"number": "4111111111111111", "password": PASSWORD}, "not_a_test_card"),
        ({"number": CARDS["insufficient"], "password": PASSWORD}, "insufficient_funds"),
        ({"number": "", "password": PASSWORD}, "form"),
        ({"number": CARDS["ok"], "password": ""}, "form"),
        ({"number": CARDS["ok"]}, "form"),
    ],
)
def test_the_page_says_what_is_wrong(tmp_path: Path, fields: dict[str, str], error: str) -> None:
    """Each mistake has its own sentence, and the order stays open for another try."""

    async def test(here: Branch) -> None:
        url = (await here.start("A1")).url
        answer = await here.fill(url, **fields, act="pay")
        assert (answer.status, error_of(answer)) == (400, error)
        assert "4111111111111111" not in page(answer)
        assert state_of(await here.fill(url, number=CARDS["ok"], password=PASSWORD, act="pay")) == "paid"

    play(tmp_path, test)


def test_T08_a_form_with_a_field_twice_does_nothing(tmp_path: Path) -> None:
    """Two card numbers are no card number."""

    async def test(here: Branch) -> None:
        url = (await here.start("A1")).url
        body = f"number={CARDS['ok']}&number={CARDS['slow']}&password={PASSWORD}&act=pay".encode()
        assert error_of(await ask(here.app, post(url, body, FORM))) == "form"
        assert (await here.trade("A1")).state == "unpaid"

    play(tmp_path, test)


def test_T40_one_form_sent_five_times_pays_once(tmp_path: Path) -> None:
    """An impatient finger: every answer says paid, the card is charged once, one notice is sent."""

    async def test(here: Branch) -> None:
        url = (await here.start("A1")).url
        forms = [here.fill(url, number=CARDS["credit"], password=PASSWORD, act="pay") for _ in range(5)]
        assert {error_of(answer) for answer in await asyncio.gather(*forms)} == {"not_debit"}
        forms = [here.fill(url, number=CARDS["ok"], password=PASSWORD, act="pay") for _ in range(5)]
        assert {state_of(answer) for answer in await asyncio.gather(*forms)} == {"paid"}
        assert await here.bank.balance(CARDS["ok"]) == 99_000
        sent = [request for request in here.home.net.sent if request.raw_path.endswith(b"/notice")]
        assert len(sent) == 1

    play(tmp_path, test)


def test_a_locked_card_is_said_to_be_locked(tmp_path: Path) -> None:
    """After five wrong passwords the page names the lock."""

    async def test(here: Branch) -> None:
        url = (await here.start("A1")).url
        said = [error_of(await here.fill(url, number=CARDS["ok"], password="1", act="pay")) for _ in range(6)]
        assert said == ["password_wrong"] * 5 + ["card_locked"]

    play(tmp_path, test)


def test_a_test_card_fills_the_form(tmp_path: Path) -> None:
    """One press on a listed card fills number and password; cards issued unseen are not listed."""

    async def test(here: Branch) -> None:
        await here.bank.add_card("ICBC", "debit", "6200000000000091", PASSWORD, "王", 1_000, show=False)
        url = (await here.start("A1")).url
        said = page(await here.fill(url, pick=CARDS["ok"]))
        assert f'value="{CARDS["ok"]}"' in said
        assert f'type="password" value="{PASSWORD}"' in said
        assert "6200 0000 0000 0091" not in said
        assert CARDS["credit"] not in said

    play(tmp_path, test)


def test_leaving_fails_the_payment(tmp_path: Path) -> None:
    """The buyer cancels: the bank says so for good, and he goes back to choose another way."""

    async def test(here: Branch) -> None:
        url = (await here.start("A1")).url
        answer = await here.fill(url, act="leave")
        assert state_of(answer) == "failed"
        assert f'href="{BACK}"' in page(answer)
        assert await here.payment_states("A1") == ["failed"]
        assert (await here.trade("A1")).state == "unpaid"

    play(tmp_path, test)


def test_slow_and_lost_pages(tmp_path: Path) -> None:
    """Slow leads back while the bank works; lost leads nowhere, whatever is tried again."""

    async def test(here: Branch) -> None:
        slow = (await here.start("A1")).url
        answer = await here.fill(slow, number=CARDS["slow"], password=PASSWORD, act="pay")
        assert (state_of(answer), answer.header("refresh")) == ("accepted", f"2; url={BACK}")
        lost = (await here.start("A2")).url
        for answer in (
            await here.fill(lost, number=CARDS["lost"], password=PASSWORD, act="pay"),
            await here.visit(lost),
        ):
            assert (answer.status, state_of(answer), answer.header("refresh")) == (504, "lost", None)
            assert BACK not in page(answer)

    play(tmp_path, test)


def test_a_page_that_waited_too_long_is_over(tmp_path: Path) -> None:
    """An hour after the first look the order has failed, and the page says so and leads back."""

    async def test(here: Branch) -> None:
        url = (await here.start("A1")).url
        await here.visit(url)
        here.home.clock.advance(HOUR)
        answer = await here.fill(url, number=CARDS["ok"], password=PASSWORD, act="pay")
        assert (state_of(answer), await here.payment_states("A1")) == ("failed", ["failed"])

    play(tmp_path, test)


def test_a_changed_address_opens_nothing(tmp_path: Path) -> None:
    """Another sum, another bank, another way home, no MAC, added fields: the page refuses, and leads nowhere."""

    async def test(here: Branch) -> None:
        url = (await here.start("A1")).url
        mac = url.rpartition("&mac=")[2]
        secret = here.bank.secret("ICBC")
        partial = sign_query(secret, (("instruction_no", "1"), ("amount", "5")))
        script = sign_query(secret, fields_of(url, back_url="javascript:alert(1)"))
        for bad in (
            url.replace("amount=1000", "amount=1"),
            url.replace("/ICBC/", "/CCB/"),
            url.replace("platform.test", "evil.test"),
            url.replace(f"&mac={mac}", ""),
            url.replace(mac, "0" * 64),
            f"{url}&amount=1",
            f"http://bank.test/bank/ICBC/pay?{partial}",
            f"http://bank.test/bank/ICBC/pay?{script}",
            "http://bank.test/bank/ICBC/pay",
        ):
            answer = await here.visit(bad)
            assert (answer.status, state_of(answer)) == (400, "unreadable")
            assert "href" not in page(answer).partition("<main")[2]
            assert (await here.fill(bad, number=CARDS["ok"], password=PASSWORD, act="pay")).status == 400
        more = sign_query(secret, fields_of(url, amount="2000"))
        await here.visit(url)
        assert (await here.visit(f"http://bank.test/bank/ICBC/pay?{more}")).status == 409

    play(tmp_path, test)


def fields_of(url: str, **changes: str) -> Pairs:
    """The fields of a bank page's address without its MAC, some of them changed."""
    query = url.partition("?")[2].rpartition("&mac=")[0]
    return tuple((name, changes.get(name, value)) for name, value in parse_form(query.encode("ascii")))


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ((b"Origin", b"https://evil.example"), 400),
        ((b"Origin", b"http://bank.test.evil.example"), 400),
        ((b"Origin", b"no address"), 400),
        ((b"Sec-Fetch-Site", b"cross-site"), 400),
        ((b"Origin", b"http://bank.test"), 200),
        ((b"Origin", b"null"), 200),
        ((b"Sec-Fetch-Site", b"same-origin"), 200),
    ],
)
def test_T51_forms_of_other_sites_are_refused(tmp_path: Path, header: tuple[bytes, bytes], status: int) -> None:
    """A form that another site posts does nothing, even with card and password."""

    async def test(here: Branch) -> None:
        url = (await here.start("A1")).url
        body = f"number={CARDS['ok']}&password={PASSWORD}&act=pay".encode()
        answer = await ask(here.app, post(url, body, FORM, (header,)))
        assert answer.status == status
        assert (await here.trade("A1")).state == ("paid" if status == 200 else "unpaid")

    play(tmp_path, test)


def test_the_counter(tmp_path: Path) -> None:
    """The clerk looks the code up, sees sum and goods, takes the cash, and gets a receipt; a second time it is said."""

    async def test(here: Branch) -> None:
        code = (await here.start("A1", "outlet")).code
        counter = "http://bank.test/bank/OUTLET/counter"
        assert (await here.visit(counter)).status == 200
        assert error_of(await here.fill(counter, code="1", act="look")) == "code_unknown"
        shown = await here.fill(counter, code=f"{code[:4]}+{code[4:]}", act="look")
        assert "10.00" in page(shown)
        assert "青花瓷 &lt;b&gt;" in page(shown)
        assert (await here.trade("A1")).state == "unpaid"
        taken = await here.fill(counter, code=code, act="take")
        reference = re.search(r'data-reference="(\d+)"', page(taken))
        assert reference is not None
        assert (await here.trade("A1")).state == "paid"
        assert error_of(await here.fill(counter, code=code, act="take")) == "code_used"
        assert error_of(await here.fill(counter, code=code, act="look")) == "code_used"

    play(tmp_path, test)


def test_strange_addresses(tmp_path: Path) -> None:
    """Unknown banks and acts are 404, other methods 405; a bank has no counter and the counter no bank page."""

    async def test(here: Branch) -> None:
        for path, status in (
            ("/bank/NOBANK/pay", 404),
            ("/bank/ICBC", 404),
            ("/bank/ICBC/counter", 404),
            ("/bank/OUTLET/pay", 404),
            ("/bank/ICBC/pay/x", 404),
            ("/bank/icbc/pay", 404),
            ("/bank/ICBC/inquiry", 405),
        ):
            assert (await ask(here.app, get(f"http://bank.test{path}"))).status == status
        deleted = replace(get("http://bank.test/bank/ICBC/pay"), method="DELETE")
        assert (await ask(here.app, deleted)).status == 405

    play(tmp_path, test)


def test_every_bank_has_a_look_of_its_own(tmp_path: Path) -> None:
    """Each bank of the directory has its colours, its style sheet and its names."""
    assert set(LOOKS) == {*BANKS, OUTLET}
    assert len({(look.main, look.letter) for look in LOOKS.values()}) == len(LOOKS)

    async def test(here: Branch) -> None:
        for code in LOOKS:
            answer = await ask(here.app, get(f"http://bank.test/bank/{code}/style.css"))
            assert look_of(code).main in answer.body.decode()
            assert answer.header("content-type") == "text/css; charset=utf-8"
            assert name_of(code, "zh") != name_of(code, "en")

    play(tmp_path, test)


def test_both_languages_say_everything() -> None:
    """No sentence is empty, every refusal has one, and the browser's wish is read leniently."""
    assert all(chinese and english for chinese, english in SENTENCES.values())
    for key in ("password_wrong", "card_locked", "insufficient_funds", "form", "foreign", "order_over", "code_used"):
        assert BankRefused(key).code
        assert say("en", f"error.{key}") != say("zh", f"error.{key}")
    wishes = {"": "zh", "*": "zh", "zh-TW,en": "zh", "en": "en", "fr,zh;q=0.5": "zh", "fr": "en", ",;,": "en"}
    assert {wish: choose_language(wish) for wish in wishes} == wishes
