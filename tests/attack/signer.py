"""Signs changed messages as a genuine one was signed. The way is found by trying, from what the folder itself says was
signed."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from functools import partial

from tests.attack.mutation import SIGNATURE, pairs_of, with_pairs
from tongbao.wire.contract import Manifest
from tongbao.wire.http import Request


def learn(manifest: Manifest, secret: bytes, genuine: Request) -> Callable[[Request], Request]:
    """A signer of messages of this kind. Raises AssertionError where none of the ways gives the genuine signature."""
    trail = manifest.server.trail(genuine)
    assert trail is not None
    field = next(name for name, value in pairs_of(genuine) if value == trail.signature.encode())
    for digest in (_md5, _hmac):
        for shape in (str.lower, str.upper):
            sign = partial(_sign, manifest, secret, digest, shape)
            if trail.signature == sign(genuine):
                return partial(_renew, field, sign)
    raise AssertionError(f"{manifest.name} signs in another way")


def _sign(
    manifest: Manifest,
    secret: bytes,
    digest: Callable[[bytes, bytes], str],
    shape: Callable[[str], str],
    request: Request,
) -> str:
    trail = manifest.server.trail(request)
    if trail is None:  # not even its signer could read it
        return "0" * 32
    return shape(digest(trail.text.rstrip("*").encode(trail.charset, "surrogateescape"), secret))


def _renew(field: bytes, sign: Callable[[Request], str], changed: Request) -> Request:
    """The message with a fresh signature in ``field``, and none of those a protocol may have besides."""
    kept = [(name, value) for name, value in pairs_of(changed) if name == field or not SIGNATURE.fullmatch(value)]
    bare = with_pairs(changed, kept)
    return with_pairs(changed, [(name, sign(bare).encode() if name == field else value) for name, value in kept])


def _md5(text: bytes, secret: bytes) -> str:
    return hashlib.md5(text + secret).hexdigest()


def _hmac(text: bytes, secret: bytes) -> str:
    return hmac.new(secret, text, hashlib.md5).hexdigest()
