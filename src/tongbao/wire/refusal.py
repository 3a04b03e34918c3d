"""The refusal codes: one flat table. Every protocol maps all of them to its own words (a law checks that)."""

from __future__ import annotations

from typing import Final

REFUSALS: Final[dict[str, str]] = {
    # the message
    "MALFORMED": "the message does not follow the protocol",
    "TOO_LARGE": "the message, or one field of it, is longer than allowed",
    "BAD_CHARSET": "bytes are not in the announced charset",
    "DUPLICATE_PARAM": "a field appears twice",
    "AMBIGUOUS_SPLIT": "what is signed without borders can be read in more than one way",
    "FIELD_MISSING": "a required field is missing",
    "FIELD_INVALID": "a field has a value it may not have",
    "UNKNOWN_SERVICE": "no such service or path",
    "AMOUNT_INVALID": "an amount is not digits with at most two decimals, or out of range",
    "AMOUNT_CONFLICT": "amounts are given in two ways that exclude each other",
    "AMOUNT_NOT_POSITIVE": "the sum to pay is not above zero",
    "CURRENCY_NOT_ALLOWED": "the merchant may not take this currency",
    "URL_NOT_ALLOWED": "an address is relative, without scheme, malformed, or not one the merchant may use",
    "EXPIRY_INVALID": "the unpaid time-out is malformed or out of range",
    "LOGISTICS_INVALID": "shipping fields are incomplete or contradict each other",
    "BANK_UNKNOWN": "no such bank code",
    "CLIENT_IP_INVALID": "the buyer's address is missing or malformed",
    # who asks
    "UNKNOWN_MERCHANT": "no such merchant",
    "SIGN_MISSING": "there is no signature, or no signature type",
    "SIGN_TYPE_NOT_ALLOWED": "the signature type is not the one agreed for this merchant",
    "SIGN_INVALID": "the signature does not verify",
    "KEY_UNKNOWN": "no key by that name",
    "KEY_REVOKED": "the key has been revoked",
    "STALE": "the signed time is outside the window, or the nonce was seen before",
    "ANTI_PHISHING_INVALID": "the anti-phishing key is missing or was not issued to this merchant",
    "ANTI_PHISHING_EXPIRED": "the anti-phishing key is too old",
    "NO_PRIVILEGE": "the merchant has not opened this product",
    "MERCHANT_DISABLED": "the merchant is frozen, closed or not approved yet",
    "SELLER_UNKNOWN": "the seller does not exist or is not this merchant's",
    "BUYER_UNKNOWN": "the named buyer does not exist",
    "BUYER_IS_SELLER": "buyer and seller are the same",
    "RATE_LIMITED": "too many requests",
    # the trade
    "TRADE_NOT_FOUND": "no such trade",
    "TRADE_STATE": "the trade's state does not allow this",
    "TRADE_NOT_PAYABLE": "the trade is paid, closed or expired",
    "TRADE_AMOUNT_MISMATCH": "the same number was used before with another sum",
    "TRADE_PRICE_MISMATCH": "the same number was used before with another price",
    "TRADE_QUANTITY_MISMATCH": "the same number was used before with another quantity",
    "TRADE_SELLER_MISMATCH": "the same number was used before with another seller",
    "TRADE_BUYER_MISMATCH": "the same number was used before for another buyer, or another buyer pays",
    "TRADE_FROZEN": "the same number was used before with another time-out, product or other frozen field",
    # paying
    "METHOD_NOT_ALLOWED": "this way of paying is not offered for this trade",
    "BUYER_DISABLED": "the buyer's account is frozen",
    "LOGIN_WRONG": "login or password is wrong",
    "PASSWORD_WRONG": "the pay password is wrong",
    "PASSWORD_LOCKED": "too many wrong pay passwords; try again later",
    "AUTHORISATION_INVALID": "the authorisation is unknown, used, expired or for something else",
    "REVIEW_AGAIN": "the trade changed since it was shown",
    "INSUFFICIENT_FUNDS": "the balance does not suffice",
    "PAYMENT_NOT_FOUND": "no such payment",
    "PAYMENT_STATE": "the payment's state does not allow this",
    "CASHIER_LINK_INVALID": "the cashier link is unknown, used up or opened in another browser",
    # operating
    "NOT_FOUND": "no such thing, or not yours",
    "ALREADY_EXISTS": "the number or login is taken",
    "STATE_CONFLICT": "its state does not allow this",
    "MAKER_IS_CHECKER": "who asked for it may not approve it",
    "IDEMPOTENCY_CONFLICT": "the same key was used before with another request",
    "SYSTEM": "the platform cannot answer now; the outcome is not known to have changed anything",
}


def is_refusal(code: str) -> bool:
    """Whether ``code`` is in the table."""
    return code in REFUSALS
