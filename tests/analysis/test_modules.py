"""Events of agents' modules: the specification's samples, hostile ones, and what rules of the field make of them."""

from __future__ import annotations

import json
import random
import time
from functools import cache
from typing import Any

import pytest

from garrison.alerts.record import Context, alert_object
from garrison.analysis.compile import compile_program
from garrison.analysis.event import Arrival, Verdict
from garrison.analysis.load import load_folder
from garrison.analysis.modules import MOST_KNOWN, KnownTexts
from garrison.analysis.program import Program
from garrison.analysis.run import Analyzer
from tests.support.reference import full_program, reference_path

AGENT = b"[001] (web01) 10.0.0.5->"
CONTEXT = Context(manager_name="vm", cluster_name=None, node_name=None)


@cache
def stock_program() -> Program:
    """The stock rules as installed: the corpus changes the one that Windows events begin with."""
    return compile_program(load_folder(reference_path("ruleset")))


def analyzer() -> Analyzer:
    return Analyzer(full_program(), host_name=b"vm")


def judged(text: bytes, place: bytes, queue: str, judge: Analyzer | None = None) -> Verdict | None:
    arrival = Arrival(queue=queue, location=AGENT + place, message=text, at=1.8e9)
    return (judge or analyzer()).judge(arrival)


def alert(text: bytes, place: bytes, queue: str, judge: Analyzer | None = None) -> dict[str, Any]:
    verdict = judged(text, place, queue, judge)
    assert verdict is not None
    return alert_object(verdict, CONTEXT, "1.1")


def fim(change: str = "modified", kind: str = "file", **data: Any) -> bytes:
    new = {"type": kind, "size": 13, "perm": "rw-r--r--", "uid": "0", "gid": "0", "user_name": "root",
           "group_name": "root", "inode": 777, "mtime": 1772532000, "hash_md5": "5eb6", "hash_sha1": "2222",
           "hash_sha256": "3333"}  # fmt: skip
    base = {"path": "/etc/a b", "mode": "realtime", "type": change, "timestamp": 1, "attributes": new,
            "old_attributes": {**new, "size": 12}, "changed_attributes": ["size"]}  # fmt: skip
    return json.dumps({"type": "event", "data": {**base, **data}}).encode()


# -- file integrity


def test_a_changed_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    shown = alert(fim(), b"syscheck", "8")
    assert (shown["rule"]["id"], shown["rule"]["level"]) == ("550", 7)
    assert shown["full_log"] == (
        "File '/etc/a b' modified\nMode: realtime\nChanged attributes: size\nSize changed from '12' to '13'\n"
    )
    assert list(shown["syscheck"].items()) == [
        ("path", "/etc/a b"), ("mode", "realtime"), ("size_before", "12"), ("size_after", "13"),
        ("perm_after", "rw-r--r--"), ("uid_after", "0"), ("gid_after", "0"), ("md5_after", "5eb6"),
        ("sha1_after", "2222"), ("sha256_after", "3333"), ("uname_after", "root"), ("gname_after", "root"),
        ("mtime_after", "2026-03-03T10:00:00"), ("inode_after", 777), ("changed_attributes", ["size"]),
        ("event", "modified"),
    ]  # fmt: skip
    assert shown["decoder"] == {"name": "syscheck_integrity_changed"} and "data" not in shown
    assert shown["location"] == "syscheck"


@pytest.mark.parametrize(
    ("change", "kind", "rule"),
    [
        ("added", "file", "554"),
        ("deleted", "file", "553"),
        ("modified", "registry_key", "594"),
        ("added", "registry_key", "598"),
        ("deleted", "registry_key", "597"),
        ("modified", "registry_value", "750"),
        ("added", "registry_value", "752"),
        ("deleted", "registry_value", "751"),
    ],
)
def test_every_change_of_every_kind_has_its_rule(change: str, kind: str, rule: str) -> None:
    assert alert(fim(change, kind), b"syscheck", "8")["rule"]["id"] == rule


