"""The alert object: the samples of the specification, and what it says of names, times, nesting and compliance."""

from __future__ import annotations

import json
import time

import pytest

from garrison.alerts.json_text import encode_json
from garrison.alerts.record import Context, Nest, alert_object, data_object, local_time
from garrison.analysis.event import DecoderCard, Event, RuleCard, Verdict
from tests.alerts.samples import event, rule, verdict

CONTEXT = Context(manager_name="vm")


def made(subject: Event, card: RuleCard | None = None, alert_id: str = "1795576972.0") -> str:
    found = Verdict(event=subject, rule=card, description=card.description if card else b"", fired_times=1)
    return encode_json(alert_object(found, CONTEXT, alert_id)).decode()


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def test_sample_of_an_agent() -> None:
    """Sample 1 of spec/analysis-3-outputs.md 2.6, without its ATT&CK names."""
    log = b"Mar  3 10:00:00 web01 sshd[411]: Failed password for invalid user eve from 203.0.113.9 port 4000 ssh2"
    subject = event(
        at=1795576972.670,
        location=b"(web01) 10.0.0.5->/var/log/auth.log",
        agent_id=b"001",
        full_log=log,
        static={"srcuser": b"eve", "srcip": b"203.0.113.9"},
    )
    subject.hostname, subject.timestamp, subject.program_name = b"web01", b"Mar  3 10:00:00", b"sshd"
    card = RuleCard(
        id=5710,
        level=5,
        description=b"sshd: Attempt to login using a non-existent user",
        groups=b"syslog,sshd,authentication_failed,gdpr_IV_35.7.d,gdpr_IV_32.2,gpg13_7.1,hipaa_164.312.b,invalid_login,"
        b"nist_800_53_AU.14,pci_dss_10.2.4,tsc_CC6.1,",
        path="x.xml",
        line=1,
    )
    assert made(subject, card) == (
        '{"timestamp":"2026-11-25T03:22:52.670+0000","rule":{"level":5,'
        '"description":"sshd: Attempt to login using a non-existent user","id":"5710","firedtimes":1,"mail":false,'
        '"groups":["syslog","sshd","authentication_failed","invalid_login"],"gdpr":["IV_35.7.d","IV_32.2"],'
        '"gpg13":["7.1"],"hipaa":["164.312.b"],"nist_800_53":["AU.14"],"pci_dss":["10.2.4"],"tsc":["CC6.1"]},'
        '"agent":{"id":"001","name":"web01","ip":"10.0.0.5"},"manager":{"name":"vm"},"id":"1795576972.0",'
        f'"full_log":"{log.decode()}",'
        '"predecoder":{"program_name":"sshd","timestamp":"Mar  3 10:00:00","hostname":"web01"},'
        '"decoder":{"parent":"sshd","name":"sshd"},"data":{"srcip":"203.0.113.9","srcuser":"eve"},'
        '"location":"/var/log/auth.log"}'
    )


def test_sample_without_decoder_or_rule() -> None:
    subject = event(
        at=1795576976.471,
        location=b"(web01) 10.0.0.5->/var/log/x.log",
        agent_id=b"001",
        full_log=b"hello there",
        static={},
    )
    subject.hostname, subject.decoder = b"web01", None
    assert made(subject, alert_id="1795576976.520") == (
        '{"timestamp":"2026-11-25T03:22:56.471+0000","agent":{"id":"001","name":"web01","ip":"10.0.0.5"},'
        '"manager":{"name":"vm"},"id":"1795576976.520","full_log":"hello there","decoder":{},"location":"/var/log/x.log"}'
    )


def test_sample_of_a_host_without_an_agent() -> None:
    subject = event(
        at=1795577100.161,
        location=b"(ssh_integrity_check_linux) root@192.0.2.1->syscheck",
        full_log=b"hello",
        static={},
    )
    subject.decoder = None
    assert made(subject, alert_id="1795577100.18121") == (
        '{"timestamp":"2026-11-25T03:25:00.161+0000","manager":{"name":"vm"},"id":"1795577100.18121","full_log":"hello",'
        '"decoder":{},"location":"syscheck","agentless":{"script":"ssh_integrity_check_linux","user":"root",'
        '"host":"192.0.2.1"}}'
    )


def test_sample_of_an_assessment() -> None:
    fields = {
        "sca.type": "check",
        "sca.check.id": "28500",
        "sca.check.compliance.cis": "1.1",
        "sca.check.compliance.pci_dss": "2.2,2.3",
        "sca.check.file": '["/etc/x","/etc/y"]',
    }
    subject = event(static={}, dynamic=[(name.encode(), value.encode()) for name, value in fields.items()])
    subject.decoder = DecoderCard(name=b"sca")
    found = json.loads(made(subject, rule(groups=b"sca,gdpr_IV_35.7.d,pci_dss_2.2,")))
    assert list(found["rule"].items())[-4:] == [
        ("groups", ["sca"]),
        ("gdpr", ["IV_35.7.d"]),
        ("pci_dss", ["2.2", "2.2", "2.3"]),
        ("cis", ["1.1"]),
    ]
    assert found["data"]["sca"]["check"]["file"] == ["/etc/x", "/etc/y"]


