"""What both ends share: the signed texts, the headers that carry them, sealed contents, strict JSON.

Message formats are those of the interface's signature pages: every line ends with a line feed, also the last. Request
signatures are RSA with SHA-256 over method, request target, time, nonce and body; answers and notifications over time,
nonce and body. Contents are sealed with AES-256-GCM under the merchant's APIv3 key, fields of persons with RSA-OAEP.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tongbao.kernel.error import InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.time import HOUR, MINUTE, Instant, china, later, parse_china
from tongbao.protocols.wechatpay_v3 import messages as m
from tongbao.wire.certificate import is_trusted
from tongbao.wire.contract import Credentials
from tongbao.wire.json import read_object, write_json
from tongbao.wire.key import Key, KeyRing, KeyState
from tongbao.wire.sign import SHA256, decode_base64, rsa_verify
from tongbao.wire.unsigned import Unsigned

T = TypeVar("T")

PROBE: Final = "WECHATPAY/SIGNTEST/"
"""How the signature begins that the platform sends on purpose to see whether a client checks it."""

PUBLIC_KEY: Final = "PUB_KEY_ID_"
JSON: Final = "application/json; charset=utf-8"
NONCE_LETTERS: Final = "0123456789abcdefghijklmnopqrstuv"
_SERIAL: Final = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)
_DIGITS: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_PAIR: Final = re.compile(r'([a-z_]{1,32})="([^"\\\x00-\x1f]{0,1024})"', re.ASCII)
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d{1,6})?(Z|[+-]\d\d:[0-5]\d)", re.ASCII)
_NO_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffd-\uffff]")
_OAEP: Final = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
_OAEP_LONGEST: Final = 214


# --- keys --------------------------------------------------------------------------------------------------------


def serial_of(key: Key) -> str:
    """How a merchant's key is called: by his certificate's serial number in upper-case hex, else by its id."""
    return f"{key.chain[0].serial_number:X}" if key.chain else key.id


def platform_name(key: Key) -> str:
    """How a platform's key is called: by its certificate's serial number, or as a bare public key by that one's id."""
    return serial_of(key) if key.chain else public_key_id(key)


def public_key_id(key: Key) -> str:
    """The name of the bare public key: its own id, or one derived from the key (28 digits after ``PUB_KEY_ID_``)."""
    if key.id.startswith(PUBLIC_KEY):
        return key.id
    material = key.material.public_key() if isinstance(key.material, RSAPrivateKey) else key.material
    if not isinstance(material, RSAPublicKey):
        raise InvalidSignature("Wechatpay-Serial", "is no RSA key", "SIGN_TYPE_NOT_ALLOWED")
    raw = material.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"{PUBLIC_KEY}01{int.from_bytes(hashlib.sha256(raw).digest()) % 10**26:026d}"


def is_called(key: Key, name: str) -> bool:
    """Whether ``name`` (a serial number in any case, or a bare public key's id) chooses this key."""
    if key.id == name:
        return True
    if name.startswith(PUBLIC_KEY):
        return not key.chain and public_key_id(key) == name
    return serial_of(key).lower() == name.lower()


def live(keys: Iterable[Key], algorithm: str) -> list[Key]:
    """Keys of that algorithm that may verify now."""
    return [key for key in keys if key.algorithm == algorithm and key.state in (KeyState.ACTIVE, KeyState.RETIRING)]


def valid_now(keys: Iterable[Key], now: Instant) -> list[Key]:
    """Those whose certificate is valid now, or that have none and never end."""
    return [key for key in keys if not key.chain or is_trusted(key.chain[0], key.chain[:1], now)]


def content_key(ring: KeyRing | None) -> bytes:
    """The APIv3 key. Raises InvalidSignature where there is none."""
    for key in (*ring.sign, *ring.verify) if ring else ():
        if key.algorithm == m.AEAD and key.state is KeyState.ACTIVE and isinstance(key.material, bytes):
            return key.material
    raise InvalidSignature("apiv3_key", "the merchant has set no APIv3 key", "KEY_UNKNOWN")


