"""What must be true of trust in the end: everybody has arrived, and what was let go proves nothing any more."""

from __future__ import annotations

from collections.abc import Sequence

from tongbao.kernel.error import InvalidSignature, RemoteProtocolError
from tongbao.sim.buyer import Wallet
from tongbao.sim.trust.change import LINGER, Change
from tongbao.sim.trust.register import Register
from tongbao.sim.trust.shop import NAME
from tongbao.sim.universe import Universe
from tongbao.wire.loader import load_protocol


class TrustOracle:
    """Asks once, when the world is at rest."""

    def __init__(self, universe: Universe, register: Register, changes: Sequence[Change], wallet: Wallet) -> None:
        self.universe = universe
        self.register = register
        self.changes = changes
        self.wallet = wallet

    def ask(self) -> None:
        """Everything; what is wrong goes to ``Universe.blame``."""
        for change in self.changes:
            self._ask_processes(change)
            self._ask_platform(change)
        for intent in self.wallet.intents[-len(self.changes) :]:
            if not {"paid", "INSUFFICIENT_FUNDS"} & set(intent.told):
                self.universe.blame(f"the last order {intent.number} could not be paid: {intent.told}")

    def _ask_processes(self, change: Change) -> None:
        """Every process trusts the public key and nothing else: of the platform's latest notifications under each name,
        each at its own time, it takes the one and refuses the other."""
        shop = change.seller.shop
        for name in change.seller.trusts:
            trusted = change.seller.names_trusted(name)
            if trusted != {shop.public}:
                self.universe.blame(f"{name} trusts {sorted(trusted)} in the end")
            for key in shop.names:
                wanted = "" if key == shop.public else "KEY_UNKNOWN"
                said = self._read(change, name, key)
                if said == "KEY_UNKNOWN" == wanted:
                    self.universe.note("final KEY_UNKNOWN", name, key)
                if said not in (wanted, "nothing"):
                    self.universe.blame(f"{name} says {said or 'yes'} to a notification under {key} in the end")

    def _read(self, change: Change, process: str, key: str) -> str:
        """What a process would say to the latest notification under a name: a word of refusal, '' for yes."""
        shop = change.seller.shop
        if (shop.merchant, key) not in self.register.notes:
            return "nothing"
        at, request = self.register.notes[shop.merchant, key]
        keys = change.seller.counters[process].client.configuration.keys
        try:
            load_protocol(NAME).client.decode_notification(request, keys, at)
        except RemoteProtocolError as error:
            return error.code if isinstance(error, InvalidSignature) else str(error)
        return ""

    def _ask_platform(self, change: Change) -> None:
        """Nothing is signed under the certificate after the change, as soon as what was under way is over."""
        shop, over = change.seller.shop, change.done_at + LINGER
        late = [
            message
            for message in self.register.messages.values()
            if message.merchant == shop.merchant and message.name in shop.certificates and message.entered > over
        ]
        if late:
            self.universe.blame(
                f"the platform signed under a certificate of {shop.name}'s after the change: {late[:3]}"
            )
