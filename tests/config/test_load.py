"""Configuration from disk: missing files, files that are none, and one opinion for checking and for use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from garrison.cli.check_config import check_home
from garrison.config.home import Home
from garrison.config.load import load_agent, load_kind, load_manager
from garrison.config.model import InternalOptions
from garrison.config.xml import MOST_BYTES
from garrison.ground.errors import ConfigError


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "etc").mkdir()
    return Home(tmp_path)


def told(home: Home) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load_manager(home)
    return [str(fault).removeprefix(f"{home.root}/etc/") for fault in error.value.faults]


def test_missing_internal_options_are_the_defaults_and_both_files_count(home: Home) -> None:
    home.conf.write_text("<ossec_config/>")
    assert load_manager(home).config.internal == InternalOptions()
    home.internal_options.write_text("remoted.max_attempts=5\nremoted.request_pool=7\n")
    home.local_internal_options.write_text("remoted.max_attempts=6\n")
    loaded = load_manager(home.root)
    assert (loaded.config.internal.remoted_max_attempts, loaded.config.internal.remoted_request_pool) == (
        6,
        7,
    )
    assert loaded.files == tuple(map(str, (home.conf, home.internal_options, home.local_internal_options)))
    assert len(loaded.digest) == 64


def test_faults_of_all_files_come_together(home: Home) -> None:
    home.conf.write_text("<ossec_config>\n<nonsense/></ossec_config>")
    home.local_internal_options.write_text("remoted.max_attempts=0\n")
    assert [line.split(" error")[0] for line in told(home)] == [
        "local_internal_options.conf:1:",
        "ossec.conf:2:",
    ]


def test_files_that_are_none(home: Home) -> None:
    assert told(home) == ["ossec.conf: error: No such file or directory; a readable file"]
    home.conf.write_bytes(b"<ossec_config>\n\xff</ossec_config>")
    assert told(home) == ["ossec.conf:2: error: not UTF-8 text; UTF-8"]
    home.conf.write_text("")
    assert told(home) == [
        "ossec.conf:1: error: no <ossec_config> in the file; <ossec_config> with its sections"
    ]
    home.conf.write_bytes(b" " * (MOST_BYTES + 1))
    assert told(home) == [f"ossec.conf: error: File is larger than {MOST_BYTES} bytes; a readable file"]
    home.conf.unlink()
    home.conf.mkdir()
    assert told(home) == ["ossec.conf: error: Not a regular file; a readable file"]
    home.conf.rmdir()
    os.mkfifo(home.conf)
    assert told(home) == ["ossec.conf: error: Not a regular file; a readable file"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("<ossec_config><client/></ossec_config>", "agent"),
        ("<ossec_config><!-- <client> --><remote/></ossec_config>", "manager"),
        ("<ossec_config><client/></ossec_config><ossec_config><cluster/></ossec_config>", "manager"),
        ("<ossec_config><labels><label key='x'>&lt;client></label></labels></ossec_config>", "manager"),
        ("<ossec_config><client\n></client></ossec_config>", "agent"),
        ("<agent_config/>", "agent_conf"),
    ],
)
def test_what_a_file_is_says_the_parser_and_no_search_for_words(home: Home, text: str, kind: str) -> None:
    home.conf.write_text(text)
    assert load_kind(home) == kind


PIECES = st.sampled_from(
    ["<cluster>", "</cluster>", "<key>", "</key>", "0123456789abcdef0123456789abcdef", "<nodes><node>a</node></nodes>", "<Key>",
     "<node_type>", "</node_type>", "master", "Master", "client", "<client>", "</client>", "<server><address>a</address></server>",
     "<!-- ", " -->", "<![CDATA[", "]]>", "&lt;", "&#65;", "&x;", "&", "<remote/>", "<auth/>", "<auth>", "</auth>", "<port>", "</port>",
     "1516", "</ossec_config><ossec_config>", "<?xml version='1.0' encoding='utf-16'?>", "\n", "é", "\x85"]
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(PIECES, max_size=14), root=st.booleans())
def test_check_and_use_have_one_opinion(home: Home, pieces: list[str], root: bool) -> None:
    text = "".join(pieces)
    home.conf.write_text(f"<ossec_config>{text}</ossec_config>" if root else text, encoding="utf-8")
    report = check_home(home)
    try:
        used = (load_agent if load_kind(home) == "agent" else load_manager)(home)
    except ConfigError as error:
        assert report.faults == list(error.faults) and any(not fault.is_warning for fault in report.faults)
    else:
        assert report.faults == list(used.warnings) and all(fault.is_warning for fault in report.faults)
