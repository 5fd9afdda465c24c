"""Pushing a bundle of shared files to an agent.

    #!-up file MD5 merged.mg   CHUNK ... CHUNK   #!-close file

A transfer an agent at most; one that the agent does not take is abandoned, and its next keepalive starts it again.
Many agents want the same new bundle at once: a burst of chunks at a time goes out, for a few agents at a time, so that
a change of a group does not hold up the events of the others.
Source: spec/agent-channel.md 6.5.
"""

from __future__ import annotations

import asyncio
from itertools import islice

from garrison.channel.peer_server import Peer
from garrison.channel.ports import Bundle
from garrison.config.model import InternalOptions
from garrison.ground.clock import Clock
from garrison.ground.log import ProgramAdapter
from garrison.wire import control, merged

NAME = "merged.mg"
BURST = 8
MOST_AT_ONCE = 32
UDP_FIRST_CHUNKS = 32
UDP_NEXT_CHUNKS = 31
UDP_PAUSE_S = 1.0

log = ProgramAdapter(__name__, "wazuh-remoted")


class Pushes:
    """The transfers under way."""

    def __init__(self, options: InternalOptions, clock: Clock) -> None:
        self._retry_s = options.remoted_send_timeout_to_retry_s
        self._clock = clock
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)

    async def push(self, peer: Peer, identity: str, bundle: Bundle) -> bool:
        """True when everything went out. `peer.transfer` is set by the caller and cleared here."""
        try:
            is_whole = await self._send(peer, bundle)
        finally:
            peer.transfer = None
        if not is_whole and not peer.session.closed:
            log.warning("(1246): Unable to send file '%s' to agent ID '%s'.", NAME, identity)
        return is_whole

    async def _send(self, peer: Peer, bundle: Bundle) -> bool:
        if not await self._send_message(peer, control.encode_file_begin(bundle.md5, NAME)):
            return False
        chunks = iter(merged.bundle_chunks(bundle.data))
        until_pause = UDP_FIRST_CHUNKS
        while burst := list(islice(chunks, min(BURST, until_pause) if peer.is_udp else BURST)):
            async with self._turns:
                left = _send_burst(peer, burst)
                await asyncio.sleep(0)
            for chunk in left:
                if not await self._send_message(peer, chunk):
                    return False
            until_pause -= len(burst)
            if peer.is_udp and until_pause == 0:
                until_pause = UDP_NEXT_CHUNKS
                await self._clock.sleep(UDP_PAUSE_S)
        return await self._send_message(peer, control.FILE_END)

    async def _send_message(self, peer: Peer, message: bytes) -> bool:
        """Waits once for a peer that has no room."""
        if peer.session.closed:
            return False
        if not peer.has_room():
            await self._clock.sleep(self._retry_s)
        return not peer.session.closed and peer.send(message)


def _send_burst(peer: Peer, burst: list[bytes]) -> list[bytes]:
    """What found no room."""
    for place, chunk in enumerate(burst):
        if not (peer.has_room() and peer.send(chunk)):
            return burst[place:]
    return []
