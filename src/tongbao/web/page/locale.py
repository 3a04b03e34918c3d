"""Which language a page speaks, and its catalogue of sentences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from starlette.requests import Request

from tongbao.wire.refusal import REFUSALS

LANGUAGES: Final = ("zh", "en")

LANGUAGE_NAMES: Final = {"zh": "中文", "en": "English"}

HTML_LANGUAGE: Final = {"zh": "zh-CN", "en": "en"}

COOKIE: Final = "tb_lang"


def _load(language: str) -> dict[str, str]:
    text = files("tongbao.web.page").joinpath("catalogue", f"{language}.json").read_text("utf-8")
    catalogue: dict[str, str] = json.loads(text)
    return catalogue


CATALOGUES: Final[Mapping[str, Mapping[str, str]]] = {language: _load(language) for language in LANGUAGES}
"""Language -> key -> sentence with ``{named}`` places."""


def say(language: str, key: str, **places: object) -> str:
    """The sentence under ``key``, plain text that templates escape. Raises KeyError for a key no catalogue has; only a
    refusal without a sentence of its own is told in the table's words, because an error page must not fail."""
    sentence = CATALOGUES[language].get(key)
    if sentence is None:
        return REFUSALS[key.removeprefix("refusal.")]
    return sentence.format(**places) if places else sentence


def has_sentence(key: str) -> bool:
    """Whether the catalogues know ``key``."""
    return key in CATALOGUES["zh"]


def accepted_language(header: str) -> str:
    """The first of ours in an Accept-Language header by weight; Chinese where nothing is asked, else English."""
    wishes = []
    for position, part in enumerate(header.split(",")[:20]):
        tag, _, weight = part.strip().partition(";")
        wishes.append((-_weight(weight), position, tag.strip().lower()[:2]))
    asked = [tag for weight, _, tag in sorted(wishes) if tag and weight < 0]
    return next((tag for tag in asked if tag in LANGUAGES), "en" if asked and "*" not in asked else "zh")


def _weight(text: str) -> int:
    """``q=0.8`` in thousandths; 1000 where there is none."""
    value = text.strip().removeprefix("q=").strip()
    whole, _, part = value.partition(".")
    if not value or not whole.isascii() or not whole.isdigit() or not (part or "0").isascii():
        return 1000
    return min(1000, int(whole[:1]) * 1000 + (int(part[:3].ljust(3, "0")) if part.isdigit() else 0))


def choose_language(request: Request) -> str:
    """The language of the address (``?lang=``), else of the cookie, else of the browser."""
    for wish in (request.query_params.get("lang", ""), request.cookies.get(COOKIE, "")):
        if wish in LANGUAGES:
            return wish
    return accepted_language(request.headers.get("accept-language", ""))
