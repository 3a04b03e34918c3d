"""The story of one order as JSON values: trade, events, payments, deliveries, postings, cases."""

from __future__ import annotations

import json
from typing import Any

from tongbao.service import story
from tongbao.service.platform import Platform
from tongbao.service.story import when
from tongbao.service.view import terms_of
from tongbao.store.schema import CASE, EVENT, INSTRUCTION
from tongbao.trade.record import Event, Trade


def event_word(event: Event) -> str:
    """An event's name in the control plane: merchant, number and sequence, as one path segment."""
    return f"{event.merchant_id}:{event.out_trade_no}:{event.seq}"


async def tell_trade(platform: Platform, trade: Trade) -> dict[str, Any]:
    """A trade in short."""
    terms = terms_of(trade)
    payment = await platform.payment_of(trade)
    return {
        "merchant": trade.merchant_id,
        "protocol": trade.protocol,
        "out_trade_no": trade.out_trade_no,
        "trade_no": trade.trade_no,
        "product": trade.product,
        "state": trade.state,
        "amount": trade.amount,
        "currency": trade.currency,
        "fee": trade.fee,
        "refunded": trade.refunded,
        "refund_state": trade.refund_state,
        "subject": terms.subject,
        "buyer": trade.buyer_login,
        "method": payment.method if payment else "",
        "payment": payment.payment_no if payment else "",
        "notify_url": terms.notify_url,
        "return_url": terms.return_url,
        "created_at": when(trade.created_at),
        "paid_at": when(trade.paid_at),
        "ended_at": when(trade.ended_at),
        "due_at": when(trade.due_at),
    }


async def tell_events(platform: Platform, trade: Trade) -> list[dict[str, Any]]:
    """What happened to a trade, with every delivery of every notification."""
    where = {"merchant_id": trade.merchant_id, "out_trade_no": trade.out_trade_no}
    rows = await platform.database.read("event.of_trade", where)
    keys = [(trade.merchant_id, trade.out_trade_no, row[0]) for row in rows]
    events: list[Event] = await platform.database.load(EVENT, keys) if keys else []
    attempts = await platform.database.read("attempt.of_trade", where)
    return [
        {
            "id": event_word(event),
            "notify_id": platform.seal.event_id(trade.trade_no, event.seq),
            "from": event.from_state,
            "to": event.to_state,
            "cause": event.cause,
            "at": when(event.at),
            "target": event.target,
            "notify_state": event.notify_state,
            "next_at": when(event.next_at),
            "attempts": [
                {
                    "n": row[3],
                    "at": when(row[4]),
                    "class": row[6],
                    "status": row[7],
                    "answer": row[8],
                    "milliseconds": row[9],
                }
                for row in attempts
                if row[2] == event.seq
            ],
        }
        for event in events
    ]


async def tell_story(platform: Platform, trade: Trade) -> dict[str, Any]:
    """Everything about one order."""
    told = await story.tell(platform.database, trade)
    where = {"merchant_id": trade.merchant_id, "out_trade_no": trade.out_trade_no}
    instructions = await platform.database.read("instruction.of_trade", where)
    cases = await platform.database.read("case.of_trade", where)
    instruction_rows = await platform.database.load(INSTRUCTION, [tuple(row) for row in instructions])
    case_rows = await platform.database.load(CASE, [tuple(row) for row in cases])
    return {
        "trade": await tell_trade(platform, trade),
        "terms": json.loads(trade.terms),
        "events": await tell_events(platform, trade),
        "payments": [
            {
                "payment": payment.payment_no,
                "method": payment.method,
                "bank": payment.bank,
                "state": payment.state,
                "counts": payment.counts,
                "buyer": payment.buyer_login,
                "bank_ref": payment.bank_ref,
            }
            for payment in await platform.payments_of(trade)
        ],
        "instructions": [
            {
                "number": row.instruction_no,
                "kind": row.kind,
                "bank": row.bank,
                "state": row.state,
                "tries": row.tries,
                "inquire_at": when(row.inquire_at),
            }
            for row in instruction_rows
        ],
        "postings": story.dump_postings(told),
        **story.dump_after(told),
        "cases": [{"case": row.case_id, "kind": row.kind, "state": row.state, "note": row.note} for row in case_rows],
    }
