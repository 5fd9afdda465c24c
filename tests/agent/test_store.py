"""Files of the agent: exactly one bundle in etc/shared, counters that never repeat, nothing outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from garrison.agent.bundle import Unpacked, unpack
from garrison.agent.store import AgentStore, CounterFile, read_text
from garrison.ground.errors import StoreError
from garrison.wire.client_keys import KeyEntry
from garrison.wire.merged import encode_bundle
from tests.support.reference import vectors

ENTRY = KeyEntry(id="001", name="web01", ip="any", key="a" * 64)


def store(root: Path) -> AgentStore:
    one = AgentStore(root)
    one.make_folders()
    return one


def test_the_key_is_the_first_entry_and_is_replaced_whole(tmp_path: Path) -> None:
    one = store(tmp_path)
    assert one.read_key() is None
    one.client_keys.write_text("# comment\n000 !gone any x\n" + ENTRY.line() + "\n002 other any y\n")
    assert one.read_key() == ENTRY
    one.write_key(ENTRY)
    assert one.client_keys.read_text() == ENTRY.line() + "\n"
    assert one.client_keys.stat().st_mode & 0o777 == 0o640


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_bundle_replaces_everything(tmp_path: Path) -> None:
    one = store(tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (one.shared / "old").mkdir()
    (one.shared / "old/file").write_text("goes")
    (one.shared / "link").symlink_to(outside)
    (one.shared / "x").symlink_to(outside / "kept")
    (one.shared / "y").mkdir()
    (one.shared / "y/inner").write_text("in the way of a file")
    (one.shared / "z").write_text("in the way of a folder")
    files = {"link/kept": b"new", "x": b"1", "y": b"2", "z/deep/file": b"3", "empty": b""}
    content = encode_bundle("web", files.items())
    one.apply_bundle(content, unpack(content))
    assert content_of(one.shared) == files | {"merged.mg": content}
    assert content_of(outside) == {"kept": b"kept"}
    assert not (one.shared / "old").exists()
    assert not (one.shared / "link").is_symlink()


def test_an_interrupted_unpacking_does_not_claim_to_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = store(tmp_path)
    first = encode_bundle("web", [("a", b"1")])
    one.apply_bundle(first, unpack(first))
    assert one.shared_sums()[1] is not None
    second = encode_bundle("web", [("a", b"2"), ("b", b"2")])
    original = AgentStore._make_way

    def fails_at_b(self: AgentStore, relative: str) -> None:
        if relative == "b":
            raise OSError(28, "No space left on device")
        original(self, relative)

    monkeypatch.setattr(AgentStore, "_make_way", fails_at_b)
    with pytest.raises(OSError):
        one.apply_bundle(second, unpack(second))
    assert one.shared_sums()[1] is None


def test_sums(tmp_path: Path) -> None:
    one = store(tmp_path)
    assert one.shared_sums() == (None, None)
    one.store_shared("agent.conf", b"x")
    assert one.shared_sums() == ("9dd4e461268c8034f5c8564e155c67a6", None)
    one.remove_shared("agent.conf")
    one.remove_shared("agent.conf")
    assert one.shared_sums() == (None, None)


def counter_cases() -> list[dict[str, object]]:
    cases: list[dict[str, object]] = vectors("agent-channel/counters.json")["sender"]
    return cases


@pytest.mark.parametrize("number", range(6))
def test_counters_are_those_of_the_reference(tmp_path: Path, number: int) -> None:
    case = counter_cases()[number]
    path = tmp_path / "sender_counter"
    if case["file_before"] is not None:
        path.write_text(str(case["file_before"]))
    file = CounterFile(path)
    emitted = [list(file.next()) for _ in range(3)]
    file.close()
    assert emitted == case["emitted"]
    assert path.read_text() == case["file_after"]


def test_counters_follow_a_replaced_file_and_go_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "sender_counter"
    first = CounterFile(path)
    assert first.next() == (0, 1)
    first.close()
    second = CounterFile(path)
    assert second.next() == (0, 2)
    aside = tmp_path / "aside"
    aside.write_text("5:7:")
    aside.rename(path)
    assert second.next() == (5, 8)
    second.close()


def test_counters_go_on_in_memory_when_the_disk_fails(tmp_path: Path) -> None:
    one = CounterFile(tmp_path / "nosuch" / "sender_counter")
    assert [one.next().local for _ in range(3)] == [1, 2, 3]
    assert "not kept" in one.failure


def test_positions(tmp_path: Path) -> None:
    one = store(tmp_path)
    assert one.load_positions() == []
    one.positions.write_text("{broken")
    with pytest.raises(StoreError):
        one.load_positions()


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    assert read_text(tmp_path / "nosuch") is None
    (tmp_path / "file").write_bytes(b"caf\xe9")
    assert read_text(tmp_path / "file") == "caf\udce9"
    with pytest.raises(StoreError):
        read_text(tmp_path)


def test_an_empty_bundle(tmp_path: Path) -> None:
    one = store(tmp_path)
    (one.shared / "x").write_text("goes")
    one.apply_bundle(b"#default\n", Unpacked(files={}))
    assert content_of(one.shared) == {"merged.mg": b"#default\n"}
