"""Who takes part: merchants, their keys, buyers and the single-use word that a buyer agreed."""

from __future__ import annotations

from typing import Final, TypeVar

from tongbao.kernel.record import record, replace
from tongbao.kernel.time import HOUR, MINUTE, Instant

PASSWORD_TRIES: Final = 5
"""Wrong pay passwords in a row before the lock (T59)."""

LOCK_TIME: Final = 3 * HOUR
"""How long the pay password stays locked, in milliseconds of wire time (T59)."""

AUTHORISATION_TIME: Final = 5 * MINUTE
"""How long a granted authorisation may be used, in milliseconds of wire time."""


@record
class Merchant:
    """Who sells. ``status``: ``applied``, ``approved``, ``frozen``, ``closed``. Lists are JSON arrays of text.

    ``fee_rate`` is basis points of the sum, ``fee_min`` and ``fee_cap`` minor units (cap 0: none). ``refund_days``
    0 means the ordinary contract: paid is final. ``hosts`` are the hosts his return and notification addresses may
    have; without any, addresses are refused in production and free elsewhere.
    """

    merchant_id: str
    name: str
    status: str
    environment: str
    login: str
    products: str
    protocols: str
    hosts: str
    notify_url: str
    return_url: str
    refund_days: int
    fee_rate: int
    fee_min: int
    fee_cap: int
    anti_phishing: bool
    settings: str
    created_by: str
    approved_by: str
    created_at: Instant
    version: int


@record
class MerchantKey:
    """One key of a merchant's ring for one protocol. Key: (merchant_id, protocol, key_id).

    ``use``: ``verify`` (his public key), ``sign`` (our private key), ``both`` (a shared secret), ``client`` (his own
    private key: only in a sandbox, which plays both sides). ``secret`` is an envelope ``v1:kid:nonce:text`` (I38).
    """

    merchant_id: str
    protocol: str
    key_id: str
    version: int
    algorithm: str
    use: str
    secret: str
    state: str
    created_at: Instant
    moved_at: Instant


@record
class Buyer:
    """Who pays. ``kind``: ``member`` has an account with passwords; ``guest`` is known by e-mail or mobile only.

    ``attempts`` counts reserved pay-password tries since the last right one; ``locked_until`` is wire time.
    """

    buyer_id: str
    login: str
    kind: str
    status: str
    name: str
    locale: str
    login_hash: str
    pay_hash: str
    attempts: int
    locked_until: Instant
    login_attempts: int
    login_locked_until: Instant
    created_at: Instant


@record
class Authorisation:
    """A person's agreement to one exact act, usable once. ``state``: ``reserved``, ``granted``, ``denied``, ``used``.

    ``act`` is ``pay``, ``confirm`` or ``ask`` for a buyer and one of his trades; for a merchant's operator
    (``buyer_id`` is then his ``actor``, ``out_trade_no`` the number of a batch) ``agree:`` or ``refuse:`` and
    ``refunds`` or ``payouts``. ``amount`` is minor units of ``currency``; ``wire_at`` is wire time.
    """

    authorisation_id: str
    buyer_id: str
    act: str
    merchant_id: str
    out_trade_no: str
    amount: int
    currency: str
    state: str
    wire_at: Instant


@record
class Operator:
    """Who runs the platform. ``role``: ``maker`` enters, ``checker`` approves, ``both`` may do either (never both of
    one thing).

    ``status``: ``entered`` by ``created_by``, of no use before ``checker``, another operator, has made him ``active``;
    ``closed``. ``checker`` is '' for the first two, None for those who were let in before that was asked.
    """

    name: str
    role: str
    status: str
    password_hash: str
    created_by: str
    created_at: Instant
    checker: str | None = ""


@record
class MerchantOperator:
    """A person (操作员) who agrees in a merchant's name. Key: (merchant_id, name).

    ``status``: ``entered`` by ``maker``, of no use before ``checker``, another operator of the platform, has made him
    ``active``; ``disabled``. ``pay_hash`` is of his payment password (支付密码), peppered as a buyer's is; so are
    ``attempts`` and ``locked_until`` (wire time).
    """

    merchant_id: str
    name: str
    status: str
    pay_hash: str
    attempts: int
    locked_until: Instant
    maker: str
    checker: str
    changed_at: Instant
    version: int

    @property
    def actor(self) -> str:
        """His name in the log and beside what he agreed to. No key and no operator of the platform has such a name."""
        return operator_actor(self.merchant_id, self.name)


Payer = TypeVar("Payer", Buyer, MerchantOperator)


def count_try(person: Payer, wire: Instant) -> Payer:
    """Whoever gives a payment password, after one more try, which is counted before the password is checked: with the
    last of ``PASSWORD_TRIES`` he is locked for ``LOCK_TIME`` from ``wire`` on, and the count begins anew (T59)."""
    if person.attempts + 1 < PASSWORD_TRIES:
        return replace(person, attempts=person.attempts + 1)
    return replace(person, attempts=0, locked_until=Instant(wire + LOCK_TIME))


PERSON: Final = "/op:"
"""What stands between a merchant's number and the name of his operator."""


def operator_actor(merchant_id: str, name: str) -> str:
    """The name under which a merchant's operator acts."""
    return f"{merchant_id}{PERSON}{name}"
