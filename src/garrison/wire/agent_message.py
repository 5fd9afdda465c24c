"""One message of the agent channel, sealed in its envelope. Pure.

    envelope  = [ "!" id "!" ] tag ciphertext        tag = "#AES:" or ":" (Blowfish)
    plaintext = "!" * n  zlib( block )               n = 1..8, length becomes a multiple of 8
    block     = md5hex(32)  random(5)  global(10)  ":"  local(4)  ":"  message

The cipher keys come from the key line: D = md5(rawkey), C = md5(md5(name) + md5(id)); AES-256 uses the 32 characters
of D, Blowfish D and the first 15 of C. The IVs are constant.
Source: spec/agent-channel.md 3.1 to 3.3, 9.1; vectors secure-messages.json, secure-messages-reject.json.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from enum import Enum
from typing import Any

from cryptography.hazmat.decrepit.ciphers.algorithms import Blowfish
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from garrison.ground.errors import PeerError
from garrison.wire.client_keys import KeyEntry
from garrison.wire.counters import Counters

MAX_MESSAGE_BYTES = 65408
"""Longest message that a sender may seal."""

MAX_COMPRESSED_BYTES = 65524
_HEADER_BYTES = 53
_MAX_BLOCK_BYTES = 2 * 65536
"""Longest block that is inflated; a longer one is a bomb, whatever its envelope's size."""

_AES_IV = b"FEDCBA0987654321"
_BLOWFISH_IV = bytes.fromhex("fedcba9876543210")
_AES_BLOCK = 16
_BLOWFISH_BLOCK = 8
_MOST_ID_DIGITS = 8


class Method(Enum):
    """The cipher of an envelope; the value is its tag."""

    AES = b"#AES:"
    BLOWFISH = b":"


class OpenFailure(PeerError):
    """An envelope that does not open. `number` is the log number that operators know, 0 where there is none.

    `wrong_key` tells the failures that another key would explain: they are looked into further.
    """

    def __init__(self, number: int, reason: str, *, wrong_key: bool = False) -> None:
        super().__init__(reason)
        self.number = number
        self.wrong_key = wrong_key


@dataclass(frozen=True, slots=True)
class Opened:
    """A message and what came with it."""

    message: bytes
    method: Method
    counters: Counters
    random: int


@dataclass(frozen=True, slots=True)
class Ping:
    """A clear `#ping`: the answer is a clear `PONG`."""


@dataclass(frozen=True, slots=True)
class ById:
    """An envelope with `!id!` in front; `rest` is what follows."""

    id: str
    rest: bytes


@dataclass(frozen=True, slots=True)
class ByAddress:
    """An envelope without an id: the sender is found by its source address."""

    rest: bytes


PONG = b"#pong"


def classify(envelope: bytes) -> Ping | ById | ByAddress:
    """Whose envelope this is, by its first bytes; `OpenFailure` 1403 for an id that is not closed."""
    if envelope[:1] == b"!":
        end = envelope.find(b"!", 1, _MOST_ID_DIGITS + 2)
        digits = envelope[1:end]
        if end < 0 or not digits.isdigit():
            raise OpenFailure(1403, "id prefix is not closed")
        return ById(digits.decode("ascii"), envelope[end + 1 :])
    if envelope[:5] == b"#ping":
        return Ping()
    return ByAddress(envelope)


class ChannelKey:
    """The cipher keys of one agent, with the AES decryptor kept between messages.

    A kept decryptor is fed the constant IV as a block of its own before each ciphertext: in CBC the block before a
    message acts as its IV, so the first block out is junk and the rest is right, whatever went before. Hazard: a
    ciphertext whose length is no multiple of 16 would stay inside and spoil the next message, so the length is
    checked first, and any failure replaces the decryptor. Not to be shared between threads.
    """

    __slots__ = ("_decryptor", "aes", "blowfish")

    def __init__(self, *, aes: bytes, blowfish: bytes) -> None:
        self.aes = aes
        self.blowfish = blowfish
        self._decryptor: Any = None

    def decrypt_aes(self, ciphertext: bytes) -> bytes:
        """The plaintext, padding still on; `ciphertext` is one block or more, whole."""
        if self._decryptor is None:
            self._decryptor = Cipher(AES(self.aes), CBC(_AES_IV)).decryptor()
        try:
            plain: bytes = self._decryptor.update(_AES_IV + ciphertext)
        except Exception:
            self._decryptor = None
            raise
        return plain[_AES_BLOCK:]


