"""The whole agent against a manager that does what the test says."""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from garrison.agent.serve import serve
from garrison.ground.clock import Clock, SystemClock
from garrison.ground.tasks import Stop, start
from garrison.wire import control
from garrison.wire.client_keys import KeyEntry, decode_key_file
from garrison.wire.merged import bundle_chunks, encode_bundle
from tests.support.clock import FakeClock, SeededEntropy
from tests.support.scripted_manager import ScriptedManager, enrollment, manager
from tests.support.wait import until

ENTRY = KeyEntry(id="001", name="web01", ip="any", key="a" * 64)


class Home:
    """An agent's home folder, its log, and the agent in it."""

    def __init__(self, root: Path, *, entry: KeyEntry | None = ENTRY) -> None:
        self.root = root
        for folder in ("etc/shared", "logs", "active-response/bin"):
            (root / folder).mkdir(parents=True)
        if entry is not None:
            (root / "etc/client.keys").write_text(entry.line() + "\n")
        self.log = root / "app.log"
        self.log.touch()
        self.code: int | None = None

    def configure(
        self,
        *ports: int,
        protocol: str = "tcp",
        client: str = "",
        more: str = "",
        enrollment_xml: str = "<enabled>no</enabled>",
        retries: int = 1,
        notify_time: int = 10,
    ) -> None:
        servers = "".join(
            f"<server><address>127.0.0.1</address><port>{port}</port><protocol>{protocol}</protocol>"
            f"<max_retries>{retries}</max_retries><retry_interval>1</retry_interval></server>"
            for port in ports
        )
        (self.root / "etc/ossec.conf").write_text(
            f"<ossec_config><client>{servers}<notify_time>{notify_time}</notify_time>"
            f"<enrollment>{enrollment_xml}</enrollment>{client}</client>"
            f"<localfile><log_format>syslog</log_format><location>{self.log}</location></localfile>"
            f"{more}</ossec_config>"
        )

    def append(self, *lines: str) -> None:
        with self.log.open("a") as file:
            file.writelines(line + "\n" for line in lines)

    @property
    def told(self) -> str:
        path = self.root / "logs/ossec.log"
        return path.read_text() if path.exists() else ""

    @asynccontextmanager
    async def running(
        self, clock: Clock | None = None, reload: asyncio.Event | None = None
    ) -> AsyncIterator[None]:
        stop = Stop()
        life = serve(self.root, clock or SystemClock(), SeededEntropy(), stop, reload=reload)
        task = start(life, name="agent under test")
        try:
            yield
        finally:
            stop.set()
            self.code = await asyncio.wait_for(task, 10)


def played(scene: Callable[[], Awaitable[None]]) -> None:
    async def play() -> None:
        await scene()

    asyncio.run(play())


async def hello(node: ScriptedManager) -> None:
    await until(lambda: node.keepalives)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("crypto", ["aes", "blowfish"])
def test_a_session_from_hello_to_goodbye(tmp_path: Path, protocol: str, crypto: str) -> None:
    async def scene() -> None:
        home = Home(tmp_path)
        async with manager(ENTRY, udp=protocol == "udp") as node:
            method = f"<crypto_method>{crypto}</crypto_method>"
            home.configure(node.port, protocol=protocol, client=method)
            async with home.running():
                await hello(node)
                home.append("one", "two")
                await until(lambda: node.lines == [b"one", b"two"])
                await until(lambda: "status='connected'" in state(home))
            await until(lambda: node.messages[-1] == control.SHUTDOWN)
        assert home.code == 0
        assert node.messages[0] == b'#!-agent startup {"version":"v4.14.7"}'
        assert node.messages[1] == b"1:wazuh-agent:ossec: Agent started: 'web01->any'."
        assert re.fullmatch(
            rb'#!-Linux \|.* - Wazuh v4\.14\.7\nx merged\.mg\n#"_agent_ip":127\.0\.0\.1\n', node.messages[2]
        )
        assert set(node.prefixes) == {"001"}
        assert {method.name.lower() for method in node.methods} == {crypto}
        lines = [line.split(": ", 1)[1] for line in home.told.splitlines()]
        assert [line for line in lines if "Trying" in line or "4102" in line or "1225" in line] == [
            f"INFO: Trying to connect to server ([127.0.0.1]:{node.port}/{protocol}).",
            f"INFO: (4102): Connected to the server ([127.0.0.1]:{node.port}/{protocol}).",
            "INFO: (1225): SIGNAL [(15)-(Terminated)] Received. Exit Cleaning...",
        ]
        assert not (home.root / "var/run/wazuh-agentd.state").exists()
        counters = (home.root / "queue/rids/sender_counter").read_text()
        assert counters == f"0:{len(node.messages)}:"

    played(scene)


