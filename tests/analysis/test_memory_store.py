"""First-seen lines and kept logs over a restart, whatever the names of hosts are."""

from __future__ import annotations

from pathlib import Path

import pytest

from garrison.analysis import memory_store
from garrison.analysis.memory_store import MemoryStore
from garrison.ground.errors import StoreError


def test_lines_come_back(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path)
    assert store.load()[0].all_lines() == []
    store.save([b"sshd  root", b"su \xff"], {})
    store.save([b"sshd  ana"], {})
    assert (tmp_path / "fts/fts-queue").read_bytes() == b"sshd  root\nsu \xff\nsshd  ana\n"
    assert (tmp_path / "fts/fts-queue").stat().st_mode & 0o777 == 0o640
    lines = MemoryStore(tmp_path).load()[0]
    assert (lines.all_lines(), lines.take_news()) == ([b"sshd  root", b"su \xff", b"sshd  ana"], [])


def test_only_the_newest_lines_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_store, "MOST_LINES_BYTES", 12)
    store = MemoryStore(tmp_path)
    store.save([b"one", b"two", b"three", b"four"], {})
    again = MemoryStore(tmp_path)
    assert again.load()[0].all_lines() == [b"three", b"four"]
    assert not again.is_overgrown
    store.save([b"five", b"six"], {})
    assert store.is_overgrown
    store.rewrite([b"six"])
    assert (tmp_path / "fts/fts-queue").read_bytes() == b"six\n" and not store.is_overgrown


HOSTS = [
    b"web01",
    b"web01.example.org",
    b"..",
    b".",
    b"",
    b"a/b",
    b"../../etc",
    b"\xff\x01",
    b"#x",
    b"a" * 300,
    b".hidden",
]


def test_kept_logs_come_back_for_any_host(tmp_path: Path) -> None:
    queue = tmp_path / "queue"
    store = MemoryStore(queue)
    kept: dict[tuple[bytes, int], bytes | None] = {
        (host, 100 + number): b"log of " + host for number, host in enumerate(HOSTS)
    }
    store.save([], kept)
    assert (queue / "diff/web01/100/last-entry").read_bytes() == b"log of web01\0"
    assert {path.relative_to(tmp_path).parts[:2] for path in tmp_path.rglob("last-entry")} == {
        ("queue", "diff")
    }
    assert MemoryStore(queue).load()[1]._last == kept
    store.save([], {(b"web01", 100): None, (b"a/b", 105): None})
    assert len(MemoryStore(queue).load()[1]._last) == len(HOSTS) - 2


def test_strange_files_are_passed_over(tmp_path: Path) -> None:
    diff = tmp_path / "diff"
    (diff / "web01/100").mkdir(parents=True)
    (diff / "web01/100/last-entry").write_bytes(b"x" * 70_000)
    (diff / "web01/name/last-entry").mkdir(parents=True)
    (diff / "web01/101/last-entry").mkdir(parents=True)
    (diff / "#feed/1").mkdir(parents=True)
    (diff / "#feed/.host").write_bytes(b"web02")
    (diff / "#feed/1/last-entry").write_bytes(b"forged\0")
    (diff / "link").symlink_to(diff / "web01")
    (diff / "file").write_bytes(b"")
    assert MemoryStore(tmp_path).load()[1]._last == {}


def test_a_disk_that_does_not_take_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "fts").write_text("no folder")
    with pytest.raises(StoreError):
        MemoryStore(tmp_path).save([b"x"], {})
