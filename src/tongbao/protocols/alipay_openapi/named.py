"""Methods by their names, as the merchant's half says them: what may be asked, and what stands beside the content."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tongbao.kernel.error import LocalProtocolError
from tongbao.protocols.alipay_openapi import messages as m
from tongbao.wire.json import write_json
from tongbao.wire.movement import CallByName
from tongbao.wire.vocabulary import Carriage

_TOKEN: Final = re.compile(r"[!-~]{1,128}", re.ASCII)


def read_named(intent: CallByName) -> tuple[dict[str, Any], dict[str, str]]:
    """The content of a method called by its name, and the public parameters beside it. Raises LocalProtocolError for
    a name that no method has, for a method that a browser or an app carries, for what JSON cannot say."""
    method = intent.method
    if not m.is_method(method):
        raise LocalProtocolError("method", "is no name of a method", "UNKNOWN_SERVICE")
    if method in m.SERVICES and m.SERVICES[method].carriage is not Carriage.SERVER:
        raise LocalProtocolError("method", "is not asked by a server: payment() makes what the buyer carries")
    content, public = dict(intent.content), dict(intent.public)
    for name, value in content.items():
        _check_name(name)
        if method in m.TOP_LEVEL and name not in m.TOP_LEVEL[method]:
            raise LocalProtocolError(name, f"is no parameter of {method}", "FIELD_INVALID")
        plain(name, value)
    if method == m.USER_SHARE and content.get("auth_token") is not None:
        public.setdefault("auth_token", plain("auth_token", content.pop("auth_token")))
    for name, value in public.items():
        if name not in m.BESIDE:
            raise LocalProtocolError(name, "is no public parameter that is set here", "FIELD_INVALID")
        if not isinstance(value, str):
            raise LocalProtocolError(name, "is not text", "FIELD_INVALID")
        _check_sayable(name, value)
    return content, public


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise LocalProtocolError("content", f"has a name that is no text but {type(name).__name__}", "FIELD_INVALID")
    _check_sayable("content", name)


def _check_sayable(name: str, text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise LocalProtocolError(name, "holds half a character (a lone surrogate)", "FIELD_INVALID") from error


def plain(name: str, value: object) -> str:
    """A value where there is text and no JSON: text as it stands, the rest as JSON spells it."""
    text = value if isinstance(value, str) else _json(name, value)
    _check_sayable(name, text)
    return text


def _json(name: str, value: object) -> str:
    try:
        return write_json(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise LocalProtocolError(name, f"holds what JSON cannot say: {error}", "FIELD_INVALID") from error


def plain_fields(content: Mapping[str, object]) -> dict[str, str]:
    """The same of fields; what is None is not said."""
    return {name: plain(name, value) for name, value in content.items() if value is not None}


def token_header(public: Mapping[str, str]) -> tuple[str, tuple[tuple[bytes, bytes], ...]]:
    """The one public parameter of the REST interface (sheet, 11.1), as its signature has it and as a header."""
    for name in public:
        if name != "app_auth_token":
            raise LocalProtocolError(name, "is no public parameter of the interface v3", "FIELD_INVALID")
    token = public.get("app_auth_token", "")
    if not token:
        return "", ()
    if _TOKEN.fullmatch(token) is None:
        raise LocalProtocolError("app_auth_token", "holds characters that no header has", "FIELD_INVALID")
    return token, ((b"alipay-app-auth-token", token.encode("ascii")),)
