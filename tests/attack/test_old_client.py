"""Shop plugins of long ago, written anew from their habits, pay through the sandbox by its address alone."""

from __future__ import annotations

import hashlib
import hmac
import re
import socket
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote_plus, urlsplit

import pytest

from tests.attack.old_shop import Fields, OldShop, encode, fetch, join, md5, opened, walk_home
from tongbao.testing.sandbox import LocalSandbox

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sandbox")]

PAID = {b"TRADE_SUCCESS", b"TRADE_FINISHED", b"WAIT_SELLER_SEND_GOODS"}


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalSandbox]:
    """A running sandbox."""
    with LocalSandbox(seed=29) as sandbox:
        yield sandbox


@pytest.fixture
def box(shared: LocalSandbox) -> LocalSandbox:
    """The sandbox with empty books."""
    shared.reset()
    return shared


def alipay(box: LocalSandbox) -> Mapping[str, Any]:
    found: Mapping[str, Any] = box.credentials["protocols"]["alipay_mapi"]
    return found


def states(box: LocalSandbox) -> list[str]:
    """How the notifications stand."""
    return [one["notify_state"] for one in box.control("GET", "notifications")]


def query(settings: Mapping[str, Any], number: str, *, charset: str = "utf-8") -> Fields:
    """single_trade_query as these shops ask it: the answer's trade, its signature checked."""
    fields = {
        "service": b"single_trade_query",
        "partner": settings["partner"].encode(),
        "_input_charset": charset.encode(),
        "out_trade_no": number.encode(),
    }
    signed = {**fields, "sign": md5(join(fields), settings["key"]), "sign_type": b"MD5"}
    status, body, _ = fetch(f"{settings['gateway']}?{encode(signed)}")
    assert status == 200
    assert b"<is_success>T</is_success>" in body, body
    trade = re.search(rb"<trade>(.*)</trade>", body, re.DOTALL)
    assert trade is not None
    leaves = {name.decode(): value for name, value in re.findall(rb"<(\w+)>([^<]*)</\1>", trade[1])}
    told = re.search(rb"<sign>([0-9a-f]{32})</sign>", body)
    assert told is not None
    assert told[1] == md5(join({name: value for name, value in leaves.items() if value}), settings["key"])
    return leaves


class ConfirmingPlugin(OldShop):
    """Sends price, quantity and logistics with a direct payment; one address with a query of its own for both ways
    home; reads POST over GET; does not drop empty values; compares the sum."""

    word = b"<html><body>paid, thank you</body></html>"
    sign = "20150401001"
    log_id = "77"
    sum = "12.30"
    service = "create_direct_pay_by_user"

    def link(self) -> str:
        respond = f"{self.base}/respond.php?code=alipay".encode()
        fields = {
            "extend_param": b"isv^sh22",
            "service": self.service.encode(),
            "partner": self.settings["partner"].encode(),
            "_input_charset": b"utf-8",
            "notify_url": respond,
            "return_url": respond,
            "subject": self.sign.encode(),
            "out_trade_no": f"{self.sign}{self.log_id}".encode(),
            "price": self.sum.encode(),
            "quantity": b"1",
            "payment_type": b"1",
            "logistics_type": b"EXPRESS",
            "logistics_fee": b"0",
            "logistics_payment": b"BUYER_PAY_AFTER_RECEIVE",
            "seller_email": self.settings["seller_email"].encode(),
        }
        sign = md5(join(fields), self.settings["key"]).decode()
        return f"{self.settings['gateway']}?{encode(fields)}&sign={sign}&sign_type=MD5"

    def _respond(self, get: Fields, post: Fields) -> bool:
        merged = {**get, **post}
        assert merged.pop("code") == b"alipay"
        told, _ = merged.pop("sign"), merged.pop("sign_type")
        if md5(join(merged), self.settings["key"]) != told:
            self.rejected.append("sign")
            return False
        number = merged["out_trade_no"].decode()
        log_id = number.replace(merged["subject"].decode(), "")
        if log_id != self.log_id or merged["total_fee"].decode() != self.sum:
            self.rejected.append("order")
            return False
        return merged["trade_status"] in PAID

    def notified(self, get: Fields, post: Fields) -> bytes:
        if self._respond(get, post):
            self.paid.append(self.log_id)
            return self.word
        return b"fail"

    def returned(self, get: Fields) -> bytes:
        self.shown.append("paid" if self._respond(get, {}) else "?")
        return b"<html>" + self.shown[-1].encode() + b"</html>"


