"""Service providers (服务商): the same requests, signed by one merchant in the name of another.

A provider's request differs from a merchant's own in its path and in the names of some fields; what it asks for is the
same. So it is translated into the merchant's own form, and read or written by the functions of that; errors name the
fields as they were said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.protocols.wechatpay_v3 import combine
from tongbao.protocols.wechatpay_v3 import messages as m
from tongbao.protocols.wechatpay_v3.field import WORD, Fields, filled, invalid, missing
from tongbao.protocols.wechatpay_v3.request import Cover, Parts, read_intent, write_intent
from tongbao.wire.contract import Credentials
from tongbao.wire.vocabulary import CloseCombined, CreateCombined, CreateTrade, Intent, QueryCombined

_NAMES: Final = {"appid": "sp_appid", "mchid": "sp_mchid", "payer.openid": "payer.sp_openid"}
"""A field of the merchant's own form -> what it is called in a provider's."""

_BESIDE: Final = {
    m.REFUND: "body",
    m.QUERY_REFUND: "query",
    m.RECOVER: "body",
    m.TRADE_BILL: "query",
    m.SHARE: "body",
    m.UNFREEZE: "body",
    m.QUERY_SHARE: "query",
    m.RETURN_SHARE: "body",
    m.QUERY_RETURN: "query",
}
"""Requests of either that name the merchant beside the provider by ``sub_mchid``, and where."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who signs (``mchid``), under which appid, and in whose name: '' where in his own."""

    mchid: str
    appid: str
    sub_mchid: str = ""
    sub_appid: str = ""


def speaker_of(credentials: Credentials) -> Speaker:
    """Who signs, and in whose name."""
    values, provider = credentials.values, credentials.values.get("sp_mchid", "")
    if not provider:
        return Speaker(credentials.merchant, values["appid"])
    return Speaker(provider, values["appid"], credentials.merchant, values.get("sub_appid", ""))


def whose(parts: Parts) -> str:
    """The merchant in whose name a provider asks, '' where somebody asks for himself. Raises RemoteProtocolError."""
    query = Fields(parts.query)
    if parts.route in m.DIRECT_OF:
        place = query if parts.route.method == "GET" else Fields(parts.body or {})
        return place.number("sub_mchid", WORD, needed=True)
    beside = _BESIDE.get(parts.route)
    if beside is None:
        return ""
    return (query if beside == "query" else Fields(parts.body or {})).number("sub_mchid", WORD)


def to_direct(parts: Parts) -> Parts:
    """A provider's request in the form of a merchant's own. Raises RemoteProtocolError."""
    route = m.DIRECT_OF.get(parts.route)
    if route is None:
        return parts
    body = None if parts.body is None else _named(parts.body)
    if body is not None and "payer" in body:
        payer = Fields(body).child("payer")
        said = {name: payer.number(name, WORD) for name in ("sp_openid", "sub_openid")}
        if said["sp_openid"] and said["sub_openid"]:
            raise invalid("payer.sub_openid", "stands beside sp_openid: one of them names the payer")
        if said["sub_openid"] and not body.get("sub_appid"):
            raise missing("sub_appid")
        body["payer"] = filled({"openid": said["sp_openid"] or said["sub_openid"]})
    query = {"mchid" if name == "sp_mchid" else name: value for name, value in parts.query.items()}
    return Parts(route, parts.path, query, body)


def _named(body: Mapping[str, Any]) -> dict[str, Any]:
    ours = {theirs: name for name, theirs in _NAMES.items()}
    return {ours.get(name, name): value for name, value in body.items() if name not in _NAMES}


def as_said(error: RemoteProtocolError, route: m.Route) -> RemoteProtocolError:
    """The same mistake under the name that the field has in a provider's request."""
    if route not in m.DIRECT_OF or error.field not in _NAMES:
        return error
    return RemoteProtocolError(_NAMES[error.field], error.reason, error.code)


def to_partner(parts: Parts, speaker: Speaker) -> Parts:
    """A merchant's own request in the form in which his provider says it. Raises LocalProtocolError."""
    merchant = {"sub_mchid": speaker.sub_mchid}
    if parts.route in m.SIGNERS_OWN:
        return parts
    beside = _BESIDE.get(parts.route)
    if beside == "query":
        return Parts(parts.route, parts.path, {**parts.query, **merchant}, parts.body)
    if beside == "body":
        return Parts(parts.route, parts.path, parts.query, {**merchant, **(parts.body or {})})
    route = m.PARTNER_OF.get(parts.route)
    if route is None:
        raise LocalProtocolError("merchant", "no service provider can ask this in another's name", "UNKNOWN_SERVICE")
    if parts.body is None:
        return Parts(route, parts.path, {"sp_mchid": speaker.mchid, **merchant})
    body = {_NAMES.get(name, name): value for name, value in parts.body.items()}
    if "payer" in body:
        name = "sub_openid" if speaker.sub_appid else "sp_openid"
        body["payer"] = {name: body["payer"]["openid"]}
    if parts.route in m.CREATING.values():
        merchant |= filled({"sub_appid": speaker.sub_appid})
    return Parts(route, parts.path, parts.query, {**body, **merchant})


_READ_COMBINED: Final[dict[type, Callable[[Parts, str, Cover], Intent]]] = {
    CreateCombined: combine.read_create,
    QueryCombined: combine.read_query,
    CloseCombined: combine.read_close,
}
_WRITE_COMBINED: Final[dict[type, Callable[[Any, str, Cover], Parts]]] = {
    CreateCombined: combine.write_create,
    QueryCombined: combine.write_query,
    CloseCombined: combine.write_close,
}


def read_request(parts: Parts, mchid: str, cover: Cover) -> tuple[Intent, str]:
    """The intent of a request that ``mchid`` signed, and himself where he asks as a service provider, else ''. Raises
    RemoteProtocolError naming the field."""
    reading = _READ_COMBINED.get(parts.route.intent)
    if reading is not None:
        said = Fields(parts.body or {}).text("combine_mchid", needed=parts.route.intent is CreateCombined)
        if said not in ("", mchid):
            raise invalid("combine_mchid", "is not the merchant who signed")
        return reading(parts, mchid, cover), ""
    merchant = whose(parts)
    if not merchant:
        return read_intent(parts, mchid, cover), ""
    try:
        intent = read_intent(to_direct(parts), mchid, cover)
    except RemoteProtocolError as error:
        raise as_said(error, parts.route) from error
    intent = replace(intent, merchant=merchant)
    if isinstance(intent, CreateTrade):
        sub_appid = Fields(parts.body or {}).number("sub_appid", WORD)
        intent = replace(intent, echo={**intent.echo, **filled({"sub_appid": sub_appid})})
    return intent, mchid


def write_request(intent: Intent, speaker: Speaker, cover: Cover) -> Parts:
    """The parts of a request. Raises LocalProtocolError where the interface cannot say it."""
    writing = _WRITE_COMBINED.get(type(intent))
    if writing is not None:
        if speaker.sub_mchid:
            raise LocalProtocolError("merchant", "a combined order is asked for in one's own name", "UNKNOWN_SERVICE")
        return writing(intent, speaker.appid, cover)
    if not speaker.sub_mchid:
        return write_intent(intent, speaker.appid, cover)
    return to_partner(write_intent(replace(intent, merchant=speaker.mchid), speaker.appid, cover), speaker)