def test_windows_permissions_audit_and_tags() -> None:
    rights = {"S-1": {"name": "SYSTEM", "allowed": ["read_data", "delete"], "denied": []}}
    text = fim(
        tags="a,b", content_changes="< x\n> y", hard_links=["/etc/c"],
        attributes={"type": "file", "perm": rights, "attributes": "ARCHIVE, HIDDEN", "inode": "99999999999", "mtime": 0},
        old_attributes={"perm": {}}, audit={"user_id": "0", "user_name": "root", "process_id": 7, "ppid": 0},
    )  # fmt: skip
    shown = alert(text, b"syscheck", "8")["syscheck"]
    assert shown["win_perm_after"] == [{"name": "SYSTEM", "allowed": ["READ_DATA", "DELETE"]}]
    assert shown["attrs_after"] == ["ARCHIVE", "HIDDEN"] and shown["inode_after"] == 99999999999
    assert shown["tags"] == ["a", "b"] and shown["diff"] == "< x\n> y" and shown["hard_links"] == ["/etc/c"]
    assert shown["audit"] == {"user": {"id": "0", "name": "root"}, "process": {"id": "7", "ppid": "0"}}
    verdict = judged(text, b"syscheck", "8")
    assert verdict is not None
    assert verdict.event.by_name[b"perm"] == b"SYSTEM (allowed): READ_DATA|DELETE"


def test_long_paths_are_cut_in_the_log_only() -> None:
    verdict = judged(fim(path="/" + "x" * 2_000), b"syscheck", "8")
    assert verdict is not None and verdict.event.extra is not None
    assert len(verdict.event.extra["path"]) == 2_001 and b" [...] " in verdict.event.full_log.splitlines()[0]


NO_FIM = [
    b"not json", b"[]", b'{"type":"scan_end","data":{"timestamp":1}}', b'{"type":"event"}',
    fim(path=""), fim(change="moved"), fim(kind="socket"), fim(kind="registry_key", version=3),
]  # fmt: skip


@pytest.mark.parametrize("text", NO_FIM)
def test_what_is_no_change_is_no_event(text: bytes) -> None:
    judge = analyzer()
    assert judged(text, b"syscheck", "8", judge) is None and judge.state.modules.refused == 1


# -- rootcheck


def test_rootcheck_and_its_first_time() -> None:
    text = b"System Audit: CIS - Test check {CIS: 1.1.1 RHEL7} {PCI_DSS: 2.2, 2.2.1}. File: /etc/fstab. Reference: http://x ."
    judge = analyzer()
    shown = alert(text, b"rootcheck", "9", judge)
    assert (shown["rule"]["id"], shown["rule"]["level"]) == ("516", 3)
    assert shown["rule"]["cis"] == ["1.1.1 RHEL7"] and shown["rule"]["pci_dss"] == ["2.2", "2.2.1"]
    assert shown["decoder"] == {"name": "rootcheck"}
    assert shown["data"] == {"title": "CIS - Test check", "file": "/etc/fstab"}
    first, again = judged(b"new", b"rootcheck", "9", judge), judged(text, b"rootcheck", "9", judge)
    assert first is not None and again is not None
    assert [first.event.is_first_seen, again.event.is_first_seen] == [True, False]


@pytest.mark.parametrize(
    ("text", "title", "file"),
    [
        (b"File '/dev/x' is owned by root.", b"File is owned by root.", b"/dev/x"),
        (b"Trojaned version of file '/bin/ls' detected. Signature used: 'x' (Generic).",
         b"Trojaned version of file detected.", b"/bin/ls"),
        (b"Plain", b"Plain", None),
    ],
)  # fmt: skip
def test_titles_and_files(text: bytes, title: bytes, file: bytes | None) -> None:
    verdict = judged(text, b"rootcheck", "9")
    assert verdict is not None
    assert (verdict.event.by_name.get(b"title"), verdict.event.by_name.get(b"file")) == (title, file)


def test_known_texts_are_bounded() -> None:
    known = KnownTexts()
    for number in range(MOST_KNOWN + 5):
        assert known.is_new(b"001", b"%d" % number)
    assert known.forgotten == 5 and known.is_new(b"001", b"0") and not known.is_new(b"001", b"100")


# -- configuration assessment

CHECK = {
    "type": "check", "id": 1700000002, "policy": "CIS Demo", "policy_id": "cis_demo",
    "check": {"id": 28500, "title": "Ensure x", "description": "d", "rationale": "r", "remediation": "do",
              "compliance": {"cis": "1.1", "pci_dss": "2.2,2.3"}, "rules": ["f:/etc/x -> r:a"], "condition": "all",
              "file": "/etc/x,/etc/y", "references": "http://a", "result": "failed"},
}  # fmt: skip


