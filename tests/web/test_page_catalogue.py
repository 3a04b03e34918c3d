"""Both catalogues say the same things, and every code and every key on a page has a sentence."""

from __future__ import annotations

import re
from importlib.resources import files
from string import Formatter
from typing import get_args

import pytest

from tests.tidy.source import ROOT
from tongbao.store.record import CaseKind
from tongbao.trade.state import ClaimState, InstructionState, NotifyState, PaymentState, TradeState
from tongbao.web.agree.desk import SENTENCES
from tongbao.web.page.locale import CATALOGUES, accepted_language, say
from tongbao.wire.refusal import REFUSALS
from tongbao.wire.vocabulary import Method, Product

CLAIMS = tuple(f"claim.state.{state}" for state in ClaimState)
OWN_CODES = ("CSRF", "UNKNOWN_FIELD", "OUTCOME_UNKNOWN", "SESSION_OVER", "CONTACT_INVALID", "BANK_MISSING")


def places(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


@pytest.mark.parametrize("key", [*(f"case.kind.{kind}" for kind in get_args(CaseKind)), *CLAIMS])
def test_every_case_and_claim_has_a_word(key: str) -> None:
    """Operators and buyers read a word, not a name of ours."""
    assert say("zh", key) != say("en", key)


def test_the_languages_have_the_same_keys_and_places() -> None:
    """Nothing is said in one language only, and no sentence loses a figure in translation."""
    zh, en = CATALOGUES["zh"], CATALOGUES["en"]
    assert set(zh) == set(en)
    assert {key for key in zh if places(zh[key]) != places(en[key])} == set()
    assert {key for key, sentence in {**zh, **en}.items() if not sentence.strip()} == set()


@pytest.mark.parametrize("code", [*REFUSALS, *OWN_CODES])
def test_every_refusal_has_a_sentence(code: str) -> None:
    """A reader is never shown a bare code: each has its own sentence in both languages."""
    zh, en = say("zh", f"refusal.{code}"), say("en", f"refusal.{code}")
    assert zh != en
    assert re.search("[\u4e00-\u9fff]", zh)
    assert en.isprintable()


def test_every_key_on_a_page_has_a_sentence() -> None:
    """Keys written in templates and code exist, and so do the families that are put together on the page."""
    used = set()
    for room in ("page", "cashier", "console", "agree"):
        for path in (ROOT / "src/tongbao/web" / room).rglob("*"):
            if path.suffix in (".html", ".py"):
                text = path.read_text("utf-8")
                used |= set(re.findall(r"""\bt\(\s*'([\w.]+)'\s*[,)]""", text))
                used |= set(re.findall(r"""\bsay\([\w.]+, "([\w.]+)"[,)]""", text))
    assert used - set(CATALOGUES["zh"]) == set()
    families = {f"state.{state}" for state in TradeState} | {f"payment.{state}" for state in PaymentState}
    families |= {f"instruction.{state}" for state in InstructionState} | {f"notify.{state}" for state in NotifyState}
    families |= {f"product.{product}" for product in Product} | {f"method.{method}" for method in Method}
    kinds = ("paid", "bank", "outlet", "failed", "late", "expired", "closed")
    families |= {f"result.{kind}.title" for kind in kinds}
    families |= {f"agree.state.{state}" for state in ("asked", "half", "loading", "running", "done", "closed")}
    families |= {f"agree.done.{state}" for state in ("loading", "running", "done", "closed")}
    families |= {f"agree.{part}{kind}" for part in ("", "lines.", "yes.") for kind in ("refunds", "payouts")}
    families |= {f"agree.{kind}.decided" for kind in ("refunds", "payouts")}
    families |= {f"agree.{part}.{state}" for part in ("who", "persons") for state in ("asked", "half")}
    families |= set(SENTENCES.values())
    families |= {f"result.{kind}.lead" for kind in kinds}
    assert families - set(CATALOGUES["zh"]) == set()


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "zh"),
        ("*", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9", "en"),
        ("fr-FR,fr;q=0.9", "en"),
        ("fr;q=0.9, zh;q=0.1, en;q=0.5", "en"),
        ("en;q=0, zh", "zh"),
        ("en;q=x,zh;q=0.5", "en"),
        ("\u0661;q=\u0661.\u0662", "en"),
    ],
)
def test_the_browsers_wish_is_read(header: str, language: str) -> None:
    """Accept-Language by weight; anything at all gives one of the two languages."""
    assert accepted_language(header) == language


def test_T55_pages_load_what_the_inventory_lists_and_nothing_else() -> None:
    """No template names a foreign address, an inline script or handler, an inline style, or the safe filter."""
    bad = re.compile(
        r"""https?://(?!www\.w3\.org)|\son\w+=|\sstyle=|\|\s*safe\b|<script(?![^>]*\ssrc=)|autoescape""", re.IGNORECASE
    )
    found = []
    for room in ("page", "cashier", "console", "agree"):
        for path in (ROOT / "src/tongbao/web" / room / "template").iterdir():
            found += [(path.name, match[0]) for match in bad.finditer(path.read_text("utf-8"))]
    assert found == []
    script = files("tongbao.web.page").joinpath("static", "tongbao.js").read_text("utf-8")
    assert re.findall(r"innerHTML|eval|document\.write|fetch|XMLHttp|localStorage|http", script) == []
