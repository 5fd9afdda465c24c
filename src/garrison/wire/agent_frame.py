"""One frame of the agent channel over TCP. Pure: bytes in, values out.

    0        4
    | length | envelope ...

`length` (u32, little-endian) counts envelope bytes, at most MAX_ENVELOPE_BYTES. Length 0 is legal framing.
Source: spec/agent-channel.md 3.4; vectors tcp-frames.json.
"""

from __future__ import annotations

from garrison.ground.errors import PeerError

MAX_ENVELOPE_BYTES = 65536
HEADER_BYTES = 4


class FrameTooBig(PeerError):
    """A header names more than MAX_ENVELOPE_BYTES. `frames` are those that were complete before it."""

    def __init__(self, frames: list[bytes]) -> None:
        super().__init__("Too big message size")
        self.frames = frames


class FrameReader:
    """Cuts a byte stream into envelopes. Holds at most one frame and its header between two calls."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()

    @property
    def buffered_bytes(self) -> int:
        """Bytes of an incomplete frame, its header included."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """The envelopes that `data` completes, in order; `FrameTooBig` as soon as a header is seen to lie."""
        rest = self._rest
        rest += data
        frames: list[bytes] = []
        start, end = 0, len(rest)
        while end - start >= HEADER_BYTES:
            length = int.from_bytes(rest[start : start + HEADER_BYTES], "little")
            if length > MAX_ENVELOPE_BYTES:
                rest.clear()
                raise FrameTooBig(frames)
            if end - start - HEADER_BYTES < length:
                break
            start += HEADER_BYTES
            frames.append(bytes(rest[start : start + length]))
            start += length
        del rest[:start]
        return frames


def encode_frame(envelope: bytes) -> bytes:
    """The envelope behind its length."""
    assert len(envelope) <= MAX_ENVELOPE_BYTES, "our own envelopes are never longer"
    return len(envelope).to_bytes(HEADER_BYTES, "little") + envelope