def test_a_check_speaks_when_its_result_changes() -> None:
    judge = analyzer()
    first = alert(json.dumps(CHECK).encode(), b"sca", "p", judge)
    assert first["rule"]["id"] == "19007" and "previous_result" not in first["data"]["sca"]["check"]
    same = alert(json.dumps(CHECK).encode(), b"sca", "p", judge)
    assert "data" not in same and same["decoder"] == {"name": "sca"}
    passed = {**CHECK, "check": {**CHECK["check"], "result": "passed"}}  # type: ignore[dict-item]
    shown = alert(json.dumps(passed).encode(), b"sca", "p", judge)
    assert shown["rule"]["id"] == "19010"
    assert shown["rule"]["description"] == "CIS Demo: Ensure x: Status changed from failed to passed"
    assert shown["rule"]["cis"] == ["1.1"]
    assert shown["data"] == {"sca": {
        "type": "check", "scan_id": "1700000002", "policy": "CIS Demo",
        "check": {"id": "28500", "title": "Ensure x", "description": "d", "rationale": "r", "remediation": "do",
                  "compliance": {"cis": "1.1", "pci_dss": "2.2,2.3"}, "references": "http://a",
                  "file": ["/etc/x", "/etc/y"], "result": "passed", "previous_result": "failed"}}}  # fmt: skip


def test_a_summary() -> None:
    said = {"type": "summary", "scan_id": 1700000002, "name": "CIS Demo", "description": "d", "policy_id": "cis_demo",
            "passed": 1, "failed": 2, "invalid": 0, "total_checks": 3, "score": 33.3333, "start_time": 1, "end_time": 2,
            "hash": "h", "hash_file": "f", "file": "cis_demo.yml"}  # fmt: skip
    judge = analyzer()
    shown = alert(json.dumps(said).encode(), b"sca", "p", judge)
    assert (shown["rule"]["id"], shown["rule"]["level"]) == ("19004", 7)
    assert list(shown["data"]["sca"].items()) == [
        ("type", "summary"), ("scan_id", "1700000002"), ("policy", "CIS Demo"), ("description", "d"),
        ("policy_id", "cis_demo"), ("passed", "1"), ("failed", "2"), ("invalid", "0"), ("total_checks", "3"),
        ("score", "33"), ("file", "cis_demo.yml"),
    ]  # fmt: skip
    assert "data" not in alert(json.dumps(said).encode(), b"sca", "p", judge)
    assert "data" in alert(json.dumps({**said, "force_alert": "1"}).encode(), b"sca", "p", judge)
    del said["file"]
    assert judged(json.dumps(said).encode(), b"sca", "p", judge) is None


# -- inventory


def test_a_row_of_the_inventory() -> None:
    text = (
        b'{"type":"dbsync_ports","operation":"INSERTED","data":{"checksum":"a","item_id":"b","inode":5,'
        b'"local_ip":"0.0.0.0","local_port":4444,"pid":9,"process":"nc","protocol":"tcp","remote_ip":"0.0.0.0",'
        b'"remote_port":0,"rx_queue":0,"scan_time":"x","state":"listening","tx_queue":0}}'
    )
    shown = alert(text, b"syscollector", "d")
    assert shown["decoder"] == {"name": "syscollector"} and shown["location"] == "syscollector"
    assert json.dumps(shown["data"]) == json.dumps({
        "type": "dbsync_ports",
        "port": {"protocol": "tcp", "local_ip": "0.0.0.0", "local_port": "4444", "remote_ip": "0.0.0.0",
                 "remote_port": "0", "tx_queue": "0", "rx_queue": "0", "inode": "5", "state": "listening", "pid": "9",
                 "process": "nc"},
        "operation_type": "INSERTED"})  # fmt: skip