def state(home: Home) -> str:
    path = home.root / "var/run/wazuh-agentd.state"
    return path.read_text() if path.exists() else ""


def test_a_single_address_leaves_the_id_away(tmp_path: Path) -> None:
    async def scene() -> None:
        entry = KeyEntry(id="002", name="web02", ip="127.0.0.1", key="b" * 64)
        home = Home(tmp_path, entry=entry)
        async with manager(entry) as node:
            home.configure(node.port)
            async with home.running():
                await hello(node)
            assert set(node.prefixes) == {None}

    played(scene)


def push(node: ScriptedManager, content: bytes, md5: str | None = None) -> None:
    sum_ = md5 or hashlib.md5(content).hexdigest()
    node.send(control.encode_file_begin(sum_, "merged.mg"), *bundle_chunks(content), control.FILE_END)


def test_a_bundle_is_taken_over_and_applied_at_once(tmp_path: Path) -> None:
    async def scene() -> None:
        home = Home(tmp_path)
        other = tmp_path / "other.log"
        other.touch()
        (home.root / "etc/shared/stale.txt").write_text("goes")
        conf = (
            f"<agent_config><localfile><log_format>syslog</log_format><location>{other}</location></localfile>"
            '<labels><label key="site">demo</label></labels></agent_config>'
        ).encode()
        content = encode_bundle(
            "default", [("ar.conf", b""), ("agent.conf", conf), ("sub/x.txt", b"y" * 5000)]
        )
        async with manager(ENTRY) as node:
            home.configure(node.port)
            async with home.running():
                await hello(node)
                push(node, content)
                await until(lambda: len(node.keepalives) == 2)
                sums = hashlib.md5(conf).hexdigest(), hashlib.md5(content).hexdigest()
                assert f' / {sums[0]}\n"site":demo\n{sums[1]} merged.mg\n'.encode() in node.keepalives[1]
                with other.open("a") as file:
                    file.write("from the new file\n")
                await until(lambda: node.lines == [b"from the new file"])
        shared = home.root / "etc/shared"
        found = sorted(str(path.relative_to(shared)) for path in shared.rglob("*") if path.is_file())
        assert found == ["agent.conf", "ar.conf", "merged.mg", "sub/x.txt"]
        assert "Agent is reloading due to shared configuration changes." in home.told

    played(scene)


def test_a_manager_that_pushes_at_each_keepalive_gets_no_storm(tmp_path: Path) -> None:
    async def scene() -> None:
        home = Home(tmp_path)
        async with manager(ENTRY) as node:
            home.configure(node.port)
            async with home.running():
                await hello(node)
                for number in range(20):
                    push(node, encode_bundle("default", [("x.txt", b"%d" % number)]))
                await until(lambda: (home.root / "etc/shared/x.txt").exists())
                await until(lambda: (home.root / "etc/shared/x.txt").read_bytes() == b"19")
                home.append("still alive")
                await until(lambda: node.lines == [b"still alive"])
                assert len(node.keepalives) == 2

    played(scene)


def test_bad_bundles(tmp_path: Path) -> None:
    async def scene() -> None:
        home = Home(tmp_path)
        before = sorted(tmp_path.rglob("*"))
        async with manager(ENTRY) as node:
            home.configure(node.port)
            async with home.running():
                await hello(node)
                push(node, b"#default\n!4 ../../evil\nevil")
                push(node, b"#default\n!4 /tmp/evil\nevil")
                push(node, b"#default\n!99 cut\noff")
                push(node, encode_bundle("default", [("x", b"y")]), md5="0" * 32)
                unmerged = b"1:wazuh-agent:wazuh: Could not unmerge shared file."
                await until(lambda: node.events.count(unmerged) == 3)
                conf = b"<agent_config><localfile><log_format>syslog</log_format></localfile></agent_config>"
                push(node, encode_bundle("default", [("agent.conf", conf)]))
                invalid = b"1:wazuh-agent:wazuh: Invalid remote configuration: 'localfile'. "
                await until(lambda: invalid in node.events)
                home.append("still alive")
                await until(lambda: node.lines == [b"still alive"])
        assert not any("evil" in path.name for path in tmp_path.parent.rglob("*"))
        assert set(before) <= set(tmp_path.rglob("*"))

    played(scene)


