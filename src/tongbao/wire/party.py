"""Who takes part, as messages name them."""

from __future__ import annotations

from dataclasses import field

from tongbao.kernel.record import record


@record
class Party:
    """A buyer or seller by number or login (e-mail or mobile); at least one of them is given."""

    id: str = ""
    login: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self.id or self.login)


@record
class Payee:
    """Who is paid out: a balance account (``party``) or a bank card (``bank`` of the directory and ``card``).

    ``name`` is the holder's name, which is compared before money moves.
    """

    party: Party = field(default_factory=Party)
    name: str = field(default="", repr=False)
    bank: str = ""
    card: str = field(default="", repr=False)
    branch: str = ""
