"""Shared files over the in-memory engine: a master and workers, edits on both sides, loss and return."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from garrison.ground.errors import Refused
from garrison.ground.tasks import Stop, start
from garrison.shared.sync import SharedFiles
from tests.support.clock import FakeClock
from tests.support.memory_fabric import Hub
from tests.support.wait import until


class Node:
    def __init__(self, hub: Hub, root: Path, name: str, is_master: Callable[[], bool]) -> None:
        self.root = root
        (root / "etc/shared/default").mkdir(parents=True)
        for folder in ("etc/rules", "etc/decoders", "etc/lists", "queue"):
            (root / folder).mkdir(parents=True)
        self.changes: list[str] = []
        self.clock = FakeClock()
        self.files = SharedFiles(hub.link(name), root, self.clock, is_master)
        self.files.on_change(self.changes.append)

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def read(self, path: str) -> str | None:
        file = self.root / path
        return file.read_text() if file.is_file() else None


@asynccontextmanager
async def running(*nodes: Node) -> AsyncIterator[None]:
    stop = Stop()
    tasks = [start(node.files.run(stop), name=str(node.root)) for node in nodes]
    try:
        for node in nodes:
            await asyncio.wait_for(node.files.settled.wait(), 10)
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


def cluster(tmp_path: Path) -> tuple[Hub, Node, Node]:
    hub = Hub()
    master = Node(hub, tmp_path / "m", "master", lambda: True)
    worker = Node(hub, tmp_path / "w", "worker", lambda: False)
    master.write("etc/shared/default/agent.conf", "<agent_config/>\n")
    master.write("etc/rules/local_rules.xml", "<group/>")
    master.write("etc/authd.pass", "secret\n")
    return hub, master, worker


def test_a_worker_gets_what_the_master_has_and_hears_of_it(tmp_path: Path) -> None:
    async def scene() -> None:
        _, master, worker = cluster(tmp_path)
        worker.write("etc/rules/old.xml", "only here")
        async with running(master, worker):
            await until(lambda: worker.read("etc/authd.pass") == "secret\n")
            await until(lambda: worker.read("etc/shared/default/agent.conf") == "<agent_config/>\n")
            await until(lambda: worker.read("etc/rules/old.xml") is None)
            await until(lambda: {"groups", "rules", "password"} <= set(worker.changes))
            assert (worker.root / "etc/authd.pass").stat().st_mode & 0o777 == 0o640

    asyncio.run(scene())


def test_an_edit_on_the_master_travels_and_one_on_a_worker_is_put_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        _, master, worker = cluster(tmp_path)
        async with running(master, worker):
            master.write("etc/rules/local_rules.xml", "<group>new</group>")
            await master.files.round()
            await until(lambda: worker.read("etc/rules/local_rules.xml") == "<group>new</group>")
            worker.write("etc/rules/local_rules.xml", "mine")
            await worker.files.round()
            assert worker.read("etc/rules/local_rules.xml") == "<group>new</group>"
            assert "was changed on this node and is put back" in caplog.text
            (master.root / "etc/rules/local_rules.xml").unlink()
            await master.files.round()
            await until(lambda: worker.read("etc/rules/local_rules.xml") is None)

    asyncio.run(scene())


def test_what_was_edited_while_the_engine_was_away_catches_up(tmp_path: Path) -> None:
    async def scene() -> None:
        hub, master, worker = cluster(tmp_path)
        async with running(master, worker):
            hub.cut_all()
            master.write("etc/lists/bad", "1.2.3.4:x\n")
            await master.files.round()
            assert worker.read("etc/lists/bad") is None
            hub.heal_all()
            await until(lambda: _round_and_read(master, worker))

    async def _round_and_read(master: Node, worker: Node) -> bool:
        await master.files.round()
        return worker.read("etc/lists/bad") == "1.2.3.4:x\n"

    asyncio.run(scene())


def test_a_new_home_that_becomes_master_does_not_undo_the_truth(tmp_path: Path) -> None:
    async def scene() -> None:
        hub, master, worker = cluster(tmp_path)
        async with running(master, worker):
            pass
        fresh = Node(hub, tmp_path / "f", "fresh", lambda: True)
        fresh.write("etc/shared/default/agent.conf", "a fresh template")
        async with running(fresh):
            assert fresh.read("etc/shared/default/agent.conf") == "<agent_config/>\n"
            assert fresh.read("etc/authd.pass") == "secret\n"

    asyncio.run(scene())


def test_groups_are_made_on_the_master_and_known_everywhere(tmp_path: Path) -> None:
    async def scene() -> None:
        _, master, worker = cluster(tmp_path)
        async with running(master, worker):
            await master.files.create_group("web")
            await until(lambda: worker.files.group_exists("web"))
            assert worker.files.groups() == ["default", "web"]
            await until(lambda: worker.files.bundle(("web",)) == master.files.bundle(("web",)))
            bundle = worker.files.bundle(("web",))
            assert bundle is not None and bundle.data.startswith(b"#web\n!")
            with pytest.raises(Refused, match="already exists"):
                await master.files.create_group("web")
            for name in ("../x", ".", "..", "a b", "", ".x", "x" * 129):
                with pytest.raises(Refused, match="Incorrect format"):
                    await master.files.create_group(name)
            with pytest.raises(Refused, match="master"):
                await worker.files.create_group("db")
            with pytest.raises(Refused, match="not deletable"):
                await master.files.remove_group("default")
            await master.files.remove_group("web")
            await until(lambda: not worker.files.group_exists("web"))
            await until(lambda: worker.files.bundle(("web",)) is None)

    asyncio.run(scene())


def test_a_folder_made_by_hand_is_a_group(tmp_path: Path) -> None:
    async def scene() -> None:
        _, master, worker = cluster(tmp_path)
        async with running(master, worker):
            (master.root / "etc/shared/db").mkdir()
            await master.files.round()
            await until(lambda: worker.read("etc/shared/db/agent.conf"))

    asyncio.run(scene())


def test_a_changed_group_file_changes_the_bundle(tmp_path: Path) -> None:
    async def scene() -> None:
        _, master, worker = cluster(tmp_path)
        async with running(master, worker):
            before = worker.files.bundle(("default",))
            master.write("etc/shared/default/extra.txt", "more")
            await master.files.round()
            await until(lambda: worker.files.bundle(("default",)) != before)
            assert worker.files.files_of("default")[0][0] == "agent.conf"

    asyncio.run(scene())


def test_links_are_neither_read_nor_written_through(tmp_path: Path) -> None:
    async def scene() -> None:
        _, master, worker = cluster(tmp_path)
        outside = tmp_path / "outside"
        outside.mkdir()
        (master.root / "etc/rules/passwd.xml").symlink_to("/etc/passwd")
        (worker.root / "etc/shared/default").rmdir()
        (worker.root / "etc/shared/default").symlink_to(outside)
        stop = Stop()
        tasks = [start(node.files.run(stop), name="n") for node in (master, worker)]
        await asyncio.wait_for(master.files.settled.wait(), 10)
        await until(lambda: worker.read("etc/rules/local_rules.xml"))
        await worker.files.round()
        stop.set()
        await asyncio.gather(*tasks)
        assert worker.read("etc/rules/passwd.xml") is None
        assert list(outside.iterdir()) == []

    asyncio.run(scene())
