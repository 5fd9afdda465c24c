"""What travels back from a call to a node. Pure.

    0
    | kind | rest ...

`kind` is `+` (the answer follows), `-` (refused: JSON with `code` and `text`) or `!` (failed: text).
Nothing in a question says who asks: whoever reached the engine holds the cluster's key.
"""

from __future__ import annotations

import json

from garrison.fabric.escape import escape
from garrison.ground.errors import FabricError, PeerError, Refused
from garrison.ground.log import printable

_MOST_TEXT = 2000


def subject(node: str, command: str) -> str:
    """The subject on which `node` hears `command`."""
    if not node or not command:
        raise FabricError("a call needs a node and a command")
    return f"node.{escape(node)}.{escape(command)}"


def encode_answer(data: bytes) -> bytes:
    """The envelope of an answer."""
    return b"+" + data


def encode_refusal(refusal: Refused) -> bytes:
    """The envelope of a refusal."""
    return b"-" + json.dumps({"code": refusal.code, "text": refusal.message[:_MOST_TEXT]}).encode()


def encode_failure(text: str) -> bytes:
    """The envelope of a failure; `text` is ours and says nothing about the other node's insides."""
    return b"!" + text.encode()


def decode_reply(envelope: bytes) -> bytes:
    """The answer; raises the `Refused` or the `FabricError` that the envelope says, or `PeerError`."""
    kind, rest = envelope[:1], envelope[1:]
    if kind == b"+":
        return rest
    if kind == b"!":
        raise FabricError(f"the other node failed: {printable(rest)}")
    if kind != b"-":
        raise PeerError("an answer of unknown kind")
    try:
        refusal = json.loads(rest)
    except ValueError as error:
        raise PeerError("a refusal that is not JSON") from error
    if not isinstance(refusal, dict) or set(refusal) != {"code", "text"}:
        raise PeerError("a refusal of another shape")
    code, text = refusal["code"], refusal["text"]
    if type(code) is not int or not isinstance(text, str):
        raise PeerError("a refusal of other types")
    raise Refused(printable(text, _MOST_TEXT), code)
