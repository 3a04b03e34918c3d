"""The HTML form with which a buyer's browser carries a signed request to the platform."""

from __future__ import annotations

from html import escape
from typing import Final

from tongbao.kernel.error import LocalProtocolError
from tongbao.wire.contract import Call

_BUTTON: Final = {"zh": "前往支付", "en": "Continue to payment"}
_TITLE: Final = {"zh": "正在前往支付", "en": "On your way to payment"}
_SCRIPT: Final = "HTMLFormElement.prototype.submit.call(document.getElementById('tongbao-pay'))"


def _check(call: Call) -> None:
    """What a browser would change on the way breaks the signature, so it is refused here."""
    for name, value in call.fields:
        if name.lower() == "_charset_":
            raise LocalProtocolError(name, "browsers replace the value of a field of that name")
        if "\n" in value or "\r" in value:
            raise LocalProtocolError(name, "holds a line break, which browsers rewrite in forms: use link()")
        try:
            f"{name}{value}".encode(call.charset)
        except UnicodeEncodeError as error:
            raise LocalProtocolError(name, f"holds a character that {call.charset} cannot say") from error


def html_form(call: Call, language: str = "zh", *, auto: bool = True, nonce: str = "") -> str:
    """The form as a fragment: hidden fields and a button, which alone suffices with scripts off; with ``auto`` a script
    submits it. ``nonce`` is for a content security policy. Everything is escaped; the charset is the call's own.

    Raises LocalProtocolError where a browser could not carry a field unchanged.
    """
    _check(call)
    target = call.url if call.method == "GET" else call.action()
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">\n' for name, value in call.fields
    )
    script = (
        f"<script{f' nonce={chr(34)}{escape(nonce)}{chr(34)}' if nonce else ''}>{_SCRIPT}</script>\n" if auto else ""
    )
    return (
        f'<form id="tongbao-pay" method="{"get" if call.method == "GET" else "post"}" action="{escape(target)}"'
        f' accept-charset="{escape(call.charset)}">\n{hidden}'
        f"<button>{_BUTTON.get(language, _BUTTON['en'])}</button>\n</form>\n{script}"
    )


def html_page(call: Call, language: str = "zh", *, auto: bool = True, nonce: str = "") -> str:
    """The same as a whole page in UTF-8."""
    chosen = language if language in _TITLE else "en"
    return (
        f'<!doctype html>\n<html lang="{"zh-CN" if chosen == "zh" else chosen}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_TITLE[chosen]}</title>\n</head>\n<body>\n"
        f"{html_form(call, chosen, auto=auto, nonce=nonce)}</body>\n</html>\n"
    )
