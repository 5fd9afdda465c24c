"""The node's judge: its program, its memory, how both change while events come, and what of it lasts.

    files change ──▶ compile aside (thread) ──▶ carry the memory over ──▶ swap, between two events

Events that come while a ruleset is compiled are judged by the old one; none waits and none is lost. The memory passes
as `analysis.state` says. What lasts over a restart is written once a second and at the end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from garrison.analysis.memory_store import MemoryStore
from garrison.analysis.program import Program
from garrison.analysis.run import Analyzer
from garrison.analysis.state import State, carried, fresh
from garrison.config.home import Home
from garrison.config.model import ManagerConfig
from garrison.ground.clock import Clock
from garrison.ground.errors import RuleError, StoreError
from garrison.ground.tasks import Stop, every
from garrison.node.ruleset_store import RulesetStore

log = logging.getLogger(__name__)

SAVE_EVERY_S = 1.0


class Judging:
    """The analyzer of one node and all that happens to it. `swap` is told of every new analyzer."""

    def __init__(self, home: Home, config: ManagerConfig, host_name: str) -> None:
        self._config = config
        self._host_name = host_name.encode()
        self._ruleset = RulesetStore(home.root, home.queue / "ruleset/last-good.json")
        self._memory = MemoryStore(home.queue)
        self._turn = asyncio.Lock()
        self._wake = asyncio.Event()
        self._memory_fault = ""
        self.program = self._ruleset.first(config)
        first_seen, differences = self._memory.load()
        state = fresh(
            self.program, config.global_.memory_size, first_seen=first_seen, differences=differences
        )
        self.analyzer = self._made(self.program, state)
        self.swap: Callable[[Analyzer], None] = lambda analyzer: None
        log.info("Ruleset loaded: %d rules", len(self.program.rules))

    def _made(self, program: Program, state: State) -> Analyzer:
        size = self._config.global_.memory_size
        return Analyzer(program, host_name=self._host_name, memory_size=size, state=state)

    @property
    def fault(self) -> str:
        """What is wrong with the ruleset or with keeping the memory, for operators; empty when nothing is."""
        return self._ruleset.fault or self._memory_fault

    @property
    def faults(self) -> tuple[str, ...]:
        """The errors of the ruleset's files, a line each."""
        return self._ruleset.faults

    @property
    def is_judging(self) -> bool:
        """True when there is a rule to judge by, or nobody asked for one."""
        return bool(self.program.rules) or not self._ruleset.fault

    def forgotten(self) -> Mapping[str, int]:
        """How much the memory had to let go, by kind."""
        return self.analyzer.state.forgotten()

    # -- reloading

    def files_changed(self) -> None:
        """`follow` loads the ruleset anew."""
        self._wake.set()

    async def follow(self, stop: Stop) -> None:
        """Loads the ruleset whenever its files changed."""
        while not stop.is_set():
            await self._wake.wait()
            self._wake.clear()
            await self.reload(self._config)

    async def reload(self, config: ManagerConfig) -> bool:
        """True when a new program judges from now on; a broken ruleset leaves the old one in place.

        `config` is the one that later changes of files are loaded with.
        """
        async with self._turn:
            try:
                program = await asyncio.to_thread(self._ruleset.load, config)
            except RuleError:
                log.error("The ruleset on disk is not used; the one that was loaded before goes on judging")
                return False
            self._config = config
            size = config.global_.memory_size
            state = carried(self.analyzer.state, self.program, program, size)
            self.program = program
            self.analyzer = self._made(program, state)
            self.swap(self.analyzer)
        log.info("Ruleset reloaded: %d rules", len(program.rules))
        return True

    # -- what lasts

    async def keep(self, clock: Clock, stop: Stop) -> None:
        """Writes what is new in the memory until `stop`, and once more at the end."""
        await every(clock, SAVE_EVERY_S, self.save, stop, name="memory")
        await self.save()

    async def save(self) -> None:
        """Writes what is new; what cannot be written is told once and stays in memory alone."""
        state = self.analyzer.state
        lines, differences = state.first_seen.take_news(), state.differences.take_news()
        if not lines and not differences:
            return
        try:
            await asyncio.to_thread(self._memory.save, lines, differences)
            if self._memory.is_overgrown:
                await asyncio.to_thread(self._memory.rewrite, state.first_seen.all_lines())
        except StoreError as error:
            if not self._memory_fault:
                log.error(
                    "What the analysis remembers cannot be written, a restart will forget it: %s", error
                )
            self._memory_fault = f"the memory of the analysis cannot be written: {error}"
        else:
            self._memory_fault = ""
