"""Plugin decoders by the tables of spec/analysis-1-decoding.md 5, each row as it was seen."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from garrison.analysis import cjson
from garrison.analysis.event import FORWARDED, DecoderCard, Event, Forwarded
from garrison.analysis.plugins import PLUGINS
from garrison.analysis.program import DecoderNode

Fields = dict[str, str]


def decoded(plugin: str, log: str | bytes, **options: bool) -> Event:
    raw = log if isinstance(log, bytes) else log.encode()
    event = Event(
        at=0, queue="1", agent_id=b"000", location=b"x", hostname=b"h", full_log=raw, log=raw, size=len(raw)
    )
    PLUGINS[plugin](event, raw, DecoderNode(card=DecoderCard(name=b"d"), written_name=b"d", **options))  # type: ignore[arg-type]
    return event


def fields(plugin: str, log: str | bytes, **options: bool) -> Fields:
    event = decoded(plugin, log, **options)
    static = {name: value.decode() for name, value in event.static.items()}
    return static | {f"~{name.decode()}": value.decode() for name, value in reversed(event.dynamic)}


PF = "PF_Decoder"
PF_ROWS: list[tuple[str, Fields]] = [
    (
        "rule 2/(match) pass in on xl0: 140.211.166.3.6667 > 192.168.2.10.16290: P 7408",
        {
            "action": "pass",
            "srcip": "140.211.166.3",
            "srcport": "6667",
            "dstip": "192.168.2.10",
            "dstport": "16290",
            "protocol": "TCP",
        },
    ),
    (
        "rule 4/(match) block in on lo0: 127.0.0.1 > 127.0.0.2: icmp: echo",
        {"action": "block", "srcip": "127.0.0.1", "dstip": "127.0.0.2", "protocol": "ICMP"},
    ),
    (
        "rule 3/(match) pass out on xl0: 1.2.3.4.1514 > 5.6.7.8.1030:  udp 73",
        {
            "action": "pass",
            "srcip": "1.2.3.4",
            "srcport": "1514",
            "dstip": "5.6.7.8",
            "dstport": "1030",
            "protocol": "UDP",
        },
    ),
    ("rule 3/(match) scrub in on xl0: 1.2.3.4 > 5.6.7.8: x", {}),
    ("rule 3/(match)pass in on xl0: 1.2.3.4 > 5.6.7.8: x", {}),
    ("rule 3/(match)x) pass in on xl0: 1.2.3.4 > 5.6.7.8: x", {}),
    ("rule 3/(match) pass out on xl0: 1.2.3.4.1514", {"action": "pass"}),
    ("rule 3/(match) pass out on a:b: 1.2.3.4.1514 > 1.1.1.1: x", {"action": "pass"}),
    (
        "rule 3/(match) pass out on xl0: 1.2.3.4.1514 < 5.6.7.8.2: x",
        {"action": "pass", "srcip": "1.2.3.4", "srcport": "1514"},
    ),
    (
        "rule 3/(match) pass out on xl0: 1.2.3.4.1514 > 5.6.7.8",
        {"action": "pass", "srcip": "1.2.3.4", "srcport": "1514"},
    ),
    (
        "rule (m) pass on x: fe80::1.5 > fe80::2.6: u",
        {"action": "pass", "srcip": "fe80::1.5", "dstip": "fe80", "protocol": "TCP"},
    ),
    (
        "rule (m) pass on x: 1.1.1.1 > 2.2.2.2:  ",
        {"action": "pass", "srcip": "1.1.1.1", "dstip": "2.2.2.2"},
    ),
]

SYMANTEC = "SymantecWS_Decoder"
SYMANTEC_ROWS: list[tuple[str, Fields]] = [
    (
        "20070717,73613,1=5,11=10.1.1.3,10=userc,3=1,2=1",
        {"srcip": "10.1.1.3", "dstuser": "userc", "id": "3=1,2=1"},
    ),
    ("20070717,73613,1=5,2=27", {"id": "2=27"}),
    ("20070717,73613,1=5,2=123456789012", {"id": "2=1234567"}),
    ("x,3=1,10=abcdef,11=1.1.1.1", {"id": "3=1,10=ab", "srcip": "1.1.1.1"}),
    ("x,2=1,2=2,10=a,10=b", {"id": "2=1,2=2,1", "dstuser": "b"}),
    ("10=a,60=http://x/,60=y", {"url": "http://x/"}),
    (
        "x,10=" + "u" * 200 + ",11=" + "1" * 200 + ",60=" + "h" * 2000,
        {"dstuser": "u" * 128, "srcip": "1" * 128, "url": "h" * 1024},
    ),
    ("no comma 10=a", {}),
    ("x,10=", {"dstuser": ""}),
]

SONIC = "SonicWall_Decoder"
_ENDS = "src=2.2.2.2:36701:WAN dst=1.1.1.1:50000:WAN"
_ADDRESSES = {"srcip": "2.2.2.2", "srcport": "36701", "dstip": "1.1.1.1", "dstport": "50000"}
SONIC_ROWS: list[tuple[str, Fields, str]] = [
    (
        f"id=f pri=6 c=262144 m=98 msg={_ENDS} proto=tcp/50000",
        {"status": "6", "id": "98", **_ADDRESSES, "protocol": "tcp", "action": "pass"},
        "firewall",
    ),
    (
        f"id=f pri=6 c=4 m=36 n=1 {_ENDS} proto=udp op=1",
        {"status": "6", "id": "36", **_ADDRESSES, "protocol": "udp", "action": "drop"},
        "firewall",
    ),
    (
        f"id=f pri=6 c=4 m=537 n=1 {_ENDS} proto=protocol/1",
        {"status": "6", "id": "537", **_ADDRESSES, "protocol": "protoc", "action": "close"},
        "firewall",
    ),
    (f"id=f pri=1 c=32 m=30 n=1 {_ENDS}", {"status": "1", "id": "30", **_ADDRESSES}, "ids"),
    (
        f"id=f pri=6 c=1 m=97 n=1 {_ENDS} proto=tcp/http op=GET result=200 dstname=h.example arg=/x",
        {"status": "6", "id": "200", **_ADDRESSES, "protocol": "tcp", "url": "h.example/x"},
        "squid",
    ),
    (
        f"id=f pri=6 c=1 m=97 n=1 {_ENDS} proto=tcp/http op=GET result=200 dstname=h.example arg=/x y",
        {"status": "6", "id": "97", **_ADDRESSES, "protocol": "tcp"},
        "squid",
    ),
    ("id=f pri=6 c=1 m=5 n=1", {"status": "6", "id": "5"}, "syslog"),
    ("id=f pri=6 c=1 m=5 n=1 src=2.2.2.2:1: dst=1.1.1.1:2:WAN", {"status": "6", "id": "5"}, "syslog"),
    ("id=f pri=66 c=1 m=5 n=1", {}, "syslog"),
]


@pytest.mark.parametrize(("log", "wanted"), PF_ROWS)
def test_pf(log: str, wanted: Fields) -> None:
    assert fields(PF, log) == wanted


@pytest.mark.parametrize(("log", "wanted"), SYMANTEC_ROWS)
def test_symantec(log: str, wanted: Fields) -> None:
    assert fields(SYMANTEC, log) == wanted


@pytest.mark.parametrize(("log", "wanted", "category"), SONIC_ROWS)
def test_sonicwall(log: str, wanted: Fields, category: str) -> None:
    assert fields(SONIC, log) == wanted
    assert decoded(SONIC, log).category == category


JSON = "JSON_Decoder"
JSON_ROWS: list[tuple[str | bytes, Fields]] = [
    ('{"x":"y"} trailing', {"~x": "y"}),
    (' \t{"a":1}', {"~a": "1"}),
    (b'\xef\xbb\xbf{"a":1}', {"~a": "1"}),
    (b'{\x01"a"\x02:\x1f1\x0b}', {"~a": "1"}),
    ('{"a":1,}', {}),
    ("{\"a\":'x'}", {}),
    ('{"a":+1}', {}),
    ('{"a":NaN}', {}),
    ('{"a":TRUE}', {}),
    ('{"bad":tru}', {}),
    ('{"a":1 "b":2}', {}),
    ('{"a":1', {}),
    ('{"a":.5}', {}),
    ('{"a":-}', {}),
    (r'{"a":"\ud83d\ude00"}', {"~a": "\U0001f600"}),
    (r'{"a":"\ud83d"}', {}),
    (r'{"a":"\ude00"}', {}),
    (r'{"a":"\ud83d\n"}', {}),
    (r'{"a":"\q"}', {}),
    (r'{"a":"\u12"}', {}),
    (r'{"a":"x\u0000y"}', {"~a": "x"}),
    (r'{"a\u0000b":"x"}', {"~a": "x"}),
    ('{"a":"b\tc\x01"}', {"~a": "b\tc\x01"}),
    (r'{"a":"\/\b\f\n\r\t\"\\é"}', {"~a": '/\b\f\n\r\t"\\é'}),
    (
        '{"a":007,"b":1.,"c":-0,"d":1e400,"e":-1e400,"f":-.5}',
        {"~a": "7", "~b": "1", "~c": "0", "~d": "inf", "~e": "-inf", "~f": "-0.500000"},
    ),
    ('["a"]', {}),
    ('"a"', {}),
    ("1", {}),
    ("null", {}),
    ("", {}),
    ('{"a":{"b":{"c":"d"}}}', {"~a.b.c": "d"}),
    ('{"a.b":"1","a":{"b":"2"}}', {"~a.b": "1"}),
    ('{"":"x","a":{"":"y"}}', {"~": "x", "~a.": "y"}),
    ('{"a":1e3,"b":1.0,"c":1.5e3}', {"~a": "1000", "~b": "1", "~c": "1500"}),
    (
        '{"a":99999999999,"b":2147483648,"c":2147483647,"d":-2147483648}',
        {"~a": "99999999999.000000", "~b": "2147483648.000000", "~c": "2147483647", "~d": "-2147483648"},
    ),
    ('{"a":0.1,"b":1e-7,"c":-0.5}', {"~a": "0.100000", "~b": "0.000000", "~c": "-0.500000"}),
    ('{"a":true,"b":false,"c":null,"d":{},"e":[]}', {"~a": "true", "~b": "false", "~c": "null", "~e": "[]"}),
    ('{"a":1e300}', {"~a": f"{1e300:f}"[:63]}),
    ('{"srcip":"1","srcip":"2"}', {"srcip": "2"}),
    ('{"user":"u","dstuser":"d"}', {"dstuser": "d"}),
    ('{"dstuser":"d","user":"u"}', {"dstuser": "d", "~user": "u"}),
    ('{"user":"a","user":"b"}', {"dstuser": "a", "~user": "b"}),
    ('{"system_name":"a","systemname":"b"}', {"~system_name": "a", "system_name": "b"}),
    ('{"data":{"srcip":"x"},"SrcIP":"y"}', {"~data.srcip": "x", "~SrcIP": "y"}),
    ('{"status":null,"id":["x"],"url":""}', {"status": "null", "id": '["x"]', "url": ""}),
    ('{"k":"1","k":"2","K":"3"}', {"~k": "1", "~K": "3"}),
    (b'{"a":"\xff\xfe"}'.replace(b"\xff\xfe", b"\xc3\xa4"), {"~a": "ä"}),
]
CSV_ROWS = [
    ('[null,1,"x"]', "null,1,x"),
    ('[{"q":1},2]', "2"),
    ('[1,{"q":1}]', "1,"),
    ('[1,{"q":1},2]', "1,2"),
    ('[1,"s",null,true,false,{"q":1},2.5,[1,2]]', "1,s,null,true,false,2.500000,"),
    ("[]", None),
    ("[{}]", None),
    ('["' + "x" * 65_536 + '"]', None),
]
ARRAY_ROWS = [
    ("[]", "[]"),
    ("[{}]", "[{\n\t}]"),
    ("[[],[[1]]]", "[[], [[1]]]"),
    ("[-0.0,123456789.123456789,-0]", "[-0, 123456789.12345679, -0]"),
    ("[1.0,3000000000,1e300,0.1,1e-7]", "[1, 3000000000, 1e+300, 0.1, 1e-07]"),
    (r'["\"\\\b\f\n\r\t\u001f/é"]', '["\\"\\\\\\b\\f\\n\\r\\t\\u001f/é"]'),
    (
        '[{"x":1,"y":[true,null,{"z":"q"}]},{"k":{"l":1}}]',
        '[{\n\t\t"x":\t1,\n\t\t"y":\t[true, null, {\n\t\t\t\t"z":\t"q"\n\t\t\t}]\n\t}, '
        '{\n\t\t"k":\t{\n\t\t\t"l":\t1\n\t\t}\n\t}]',
    ),
]


@pytest.mark.parametrize(("log", "wanted"), JSON_ROWS)
def test_json(log: str | bytes, wanted: Fields) -> None:
    assert fields(JSON, log) == wanted


def test_json_null_is_discarded_where_the_decoder_says_so_but_not_inside_arrays() -> None:
    assert fields(JSON, '{"a":null,"b":1}', discards_null=True) == {"~b": "1"}
    assert fields(JSON, '{"a":[null,1]}', discards_null=True, joins_arrays=True) == {"~a": "null,1"}


@pytest.mark.parametrize(("array", "wanted"), CSV_ROWS)
def test_json_arrays_as_csv(array: str, wanted: str | None) -> None:
    assert fields(JSON, f'{{"a":{array}}}', joins_arrays=True) == ({} if wanted is None else {"~a": wanted})


@pytest.mark.parametrize(("array", "wanted"), ARRAY_ROWS)
def test_json_arrays_as_text(array: str, wanted: str) -> None:
    assert fields(JSON, f'{{"a":{array}}}') == {"~a": wanted}


def test_json_keeps_foreign_bytes() -> None:
    assert decoded(JSON, b'{"a":"\xff","\xfe":"x"}').dynamic == [(b"a", b"\xff"), (b"\xfe", b"x")]


def test_json_keeps_256_dynamic_fields() -> None:
    event = decoded(JSON, "{" + ",".join(f'"k{n}":{n}' for n in range(300)) + ',"srcip":"1"}')
    assert [name for name, _ in event.dynamic] == [b"k%d" % n for n in range(256)]
    assert event.static == {"srcip": b"1"}


@pytest.mark.parametrize(("opened", "closed"), [('{"a":', "}"), ("[", "]")])
def test_json_nests_a_thousand_times_and_no_more(opened: str, closed: str) -> None:
    deepest = '{"k":' + opened * 999 + "1" + closed * 999 + "}"
    assert len(decoded(JSON, deepest).dynamic) == 1
    deeper = '{"k":' + opened * 1000 + "1" + closed * 1000 + "}"
    assert decoded(JSON, deeper).dynamic == []


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=6),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(alphabet="aA.\0user", max_size=4), inner, max_size=4),
    ),
    max_leaves=12,
)


def plain(value: Any) -> Any:
    """Objects as pairs and numbers as doubles: what both readers must agree on."""
    if isinstance(value, cjson.Members):
        return {"object": [(name, plain(each)) for name, each in value]}
    if isinstance(value, dict):
        return {"object": [(name, plain(each)) for name, each in value.items()]}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return struct.pack("<d", float(value)) if value else b"zero"
    return value


@settings(max_examples=1000, deadline=None)
@given(
    VALUES,
    st.booleans(),
    st.sampled_from([b"", b" ", b"x", b",", b"\0"]),
    st.integers(0, 300),
    st.binary(max_size=2),
)
def test_the_quick_reader_of_json_equals_the_forgiving_one(
    value: Any, is_ascii: bool, tail: bytes, place: int, noise: bytes
) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
    text = text[:place] + noise + text[place:] + tail
    results = []
    for read in (cjson.parse, cjson.parse_quickly):
        try:
            results.append(plain(read(text)))
        except cjson.NotJson:
            results.append("not JSON")
    assert results[0] == results[1]


ALERT = "OSSECAlert_Decoder"
SAID = "Alert Level: 3; Rule: 5502 - Login session closed.; Location: gate->/var/log/x; srcip: 1.1.1.1; user: root; "


@pytest.mark.parametrize(
    ("log", "wanted"),
    [
        (
            SAID + "Dec 29 the log; itself",
            Forwarded(rule_id=5502, place=b"gate->/var/log/x", srcip=b"1.1.1.1", dstuser=b"root", log=b"Dec 29 the log; itself"),
        ),
        (
            "ossec: " + SAID + "  x",
            Forwarded(rule_id=5502, place=b"gate->/var/log/x", srcip=b"1.1.1.1", dstuser=b"root", log=b"x"),
        ),
        ("Alert Level: 3; Rule: 1 - x; Location: l; other: y;  x", Forwarded(rule_id=1, place=b"l", log=b"x")),
        ("Alert Level: 3; Rule: 1 - x; Location: l;", Forwarded(rule_id=1, place=b"l", log=b"")),
        ("Alert Level: 3; Rule: x - x; Location: l; x", None),
        ("Alert Level: 3; Rule: 1 - x; Place: l; x", None),
        ("Alert Level: 3; Rule: 1 - x; Location: l", None),
        ("Level: 3; Rule: 1 - x; Location: l; x", None),
        ("Alert Level:" + ";: " * 20_000, None),
    ],
)  # fmt: skip
def test_forwarded_alerts(log: str, wanted: Forwarded | None) -> None:
    event = decoded(ALERT, log)
    assert (event.category, event.forwarded) == (FORWARDED, wanted)