@pytest.mark.parametrize(
    ("table", "row", "data"),
    [
        ("packages", {"groups": "net", "name": "nc", "x": 1}, {"program": {"name": "nc", "section": "net"}}),
        (
            "osinfo",
            {"os_name": "Debian", "release_version": "6.1"},
            {"os": {"name": "Debian", "release": "6.1"}},
        ),
        (
            "network_address",
            {"proto": 1, "address": "::1"},
            {"netinfo": {"addr": {"proto": "ipv6", "address": "::1"}}},
        ),
        ("hotfixes", {"hotfix": "KB1"}, {"hotfix": "KB1"}),
        ("users", {"user_id": 0, "checksum": "c"}, {"user": {"user_id": "0"}}),
        ("hwinfo", {"board_serial": "s", "cpu_mhz": 2.5}, {"hardware": {"serial": "s", "cpu_mhz": "2.5"}}),
    ],
)
def test_columns_have_their_names(table: str, row: dict[str, Any], data: dict[str, Any]) -> None:
    text = json.dumps({"type": f"dbsync_{table}", "operation": "MODIFIED", "data": row}).encode()
    wanted = {"type": f"dbsync_{table}", **data, "operation_type": "MODIFIED"}
    assert alert(text, b"syscollector", "d")["data"] == wanted


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b'{"type":"dbsync_ports","operation":"INSERTED","data":{}}', b"other"),
        (b'{"type":"dbsync_moons","operation":"INSERTED","data":{}}', b"syscollector"),
        (b'{"type":"dbsync_ports","operation":"DROPPED","data":{}}', b"syscollector"),
        (b'{"type":"dbsync_ports","operation":"INSERTED","data":[]}', b"syscollector"),
        (b'{"type":"port","data":{}}', b"syscollector"),
    ],
)
def test_other_rows_are_no_events(text: bytes, place: bytes) -> None:
    assert judged(text, place, "d") is None


# -- Windows

FAILED_LOGON = (
    "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
    "<Provider Name='Microsoft-Windows-Security-Auditing' Guid='{54849625-5478-4994-a5ba-3e3b0328c30d}'/>"
    "<EventID>4625</EventID><Version>0</Version><Level>0</Level><Task>12544</Task><Opcode>0</Opcode>"
    "<Keywords>0x8010000000000000</Keywords><TimeCreated SystemTime='2026-03-03T10:00:00.123456700Z'/>"
    "<EventRecordID>77</EventRecordID><Correlation/><Execution ProcessID='600' ThreadID='604'/>"
    "<Channel>Security</Channel><Computer>win02</Computer><Security UserID='S-1'/></System>"
    "<EventData><Data Name='SubjectUserSid'>S-1-0-0</Data><Data Name='TargetUserName'>eve</Data>"
    "<Data Name='Status'>0xc000006d</Data><Data Name='LogonType'>3</Data><Data Name='IpAddress'>203.0.113.9</Data>"
    "<Data Name='SubjectUserName'>-</Data><Data Name='WorkstationName'></Data></EventData></Event>"
)
MESSAGE = "An account failed to log on.\r\n\r\nSubject:\r\n\tSecurity ID:\t\tS-1-0-0"


def channel(xml: str, message: str = MESSAGE) -> bytes:
    return json.dumps({"Message": message, "Event": xml}).encode()


def test_a_failed_logon() -> None:
    shown = alert(channel(FAILED_LOGON), b"EventChannel", "f", Analyzer(stock_program(), host_name=b"vm"))
    assert (shown["rule"]["id"], shown["rule"]["level"]) == ("60122", 5) and "full_log" not in shown
    assert json.dumps(shown["data"]) == json.dumps({"win": {
        "system": {"providerName": "Microsoft-Windows-Security-Auditing",
                   "providerGuid": "{54849625-5478-4994-a5ba-3e3b0328c30d}", "eventID": "4625", "version": "0",
                   "level": "0", "task": "12544", "opcode": "0", "keywords": "0x8010000000000000",
                   "systemTime": "2026-03-03T10:00:00.123456700Z", "eventRecordID": "77", "processID": "600",
                   "threadID": "604", "channel": "Security", "computer": "win02", "severityValue": "AUDIT_FAILURE",
                   "message": f'"{MESSAGE}"'},
        "eventdata": {"subjectUserSid": "S-1-0-0", "targetUserName": "eve", "status": "0xc000006d", "logonType": "3",
                      "ipAddress": "203.0.113.9"}}})  # fmt: skip
    assert shown["decoder"] == {"name": "windows_eventchannel"} and "predecoder" not in shown