def derived_nonce(secret: bytes, *parts: bytes, length: int = 32) -> str:
    """Letters and digits that follow from what is said and from a secret: equal for equal messages, and
    for others as rarely as five bits a letter allow (a synthetic nonce: what is sealed twice under it is the same).
    """
    digest = hmac.digest(secret, b"".join([b"%d:%b" % (len(part), part) for part in parts]), "sha256")
    return "".join(NONCE_LETTERS[code % 32] for code in digest[:length])


def request_nonce(credentials: Credentials, method: str, target: bytes, body: bytes, now: Instant) -> str:
    """A nonce of 32 letters: by chance where the credentials have some, else from the message and its millisecond."""
    if credentials.entropy is not None:
        return derived_nonce(credentials.entropy.token(32), b"request")
    parts = (method.encode("latin-1"), target, body, str(now).encode())
    return derived_nonce(content_key(credentials.ring), b"request", *parts)


# --- texts that are signed ---------------------------------------------------------------------------------------


def request_text(method: str, target: bytes, timestamp: str, nonce: str, body: bytes) -> bytes:
    """What a merchant signs; ``target`` is path and query exactly as on the request line."""
    head = f"{timestamp}\n{nonce}\n".encode("latin-1")
    return b"%b\n%b\n%b%b\n" % (method.encode("latin-1"), target, head, body)


def answer_text(timestamp: str, nonce: str, body: bytes) -> bytes:
    """What the platform signs in answers and notifications."""
    return f"{timestamp}\n{nonce}\n".encode("latin-1") + body + b"\n"


def pay_text(appid: str, timestamp: str, nonce: str, package: str) -> bytes:
    """What the merchant signs for the wallet: ``package`` is ``prepay_id=...`` (JSAPI) or the bare number (APP)."""
    return f"{appid}\n{timestamp}\n{nonce}\n{package}\n".encode()


def sign(text: bytes, key: Key) -> str:
    return unsigned(text, key, str).signature()


def unsigned(text: bytes, key: Key, finish: Callable[[str], T]) -> Unsigned[T]:
    """A message that waits for the signature of ``text``."""
    if not isinstance(key.material, RSAPrivateKey):
        raise LocalProtocolError("signature", f"{key!r} cannot sign", "SIGN_TYPE_NOT_ALLOWED")
    return Unsigned(text, key.material, SHA256, finish)


def verify(text: bytes, signature: str, key: Key) -> bool:
    return isinstance(key.material, RSAPublicKey) and rsa_verify(text, signature, key.material, SHA256)


def choose(keys: Iterable[Key], name: str, field: str, now: Instant) -> list[Key]:
    """The keys that a message names and that may verify now (one, where names are what they should be); never one that
    the message brings along (T20). Raises InvalidSignature."""
    if not _SERIAL.fullmatch(name):
        raise InvalidSignature(field, "is missing or no serial number", "SIGN_MISSING" if not name else "KEY_UNKNOWN")
    found = [key for key in keys if key.algorithm == m.ALGORITHM and is_called(key, name)]
    if not found:
        raise InvalidSignature(field, "names no key that is known", "KEY_UNKNOWN")
    able = live(found, m.ALGORITHM)
    if not able:
        raise InvalidSignature(field, "the key is revoked or not active yet", "KEY_REVOKED")
    valid = able if name.startswith(PUBLIC_KEY) else valid_now(able, now)
    if not valid:
        raise InvalidSignature(field, "the certificate is not valid now", "KEY_REVOKED")
    return valid


def check_fresh(timestamp: str, field: str, now: Instant) -> Instant:
    """The signed time, within five minutes of now. Raises InvalidSignature STALE."""
    if not _DIGITS.fullmatch(timestamp):
        raise InvalidSignature(field, "is no time in seconds", "SIGN_MISSING" if not timestamp else "FIELD_INVALID")
    at = Instant(int(timestamp) * 1_000)
    if abs(now - at) > m.WINDOW:
        raise InvalidSignature(field, "is more than five minutes from now", "STALE")
    return at


# --- the merchant's header ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Proof:
    """The five pairs of ``Authorization``."""

    mchid: str
    serial_no: str
    timestamp: str
    nonce_str: str
    signature: str


def write_authorization(proof: Proof) -> str:
    pairs = ("mchid", "nonce_str", "signature", "timestamp", "serial_no")
    return f"{m.ALGORITHM} " + ",".join([f'{name}="{getattr(proof, name)}"' for name in pairs])


