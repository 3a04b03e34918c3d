"""The error tree: each leaf says whose fault it is and whether money may have moved.

::

    TongbaoError
    ├── Refused              a rule said no; nothing moved
    ├── ProtocolError
    │   ├── LocalProtocolError   our caller asked for what the protocol cannot say; nothing was sent
    │   └── RemoteProtocolError  the peer's bytes break the protocol; nothing moved on our side
    │       └── InvalidSignature     the peer could not prove who it is
    ├── OutcomeUnknown       sent, no proven end: money may have moved; only an inquiry resolves it. So it is too where
    │                        the answer to a request that moves money is a RemoteProtocolError, which is then its cause
    └── ConfigurationError   the operator must act; nothing was started
"""

from __future__ import annotations


class TongbaoError(Exception):
    """The root of every error this package raises on purpose."""


class Refused(TongbaoError):  # noqa: N818 - a refusal is an answer of the rules, not a failure of the program
    """A rule said no and nothing moved.

    ``code`` is one of the refusal codes of ``tongbao.wire.refusal``; ``detail`` is for a developer and holds no secret.
    ``state`` is the state of the trade that cannot be paid or closed, or that was never paid and cannot be refunded
    ('closed' also where only its time to be paid is over; 'paid' where a trade that cannot be closed has closed since
    all was given back), '' where no trade's state is the reason: protocols have words of their own for each. A bill of
    days before its merchant was there says 'unborn', a payee who is the payer 'self'. ``proven`` is False where a
    merchant's client read it in an answer without the signature that its protocol has: anybody may have said it (T82).
    """

    def __init__(self, code: str, detail: str = "", state: str = "", *, proven: bool = True) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
        self.state = state
        self.proven = proven


class ProtocolError(TongbaoError):
    """A message and its protocol disagree. ``field`` names the offending field ('' for the whole message)."""

    def __init__(self, field: str, reason: str, code: str = "MALFORMED") -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason
        self.code = code


class LocalProtocolError(ProtocolError):
    """Our own caller asked for something the protocol cannot express; nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The peer's bytes break the protocol. The only error a decoder may raise on any input. A merchant's client raises
    it for answers to requests that move nothing; after all others it is the cause of an OutcomeUnknown."""


class InvalidSignature(RemoteProtocolError):
    """The signature is missing, of another algorithm, by an unknown key, or wrong. ``serial`` is the number under which
    an unknown key may be asked for, '' where there is none."""

    def __init__(
        self,
        field: str = "sign",
        reason: str = "signature does not verify",
        code: str = "SIGN_INVALID",
        serial: str = "",
    ) -> None:
        super().__init__(field, reason, code)
        self.serial = serial


class OutcomeUnknown(TongbaoError):
    """A request was sent and no answer came that proves how it ended: the other side may have acted. Inquire; never
    repeat under a new number.

    ``refusal`` is what was said where something was: without a proof, what a person may act upon (a wrong code, not
    enough money), though anybody on the way could have said it; or, of code SYSTEM, that the other side does not know
    itself. None where nothing came, or nothing that is an answer to this request (unsigned or wrongly signed, broken,
    about something else): ``__cause__`` is then the RemoteProtocolError with its field and code.
    """

    def __init__(self, detail: str = "", *, refusal: Refused | None = None) -> None:
        super().__init__(detail)
        self.refusal = refusal


class ConfigurationError(TongbaoError):
    """A setting is missing or unacceptable. ``field`` names the setting, ``reason`` says what is wrong with it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class BrokenInvariant(TongbaoError):
    """``ensure`` found the program itself wrong. The command in hand must not be committed."""


def ensure(condition: bool, message: str) -> None:
    """Check a run-time invariant; unlike ``assert`` it stays on under ``-O``. Raises BrokenInvariant."""
    if not condition:
        raise BrokenInvariant(message)
