"""The plan of a round, case by case, and the catalogue as a gate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.ground.errors import PeerError
from garrison.shared.manifest import (
    Delete,
    Item,
    Publish,
    Withdraw,
    Write,
    decode_item,
    decode_tree,
    encode_item,
    encode_tree,
    kind_of,
    plan,
)

OLD = Item(digest="a" * 64, size=1)
NEW = Item(digest="b" * 64, size=2)
PATH = "etc/rules/local_rules.xml"


def trees(base: Item | None, local: Item | None, truth: Item | None) -> list[dict[str, Item]]:
    return [{PATH: item} if item else {} for item in (base, local, truth)]


CASES = [
    # base, local, truth, master's step, everybody else's step
    (OLD, OLD, OLD, None, None),
    (None, NEW, None, Publish(PATH), Delete(PATH, edited=True)),
    (OLD, NEW, OLD, Publish(PATH), Write(PATH, OLD, edited=True)),
    (OLD, None, OLD, Withdraw(PATH), Write(PATH, OLD, edited=True)),
    (OLD, OLD, NEW, Write(PATH, NEW, edited=False), Write(PATH, NEW, edited=False)),
    (OLD, OLD, None, Delete(PATH, edited=False), Delete(PATH, edited=False)),
    (None, None, NEW, Write(PATH, NEW, edited=False), Write(PATH, NEW, edited=False)),
    (None, OLD, NEW, Write(PATH, NEW, edited=False), Write(PATH, NEW, edited=False)),
    (OLD, None, None, None, None),
]


@pytest.mark.parametrize(("base", "local", "truth", "on_master", "elsewhere"), CASES)
def test_each_case_has_one_step(base, local, truth, on_master, elsewhere) -> None:
    for is_master, step in ((True, on_master), (False, elsewhere)):
        steps = plan(*trees(base, local, truth), is_master=is_master, is_complete=True)
        assert steps == ([] if step is None else [step])


def test_nobody_deletes_before_a_master_has_published_its_tree() -> None:
    assert plan(*trees(None, NEW, None), is_master=False, is_complete=False) == []
    assert plan(*trees(None, NEW, None), is_master=True, is_complete=False) == [Publish(PATH)]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("etc/shared/default/agent.conf", "groups"),
        ("etc/shared/ar.conf", "groups"),
        ("etc/shared/web/sub/inner file.txt", "groups"),
        ("etc/rules/local_rules.xml", "rules"),
        ("etc/decoders/local_decoder.xml", "decoders"),
        ("etc/lists/amazon/aws-eventnames", "lists"),
        ("etc/authd.pass", "password"),
        ("etc/ossec.conf", None),
        ("etc/client.keys", None),
        ("etc/sslmanager.key", None),
        ("etc/shared/../ossec.conf", None),
        ("etc/shared/default/../../client.keys", None),
        ("etc/shared/./x", None),
        ("etc/shared//x", None),
        ("etc/shared/default/", None),
        ("/etc/shared/default/agent.conf", None),
        ("etc/shared/default/.hidden", None),
        ("etc/shared/default/merged.mg", None),
        ("etc/shared/default/a\x00b", None),
        ("etc/shared/default/a\nb", None),
        ("etc/shared/default/" + "x" * 500, None),
        ("etc/lists/audit-keys.cdb", None),
        ("ETC/shared/default/agent.conf", None),
        ("etc/shared\\default\\agent.conf", None),
        ("", None),
    ],
)
def test_only_the_catalogue_is_shared(path: str, kind: str | None) -> None:
    assert kind_of(path) == kind


@given(st.text())
def test_no_path_leaves_its_folder(rest: str) -> None:
    path = "etc/shared/" + rest
    if kind_of(path) is not None:
        assert all(part not in ("", ".", "..") and not part.startswith(".") for part in path.split("/"))
        assert "\x00" not in path and "\\" not in path


@given(st.binary(max_size=200))
def test_any_entry_is_an_item_or_an_error(value: bytes) -> None:
    try:
        item = decode_item(value)
    except PeerError:
        return
    assert decode_item(encode_item(item)) == item


@pytest.mark.parametrize(
    "value",
    [b"", b"[]", b"{}", b'{"digest": 1, "size": 1}', b'{"digest": "aa", "size": 1}']
    + [
        b'{"digest": "' + b"a" * 64 + b'", "size": ' + size + b"}"
        for size in (b"-1", b"true", b'"1"', b"1e9", b"99999999999")
    ],
)
def test_entries_out_of_range_are_refused(value: bytes) -> None:
    with pytest.raises(PeerError):
        decode_item(value)


def test_the_base_survives_and_a_damaged_one_is_empty() -> None:
    tree = {PATH: OLD, "etc/authd.pass": NEW}
    assert decode_tree(encode_tree(tree)) == tree
    assert decode_tree(b'{"etc/rules/x": ') == {}
    assert decode_tree(b"[1]") == {}
    assert decode_tree(b'{"etc/client.keys": ["' + b"a" * 64 + b'", 1]}') == {}