def test_compliance_of_rootcheck() -> None:
    log = b"System Audit: CIS - Test check {CIS: 1.1.1 RHEL7} {PCI_DSS: 2.2, 2.2.1}. File: /etc/fstab. {not: <this>}"
    found = json.loads(made(event(full_log=log), rule(groups=b"ossec,rootcheck,gdpr_IV_30.1.g,")))
    assert list(found["rule"].items())[-4:] == [
        ("groups", ["ossec", "rootcheck"]),
        ("gdpr", ["IV_30.1.g"]),
        ("cis", ["1.1.1 RHEL7"]),
        ("pci_dss", ["2.2", "2.2.1"]),
    ]
    assert "cis" not in json.loads(made(event(full_log=log), rule(groups=b"no_rootcheck,")))["rule"]


@pytest.mark.parametrize(
    ("location", "agent_id", "agent", "shown"),
    [
        (b"(web01 10.0.0.5->x", b"001", {"id": "001", "name": ""}, "x"),
        (
            b"(web01) fe80::1->/var/log/auth.log",
            b"001",
            {"id": "001", "name": "", "ip": "fe80::1"},
            "/var/log/auth.log",
        ),
        (b"(web01) any->a>b", b"1001", {"id": "1001", "name": ""}, "a>b"),
        (b"web01->x", b"001", {"id": "001"}, "x"),
        (b"", b"001", {"id": "001"}, ""),
        (b"192.0.2.7", b"000", {"id": "000", "name": "vm"}, "192.0.2.7"),
        (b"a>b", b"000", {"id": "000", "name": "vm"}, "a>b"),
    ],
)
def test_agents_and_places(location: bytes, agent_id: bytes, agent: dict[str, str], shown: str) -> None:
    subject = event(location=location, agent_id=agent_id)
    subject.hostname = b""
    found = alert_object(verdict(subject), CONTEXT, "1.0")
    assert (found["agent"], found["location"]) == (agent, shown)


def test_labels_nest_and_addresses_that_are_known_win() -> None:
    context = Context(
        manager_name="vm",
        agent_ip=lambda identity: "10.9.9.9",
        labels=lambda identity: (("a.b", "1"), ("A.c", "2"), ("a", "3")),
    )
    subject = event(location=b"(web01) 10.0.0.5->x", agent_id=b"001")
    assert alert_object(verdict(subject), context, "1.0")["agent"] == {
        "id": "001",
        "name": "gate",
        "ip": "10.9.9.9",
        "labels": {"a": {"b": "1", "c": "2"}},
    }


def test_milliseconds_are_cut() -> None:
    assert [
        local_time(1795576975 + part)[19:23] for part in (0.0, 0.666, 0.6669, 0.999999, 0.001, 0.0009)
    ] == [
        ".000",
        ".666",
        ".666",
        ".999",
        ".001",
        ".000",
    ]


def test_header_stands_behind_data_when_only_the_host_is_known() -> None:
    subject = event()
    assert [
        name
        for name in alert_object(verdict(subject), CONTEXT, "1.0")
        if name in ("predecoder", "decoder", "data")
    ] == [
        "decoder",
        "data",
        "predecoder",
    ]
    subject.timestamp = b"Mar  3 10:00:00"
    assert list(alert_object(verdict(subject), CONTEXT, "1.0"))[-4:] == [
        "predecoder",
        "decoder",
        "data",
        "location",
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("a.b", "1"), ("a.c", "2")], {"a": {"b": "1", "c": "2"}}),
        ([("a", "1"), ("a.b", "2")], {"a": "1"}),
        ([("a.b", "1"), ("a", "2")], {"a": {"b": "1"}}),
        ([("a.b", "1"), ("A.B", "2"), ("A.c", "3")], {"a": {"b": "1", "c": "3"}}),
        ([("SrcIP", "1"), ("x", "")], {"srcip": "0"}),
        ([("a..b", "1"), (".", "2")], {"a": {"": {"b": "1"}}, "": {"": "2"}}),
        ([("\u00c4", "1"), ("\u00e4", "2")], {"\u00c4": "1", "\u00e4": "2"}),
        ([("a", "[1,2.0,2.5]")], {"a": [1, 2, 2.5]}),
        (
            [("a", "[1] x"), ("b", "[NaN]"), ("c", "[1,]"), ("d", " [1]")],
            {"a": "[1] x", "b": "[NaN]", "c": "[1,]", "d": " [1]"},
        ),
        ([("a", "[1]"), ("a.b", "x")], {"a": [1]}),
        ([("a", "x" * 200), ("b" * 200, "y")], {"a": "x" * 200, "b" * 200: "y"}),
    ],
)
def test_nesting(fields: list[tuple[str, str]], expected: dict[str, object]) -> None:
    static = {"srcip": b"0"} if fields[0][0] == "SrcIP" else {}
    subject = event(static=static, dynamic=[(name.encode(), value.encode()) for name, value in fields])
    found = data_object(subject)
    assert found == expected
    assert json.dumps(found) == json.dumps(expected)


def test_a_deep_name_costs_no_stack() -> None:
    nest = Nest()
    nest.add(".".join("a" * 5_000), "x")
    nest.add("a", "y")
    assert list(nest.members) == ["a"]
