"""What a merchant may ask about the platform's own certificates: they are told from the ring that signs the answer."""

from __future__ import annotations

from typing import Any, Final

from tongbao.service.create import Asker
from tongbao.service.platform import Platform
from tongbao.wire.movement import CertificatesFound, FetchCertificates
from tongbao.wire.vocabulary import Outcome


async def fetch_certificates(platform: Platform, asker: Asker, intent: FetchCertificates) -> Outcome:
    """Which certificates are asked for; the codec finds them in the merchant's ring."""
    return CertificatesFound(intent.serial)


ACTS: Final[dict[type, Any]] = {FetchCertificates: fetch_certificates}
