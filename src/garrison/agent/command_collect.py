"""A command whose output becomes events: run now and then, program by program, never through a shell.

Source: spec/agent-channel.md 8.4; captures/event-kinds.json.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

from garrison.agent.commands import Log
from garrison.agent.formats import Place, apply_out_format, command_texts
from garrison.agent.outgoing import Outgoing
from garrison.agent.sources import LOGCOLLECTOR, Filter, Surroundings, pipeline
from garrison.config.model import LocalfileConfig
from garrison.wire.event_line import Event, encode_event

CHUNK_BYTES = 65536
MOST_OUTPUT_BYTES = 1024 * 1024
COMMAND_TIMEOUT_S = 60.0


class CommandSource:
    """A command run now and then; its output becomes events. Never through a shell."""

    def __init__(self, config: LocalfileConfig, around: Surroundings) -> None:
        assert config.command is not None
        self.config = config
        self.name = config.alias or config.command
        self.events = 0
        self.bytes = 0
        self._around = around
        self._filter = Filter(config)
        self._stages = pipeline(config.command)
        self.due_at = float("-inf")

    async def run(self, now: float) -> None:
        """Runs the command once and offers what it printed; what does not fit into the ring is lost."""
        self.due_at = now + max(1.0, self.config.frequency_s)
        try:
            output = await _run_pipeline(self._stages)
        except OSError as error:
            text = f"Command '{self.name}' could not be run: {error.strerror}"
            self._around.tell(Log("ERROR", text, LOGCOLLECTOR))
            return
        for printed in command_texts(self.config.log_format, self.name, output):
            if self._filter.passes(printed):
                self._offer(printed)

    def _offer(self, text: bytes) -> None:
        if self.config.out_format:
            stamp = self._around.clock.now().astimezone().strftime("%b %d %H:%M:%S")
            place = Place(
                location=self.name, hostname=self._around.hostname, timestamp=stamp, command=self.name
            )
            text = apply_out_format(self.config.out_format, text, place)
        self.events += 1
        self.bytes += len(text)
        location = self.name.encode("utf-8", "surrogateescape")
        self._around.offer(Outgoing(encode_event(Event(queue="1", location=location, text=text))))


async def _run_pipeline(stages: list[list[str]]) -> bytes:
    processes: list[asyncio.subprocess.Process] = []
    source: int = asyncio.subprocess.DEVNULL
    try:
        for at, stage in enumerate(stages):
            is_last = at == len(stages) - 1
            reading, writing = (-1, asyncio.subprocess.PIPE) if is_last else os.pipe()
            try:
                process = await asyncio.create_subprocess_exec(
                    *stage,
                    stdin=source,
                    stdout=writing,
                    stderr=asyncio.subprocess.DEVNULL,
                    start_new_session=True,
                )
            finally:
                if source >= 0:
                    os.close(source)
                if not is_last:
                    os.close(writing)
                source = reading
            processes.append(process)
        return await _read_output(processes[-1])
    finally:
        if source >= 0:
            os.close(source)
        for process in processes:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _read_output(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    output = bytearray()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            while len(output) < MOST_OUTPUT_BYTES:
                part = await process.stdout.read(CHUNK_BYTES)
                if not part:
                    await process.wait()
                    break
                output += part
    return bytes(output)
