"""The published strings and digests: V1 to V12b by the one rule; V16 and V20, of its neighbours, by its parts."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tongbao.protocols.kuaiqian import messages as m
from tongbao.protocols.kuaiqian.codec import CODECS, MD5, join, sign
from tongbao.wire.key import Key
from tongbao.wire.sign import md5_suffix, rsa_verify

STRINGS: list[list[str]] = json.loads((Path(__file__).parents[1] / "vectors" / "strings.json").read_text("utf-8"))
TABLES = (m.PAY_NAMES, m.RESULT_NAMES, m.QUERY_NAMES, m.HEAD_NAMES, m.ITEM_NAMES)


@pytest.mark.parametrize(("name", "text", "digest"), STRINGS, ids=[row[0] for row in STRINGS])
def test_string(name: str, text: str, digest: str) -> None:
    """One of the tables orders the fields as the string has them, and the digest is that of the string."""
    pairs = [part.partition("=") for part in text.split("&")]
    fields = {field: value for field, _, value in pairs}
    secret = fields.pop("key")
    codec = CODECS[fields.get("inputCharset", "1")]
    orders = [names for names in TABLES if f"{join(fields, names)}&key={secret}" == text]
    assert orders, name
    assert sign(fields, orders[0], Key("k", 1, MD5, secret.encode()), codec) == digest


PLATFORM_KEY = (
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDLm0NbisQbbgBQzLtAuQE7x4jXkxh6yXTlpg50WRdfe/RW472kd0DD4zriYRZpod8K"
    "hMz3p53mJpHTu4p/d+5aPq0CSgMlOw5YrH67FSHOzWWWwy01nOGuYqBO/eU2gk1avfMrZRq0B+CuK8jfoVvYXLTwgHQnwvwD5uesf5md"
    "kQIDAQAB"
)
"""Of the certificate that 99bill published for its sandbox, 2009 to 2014."""
REAL = (
    "version=v2.0&language=1&signType=4&payType=10&bankId=UPOP&pid=10012138843&orderId=DEMO20130723151339&ord"
    "erTime=20130723151339&orderAmount=2000&dealId=25753688&bankDealId=130723105705&dealTime=20130723151354&p"
    "ayAmount=2000&fee=2&payeeContactType=1&payeeContact=1971412292@qq.com&payeeAmount=1498&payResult=10&shar"
    "ingResult=1^843004510@qq.com^500^0^test^500|"
)
REAL_SIGNATURE = (
    "naWPSHiH3cJjClMJThsAphz2WWJPj5k8QQUUjiyAYUPr4/9qsjSKSmole+/ID1obfbih1IfQpn2Xs2ObQ2NkZs8hqxLnEcu1CjWML1y9"
    "ezsNcx8VZFmxYODabXxnmKVJoJs/m78sR8hKsxwXdFSQy48MiT6oD1B4nR+QJIwOHqw="
)


@pytest.mark.parametrize("changed", [False, True])
def test_a_signature_that_99bill_made(changed: bool) -> None:
    """V20, a real callback of the split gateway in 2013: the rule of PKI holds for it, and for nothing beside it."""
    key = load_der_public_key(base64.b64decode(PLATFORM_KEY))
    assert isinstance(key, RSAPublicKey)
    text = REAL.replace("orderAmount=2000", "orderAmount=2001") if changed else REAL
    assert rsa_verify(text.encode(), REAL_SIGNATURE, key, SHA1()) is not changed


def test_the_first_gateway() -> None:
    """V16: the MAC of v1, which is not spoken here, ends with the key like its successor's."""
    text = "merchant_id=10011536562&orderid=1001&amount=45.00&merchant_url=http://shop.example/r&merchant_key="
    assert md5_suffix(text.encode(), b"ZUZNJB8MF63GA83J").upper() == "C5C486AF765F36FD6EB80F34283C481C"
