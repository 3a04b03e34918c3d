"""``tongbao refund``: batches of refunds that wait for a person, decided where there is no browser.

The merchant's own people decide on the page under ``/agree``, whose address ``link`` tells. An operator of the platform
does it here, for a merchant who asked him to.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from tongbao.cli.prove import PASSWORDS, add_act, prove
from tongbao.service.platform import Platform
from tongbao.service.refund_act import batch_url, find_batch
from tongbao.service.refund_batch import ConfirmRefundBatch
from tongbao.trade.refund import RefundBatch


def add_commands(commands: Any) -> None:
    """Add ``refund``."""
    acts = commands.add_parser("refund", help="batches of refunds", description=PASSWORDS).add_subparsers(
        dest="act", metavar="ACT", required=True
    )
    for name, text in (
        ("agree", "agree to a batch of refunds that waits for a person, and let it run"),
        ("refuse", "send a batch of refunds away before any of it is given back"),
    ):
        decided = add_act(acts, name, text, _decide)
        decided.add_argument("number", help="the batch's number")
        decided.add_argument("--merchant", required=True, metavar="NUMBER")
        decided.add_argument("--reason", required=True)
    linked = add_act(acts, "link", "the address where the merchant's own people decide on a batch", _link, signed=False)
    linked.add_argument("number", help="the batch's number")
    linked.add_argument("--merchant", required=True, metavar="NUMBER")


async def _decide(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    actor = await prove(platform, chosen, environ, "checker")
    agrees = chosen.act == "agree"
    batch: RefundBatch = await platform.submit(
        ConfirmRefundBatch(chosen.merchant, chosen.number, actor, agrees, reason=chosen.reason)
    )
    return {"batch": chosen.number, "state": batch.state, "lines": batch.lines}


async def _link(platform: Platform, chosen: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    batch = await find_batch(platform, chosen.merchant, chosen.number)
    return {"batch": chosen.number, "link": batch_url(platform, batch)}