def test_questions_are_answered(tmp_path: Path) -> None:
    async def scene() -> None:
        home = Home(tmp_path)
        async with manager(ENTRY) as node:
            home.configure(node.port)
            async with home.running():
                await hello(node)
                node.send(control.encode_request("1f", "agent", b"getconfig buffer"))
                node.send(control.encode_request("20", "nosuch", b"hello"))
                node.send(control.encode_request("21", "agent", None))
                node.send(control.encode_request("22", "agent", b"getstate"))
                await until(lambda: any(one.startswith(b"#!-req 22") for one in node.messages))
        answers = [one for one in node.messages if one.startswith(b"#!-req")]
        config = b'{"buffer":{"disabled":"no","queue_size":5000,"events_per_second":500}}'
        assert answers[0] == b"#!-req 1f ok " + config
        assert answers[1] == b"#!-req 20 err No such file or directory"
        assert answers[2].startswith(b'#!-req 22 {"error":0,"data":{"status":"connected","last_keepalive":"2')
        assert "Request format is incorrect [payload]." in home.told

    played(scene)


def test_answers_over_udp_are_acknowledged_and_sent_again(tmp_path: Path) -> None:
    async def scene() -> None:
        home = Home(tmp_path)
        async with manager(ENTRY, udp=True) as node:
            home.configure(node.port, protocol="udp")
            async with home.running():
                await hello(node)
                node.send(control.encode_request("1f", "agent", b"getconfig labels"))
                node.send(control.encode_request("1f", "agent", b"getconfig labels"))
                node.send(control.encode_request("20", "nosuch", b"x"))
                await until(lambda: sum(one.startswith(b"#!-req 1f ok") for one in node.messages) == 2)
                node.send(control.encode_request("1f", "ack", None))
        answers = [one for one in node.messages if one.startswith(b"#!-req")]
        ack, body = b"#!-req 1f ack", b'#!-req 1f ok {"labels":[]}'
        missing = b"#!-req 20 err No such file or directory"
        assert answers[:4] == [ack, body, ack, missing]
        assert set(answers[4:]) == {body, missing}

    played(scene)


def test_restart_and_reload_by_the_manager(tmp_path: Path) -> None:
    async def scene() -> None:
        home = Home(tmp_path)
        async with manager(ENTRY) as node:
            home.configure(node.port)
            async with home.running():
                await hello(node)
                home.append("one")
                await until(lambda: node.lines == [b"one"])
                home.configure(node.port, more='<labels><label key="site">demo</label></labels>')
                node.send(control.encode_request("1f", "com", b"reload"))
                await until(lambda: b"#!-req 1f ok " in node.messages)
                await until(lambda: b'"site":demo\n' in node.keepalives[-1])
                assert node.connections == 1
                order = (
                    b'{"version":1,"origin":{"module":""},"command":"restart-wazuh0","parameters":{}} - null'
                )
                node.send(control.encode_execd(order))
                await until(lambda: node.connections == 2)
                home.append("two")
                await until(lambda: node.lines == [b"one", b"two"])
        assert control.SHUTDOWN in node.messages[:-1]
        assert sum(b"Agent started" in one for one in node.events) == 2

    played(scene)


def test_a_locked_restart_waits(tmp_path: Path) -> None:
    async def scene() -> None:
        home, clock = Home(tmp_path), FakeClock()
        async with manager(ENTRY) as node:
            home.configure(node.port, client="<time-reconnect>10000</time-reconnect>")
            async with home.running(clock):
                await hello(node)
                node.send(control.encode_request("1f", "com", b"lock_restart 60"))
                node.send(control.encode_request("20", "com", b"restart"))
                await until(lambda: b"#!-req 20 ok " in node.messages)
                await until(lambda: "Restart is locked for another 60 s." in home.told)
                await clock.advance(30)
                assert node.connections == 1
                await clock.advance(31)
                await until(lambda: node.connections == 2)

    played(scene)