def test_other_sections_unnamed_data_and_audit_policies() -> None:
    xml = (
        "<Event><System><EventID>1</EventID></System><EventData><Data>one</Data><Data>two </Data><Binary>00</Binary>"
        "<Data Name='CategoryId'>%%8273</Data><Data Name='SubcategoryId'>%%12544</Data>"
        "<Data Name='AuditPolicyChanges'>%%8449, %%8451</Data></EventData>"
        "<UserData><LogFileCleared><SubjectUserName>eve</SubjectUserName></LogFileCleared></UserData></Event>"
    )
    win = alert(channel(xml), b"EventChannel", "f")["data"]["win"]
    assert win["eventdata"] == {
        "binary": "00", "categoryId": "%%8273", "subcategoryId": "%%12544", "category": "Logon/Logoff",
        "subcategory": "Logon", "auditPolicyChangesId": "%%8449, %%8451",
        "auditPolicyChanges": "Success added, Failure added", "data": "one, two",
    }  # fmt: skip
    assert win["logFileCleared"] == {"subjectUserName": "eve"} and "severityValue" not in win["system"]


@pytest.mark.parametrize(
    "text",
    [
        b"{}", b'{"Event":7}', channel("<Event>"), channel(""), channel("<a>" * 100 + "</a>" * 100),
        channel("<Event>" + "<x/>" * 5_000 + "</Event>"),
        channel('<!DOCTYPE a [<!ENTITY b "cc"><!ENTITY d "&b;&b;">]><Event>&d;</Event>'),
    ],
)  # fmt: skip
def test_xml_that_is_not_plain_and_small_is_no_event(text: bytes) -> None:
    assert judged(text, b"EventChannel", "f") is None


# -- the rest


def test_cis_cat() -> None:
    text = (
        b'{"type":"scan_result","scan_id":1,"cis":{"rule_id":"1.1","rule_title":"t","group":"g","description":"d",'
        b'"rationale":"r","remediation":"m","result":"fail"}}'
    )
    shown = alert(text, b"wodle_cis-cat", "e")
    assert (shown["rule"]["id"], shown["rule"]["description"]) == ("87418", "CIS-CAT: t (failed)")
    assert shown["data"]["cis"]["rule_id"] == "1.1" and shown["decoder"] == {"name": "ciscat"}
    assert judged(text, b"elsewhere", "e") is None


def test_database_traffic_and_upgrades_are_no_events() -> None:
    assert judged(b'{"component":"syscheck"}', b"syscheck", "5") is None
    assert judged(b'{"command":"x"}', b"upgrade_module", "u") is None


@pytest.mark.parametrize(
    ("text", "place", "rule"),
    [
        (b"ossec: Agent started: 'web01->10.0.0.5'.", b"wazuh-agent", 501),
        (b"ossec: Agent stopped: 'web01->any'.", b"wazuh-remoted", 506),
        (b"ossec: Agent disconnected: 'web01-any'.", b"wazuh-monitord", 504),
        (b"wazuh: Agent buffer: 'flooded'.", b"wazuh-agent", 204),
    ],
)
def test_the_life_of_an_agent(text: bytes, place: bytes, rule: int) -> None:
    verdict = judged(text, place, "1")
    assert verdict is not None and verdict.rule is not None and verdict.rule.id == rule


def test_mangled_messages_are_events_or_refused() -> None:
    dice, judge = random.Random(5), analyzer()
    samples = [
        (fim(), b"syscheck", "8"), (json.dumps(CHECK).encode(), b"sca", "p"), (channel(FAILED_LOGON), b"EventChannel", "f"),
        (b'{"type":"dbsync_ports","operation":"INSERTED","data":{"pid":9}}', b"syscollector", "d"),
        (b"System Audit: CIS - x {CIS: 1}. File: /etc/x.", b"rootcheck", "9"),
    ]  # fmt: skip
    for _ in range(2_000):
        text, place, queue = dice.choice(samples)
        raw = bytearray(text)
        for _ in range(dice.randrange(1, 6)):
            at = dice.randrange(len(raw) + 1)
            raw[at : at + dice.randrange(4)] = dice.choice(
                [b"", b"[", b'"', b"\xff", b"null", b"{}", b"9" * 30, b"\\u0000"]
            )
        verdict = judged(bytes(raw), place, queue, judge)
        if verdict is not None:
            alert_object(verdict, CONTEXT, "1.1")


def test_deep_and_wide_json_costs_little() -> None:
    deep = b'{"type":"event","data":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}"
    assert judged(deep, b"syscheck", "8") is None
    wide = fim(changed_attributes=["x" * 10] * 5_000, hard_links=["y"] * 5_000)
    assert judged(wide, b"syscheck", "8") is not None