def read_authorization(text: str) -> Proof:
    """The pairs in any order, each once. Raises InvalidSignature."""
    scheme, blank, rest = text.partition(" ")
    if not text:
        raise InvalidSignature("Authorization", "is missing", "SIGN_MISSING")
    if scheme != m.ALGORITHM or not blank:
        raise InvalidSignature("Authorization", f"the scheme is not {m.ALGORITHM}", "SIGN_TYPE_NOT_ALLOWED")
    said: dict[str, str] = {}
    for piece in rest.split(","):
        match = _PAIR.fullmatch(piece.strip(" "))
        if match is None or match[1] in said:
            raise InvalidSignature("Authorization", "is not five pairs of name and quoted value", "SIGN_MISSING")
        said[match[1]] = match[2]
    if set(said) != set(Proof.__slots__) or not all(said.values()):
        raise InvalidSignature("Authorization", "lacks one of its five pairs, or has another", "SIGN_MISSING")
    if len(said["nonce_str"]) > 32:
        raise InvalidSignature("nonce_str", "is longer than 32 characters", "FIELD_INVALID")
    return Proof(**said)


# --- the platform's headers --------------------------------------------------------------------------------------

Headers = tuple[tuple[bytes, bytes], ...]


def signed_headers(body: bytes, key: Key, name: str, nonce: str, now: Instant) -> Unsigned[Headers]:
    """The five headers, in the case in which they are always written (some clients compare letter by letter)."""
    timestamp = str(now // 1_000)

    def finish(signature: str) -> Headers:
        return (
            (b"Wechatpay-Nonce", nonce.encode("ascii")),
            (b"Wechatpay-Signature", signature.encode("ascii")),
            (b"Wechatpay-Timestamp", timestamp.encode("ascii")),
            (b"Wechatpay-Serial", name.encode("ascii")),
            (b"Wechatpay-Signature-Type", m.ALGORITHM.encode("ascii")),
        )

    return unsigned(answer_text(timestamp, nonce, body), key, finish)


def check_signed(headers: Headers, body: bytes, ring: KeyRing, now: Instant) -> Instant:
    """Verify an answer or a notification by its headers; its signed time. Raises InvalidSignature."""
    said: dict[str, str] = {}
    for name, value in headers:
        lower = name.decode("latin-1").lower()
        if lower.startswith("wechatpay-"):
            if lower in said:
                raise InvalidSignature(name.decode("latin-1"), "appears twice", "DUPLICATE_PARAM")
            said[lower] = value.decode("latin-1")
    for field in ("Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature", "Wechatpay-Serial"):
        if not said.get(field.lower()):
            raise InvalidSignature(field, "is missing", "SIGN_MISSING")
    if said.get("wechatpay-signature-type", m.ALGORITHM) != m.ALGORITHM:
        raise InvalidSignature("Wechatpay-Signature-Type", f"is not {m.ALGORITHM}", "SIGN_TYPE_NOT_ALLOWED")
    at = check_fresh(said["wechatpay-timestamp"], "Wechatpay-Timestamp", now)
    keys = choose(ring.verify, said["wechatpay-serial"], "Wechatpay-Serial", now)
    signature = said["wechatpay-signature"]
    text = answer_text(said["wechatpay-timestamp"], said["wechatpay-nonce"], body)
    if not any(verify(text, signature, key) for key in keys):
        probe = signature.startswith(PROBE)
        raise InvalidSignature("Wechatpay-Signature", "is the platform's probe" if probe else "does not verify")
    return at


# --- sealed contents ---------------------------------------------------------------------------------------------


def seal(plain: bytes, about: str, secret: bytes, nonce: str) -> str:
    """AES-256-GCM with the tag at the end, in base64. ``nonce`` is 12 ASCII characters."""
    return base64.b64encode(AESGCM(secret).encrypt(nonce.encode("ascii"), plain, about.encode())).decode("ascii")


def seal_fresh(plain: bytes, about: str, secret: bytes) -> dict[str, str]:
    """The members of a sealed resource, under a nonce that follows from the content."""
    nonce = derived_nonce(secret, b"content", about.encode(), plain, length=12)
    return {"ciphertext": seal(plain, about, secret, nonce), "associated_data": about, "nonce": nonce}


def unseal(resource: Mapping[str, Any], secret: bytes) -> bytes:
    """The plain text. Every failure is one and the same, without an oracle (T22). Raises RemoteProtocolError."""
    said = {name: resource.get(name, "") for name in ("algorithm", "ciphertext", "nonce", "associated_data")}
    if not all(isinstance(value, str) for value in said.values()) or said["algorithm"] != m.AEAD:
        raise RemoteProtocolError("resource.algorithm", f"is not {m.AEAD}", "SIGN_TYPE_NOT_ALLOWED")
    raw, nonce = decode_base64(said["ciphertext"]), said["nonce"].encode("utf-8")
    if raw is None or len(nonce) != 12 or len(raw) < 16:
        raise RemoteProtocolError("resource.ciphertext", "cannot be opened", "SIGN_INVALID")
    try:
        return AESGCM(secret).decrypt(nonce, raw, said["associated_data"].encode("utf-8", "surrogatepass"))
    except (InvalidTag, ValueError) as error:
        raise RemoteProtocolError("resource.ciphertext", "cannot be opened", "SIGN_INVALID") from error


def hide(text: str, key: Key) -> str:
    """A person's field for whoever holds ``key``: OAEP with SHA-1, base64. Raises LocalProtocolError."""
    material = key.material.public_key() if isinstance(key.material, RSAPrivateKey) else key.material
    raw = text.encode("utf-8")
    if not isinstance(material, RSAPublicKey) or len(raw) > _OAEP_LONGEST:
        raise LocalProtocolError("", "cannot be hidden: too long, or there is no public key for it", "TOO_LARGE")
    return base64.b64encode(material.encrypt(raw, _OAEP)).decode("ascii")


def reveal(text: str, keys: Iterable[Key], field: str) -> str:
    """What ``hide`` hid, by whichever of the keys can. Raises RemoteProtocolError."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError) as error:
        raise RemoteProtocolError(field, "is no base64", "FIELD_INVALID") from error
    for key in keys:
        if isinstance(key.material, RSAPrivateKey):
            try:
                return key.material.decrypt(raw, _OAEP).decode("utf-8")
            except ValueError:
                continue
    raise RemoteProtocolError(field, "cannot be decrypted with the key that Wechatpay-Serial names", "FIELD_INVALID")


# --- JSON --------------------------------------------------------------------------------------------------------


def write_body(value: object) -> bytes:
    """Compact UTF-8, as clients compare that serialise it again. Raises LocalProtocolError."""
    try:
        return write_json(value).encode("utf-8")
    except UnicodeEncodeError as error:
        raise LocalProtocolError("", "holds characters that no text has", "BAD_CHARSET") from error


def read_body(raw: bytes, field: str = "") -> dict[str, Any]:
    """An object without doubled names, fractions, nulls or characters that are none. Raises RemoteProtocolError."""
    value = read_object(raw, field)
    # without escapes, what the text does not hold no value holds; nulls are looked for by their name
    if b"\\" in raw or b"null" in raw or _NO_TEXT.search(raw.decode("utf-8")):
        _check_values(value, field)
    return value


def _check_values(value: object, path: str) -> None:
    if value is None:
        raise RemoteProtocolError(path, "is null", "FIELD_INVALID")
    if isinstance(value, str):
        if _NO_TEXT.search(value):
            raise RemoteProtocolError(path, "holds characters that no text has", "BAD_CHARSET")
    elif isinstance(value, dict):
        for name, inner in value.items():
            _check_values(name, path)
            _check_values(inner, f"{path}.{name}"[:64].lstrip("."))
    elif isinstance(value, list):
        for inner in value:
            _check_values(inner, path)


# --- times -------------------------------------------------------------------------------------------------------


def write_time(at: Instant) -> str:
    """RFC 3339 in China, whole seconds."""
    return china(at).strftime("%Y-%m-%dT%H:%M:%S+08:00")


def parse_time(text: str) -> Instant:
    """RFC 3339 with any offset; what is below a second is dropped. Raises ValueError."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("not RFC 3339")
    zone = match[3]
    minutes = 0 if zone == "Z" else int(zone[1:3]) * 60 + int(zone[4:])
    offset = -minutes if zone.startswith("-") else minutes
    return later(parse_china(f"{match[1]} {match[2]}"), 8 * HOUR - offset * MINUTE)
