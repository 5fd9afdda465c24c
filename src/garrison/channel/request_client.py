"""Questions to agents: one counter each, an answer or a reason why there is none.

Over TCP a question is sent once. Over UDP it is sent again until the agent acknowledges it, and the answer is
acknowledged back. Source: spec/agent-channel.md 7.1.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from garrison.config.model import InternalOptions
from garrison.ground.clock import Clock
from garrison.ground.entropy import Entropy
from garrison.ground.tasks import Brood
from garrison.wire import control

Sender = Callable[[bytes], bool]

CANNOT_SEND = b"err Cannot send request"
NO_ANSWER = b"err Response timeout"
TOO_MANY_TRIES = b"err Maximum attempts exceeded"
NO_SLOT = b"err Internal error"


@dataclass(eq=False, slots=True)
class _Question:
    agent: str
    acked: asyncio.Event = field(default_factory=asyncio.Event)
    answer: asyncio.Future[bytes] = field(default_factory=asyncio.Future)


class Requests:
    """The open questions of this node."""

    def __init__(self, options: InternalOptions, clock: Clock, entropy: Entropy) -> None:
        self._options = options
        self._clock = clock
        self._entropy = entropy
        self._open: dict[str, _Question] = {}
        self._taken = 0
        self._line: deque[asyncio.Future[None]] = deque()

    async def ask(
        self, agent: str, send: Sender, target: str, payload: bytes | None, *, is_udp: bool
    ) -> bytes:
        """The agent's answer, or one of the known `err` texts. `send` says whether the message went out."""
        if not await self._take_slot():
            return NO_SLOT
        try:
            return await self._ask(agent, send, target, payload, is_udp=is_udp)
        finally:
            self._give_slot()

    async def _take_slot(self) -> bool:
        """False when none got free within `request_timeout`."""
        if self._taken < self._options.remoted_request_pool:
            self._taken += 1
            return True
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(mine)
        brood = Brood("request.slot")
        try:
            limit = brood.start(self._clock.sleep(self._options.remoted_request_timeout_s), name="limit")
            await asyncio.wait({limit, mine}, return_when=asyncio.FIRST_COMPLETED)
            return mine.done()
        except asyncio.CancelledError:
            if mine.done():
                self._give_slot()
            raise
        finally:
            mine.cancel()
            await brood.end()

    def _give_slot(self) -> None:
        """The first in the line has it; nobody there makes it free."""
        while self._line:
            heir = self._line.popleft()
            if not heir.done():
                heir.set_result(None)
                return
        self._taken -= 1

    async def _ask(
        self, agent: str, send: Sender, target: str, payload: bytes | None, *, is_udp: bool
    ) -> bytes:
        counter = self._new_counter()
        question = _Question(agent)
        self._open[counter] = question
        brood = Brood("request")
        try:
            message = control.encode_request(counter, target, payload)
            if is_udp:
                if not await self._send_until_acked(send, message, question):
                    return TOO_MANY_TRIES
            elif not send(message):
                return CANNOT_SEND
            return await self._wait(question, brood)
        finally:
            del self._open[counter]
            await brood.end()

    async def _wait(self, question: _Question, brood: Brood) -> bytes:
        limit = brood.start(self._clock.sleep(self._options.remoted_response_timeout_s), name="limit")
        await asyncio.wait({limit, question.answer}, return_when=asyncio.FIRST_COMPLETED)
        return question.answer.result() if question.answer.done() else NO_ANSWER

    async def _send_until_acked(self, send: Sender, message: bytes, question: _Question) -> bool:
        pause = self._options.remoted_request_rto_sec + self._options.remoted_request_rto_msec / 1000
        for _ in range(self._options.remoted_max_attempts):
            if not send(message):
                return False
            brood = Brood("request.resend")
            waits = {
                brood.start(question.acked.wait(), name="ack"),
                brood.start(self._clock.sleep(pause), name="pause"),
                question.answer,
            }
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            await brood.end()
            if question.acked.is_set() or question.answer.done():
                return True
        return False

    def take(self, agent: str, counter: str, body: bytes, *, is_udp: bool) -> bytes | None:
        """Notes what an agent sent for a counter; over UDP the acknowledgment that it gets back, else None."""
        question = self._open.get(counter)
        if question is None or question.agent != agent:
            return None
        if is_udp and body == b"ack":
            question.acked.set()
            return None
        if not question.answer.done():
            question.answer.set_result(body)
        return control.encode_request(counter, "ack", None) if is_udp else None

    def _new_counter(self) -> str:
        while True:
            counter = f"{self._entropy.below(1 << 32):x}"
            if counter not in self._open:
                return counter
