"""From agents' events to verdicts to outputs: the middle of a node.

The channel offers batches and never waits; here they are judged at once, in order, and handed to the outputs. When the
outputs cannot take more (a disk that is full), the channel is told to stop reading until there is room.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from garrison.alerts.sink import AlertSink
from garrison.analysis.event import Arrival, Verdict
from garrison.analysis.run import Analyzer
from garrison.channel.ports import AgentEvent
from garrison.registry.model import Agent
from garrison.wire.event_line import internal_location

log = logging.getLogger(__name__)


class EventPipeline:
    """Judges events and writes what comes of it."""

    def __init__(self, analyzer: Analyzer, outputs: AlertSink, now: Callable[[], float]) -> None:
        self._analyzer = analyzer
        self._now = now
        self._outputs = outputs
        self._listeners: list[Callable[[Verdict], None]] = []
        self.received = 0
        self.alerts = 0
        self.failed = 0

    def swap(self, analyzer: Analyzer) -> None:
        """From the next event on another program judges; no event is lost in between."""
        self._analyzer = analyzer

    def offer(self, batch: Sequence[AgentEvent]) -> bool:
        """Takes the batch; False when the channel should stop reading until `room` returns."""
        for event in batch:
            self._judge(
                Arrival(
                    queue=event.queue,
                    location=internal_location(
                        event.agent.id, event.agent.name, event.agent.ip, event.location
                    ),
                    message=event.text,
                    at=event.received_at,
                )
            )
        return self._outputs.has_room()

    def offer_lines(self, sender: str, lines: Sequence[bytes]) -> bool:
        """The same for lines of a syslog sender, whose address is their location."""
        at = self._now()
        location = sender.encode()
        for line in lines:
            self._judge(Arrival(queue="2", location=location, message=line, at=at))
        return self._outputs.has_room()

    async def room(self) -> None:
        """Returns when the outputs take more."""
        await self._outputs.room()

    def tell(self, agent: Agent, source: bytes, text: bytes, at: float) -> None:
        """An event of this node about an agent, such as its disconnection."""
        location = internal_location(agent.id, agent.name, agent.ip, source)
        self._judge(Arrival(queue="1", location=location, message=text, at=at))

    def _judge(self, arrival: Arrival) -> None:
        self.received += 1
        try:
            verdict = self._analyzer.judge(arrival)
        except Exception:
            # One event that our own bug trips over must not take the agents' port down with it.
            self.failed += 1
            log.exception("an event could not be judged")
            return
        if verdict is None:
            return
        if self._outputs.write(verdict) is not None:
            self.alerts += 1
