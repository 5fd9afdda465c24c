"""Days that are over: signed, chained, compressed."""

from __future__ import annotations

import gzip
import hashlib
from datetime import date
from pathlib import Path

import pytest

from garrison.alerts.closing_store import close_days
from garrison.alerts.rotation import ALERTS_JSON, ALERTS_TEXT
from garrison.ground.errors import StoreError

TODAY = date(2026, 11, 25)


def put(logs: Path, day: int, content: bytes, part: str = "") -> Path:
    path = logs / f"alerts/2026/Nov/ossec-alerts-{day}{part}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def close(logs: Path, *, sign: bool = True, compress: bool = True) -> None:
    close_days(logs, [ALERTS_JSON], TODAY, sign=sign, compress=compress)


def test_a_day_is_signed_over_all_its_parts_then_compressed(tmp_path: Path) -> None:
    first, second, current = (
        put(tmp_path, 24, b"one\n"),
        put(tmp_path, 24, b"two\n", "-001"),
        put(tmp_path, 25, b"now\n"),
    )
    close(tmp_path)
    text = (tmp_path / "alerts/2026/Nov/ossec-alerts-24.json.sum").read_text()
    digest = hashlib.sha256(b"one\ntwo\n").hexdigest()
    assert f"SHA256 (logs/alerts/2026/Nov/ossec-alerts-24) = {digest}\n" in text
    assert "MD5  (logs/alerts/2026/Nov/ossec-alerts-23.json.sum) = none\n" in text
    assert not first.exists() and not second.exists() and current.exists()
    packed = first.with_name(first.name + ".gz")
    assert gzip.decompress(packed.read_bytes()) == b"one\n"
    assert packed.stat().st_mode & 0o777 == 0o640


def test_days_that_were_missed_are_taken_up_in_order_and_chained(tmp_path: Path) -> None:
    put(tmp_path, 23, b"one\n")
    put(tmp_path, 24, b"two\n")
    close(tmp_path)
    before = (tmp_path / "alerts/2026/Nov/ossec-alerts-23.json.sum").read_bytes()
    after = (tmp_path / "alerts/2026/Nov/ossec-alerts-24.json.sum").read_text()
    assert (
        f"SHA1 (logs/alerts/2026/Nov/ossec-alerts-23.json.sum) = {hashlib.sha1(before).hexdigest()}\n"
        in after
    )


def test_a_second_turn_changes_nothing(tmp_path: Path) -> None:
    put(tmp_path, 24, b"one\n")
    close(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    close(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_kill_between_packing_and_removing(tmp_path: Path) -> None:
    plain = put(tmp_path, 24, b"one\n")
    packed = plain.with_name(plain.name + ".gz")
    packed.write_bytes(b"half")
    plain.with_name(f".{plain.name}.gz.tmp").write_bytes(b"older half")
    close(tmp_path)
    assert gzip.decompress(packed.read_bytes()) == b"one\n"
    assert sorted(path.name for path in plain.parent.iterdir()) == [
        "ossec-alerts-24.json.gz",
        "ossec-alerts-24.json.sum",
    ]


def test_a_day_without_alerts_keeps_the_chain(tmp_path: Path) -> None:
    close(tmp_path)
    assert ") = none" in (tmp_path / "alerts/2026/Nov/ossec-alerts-24.json.sum").read_text()


def test_switched_off(tmp_path: Path) -> None:
    plain = put(tmp_path, 24, b"one\n")
    close(tmp_path, sign=False, compress=False)
    assert [path.name for path in plain.parent.iterdir()] == [plain.name]


def test_a_folder_in_the_way_is_told(tmp_path: Path) -> None:
    plain = put(tmp_path, 24, b"one\n")
    plain.with_name(plain.name + ".gz").mkdir()
    with pytest.raises(StoreError):
        close_days(tmp_path, [ALERTS_TEXT, ALERTS_JSON], TODAY, sign=True, compress=True)
    assert plain.exists()