@pytest.mark.parametrize(
    "service", ["create_direct_pay_by_user", "trade_create_by_buyer", "create_partner_trade_by_buyer"]
)
def test_a_plugin_that_sends_logistics_always_and_answers_with_a_page(box: LocalSandbox, service: str) -> None:
    """Create, pay, return, notification, query for each product; a page instead of the word is repeated, as it was."""
    shop = ConfirmingPlugin(alipay(box))
    shop.service = service
    with opened(shop):
        number = f"{shop.sign}{shop.log_id}"
        status, _, cashier = fetch(shop.link())
        assert status == 302
        box.pay(number, "balance", **({"flow": "escrow"} if service == "trade_create_by_buyer" else {}))
        assert walk_home(cashier) == (200, b"<html>paid</html>")
        assert (len(shop.paid), shop.rejected) == (1, [])
        assert "pending" in states(box)
        box.advance(241)
        assert len(shop.paid) == 2
        shop.word = b"success"
        box.advance(601)
        assert len(shop.paid) == 3
        expected = b"TRADE_SUCCESS" if service == "create_direct_pay_by_user" else b"WAIT_SELLER_SEND_GOODS"
        leaves = query(shop.settings, number)
        assert (leaves["trade_status"], leaves["total_fee"]) == (expected, b"12.30")
        box.advance(54_001)
        assert len(shop.paid) == 3
        assert shop.rejected == []
    assert box.audit() == "clean"


class DemoPlugin(OldShop):
    """Drops what is empty; asks notify_verify; ``quoting`` is how it writes the notify_id into the question."""

    quoting = True
    charset = "utf-8"
    subject = "测试商品 100% a+b"
    strict = False
    keeps_empty = False
    phishing = b""

    def form(self, number: str) -> tuple[str, str]:
        """The form's address, which repeats the charset, and its fields."""
        codec = self.charset.lower()
        fields = {
            "service": b"create_direct_pay_by_user",
            "partner": self.settings["partner"].encode(),
            "payment_type": b"1",
            "notify_url": f"{self.base}/notify_url.php".encode(),
            "return_url": f"{self.base}/return_url.php".encode(),
            "seller_email": self.settings["seller_email"].encode(),
            "out_trade_no": number.encode(),
            "subject": self.subject.encode(codec),
            "total_fee": b"0.01",
            "body": b"",
            "show_url": b"",
            "anti_phishing_key": self.phishing,
            "exter_invoke_ip": b"",
            "_input_charset": self.charset.encode(),
        }
        if not self.keeps_empty:
            fields = {name: value for name, value in fields.items() if value}
        filled = {name: value for name, value in fields.items() if value}
        signed = {**fields, "sign": md5(join(filled), self.settings["key"]), "sign_type": b"MD5"}
        return f"{self.settings['gateway']}?_input_charset={self.charset}", encode(signed)

    def ask(self, identity: bytes) -> bool:
        text = quote_plus(identity) if self.quoting else identity.decode("latin-1")
        url = f"{self.settings['gateway']}?service=notify_verify&partner={self.settings['partner']}&notify_id={text}"
        _, word, _ = fetch(url)
        return word == b"true" if self.strict else re.search(rb"true$", word, re.IGNORECASE) is not None

    def check(self, given: Fields) -> bool:
        filled = {name: value for name, value in given.items() if name not in ("sign", "sign_type")}
        if not self.keeps_empty:
            filled = {name: value for name, value in filled.items() if value}
        if md5(join(filled), self.settings["key"]) != given["sign"]:
            self.rejected.append("sign")
        elif not self.ask(given["notify_id"]):
            self.rejected.append("verify")
        elif given["subject"] != self.subject.encode(self.charset.lower()):
            self.rejected.append("subject")
        else:
            return given["total_fee"] == b"0.01" and given["trade_status"] in PAID
        return False

    def notified(self, get: Fields, post: Fields) -> bytes:
        if not self.check(post):
            return b"fail"
        self.paid.append(post["out_trade_no"].decode())
        return b"success"

    def returned(self, get: Fields) -> bytes:
        self.shown.append("paid" if self.check(get) else "?")
        return self.shown[-1].encode()


