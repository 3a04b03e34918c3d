"""Our own style sheet and script, served under addresses that carry their hash, with integrity for the page (T55)."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

KINDS: Final = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}

INVENTORY: Final = {
    "tongbao.css": "the one style sheet of all pages, light and dark",
    "tongbao.js": "counts down beside the server's own figure; pages work without it",
    "coin.svg": "the mark in the browser's tab",
}
"""Every file a page may load, and why."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: its address under ``/page/``, its bytes, and the ``integrity`` word for the page."""

    path: str
    body: bytes
    kind: str
    integrity: str


def _load(name: str) -> Asset:
    body = files("tongbao.web.page").joinpath("static", name).read_bytes()
    digest = hashlib.sha384(body).digest()
    stem, _, extension = name.rpartition(".")
    word = base64.b64encode(digest).decode()
    return Asset(f"/page/{stem}-{digest.hex()[:12]}.{extension}", body, KINDS[extension], f"sha384-{word}")


ASSETS: Final = {name: _load(name) for name in INVENTORY}

_BY_PATH: Final = {asset.path: asset for asset in ASSETS.values()}


async def serve_asset(request: Request) -> Response:
    """One of our files by its hashed address; anything else is 404."""
    asset = _BY_PATH.get(request.url.path)
    if asset is None:
        return Response(status_code=404)
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(asset.body, headers=headers, media_type=asset.kind)
