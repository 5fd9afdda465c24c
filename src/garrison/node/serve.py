"""Runs one node: its logs, the order in which its parts start and end, and its signals."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys

from garrison.config.home import Home
from garrison.config.load import load_manager
from garrison.ground.clock import Clock
from garrison.ground.entropy import Entropy
from garrison.ground.errors import ConfigError, GarrisonError
from garrison.ground.log import ClusterFormatter, OssecFormatter, add_file, add_stderr
from garrison.ground.tasks import Brood, Stop, pause
from garrison.node.assemble import Node

log = logging.getLogger(__name__)

READY_WITHIN_S = 45.0


def open_logs(home: Home, *, to_terminal: bool) -> None:
    """`logs/ossec.log` and `logs/cluster.log`, and the terminal when the node runs in the foreground."""
    root = logging.getLogger("garrison")
    cluster = logging.getLogger("garrison.clusterlog")
    root.setLevel(logging.INFO)
    cluster.propagate = False
    add_file(root, home.ossec_log, OssecFormatter("wazuh-managerd"))
    add_file(cluster, home.cluster_log, ClusterFormatter())
    if to_terminal:
        add_stderr(root, OssecFormatter("wazuh-managerd"))
        add_stderr(cluster, ClusterFormatter())


async def serve(home: Home, clock: Clock, entropy: Entropy) -> int:
    """Runs the node until it is told to end; exit status 0, or 1 with the faults when it cannot start."""
    try:
        loaded = load_manager(home)
        node = Node(home, loaded, clock, entropy)
    except GarrisonError as error:
        for line in str(error).splitlines():
            log.critical("%s", line)
            print(line, file=sys.stderr)
        return 1
    for warning in loaded.warnings:
        log.warning("%s", warning)
    log.info(
        "Started (pid: %d). Node '%s' of cluster '%s'.", os.getpid(), node.node_name, node.config.cluster.name
    )
    log.info(
        "%s belongs to this node alone and is not copied to others: a change needs a reload or restart of this node",
        home.conf,
    )
    _listen_to_signals(node.stop)
    try:
        await _live(node, clock)
    except ConfigError as error:
        for fault in error.faults:
            log.critical("%s", fault)
            print(fault, file=sys.stderr)
        return 1
    log.info("Ended.")
    return 0


def _listen_to_signals(stop: Stop) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


async def _live(node: Node, clock: Clock) -> None:
    """Starts the parts from the engine up, waits for the end, and ends them from the agents' ports down."""
    below, middle, above = Brood("below"), Brood("middle"), Brood("above")
    stop_below, stop_middle, stop_above = Stop(), Stop(), Stop()
    failed: list[ConfigError] = []

    def watched(work: object, brood: Brood, name: str) -> asyncio.Task[object]:
        task = brood.start(_until_failure(work, node.stop, failed), name=name)
        return task

    if node.engine is not None:
        watched(node.engine.run(stop_below), below, "engine")
    watched(node.link.run(stop_below), below, "link")
    tasks = [
        watched(node.outputs.run(stop_middle), middle, "outputs"),
        watched(node.board.run(stop_middle), middle, "status"),
        watched(node.registry.run(stop_middle), middle, "registry"),
        watched(node.lease.run(stop_middle), middle, "lease"),
        watched(node.presence.run(stop_middle), middle, "presence"),
        watched(node.shared.run(stop_middle), middle, "shared"),
        watched(node.judging.keep(clock, stop_middle), middle, "memory"),
    ]
    ports = [watched(node.control.run(stop_above), above, "control")]
    await _until_known(node, clock)
    if not node.stop.is_set():
        above.start(node.judging.follow(stop_above), name="ruleset")
        above.start(node.watch.run(stop_above), name="watch")
        if node.logtest is not None:
            sweep_s = node.config.rule_test.session_timeout_s
            above.start(node.logtest.run(stop_above, sweep_s), name="log test")
        if node.agents is not None:
            ports.append(watched(node.agents.run(stop_above), above, "agents"))
        for place, syslog in enumerate(node.syslog):
            ports.append(watched(syslog.run(stop_above), above, f"syslog {place}"))
        if node.enrollment is not None:
            ports.append(watched(node.enrollment.run(stop_above), above, "enrollment"))
        await _until_open(node, clock)
    await node.stop.wait()
    for stop, ending in ((stop_above, ports), (stop_middle, tasks)):
        stop.set()
        await asyncio.wait(ending, timeout=15.0)
    await above.end()
    await middle.end()
    stop_below.set()
    for _ in range(200):
        if not len(below):
            break
        await asyncio.sleep(0.05)
    await below.end()
    if failed:
        raise failed[0]


async def _until_failure(work: object, stop: Stop, failed: list[ConfigError]) -> None:
    """A part that cannot work takes the node down with a clear word, not half of it silently."""
    try:
        await work  # type: ignore[misc]
    except ConfigError as error:
        failed.append(error)
        stop.set()
    except GarrisonError as error:
        log.critical("%s", error)
        stop.set()


async def _until_known(node: Node, clock: Clock) -> None:
    """Waits for the registry's agents, from the engine or from the local view; goes on without after a while."""
    deadline = clock.monotonic() + READY_WITHIN_S
    while not node.stop.is_set() and clock.monotonic() < deadline:
        if node.registry.caught_up.is_set() and node.shared.settled.is_set() and node.lease.holder():
            return
        knows_some = node.registry.has_view
        if (
            knows_some
            and clock.monotonic() > deadline - READY_WITHIN_S + 5.0
            and not node.link.is_connected()
        ):
            log.warning("The cluster engine is away: this node starts with the agents of its local view")
            return
        await pause(clock, 0.05, node.stop)


async def _until_open(node: Node, clock: Clock) -> None:
    while not node.stop.is_set():
        agents_open = node.agents is None or node.agents.listening.is_set()
        enrollment_open = node.enrollment is None or node.enrollment.listening.is_set()
        if agents_open and enrollment_open:
            node.is_ready = True
            gc.freeze()
            return
        await pause(clock, 0.02, node.stop)