def test_a_faulty_configuration_changes_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        home, reload = Home(tmp_path), asyncio.Event()
        async with manager(ENTRY) as node:
            home.configure(node.port)
            async with home.running(reload=reload):
                await hello(node)
                (home.root / "etc/ossec.conf").write_text("<ossec_config><client><nosuch/></client>")
                reload.set()
                await until(lambda: "going on with the one in use" in home.told)
                home.append("one")
                await until(lambda: node.lines == [b"one"])

    played(scene)


def test_a_start_without_a_usable_configuration_fails(tmp_path: Path) -> None:
    async def scene() -> None:
        home = Home(tmp_path)
        (home.root / "etc/ossec.conf").write_text("<ossec_config><client>")
        async with home.running():
            await until(lambda: "CRITICAL" in home.told)
        assert home.code == 1

    played(scene)


def test_no_key_and_no_enrollment(tmp_path: Path) -> None:
    async def scene() -> None:
        home = Home(tmp_path, entry=None)
        home.configure(1)
        async with home.running():
            await until(lambda: "(4109): Unable to start without auth keys. Exiting." in home.told)
        assert home.code == 1
        assert "CRITICAL: (1751)" in home.told

    played(scene)


def test_enrolling_and_connecting(tmp_path: Path) -> None:
    async def scene() -> None:
        home = Home(tmp_path, entry=None)
        (home.root / "etc/authd.pass").write_text("demo secret\n")
        reply = f"OSSEC K:'{ENTRY.line()}'".encode()
        async with manager(ENTRY) as node, enrollment(tmp_path / "tls", reply) as service:
            xml = (
                f"<enabled>yes</enabled><port>{service.port}</port><agent_name>web01</agent_name>"
                "<groups>default,web</groups><delay_after_enrollment>0</delay_after_enrollment>"
            )
            home.configure(node.port, enrollment_xml=xml)
            async with home.running():
                await hello(node)
        assert service.requests == [b"OSSEC PASS: demo secret OSSEC A:'web01' V:'v4.14.7' G:'default,web'\n"]
        keys = home.root / "etc/client.keys"
        assert decode_key_file(keys.read_text()).entries == (ENTRY,)
        assert keys.stat().st_mode & 0o777 == 0o640
        wanted = [
            "Requesting a key from server: 127.0.0.1",
            "Using password specified on file: etc/authd.pass",
            "Using agent name as: web01",
            "Waiting for server reply",
            "Valid key received",
            "Waiting 0 seconds before server connection",
            "(1410): Reading authentication keys file.",
            "Using AES as encryption method.",
        ]
        lines = [line.split("INFO: ", 1)[-1] for line in home.told.splitlines()]
        start_ = lines.index(wanted[0])
        assert lines[start_ : start_ + len(wanted)] == wanted
        assert "demo secret" not in home.told and ENTRY.key not in home.told

    played(scene)


def test_a_refused_key_makes_the_agent_enroll_again(tmp_path: Path) -> None:
    async def scene() -> None:
        old = KeyEntry(id="001", name="web01", ip="any", key="f" * 64)
        home = Home(tmp_path, entry=old)
        reply = f"OSSEC K:'{ENTRY.line()}'".encode()
        async with enrollment(tmp_path / "tls", reply) as service, manager(ENTRY) as node:
            refusing = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
            port = refusing.sockets[0].getsockname()[1]
            xml = (
                f"<enabled>yes</enabled><port>{service.port}</port><agent_name>web01</agent_name>"
                "<delay_after_enrollment>0</delay_after_enrollment>"
            )
            home.configure(port, enrollment_xml=xml)
            async with home.running():
                await until(lambda: service.requests)
                refusing.close()
                await refusing.wait_closed()
                await node.stop()
                await node.listen(port)
                await hello(node)
        assert service.requests[0] == f"OSSEC A:'web01' V:'v4.14.7' K:'{old.hash()}'\n".encode()

    played(scene)


def test_failover_to_the_second_server_loses_and_doubles_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        home = Home(tmp_path)
        async with manager(ENTRY) as first, manager(ENTRY) as second:
            home.configure(first.port, second.port)
            async with home.running():
                await hello(first)
                home.append(*(f"before {number}" for number in range(20)))
                await until(lambda: len(first.lines) == 20)
                await first.stop()
                home.append(*(f"after {number}" for number in range(20)))
                await until(lambda: len(second.lines) == 20, within_s=15)
        assert second.lines == [f"after {number}".encode() for number in range(20)]
        assert not any(b"Agent started" in one for one in second.events)
        for text in (
            "(1137): Lost connection with manager. Setting lock.",
            f"(1216): Unable to connect to '[127.0.0.1]:{first.port}/tcp'",
            "(4101): Waiting for server reply (not started). Tried: '127.0.0.1'.",
            "Trying next server ip in the line: '127.0.0.1'.",
            "Server responded. Releasing lock.",
        ):
            assert text in home.told

    played(scene)


