"""ZIP archives in a stream, as the platform's bills come: names in GBK without the flag of UTF-8, nothing seeks.

Written with sizes behind each entry's data; read entry by entry, deflated or stored, sums checked.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from tongbao.kernel.error import RemoteProtocolError

NAME_CHARSET: Final = "gbk"
ENTRIES_MAX: Final = 8
PIECE: Final = 65_536

_LOCAL: Final = struct.Struct("<4s5H3L2H")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_END: Final = struct.Struct("<4s4H2LH")
_SIZES: Final = struct.Struct("<4s3L")
_VERSION: Final = 20
_STREAMED: Final = 0x08
_DEFLATED: Final = 8
_DAY_ONE: Final = 0x21
"""1 January 1980: the archive says nothing about when it was made, so that it is the same every time."""


@dataclass(slots=True)
class _Made:
    name: bytes
    crc: int
    packed: int
    size: int
    offset: int


def write_archive(entries: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[bytes]:
    """An archive of named pieces. Entries are asked for one after the other, each when the one before is written."""
    made: list[_Made] = []
    offset = 0
    for title, pieces in entries:
        one = _Made(title.encode(NAME_CHARSET, "replace"), 0, 0, 0, offset)
        yield (
            _LOCAL.pack(b"PK\x03\x04", _VERSION, _STREAMED, _DEFLATED, 0, _DAY_ONE, 0, 0, 0, len(one.name), 0)
            + one.name
        )
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        for piece in pieces:
            one.crc, one.size = zlib.crc32(piece, one.crc), one.size + len(piece)
            packed = packer.compress(piece)
            one.packed += len(packed)
            if packed:
                yield packed
        rest = packer.flush()
        one.packed += len(rest)
        yield rest + _SIZES.pack(b"PK\x07\x08", one.crc, one.packed, one.size)
        offset += _LOCAL.size + len(one.name) + one.packed + _SIZES.size
        made.append(one)
    directory = b"".join(_central(one) for one in made)
    count = len(made)
    yield directory + _END.pack(b"PK\x05\x06", 0, 0, count, count, len(directory), offset, 0)


def _central(one: _Made) -> bytes:
    head = _CENTRAL.pack(
        b"PK\x01\x02", _VERSION, _VERSION, _STREAMED, _DEFLATED, 0, _DAY_ONE,
        one.crc, one.packed, one.size, len(one.name), 0, 0, 0, 0, 0, one.offset,
    )  # fmt: skip
    return head + one.name


class _Source:
    """Bytes of a stream, so many at a time."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._held = b""

    def take(self, count: int) -> bytes:
        """Exactly so many bytes. Raises RemoteProtocolError where the stream ends before."""
        while len(self._held) < count:
            piece = next(self._chunks, None)
            if piece is None:
                raise _broken("ends too soon")
            self._held += piece
        taken, self._held = self._held[:count], self._held[count:]
        return taken

    def piece(self) -> bytes:
        """Some bytes; raises where there are none."""
        return self.take(max(1, min(len(self._held), PIECE)))

    def give_back(self, rest: bytes) -> None:
        self._held = rest + self._held


def _broken(reason: str) -> RemoteProtocolError:
    return RemoteProtocolError("archive", reason, "MALFORMED")


def read_archive(chunks: Iterable[bytes]) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Names and pieces, entry by entry; each entry's pieces must be read before the next one is asked for.

    Raises RemoteProtocolError for anything that is no such archive.
    """
    source = _Source(chunks)
    for _ in range(ENTRIES_MAX + 1):
        mark = source.take(4)
        if mark != b"PK\x03\x04":
            if mark in (b"PK\x01\x02", b"PK\x05\x06"):
                return
            raise _broken("is no ZIP archive")
        fields = _LOCAL.unpack(mark + source.take(_LOCAL.size - 4))
        flags, method, crc, packed, size, name_length, extra = (fields[place] for place in (2, 3, 6, 7, 8, 9, 10))
        if flags & 1:
            raise _broken("is encrypted")
        name = source.take(name_length).decode(NAME_CHARSET, "replace")
        source.take(extra)
        pieces = _pieces(source, flags, method, (crc, packed, size))
        yield name, pieces
        for _piece in pieces:
            pass
    raise _broken(f"holds more than {ENTRIES_MAX} files")


def _pieces(source: _Source, flags: int, method: int, sizes: tuple[int, int, int]) -> Iterator[bytes]:
    crc = size = 0
    for piece in _unpacked(source, flags, method, sizes[1]):
        crc, size = zlib.crc32(piece, crc), size + len(piece)
        yield piece
    said_crc, _, said_size = sizes
    if flags & _STREAMED:
        head = source.take(4)
        said_crc, _, said_size = struct.unpack(
            "<3L", source.take(12) if head == b"PK\x07\x08" else head + source.take(8)
        )
    if (crc, size) != (said_crc, said_size):
        raise _broken("an entry is not what its sums say")


def _unpacked(source: _Source, flags: int, method: int, packed: int) -> Iterator[bytes]:
    if method == 0 and not flags & _STREAMED:
        left = packed
        while left:
            piece = source.take(min(left, PIECE))
            left -= len(piece)
            yield piece
        return
    if method != _DEFLATED:
        raise _broken("is packed in a way that is not known")
    unpacker = zlib.decompressobj(-15)
    try:
        while not unpacker.eof:
            data = unpacker.unconsumed_tail or source.piece()
            piece = unpacker.decompress(data, PIECE)
            if piece:
                yield piece
    except zlib.error as error:
        raise _broken("cannot be unpacked") from error
    source.give_back(unpacker.unused_data)
