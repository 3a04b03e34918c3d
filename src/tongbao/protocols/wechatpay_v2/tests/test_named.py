"""Any request by its path: signed like the others, its answer verified like theirs."""

from __future__ import annotations

from typing import Any

import pytest

from tongbao.kernel.error import InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.protocols.wechatpay_v2 import codec
from tongbao.protocols.wechatpay_v2 import messages as m
from tongbao.protocols.wechatpay_v2.client import Client
from tongbao.protocols.wechatpay_v2.tests.test_sign import AT, credentials
from tongbao.wire.http import Response
from tongbao.wire.movement import Answered, CallByName
from tongbao.wire.vocabulary import Rejection

CLIENT = Client()


def fields_of(path: str, content: dict[str, Any], algorithm: str = m.HMAC) -> dict[str, str]:
    own = credentials(algorithm)
    call = CLIENT.encode(CallByName(merchant="", method=path, content=content), own, AT)
    assert call.url.endswith(path)
    fields = codec.read_fields(call.body or b"")
    codec.authenticate(fields, algorithm, own.ring)
    return fields


@pytest.mark.parametrize("algorithm", [m.MD5, m.HMAC])
def test_a_request_by_its_path_says_who_asks(algorithm: str) -> None:
    """Merchant and appid stand under the names of the address or of the content, and the nonce is ours."""
    said = fields_of("/tools/shorturl", {"long_url": "weixin://wxpay/bizpayurl?pr=a&b", "n": 1}, algorithm)
    assert (said["mch_id"], said["appid"], said["n"]) == ("1900000001", "wxd930ea5d5a258f4f", "1")
    assert len(said["nonce_str"]) == 32
    assert said.get("sign_type", m.MD5) == algorithm
    said = fields_of(m.TRANSFER.path, {"amount": 100}, algorithm)
    assert (said["mchid"], said["mch_appid"], "mch_id" in said, "appid" in said) == (
        "1900000001",
        "wxd930ea5d5a258f4f",
        False,
        False,
    )
    said = fields_of("/mmpaymkttransfers/sendredpack", {"wxappid": "wx00000000000000ff"}, algorithm)
    assert (said["wxappid"], "appid" in said) == ("wx00000000000000ff", False)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("pay/orderquery", {}),
        ("/pay/../x", {}),
        ("/pay/orderquery?x=1", {}),
        ("/pay/orderquery", {"mch_id": "1900000002"}),
        ("/pay/orderquery", {"mch_id": "1900000002", "mchid": "1900000001"}),
        ("/pay/orderquery", {"sign": "x"}),
        ("/pay/orderquery", {"nonce_str": "x"}),
        ("/pay/orderquery", {"a b": "x"}),
        ("/pay/orderquery", {"amount": 1.5}),
        ("/pay/orderquery", {"flag": True}),
        ("/pay/orderquery", {"attach": "x&total_fee=1"}),
        ("/pay/orderquery", {"attach": " x"}),
    ],
)
def test_what_cannot_be_said_is_refused_before_it_leaves(path: str, content: dict[str, Any]) -> None:
    """Paths that are none, another merchant, our own fields, and values that are neither text nor whole numbers."""
    with pytest.raises(LocalProtocolError):
        fields_of(path, content)


def test_the_answer_is_verified() -> None:
    """Signed, or of an address whose answers are not; never another merchant's; a refusal is one."""
    own = credentials(m.HMAC)
    key = own.ring.sign[0]
    good = {"return_code": "SUCCESS", "result_code": "SUCCESS", "mch_id": "1900000001", "short_url": "weixin://wxpay/s"}

    def read(path: str, fields: dict[str, str], *, signed: bool = True) -> Any:
        body = codec.write_fields(codec.signed(fields, key) if signed else fields)
        return CLIENT.decode(CallByName(merchant="", method=path), Response(200, (), body), own, AT)

    answer = read("/tools/shorturl", good)
    assert isinstance(answer, Answered)
    assert answer.content["short_url"] == "weixin://wxpay/s"
    with pytest.raises(InvalidSignature):
        read("/tools/shorturl", good, signed=False)
    assert isinstance(read("/mmpaymkttransfers/sendredpack", good, signed=False), Answered)
    with pytest.raises(RemoteProtocolError):
        read("/tools/shorturl", good | {"mch_id": "1900000002"})
    with pytest.raises(InvalidSignature):
        read("/mmpaymkttransfers/sendredpack", good | {"sign": "A" * 64}, signed=False)
    refused = read("/tools/shorturl", {"return_code": "SUCCESS", "result_code": "FAIL", "err_code": "SYSTEMERROR"})
    assert isinstance(refused, Rejection)
    assert refused.code == "SYSTEM"