def test_a_silent_manager_is_given_up_and_swallows_little(tmp_path: Path) -> None:
    async def scene() -> None:
        home, clock = Home(tmp_path), FakeClock()
        async with manager(ENTRY) as first, manager(ENTRY) as second:
            home.configure(first.port, second.port)
            async with home.running(clock):
                await hello(first)
                first.acks = False
                await clock.advance(10)  # a keepalive that nobody answers
                await clock.advance(6)
                home.append("kept back")
                await clock.advance(10)
                assert first.lines == []
                await until(lambda: len(first.keepalives) >= 3)
                await clock.advance(40)
                assert "Server unavailable. Setting lock." in home.told
                await first.stop()

                async def found_the_second() -> bool:
                    await clock.advance(1)
                    return bool(second.keepalives)

                await until(found_the_second)
                await clock.advance(1)
                await until(lambda: second.lines == [b"kept back"])

    played(scene)


def test_a_version_that_is_refused(tmp_path: Path) -> None:
    async def scene() -> None:
        home = Home(tmp_path)
        async with manager(ENTRY) as node:
            node.greeting = control.encode_err("Agent version must be lower or equal to manager version\n")
            home.configure(node.port)
            async with home.running():
                await until(lambda: "Unable to connect to any server." in home.told)
        text = "Agent version must be lower or equal to manager version\\x0a"
        assert f"Couldn't connect to server '127.0.0.1': '{text}'" in home.told

    played(scene)


def test_a_flood_from_the_local_queue(tmp_path: Path) -> None:
    async def scene() -> None:
        home = Home(tmp_path)
        options = "agent.tolerance=0\nagent.min_eps=50\n"
        (home.root / "etc/local_internal_options.conf").write_text(options)
        async with manager(ENTRY) as node:
            buffer = "<client_buffer><queue_size>200</queue_size><events_per_second>1000</events_per_second>"
            home.configure(node.port, more=f"{buffer}</client_buffer>")
            async with home.running():
                await hello(node)
                path = home.root / "queue/sockets/queue"
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                    sender.connect(str(path))
                    sender.setblocking(False)
                    for number in range(1500):
                        await asyncio.get_running_loop().sock_sendall(
                            sender, b"1:flood:message %05d" % number
                        )
                levels = [b"90%", b"full", b"flooded", b"normal"]
                wanted = [b"1:wazuh-agent:wazuh: Agent buffer: '%b'." % level for level in levels]
                await until(lambda: wanted[-1] in node.events)
                await until(lambda: "msg_buffer='0'" in state(home), within_s=15)
        told = [one for one in node.events if b"Agent buffer" in one]
        assert told[0] == wanted[0] and told[-1] == wanted[-1] and set(told) == set(wanted)
        flood = [one for one in node.events if b":flood:" in one]
        assert flood == sorted(set(flood)) and 200 <= len(flood) < 1500
        ahead = node.events.index(wanted[1])
        assert any(b":flood:" in one for one in node.events[ahead + 1 :])

    played(scene)


def test_a_flood_of_lines_waits_in_its_file(tmp_path: Path) -> None:
    async def scene() -> None:
        home = Home(tmp_path)
        async with manager(ENTRY) as node:
            buffer = "<client_buffer><queue_size>100</queue_size><events_per_second>1000</events_per_second>"
            home.configure(node.port, more=f"{buffer}</client_buffer>")
            async with home.running():
                await hello(node)
                lines = [f"line {number}" for number in range(2000)]
                home.append(*lines)
                await until(lambda: len(node.lines) == 2000, within_s=15)
        assert node.lines == [line.encode() for line in lines]
        assert b"1:wazuh-agent:wazuh: Agent buffer: 'full'." in node.events

    played(scene)


