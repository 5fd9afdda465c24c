"""Receiving files: only what is whole and right, only inside the shared folder."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.agent import bundle as b
from garrison.agent.bundle import Transfer, is_inside, plain_name, surplus, unpack
from garrison.agent.commands import Log, RemoveFile, StoreFile, UnpackBundle
from garrison.ground.errors import PeerError
from garrison.wire.merged import encode_bundle


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def test_a_whole_bundle() -> None:
    one = Transfer()
    assert one.begin(md5(b"abc"), "merged.mg") == []
    assert one.is_open
    assert one.chunk(b"a") + one.chunk(b"bc") == []
    assert one.end() == [UnpackBundle(b"abc")]
    assert not one.is_open


def test_a_sum_in_capitals_is_a_sum() -> None:
    one = Transfer()
    one.begin(md5(b"abc").upper(), "other.txt")
    one.chunk(b"abc")
    assert one.end() == [StoreFile("other.txt", b"abc")]


def test_a_wrong_sum_leaves_nothing() -> None:
    one = Transfer()
    one.begin("0" * 32, "merged.mg")
    one.chunk(b"abc")
    commands = one.end()
    assert commands[0] == RemoveFile("merged.mg")
    assert isinstance(commands[1], Log)


def test_a_new_transfer_forgets_the_old_one() -> None:
    one = Transfer()
    one.begin(md5(b"abc"), "merged.mg")
    one.chunk(b"other")
    one.begin(md5(b"abc"), "merged.mg")
    one.chunk(b"abc")
    assert one.end() == [UnpackBundle(b"abc")]


def test_more_than_a_bundle_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(b, "MAX_BUNDLE_BYTES", 10)
    one = Transfer()
    one.begin(md5(b""), "merged.mg")
    assert one.chunk(b"x" * 10) == []
    assert isinstance(one.chunk(b"x")[0], Log)
    assert not one.is_open


def test_stray_chunks_are_told_once_until_the_next_order() -> None:
    one = Transfer()
    told = [len(one.chunk(b"x")) for _ in range(3)]
    one.control_seen()
    assert [*told, len(one.chunk(b"x"))] == [1, 0, 0, 1]


NAMES = {
    "merged.mg": "merged.mg",
    "a/b.txt": "a-b.txt",
    "/etc/passwd": "-etc-passwd",
    ".hidden": "-hidden",
    "a\\b": "a-b",
    "../x": None,
    "a/../b": None,
    "..": None,
    "": None,
    "a\0b": None,
    "a\nb": None,
    "x" * 201: None,
}


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_names(name: str) -> None:
    assert plain_name(name) == NAMES[name]


@given(st.text(max_size=60))
def test_no_name_leaves_the_folder(name: str) -> None:
    plain = plain_name(name)
    assert plain is None or ("/" not in plain and not plain.startswith(".") and plain.isprintable())


@pytest.mark.parametrize(
    "path", ["../x", "/x", "a/../x", "a//x", "./x", "a/.x", ".x", "", "a\\x", "a\0x", "x" * 201, "a/", "a\nb"]
)
def test_paths_outside(path: str) -> None:
    assert not is_inside(path)


def test_paths_inside() -> None:
    assert is_inside("agent.conf")
    assert is_inside("rootcheck/deep/x.txt")


@pytest.mark.parametrize(
    "content",
    [
        b"!1 ../x\na",
        b"!1 /x\na",
        b"!1 a/../../x\na",
        b"!5 cut\nabc",
        b"!-1 x\n",
        b"!99999999999999999999 x\n",
        b"!1 merged.mg\na",
        b"!1 a\nx!1 a/b\nx",
        b"!x y\n",
    ],
)
def test_bundles_that_are_refused(content: bytes) -> None:
    with pytest.raises(PeerError):
        unpack(b"#default\n" + content)


def test_a_bundle_of_too_many_files() -> None:
    files = ((f"f{number}", b"") for number in range(b.MAX_FILES + 1))
    with pytest.raises(PeerError):
        unpack(encode_bundle("x", files))


def test_what_has_to_go() -> None:
    bundle = unpack(encode_bundle("x", [("ar.conf", b""), ("agent.conf", b"<x/>"), ("sub/a", b"")]))
    assert bundle.agent_conf == b"<x/>"
    present = ["merged.mg", "agent.conf", "sub/a", "sub/b", "old"]
    assert surplus(present, bundle) == ["old", "sub/b"]


@given(st.binary(max_size=300))
def test_any_bytes_are_a_bundle_or_refused(content: bytes) -> None:
    try:
        bundle = unpack(content)
    except PeerError:
        return
    assert all(is_inside(path) for path in bundle.files)