class RawPlugin(DemoPlugin):
    """Writes the notify_id as it came."""

    quoting = False


class StrictPlugin(DemoPlugin):
    """Wants the word alone, and sends and signs nothing empty away."""

    strict = True
    keeps_empty = True


class ForumPlugin(DemoPlugin):
    """Chinese in GBK, and the charset's name in any case."""

    charset = "GBK"
    subject = "论坛积分 青花瓷"


class OldForumPlugin(ForumPlugin):
    """The same under the older name."""

    charset = "Gb2312"


@pytest.mark.parametrize("kind", [DemoPlugin, RawPlugin, StrictPlugin, ForumPlugin, OldForumPlugin])
def test_plugins_that_ask_whether_the_notification_is_real(box: LocalSandbox, kind: type[DemoPlugin]) -> None:
    """Form POST with the charset in its address, notify_verify in every writing, return and query."""
    shop = kind(alipay(box))
    with opened(shop):
        action, data = shop.form("D1")
        status, _, cashier = fetch(action, data)
        assert status == 302
        box.pay("D1")
        assert (shop.paid, shop.rejected) == (["D1"], [])
        assert walk_home(cashier) == (200, b"paid")
        assert shop.rejected == []
        assert states(box) == ["delivered"]
        leaves = query(shop.settings, "D1", charset=shop.charset)
        assert leaves["trade_status"] == b"TRADE_SUCCESS"
        assert leaves["subject"] == shop.subject.encode(shop.charset.lower())
    assert box.audit() == "clean"


def test_a_shop_with_an_anti_phishing_key(box: LocalSandbox) -> None:
    """query_timestamp is asked unsigned, its key is cut out of the XML and sent along."""
    shop = DemoPlugin(alipay(box))
    with opened(shop):
        for extra in ("", "&_input_charset=utf-8", "&_input_charsetutf-8"):
            url = f"{shop.settings['gateway']}?service=query_timestamp&partner={shop.settings['partner']}{extra}"
            found = re.search(rb"<encrypt_key>([^<]+)</encrypt_key>", fetch(url)[1])
            assert found is not None
            shop.phishing = found[1]
            action, data = shop.form(f"P{len(extra)}")
            assert fetch(action, data)[0] == 302
            box.pay(f"P{len(extra)}")
    assert (sorted(shop.paid), shop.rejected) == (["P0", "P20", "P21"], [])


class SocketPlugin(DemoPlugin):
    """Asks by hand over a socket: HTTP/1.0 or 1.1, POST, read line by line, the last line is the word."""

    version = "1.0"

    def ask(self, identity: bytes) -> bool:
        parts = urlsplit(self.settings["gateway"])
        data = f"service=notify_verify&partner={self.settings['partner']}&notify_id={quote_plus(identity)}"
        lines = [
            f"POST {parts.path} HTTP/{self.version}",
            f"Host: {parts.netloc}",
            "Content-type: application/x-www-form-urlencoded",
            f"Content-length: {len(data)}",
            "Connection: close",
        ]
        with socket.create_connection((parts.hostname or "", parts.port or 80), 30) as line:
            line.sendall(("\r\n".join(lines) + "\r\n\r\n" + data + "\r\n\r\n").encode())
            info = []
            with line.makefile("rb") as reader:
                while True:
                    text = reader.readline(1024)
                    if not text:
                        break
                    info.append(text)
        return info[-1] == b"true" and info[-2] == b"\r\n"


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_shop_that_asks_by_hand_over_a_socket(box: LocalSandbox, version: str) -> None:
    """Two line ends too many behind the data harm nothing; the answer's last line is the word alone."""
    shop = SocketPlugin(alipay(box))
    shop.version = version
    with opened(shop):
        action, data = shop.form("S1")
        assert fetch(action, data)[0] == 302
        box.pay("S1")
    assert (shop.paid, shop.rejected) == (["S1"], [])


BUY = (
    "p0_Cmd", "p1_MerId", "p2_Order", "p3_Amt", "p4_Cur", "p5_Pid", "p6_Pcat", "p7_Pdesc", "p8_Url", "p9_SAF", "pa_MP",
    "pd_FrpId", "pr_NeedResponse",
)  # fmt: skip
CALLBACK = (
    "p1_MerId", "r0_Cmd", "r1_Code", "r2_TrxId", "r3_Amt", "r4_Cur", "r5_Pid", "r6_Order", "r7_Uid", "r8_MP",
    "r9_BType",
)  # fmt: skip