def test_a_restart_of_the_agent_loses_and_doubles_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        home = Home(tmp_path)
        async with manager(ENTRY) as node:
            buffer = "<client_buffer><queue_size>50</queue_size><events_per_second>200</events_per_second>"
            home.configure(node.port, more=f"{buffer}</client_buffer>")
            lines = [f"line {number}" for number in range(300)]
            async with home.running():
                await hello(node)
                home.append(*lines)
                await until(lambda: len(node.lines) > 20)
            assert len(node.lines) < 300
            home.append("while stopped")
            async with home.running():
                await until(lambda: len(node.lines) >= 301, within_s=15)
        assert node.lines == [line.encode() for line in [*lines, "while stopped"]]

    played(scene)


def test_an_end_takes_seconds_whatever_the_manager_does(tmp_path: Path) -> None:
    async def scene() -> None:
        home = Home(tmp_path)
        mute = await asyncio.start_server(lambda reader, writer: asyncio.sleep(60), "127.0.0.1", 0)
        home.configure(mute.sockets[0].getsockname()[1])
        loop = asyncio.get_running_loop()
        async with home.running():
            await until(lambda: "Trying to connect" in home.told)
            began = loop.time()
        assert loop.time() - began < 5
        assert home.code == 0
        mute.close()

    played(scene)


def test_an_active_response_from_order_to_undo(tmp_path: Path) -> None:
    async def scene() -> None:
        home, clock = Home(tmp_path), FakeClock()
        said = tmp_path / "said"
        program = home.root / "active-response/bin/demo-block"
        program.write_text(f"#!/bin/sh\nhead -n1 >> {said}\n")
        program.chmod(0o750)
        (home.root / "etc/shared/ar.conf").write_text("demo-block15 - demo-block - 15\n")
        async with manager(ENTRY) as node:
            home.configure(node.port, client="<time-reconnect>1000</time-reconnect>")
            async with home.running(clock):
                await hello(node)
                alert = '"parameters":{"extra_args":["two words","; rm -rf /"],"alert":{"data":{"srcip":"203.0.113.7"}}}}'
                head = '{"version":1,"origin":{"name":"n","module":""},"command":'
                node.send(control.encode_execd(f'{head}"demo-block15",{alert}'.encode()))
                await until(lambda: said.exists() and said.read_text().count("\n") == 1)
                node.send(control.encode_execd(f'{head}"nosuch0",{alert}'.encode()))
                node.send(control.encode_execd(f'{head}"!../../../bin/sh",{alert}'.encode()))
                node.send(control.encode_execd(b"not json"))
                await until(lambda: home.told.count("(1311): Invalid command name") == 2)
                for _ in range(20):
                    await clock.advance(1)
                await until(lambda: said.read_text().count("\n") == 2)
        first, second = said.read_text().splitlines()
        assert '"command":"add"' in first and '"command":"delete"' in second
        assert '"program":"active-response/bin/demo-block"' in first
        assert '"extra_args":["two words","; rm -rf /"]' in first

    played(scene)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_a_manager_sends_the_agent_goes_on(tmp_path: Path, seed: int) -> None:
    async def scene() -> None:
        home, chance = Home(tmp_path), random.Random(seed)
        words = [
            b"agent ack ", b"err {}", b"execd ", b"force_reconnect", b"up file ", b"close file ", b"req ", b"1f ",
            b"agent ", b"getconfig ", b"com ", b"restart", b"merged.mg\n", b"../x", b"\0", b"!5 x\n", b"{", b"\n",
            b"syscheck ", b"sca-dump:", b"lock_restart ", b"-1", b"9" * 40, b"d41d8cd98f00b204e9800998ecf8427e ",
        ]  # fmt: skip
        async with manager(ENTRY) as node:
            home.configure(node.port)
            async with home.running():
                await hello(node)
                for _ in range(150):
                    body = b"".join(chance.choice(words) for _ in range(chance.randrange(1, 6)))
                    if b"force_reconnect" in body or body.startswith((b"execd", b"com")):
                        continue
                    match chance.randrange(4):
                        case 0:
                            node.send_raw(chance.randbytes(chance.randrange(0, 80)))
                        case 1:
                            node.send(body)
                        case _:
                            node.send(control.PREFIX + body)
                node.send_bytes(b"\xff\xff\xff\xff")
                await until(lambda: "Corrupt payload (exceeding size) received." in home.told)
                await until(lambda: node.connections == 2)
                home.append("still alive")
                await until(lambda: node.lines == [b"still alive"])
            assert "Traceback" not in home.told
            assert all(line.isprintable() for line in home.told.splitlines())
            outside = {path.name for path in tmp_path.parent.iterdir()}
            assert "x" not in outside

    played(scene)
