"""The registry over the in-memory engine: uniqueness under concurrency and loss, asking again, views, imports."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from garrison.config.home import Home
from garrison.ground.errors import EngineAway, FabricError, Refused
from garrison.ground.tasks import Stop, start
from garrison.registry.model import Agent
from garrison.registry.status import AgentStatus
from garrison.registry.store import EnrollOrder, Registry
from garrison.wire.client_keys import decode_key_file
from tests.support.clock import FakeClock, SeededEntropy
from tests.support.memory_fabric import Hub
from tests.support.wait import until


class Node:
    def __init__(self, hub: Hub, root: Path, name: str) -> None:
        self.home = Home(root / name)
        self.clock = FakeClock()
        self.statuses: dict[str, AgentStatus] = {}
        self.changes: list[Agent] = []
        self.registry = Registry(hub.link(name), self.home, self.clock, SeededEntropy(7), self.statuses.get)
        self.registry.on_change(self.changes.append)


@asynccontextmanager
async def running(*nodes: Node) -> AsyncIterator[None]:
    stop = Stop()
    tasks = [start(node.registry.run(stop), name=node.home.root.name) for node in nodes]
    try:
        for node in nodes:
            await asyncio.wait_for(node.registry.caught_up.wait(), 10)
        yield
    finally:
        stop.set()
        for node in nodes:
            node.registry._view_is_old.set()
            await node.clock.advance(5)
        await asyncio.gather(*tasks)


def order(name: str, **more: object) -> EnrollOrder:
    return EnrollOrder(name=name, **more)  # type: ignore[arg-type]


def test_an_agent_enrolled_here_is_known_there_and_in_the_key_file(tmp_path: Path) -> None:
    async def scene() -> None:
        hub = Hub()
        one, two = Node(hub, tmp_path, "one"), Node(hub, tmp_path, "two")
        async with running(one, two):
            agent = await one.registry.enroll(order("web01", groups=("default", "web")))
            assert (agent.id, agent.ip, len(agent.key)) == ("001", "any", 64)
            await until(lambda: two.registry.agent("001") == agent)
            assert two.registry.by_name("web01") == agent
            await until(
                lambda: two.home.client_keys.is_file() and "web01" in two.home.client_keys.read_text()
            )
            assert two.home.client_keys.read_text() == agent.entry.line() + "\n"
            assert two.home.client_keys.stat().st_mode & 0o777 == 0o640
            second = await two.registry.enroll(order("db01", ip="10.0.0.5"))
            assert second.id == "002"
            await until(lambda: one.registry.by_address("10.0.0.5") == second)

    asyncio.run(scene())


def test_thousands_of_enrollments_over_three_nodes_never_share_an_id_or_a_name(tmp_path: Path) -> None:
    async def scene() -> None:
        hub = Hub()
        nodes = [Node(hub, tmp_path, name) for name in ("one", "two", "three")]

        async def enroll(node: Node, name: str) -> Agent | None:
            try:
                return await node.registry.enroll(order(name))
            except Refused:
                return None

        async with running(*nodes):
            names = [f"agent-{number % 400}" for number in range(1200)]
            found = await asyncio.gather(*(enroll(nodes[i % 3], name) for i, name in enumerate(names)))
            agents = [agent for agent in found if agent is not None]
            assert len({agent.name for agent in agents}) == len(agents) == 400
            assert len({agent.id for agent in agents}) == 400
            await until(lambda: all(len(node.registry.agents()) == 400 for node in nodes))
            assert nodes[0].registry.agents() == nodes[1].registry.agents() == nodes[2].registry.agents()

    asyncio.run(scene())


@pytest.mark.parametrize("seed", range(6))
def test_lost_answers_and_cuts_at_every_step_leave_one_agent_a_name(tmp_path: Path, seed: int) -> None:
    async def scene() -> None:
        hub, dice = Hub(), random.Random(seed)
        nodes = [Node(hub, tmp_path, name) for name in ("one", "two", "three")]
        async with running(*nodes):
            for number in range(25):
                name = f"agent-{number}"
                source = "10.0.0.9"
                for _ in range(60):
                    node = dice.choice(nodes)
                    hub.lose_answers(node.home.root.name, dice.randrange(3))
                    try:
                        await node.registry.enroll(order(name, source=source))
                        break
                    except (FabricError, Refused):
                        hub.lose_answers(node.home.root.name, 0)
                        for each in nodes:
                            await each.clock.advance(31)
                else:
                    raise AssertionError(f"{name} was never enrolled; seed {seed}")
            for node in nodes:
                hub.lose_answers(node.home.root.name, 0)
            await until(lambda: all(len(node.registry.agents()) == 25 for node in nodes), what=f"seed {seed}")
            agents = nodes[0].registry.agents()
            assert len({agent.name for agent in agents}) == len({agent.id for agent in agents}) == 25

    asyncio.run(scene())


def test_asking_again_after_a_lost_answer_gives_the_same_agent(tmp_path: Path) -> None:
    async def scene() -> None:
        hub = Hub()
        one, two = Node(hub, tmp_path, "one"), Node(hub, tmp_path, "two")
        async with running(one, two):
            first = await one.registry.enroll(order("web01", source="10.0.0.9"))
            again = await two.registry.enroll(order("web01", source="10.0.0.9"))
            assert (again.id, again.key) == (first.id, first.key)
            with pytest.raises(Refused, match="Duplicate agent name: web01"):
                await two.registry.enroll(order("web01", source="10.0.0.10"))
            await one.registry.confirm_delivery("001")
            with pytest.raises(Refused, match="Duplicate agent name: web01"):
                await one.registry.enroll(order("web01", source="10.0.0.9"))
            assert len(one.registry.agents()) == 1

    asyncio.run(scene())


def test_without_the_engine_known_agents_stay_and_nobody_enrolls(tmp_path: Path) -> None:
    async def scene() -> None:
        hub = Hub()
        node = Node(hub, tmp_path, "one")
        async with running(node):
            await node.registry.enroll(order("web01", groups=("web",)))
            await until(lambda: node.home.registry_view.is_file())
        hub.cut_all()
        later = Node(hub, tmp_path, "one")
        stop = Stop()
        task = start(later.registry.run(stop), name="later")
        await asyncio.wait_for(later.registry.ready(), 10)
        agent = later.registry.agent("001")
        assert agent is not None and agent.groups == ("web",)
        assert await later.registry.find("002") is None
        with pytest.raises(EngineAway):
            await later.registry.enroll(order("db01"))
        assert decode_key_file(later.home.client_keys.read_text()).entries == (agent.entry,)
        stop.set()
        later.registry._view_is_old.set()
        await later.clock.advance(5)
        await asyncio.gather(task)

    asyncio.run(scene())


def test_removing_keeps_the_id_taken_and_frees_the_name(tmp_path: Path) -> None:
    async def scene() -> None:
        hub = Hub()
        node = Node(hub, tmp_path, "one")
        async with running(node):
            await node.registry.enroll(order("web01", ip="10.0.0.5"))
            await node.registry.remove("001", purge=False)
            assert node.registry.agents() == [] and node.changes[-1].removed
            agent = await node.registry.enroll(order("web01", ip="10.0.0.5"))
            assert agent.id == "002"
            await node.registry.remove("002", purge=True)
            with pytest.raises(Refused, match="does not exist"):
                await node.registry.remove("002", purge=True)
            await until(lambda: _written(node, "001 !web01 10.0.0.5 "))

    asyncio.run(scene())


async def _written(node: Node, start_of_file: str) -> bool:
    await node.clock.advance(1)
    path = node.home.client_keys
    return path.is_file() and path.read_text().startswith(start_of_file)


def test_an_import_keeps_ids_and_keys_and_can_be_repeated(tmp_path: Path) -> None:
    async def scene() -> None:
        hub = Hub()
        node = Node(hub, tmp_path, "one")
        text = "\n".join(
            [
                f"007 web07 any {'a' * 64}",
                f"012 !gone any {'b' * 64}",
                "broken",
                f"013 web07 any {'c' * 64}",
                f"014 x any {'d' * 64}",
            ]
        )
        async with running(node):
            plan = await node.registry.import_keys(text, "old/client.keys")
            assert [agent.id for agent in plan.add] == ["007"]
            assert [(fault.line, fault.found) for fault in plan.faults] == [
                (3, "not a key line"),
                (4, "name 'web07' belongs to agent 007"),
                (5, "not an agent's name"),
            ]
            again = await node.registry.import_keys(text, "old/client.keys")
            assert again.add == () and again.present == 1
            assert (await node.registry.enroll(order("new"))).id == "008"
            agent = node.registry.agent("007")
            assert agent is not None and agent.key == "a" * 64

    asyncio.run(scene())


def test_unknown_ids_cost_the_engine_a_bounded_number_of_questions(tmp_path: Path) -> None:
    async def scene() -> None:
        hub = Hub()
        node = Node(hub, tmp_path, "one")
        async with running(node):
            for number in range(5000):
                assert await node.registry.find(str(number)) is None
            assert node.registry._lookups.held_back >= 4000
            for text in ("", "abc", "123456789", "-1", "1e3"):
                assert await node.registry.find(text) is None

    asyncio.run(scene())


def test_groups_change_everywhere(tmp_path: Path) -> None:
    async def scene() -> None:
        hub = Hub()
        one, two = Node(hub, tmp_path, "one"), Node(hub, tmp_path, "two")
        async with running(one, two):
            await one.registry.enroll(order("web01"))
            await two.registry.set_groups("001", ("default", "web"))
            await until(lambda: (one.registry.agent("001") or order).groups == ("default", "web"))  # type: ignore[union-attr]

    asyncio.run(scene())