def derive(entry: KeyEntry) -> ChannelKey:
    """The cipher keys of a key line (section 3.2)."""
    half = _md5(_md5(entry.name.encode()) + _md5(entry.id.encode()))
    digest = _md5(entry.key.encode())
    return ChannelKey(aes=digest, blowfish=digest + half[:15])


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).hexdigest().encode()


def open_envelope(envelope: bytes, key: ChannelKey) -> Opened:
    """The message in an envelope without its `!id!`; `OpenFailure` says how it fails (section 9.1)."""
    if envelope[:5] == b"#AES:":
        method, plain = Method.AES, _decrypt_aes(envelope[5:], key)
    elif envelope[:1] == b":":
        method, plain = Method.BLOWFISH, _decrypt_blowfish(envelope[1:], key)
    else:
        raise OpenFailure(1403, "no cipher tag")
    if plain[:1] != b"!":
        raise OpenFailure(1404, "plaintext does not begin with padding", wrong_key=True)
    return _read_block(_inflate(plain.lstrip(b"!")), method)


def _decrypt_aes(ciphertext: bytes, key: ChannelKey) -> bytes:
    if not ciphertext or len(ciphertext) % _AES_BLOCK:
        raise OpenFailure(1404, "ciphertext is not whole blocks", wrong_key=True)
    plain = key.decrypt_aes(ciphertext)
    pad = plain[-1]
    if not 1 <= pad <= _AES_BLOCK or plain[-pad:] != bytes([pad]) * pad:
        raise OpenFailure(1404, "padding is wrong", wrong_key=True)
    return plain[:-pad]


def _decrypt_blowfish(ciphertext: bytes, key: ChannelKey) -> bytes:
    if not ciphertext or len(ciphertext) % _BLOWFISH_BLOCK:
        raise OpenFailure(1404, "ciphertext is not whole blocks", wrong_key=True)
    decryptor = Cipher(Blowfish(key.blowfish), CBC(_BLOWFISH_IV)).decryptor()
    return decryptor.update(ciphertext) + decryptor.finalize()


def _inflate(compressed: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        block = inflater.decompress(compressed, _MAX_BLOCK_BYTES)
    except zlib.error as error:
        raise OpenFailure(2202, "does not decompress") from error
    if not inflater.eof:
        raise OpenFailure(2202, "does not decompress to an end within the limit")
    return block


def _read_block(block: bytes, method: Method) -> Opened:
    if len(block) < _HEADER_BYTES:
        raise OpenFailure(0, "block is shorter than its header")
    if _md5(block[32:]) != block[:32]:
        raise OpenFailure(1406, "checksum mismatch")
    if block[47:48] != b":" or block[52:53] != b":":
        raise OpenFailure(1403, "counters are not separated")
    random, global_, local = block[32:37], block[37:47], block[48:52]
    if not (random.isdigit() and global_.isdigit() and local.isdigit()):
        raise OpenFailure(1403, "counters are not numbers")
    return Opened(block[53:], method, Counters(int(global_), int(local)), int(random))


def encode_block(message: bytes, counters: Counters, random: int) -> bytes:
    """The block before compression. `random` is in 0..65535."""
    body = b"%05d%010d:%04d:" % (random, counters.global_, counters.local) + message
    return _md5(body) + body


def seal(
    message: bytes,
    key: ChannelKey,
    method: Method,
    counters: Counters,
    random: int,
    *,
    prefix: str | None = None,
    level: int = 9,
) -> bytes:
    """The envelope of `message` (1 to MAX_MESSAGE_BYTES bytes). `prefix` is the id that an agent puts in front."""
    if not 1 <= len(message) <= MAX_MESSAGE_BYTES:
        raise PeerError("message is empty or too long to be sealed")
    compressed = zlib.compress(encode_block(message, counters, random), level)
    padded = b"!" * (8 - len(compressed) % 8) + compressed
    if len(padded) > MAX_COMPRESSED_BYTES:
        raise PeerError("message is too long to be sealed")
    if method is Method.AES:
        pad = _AES_BLOCK - len(padded) % _AES_BLOCK
        encryptor = Cipher(AES(key.aes), CBC(_AES_IV)).encryptor()
        ciphertext = encryptor.update(padded + bytes([pad]) * pad)
    else:
        encryptor = Cipher(Blowfish(key.blowfish), CBC(_BLOWFISH_IV)).encryptor()
        ciphertext = encryptor.update(padded)
    front = f"!{prefix}!".encode() if prefix is not None else b""
    return front + method.value + ciphertext