class NumberedPlugin(OldShop):
    """Numbered parameters; one address with a query of its own for browser and server; expects RMB back; the sum is
    compared as a number."""

    charset = "utf-8"
    """Whose bytes it hashes; the wire is GBK."""
    goods = "茶壶"
    memo = "会员7"

    def _hash(self, text: str) -> str:
        return hmac.new(self.settings["keyValue"].encode(), text.encode(self.charset), hashlib.md5).hexdigest()

    def link(self, number: str) -> str:
        fields = {
            "p0_Cmd": "Buy", "p1_MerId": self.settings["p1_MerId"], "p2_Order": number, "p3_Amt": "1.00",
            "p4_Cur": "CNY", "p5_Pid": self.goods, "p6_Pcat": "", "p7_Pdesc": "",
            "p8_Url": f"{self.base}/respond.php?code=yeepay&id=5",
            "p9_SAF": "0", "pa_MP": self.memo, "pd_FrpId": "", "pr_NeedResponse": "1",
        }  # fmt: skip
        fields["hmac"] = self._hash("".join(fields[name] for name in BUY))
        return f"{self.settings['gateway']}?{encode({name: value.encode('gbk') for name, value in fields.items()})}"

    def notified(self, get: Fields, post: Fields) -> bytes:
        return self.returned({**get, **post})

    def returned(self, get: Fields) -> bytes:
        assert (get.pop("code"), get.pop("id")) == (b"yeepay", b"5")
        fields = {name: value.decode("gbk") for name, value in get.items()}
        if self._hash("".join(fields[name] for name in CALLBACK)) != fields["hmac"]:
            self.rejected.append("hmac")
            return b"fail"
        right = (fields["r1_Code"], float(fields["r3_Amt"]), fields["r4_Cur"]) == ("1", 1.0, "RMB")
        if not right or (fields["r5_Pid"], fields["r8_MP"]) != (self.goods, self.memo):
            self.rejected.append("fields")
            return b"fail"
        if fields["r9_BType"] == "2":
            self.paid.append(fields["r6_Order"])
            return b"success"
        self.shown.append(fields["r6_Order"])
        return b"<html>paid</html>"

    def query(self, number: str) -> dict[str, str]:
        fields = {"p0_Cmd": "QueryOrdDetail", "p1_MerId": self.settings["p1_MerId"], "p2_Order": number}
        fields["hmac"] = self._hash("".join(fields.values()))
        body = fetch(self.settings["queryURL"], encode({name: value.encode() for name, value in fields.items()}))[1]
        lines = [line.partition("=") for line in body.decode("gbk").split("\n") if line]
        return {name: value for name, _, value in lines}


class GbkHashingPlugin(NumberedPlugin):
    """Hashes what it sends, against the manual."""

    charset = "gbk"


class PlainNumberedPlugin(NumberedPlugin):
    """No Chinese anywhere, so both ways of hashing are one."""

    goods = "tea"
    memo = ""


@pytest.mark.parametrize("kind", [NumberedPlugin, GbkHashingPlugin, PlainNumberedPlugin])
def test_a_shop_of_numbered_parameters(box: LocalSandbox, kind: type[NumberedPlugin]) -> None:
    """Create by link, pay, both callbacks at one address, the lower-case word, the old query."""
    shop = kind(box.credentials["protocols"]["yeepay"])
    with opened(shop):
        status, _, cashier = fetch(shop.link("Y1"))
        assert status == 302
        box.pay("Y1", "debit")
        assert (shop.paid, shop.rejected) == (["Y1"], [])
        assert walk_home(cashier) == (200, b"<html>paid</html>")
        assert (shop.shown, shop.rejected) == (["Y1"], [])
        told = shop.query("Y1")
        assert (told["rb_PayStatus"], told["r6_Order"], float(told["r3_Amt"])) == ("SUCCESS", "Y1", 1.0)
        signed = [value for name, value in told.items() if not name.startswith("hmac")]
        if shop.charset == "utf-8":
            assert told["hmac"] == shop._hash("".join(signed))
        assert states(box) == ["delivered"]
    assert box.audit() == "clean"
