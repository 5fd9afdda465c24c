"""The master's duties about agents: who is silent too long is disconnected, and an alert says so.

Only the holder of the lease does them. Source: spec/agent-channel.md 4.6.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from garrison.config.model import GlobalConfig
from garrison.ground.clock import Clock
from garrison.ground.tasks import Stop, every
from garrison.registry import status as statuses
from garrison.registry.model import Agent
from garrison.registry.status_store import StatusBoard

log = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0

Tell = Callable[[Agent, bytes, bytes, float], None]


class AgentWatch:
    """Looks after agents that went away without a word."""

    def __init__(
        self,
        board: StatusBoard,
        agent_of: Callable[[str], Agent | None],
        config: GlobalConfig,
        clock: Clock,
        is_master: Callable[[], bool],
        tell: Tell,
    ) -> None:
        self._board = board
        self._agent_of = agent_of
        self._config = config
        self._clock = clock
        self._is_master = is_master
        self._tell = tell
        self._to_tell: dict[str, float] = {}

    async def run(self, stop: Stop) -> None:
        """Looks every few seconds until `stop`."""
        await every(self._clock, LOOK_EVERY_S, self.look, stop, name="agent watch")

    async def look(self) -> None:
        """One look: marks who is overdue, and tells about those who stayed away."""
        if not self._is_master():
            self._to_tell.clear()
            return
        now = self._clock.now().timestamp()
        late = statuses.overdue(self._board.all(), now, self._config.agents_disconnection_time_s)
        self._board.mark_disconnected(status.id for status in late)
        for status in late:
            log.info(
                "Agent %s is disconnected: no keepalive for %d s", status.id, now - status.last_keepalive
            )
            self._to_tell[status.id] = now + self._config.agents_disconnection_alert_time_s
        self._tell_due(now)

    def _tell_due(self, now: float) -> None:
        for identity, due in list(self._to_tell.items()):
            status = self._board.get(identity)
            if status is None or status.is_live:
                del self._to_tell[identity]
            elif now >= due:
                del self._to_tell[identity]
                agent = self._agent_of(identity)
                if agent is not None:
                    text = f"ossec: Agent disconnected: '{agent.name}-{agent.ip}'.".encode()
                    self._tell(agent, b"wazuh-monitord", text, now)
