"""Which decoder a log ends with and what it extracts: the tables of spec/analysis-1-decoding.md 3.6, 4.5 to 4.12, each as seen.

Both ways are tried, with the over-all look at the log and without.
"""

from __future__ import annotations

import pytest

from garrison.analysis.compile import compile_program
from garrison.analysis.event import Arrival, Event
from garrison.analysis.run import Analyzer
from garrison.analysis.source import Source, SourceFile

HEAD = "Dec 10 01:02:02 h "


def analyzers(decoders: str) -> list[Analyzer]:
    source = Source(decoders=(SourceFile(path="d.xml", text=decoders.encode("latin-1")),))
    program = compile_program(source)
    return [Analyzer(program, host_name=b"manager", tries_all=tries_all) for tries_all in (False, True)]


def decode(decoders: str, log: str) -> Event:
    found = []
    for analyzer in analyzers(decoders):
        verdict = analyzer.judge(
            Arrival(queue="1", location=b"x", message=log.encode("latin-1"), at=1_000_000_000)
        )
        assert verdict is not None
        found.append(verdict.event)
    quick, plain = found
    assert (quick.decoder, quick.category) == (plain.decoder, plain.category)
    assert (quick.static, quick.dynamic) == (plain.static, plain.dynamic)
    return quick


def fields(decoders: str, log: str) -> dict[str, str]:
    """Static fields, and dynamic ones with `~`, the first of a name."""
    event = decode(decoders, log)
    found = {name: value.decode("latin-1") for name, value in event.static.items()}
    seen: set[bytes] = set()
    for name, value in event.dynamic:
        if name.lower() not in seen:
            found[f"~{name.decode('latin-1')}"] = value.decode("latin-1")
        seen.add(name.lower())
    return found


def names(decoders: str, log: str) -> tuple[str | None, str | None]:
    """(decoder, parent) as outputs show them."""
    card = decode(decoders, log).decoder
    if card is None:
        return None, None
    return card.name.decode(), card.parent.decode() if card.parent is not None else None


def root(name: str, inside: str) -> str:
    return f'<decoder name="{name}">{inside}</decoder>\n'


def kid(name: str, inside: str, parent: str = "r") -> str:
    return root(name, f"<parent>{parent}</parent>{inside}")


WORKED = (
    root("r", "<program_name>^r$</program_name>")
    + kid(
        "c1",
        r'<prematch>^login </prematch><regex offset="after_prematch">user=(\S+) </regex><order>user</order>',
    )
    + kid("c1", r'<regex offset="after_regex">ip=(\S+) </regex><order>srcip</order>')
    + kid("c1", r"<regex>port=(\d+)</regex><order>srcport</order>")
    + kid(
        "c2",
        r'<prematch>^logout </prematch><use_own_name>true</use_own_name><regex offset="after_prematch">(\S+)</regex>'
        "<order>foo.bar</order>",
    )
    + kid("c3", r"<regex>^any (\w+) (\w+)</regex><order>f1,f2</order>")
    + kid("c4", r"<regex>^never (\w+)</regex><order>f3</order>")
)


@pytest.mark.parametrize(
    ("log", "decoder", "wanted"),
    [
        (
            "r: login user=bob ip=1.2.3.4 port=22",
            ("r", "r"),
            {"dstuser": "bob", "srcip": "1.2.3.4", "srcport": "22"},
        ),
        ("r: login port=22 ip=1.2.3.4 user=bob x", ("r", "r"), {"dstuser": "bob", "srcport": "22"}),
        ("r: login port=22", ("r", "r"), {"srcport": "22"}),
        ("r: logout zed", ("c2", "r"), {"~foo.bar": "zed"}),
        ("r: any a b", ("r", None), {"~f1": "a", "~f2": "b"}),
        ("r: never b", ("r", None), {}),
        ("r: nothing", ("r", None), {}),
        ("q: x", (None, None), {}),
    ],
)
def test_the_worked_example(log: str, decoder: tuple[str | None, str | None], wanted: dict[str, str]) -> None:

    assert names(WORKED, HEAD + log) == decoder
    assert fields(WORKED, HEAD + log) == wanted


AFTER = kid("c", r'<regex offset="after_parent">^(\.+)$</regex><order>v</order>')
SIBLINGS = (
    kid("c", r'<regex offset="after_parent">^(\w+)</regex><order>a</order>')
    + kid("c", r'<regex offset="after_regex">(\S+)</regex><order>b</order>')
    + kid("c", r'<regex offset="after_regex">(\S+) </regex><order>c</order>')
)
LOOKED = (
    root("r", '<program_name>^u</program_name><prematch type="pcre2">^(?=x)</prematch>')
    + root("r", '<prematch type="pcre2">^(?=x)</prematch>')
    + kid("c", r'<regex offset="after_parent">^(\w+)$</regex><order>v</order>')
)


@pytest.mark.parametrize(
    ("decoders", "log", "wanted"),
    [
        (root("r", r"<prematch>^evt \d+</prematch>") + AFTER, "evt 123 abc", {"~v": "abc"}),
        (root("r", r"<prematch>^evt \d+</prematch>") + AFTER, "evt 1 abc", {"~v": "abc"}),
        (root("r", r"<prematch>^evt \d+</prematch>") + AFTER, "evt 123", {"~v": "23"}),
        (root("r", r"<prematch>^evt \d+</prematch>") + AFTER, "evt 12", {"~v": "2"}),
        (
            root("r", r"<prematch>^evt \d+ </prematch>") + SIBLINGS,
            "evt 123 abc def ghi ",
            {"~a": "abc", "~b": "bc", "~c": "c"},
        ),
        (root("r", r"<prematch>^x \d*</prematch>") + AFTER, "x abc", {"~v": "abc"}),
        (root("r", r"<prematch>^x \d*</prematch>") + AFTER, "x 1abc", {"~v": "bc"}),
        (root("r", r"<prematch>^x \d*</prematch>") + AFTER, "x 12 abc", {"~v": "abc"}),
        (root("r", r"<prematch>^x \d*</prematch>") + AFTER, "x ", {}),
        (root("r", "<prematch>^</prematch>") + AFTER, "abc", {"~v": "bc"}),
        (root("r", "<prematch>^x: </prematch>") + AFTER, "x: q", {"~v": "q"}),
        (LOOKED, HEAD + "u: xyz", {"~v": "xyz"}),
        (LOOKED, HEAD + "u[1] xyz", {"~v": "xyz"}),
        (LOOKED, HEAD + "u[1]:xyz", {"~v": "xyz"}),
        (LOOKED, HEAD + "u:xyz", {}),
        (LOOKED, "xyz", {}),
        (
            root(
                "r",
                r'<prematch>^foo </prematch><regex offset="after_prematch">(\w+) (\w+)</regex><order>a,b</order>',
            ),
            "foo c d e",
            {"~a": "c", "~b": "d"},
        ),
        (
            root(
                "r",
                r'<prematch>^foo </prematch><regex offset="after_prematch">(\w+) (\w+)</regex><order>a,b</order>',
            ),
            "foo c",
            {},
        ),
    ],
)
def test_positions(decoders: str, log: str, wanted: dict[str, str]) -> None:
    assert fields(decoders, log) == wanted


def test_a_leading_star_that_takes_nothing_leaves_nothing_at_the_start_of_a_log_without_header() -> None:
    decoders = root("r", r"<prematch>^(\S*)</prematch>") + AFTER
    assert fields(decoders, " x") == {}


LINE = "<prematch>^f</prematch>"


@pytest.mark.parametrize(
    ("regex", "order", "log", "wanted"),
    [
        (r"f=(\S+) g=(\S+)", "a b,c", "f=1 g=2", {"~a": "1", "~c": "2"}),
        (r"f=(\S+) g=(\S+)", r"a\,b,c", "f=1 g=2", {"~a,b": "1", "~c": "2"}),
        (r"f=(\S+) g=(\S+)", "a,b\n", "f=1 g=2", {"~a": "1", "~b\n": "2"}),
        (r"f=(\S+) g=(\S+)", "  a,   b", "f=1 g=2", {"~a": "1", "~b": "2"}),
        (r"f=(\S+) g=(\S+)", "k,k", "f=1 g=2", {"~k": "1"}),
        (r"f=(\S+) g=(\S+)", "f1,F1", "f=1 g=2", {"~f1": "1"}),
        (r"f=(\S+) g=(\S+)", "a", "f=1 g=2", {"~a": "1"}),
        (r"f=(\S+)", "a,b", "f=1", {"~a": "1"}),
        (r"f=(\S*) g", "user", "f= g", {"dstuser": ""}),
        (r"f=(\S+) g=(\S+)", "srcip,srcip", "f=1 g=2", {"srcip": "2"}),
        (r"f=(\S+) g=(\S+)", "user,dstuser", "f=1 g=2", {"dstuser": "2"}),
        (r"f=(\S+) g=(\S+)", "system_name,systemname", "f=1 g=2", {"system_name": "1", "~systemname": "2"}),
        (r"f=(\S+) g=(\S+)", "USER,SrcIP", "f=1 g=2", {"~USER": "1", "~SrcIP": "2"}),
        (r"f=(\S+) g=(\S+)", "hostname,location", "f=1 g=2", {"~hostname": "1", "~location": "2"}),
        (r"f a=(\w+) b=(\w+)|c=(\w+)", "f1,f2,f3", "f c=3", {"~f1": "3"}),
        (r"f=(\w+)|f:(\w+)", "f1,f2", "f:2", {"~f1": "2"}),
        ("f", "a", "f", {}),
    ],
)
def test_order(regex: str, order: str, log: str, wanted: dict[str, str]) -> None:
    assert fields(root("r", f"{LINE}<regex>{regex}</regex><order>{order}</order>"), log) == wanted


def test_every_static_word() -> None:
    words = "srcuser dstuser srcip dstip srcport dstport protocol action id url data extra_data status system_name".split()
    for word in words:
        decoders = root("r", rf"{LINE}<regex>f=(\S+)</regex><order>{word}</order>")
        assert fields(decoders, "f=1") == {word: "1"}


def test_a_program_name_chooses_the_list_of_roots_for_good() -> None:
    decoders = root("n", "<prematch>x</prematch>") + root("p", "<program_name>^q$</program_name>")
    assert names(decoders, HEAD + "q: x") == ("p", None)
    assert names(decoders, HEAD + "z: x") == (None, None)
    assert names(decoders, "x") == ("n", None)
    empty = root("p", "<program_name>^$</program_name>") + root("n", "<prematch>^</prematch>")
    assert names(empty, "Dec 10 01:02:02 h : x") == ("p", None)


def test_the_first_root_wins_for_good_and_never_runs_its_own_regex_beside_children() -> None:
    decoders = (
        root("a", r"<prematch>^f</prematch><regex>f=(\w+)</regex><order>v</order>")
        + root("b", r"<prematch>^f=</prematch><regex>f=(\w+)</regex><order>w</order>")
        + kid("k", r"<prematch>never</prematch><regex>f=(\w+)</regex><order>x</order>", "a")
    )
    assert (names(decoders, "f=1"), fields(decoders, "f=1")) == (("a", None), {})


def test_roots_of_one_name_share_their_children() -> None:
    decoders = (
        root("r", "<program_name>^p$</program_name>")
        + root("r", "<prematch>^x </prematch>")
        + kid("rc", r"<regex>v=(\w+)</regex><order>v</order>")
    )
    assert fields(decoders, HEAD + "p: v=1") == {"~v": "1"}
    assert fields(decoders, "x v=2") == {"~v": "2"}


def test_program_name_of_a_child_is_ignored() -> None:
    decoders = root("r", "<prematch>^x</prematch>") + kid(
        "c", r"<program_name>nobody</program_name><regex>v=(\w+)</regex><order>v</order>"
    )
    assert fields(decoders, "x v=1") == {"~v": "1"}


def test_groups_must_be_contiguous() -> None:
    decoders = (
        root("r", "<prematch>^r</prematch>")
        + kid("g1", r"<prematch>one</prematch><regex>a=(\w+)</regex><order>a</order>")
        + kid("g2", r"<prematch>two</prematch><regex>z=(\w+)</regex><order>z</order>")
        + kid("g1", r"<regex>b=(\w+)</regex><order>b</order>")
    )
    assert fields(decoders, "r one a=1 z=2 b=3") == {"~a": "1", "~z": "2"}
    assert fields(decoders, "r two a=1 z=2 b=3") == {"~b": "3"}


def test_a_child_without_prematch_does_not_become_the_decoder() -> None:
    decoders = root("r", "<prematch>^r</prematch><type>ids</type>") + kid(
        "c", r"<use_own_name>true</use_own_name><type>web-log</type><regex>v=(\w+)</regex><order>v</order>"
    )
    event = decode(decoders, "r v=1")
    assert (names(decoders, "r v=1"), event.category) == (("r", None), "ids")


def test_a_child_with_prematch_inherits_nothing() -> None:
    decoders = root("r", "<prematch>^r</prematch><type>ids</type>") + kid("c", "<prematch>c</prematch>")
    assert decode(decoders, "r c").category == "syslog"
    assert decode(decoders, "r x").category == "ids"
    assert names(decoders, "r c") == ("r", "r")


JSON = "<plugin_decoder{}>JSON_Decoder</plugin_decoder>"


@pytest.mark.parametrize(
    ("decoders", "log", "wanted"),
    [
        (
            root("r", "<prematch>^pre: </prematch>") + kid("c", JSON.format(' offset="after_parent"')),
            'pre: {"z":1}',
            {},
        ),
        (
            root("r", "<prematch>^pre: </prematch>" + JSON.format(' offset="after_prematch"')),
            'pre: {"z":1}',
            {"~z": "1"},
        ),
        (
            root("r", "<prematch>^pre: </prematch>" + JSON.format(' offset="AFTER_PREMATCH"')),
            'pre: {"z":1}',
            {"~z": "1"},
        ),
        (
            root("r", "<prematch>^pre: </prematch>")
            + kid(
                "c",
                '<prematch offset="after_parent">^x </prematch>' + JSON.format(' offset="after_prematch"'),
            ),
            'pre: x {"z":1}',
            {"~z": "1"},
        ),
        (
            root("r", "<prematch>^pre: </prematch>")
            + kid("c", "<prematch>{</prematch>" + JSON.format(' offset="after_parent"')),
            'pre: {"z":1}',
            {"~z": "1"},
        ),
        (
            root("r", "<prematch>^pre: </prematch>")
            + kid("c", "<prematch>{</prematch>" + JSON.format(' offset="after_regex"')),
            'pre: {"z":1}',
            {},
        ),
        (
            root("r", r"<prematch>^{</prematch>")
            + kid("c", JSON.format("") + "<json_array_structure>csv</json_array_structure>"),
            '{"z":[1,2]}',
            {"~z": "[1, 2]"},
        ),
        (
            root(
                "r",
                r"<prematch>^{</prematch>"
                + JSON.format("")
                + "<json_array_structure>CSV</json_array_structure>",
            ),
            '{"z":[1,2]}',
            {"~z": "1,2"},
        ),
        (
            root("r", "<prematch>^pre: </prematch>")
            + kid("c", r"<prematch>pre</prematch><regex>n=(\w+)</regex><order>n</order>")
            + kid("c", JSON.format(' offset="after_parent"')),
            'pre: {"z":1} n=2',
            {"~n": "2"},
        ),
    ],
)
def test_json_reads_where_and_how_the_decoder_of_the_event_says(
    decoders: str, log: str, wanted: dict[str, str]
) -> None:
    assert fields(decoders, log) == wanted


@pytest.mark.parametrize(
    ("prematch", "log", "fits"),
    [
        ("^.$", "\xc3\xa9", False),
        ("^..$", "\xc3\xa9", True),
        ("(*UTF)^.$", "\xc3\xa9", True),
        (r"^\w+$", "\xc3\xa9", False),
        ("^a.b$", "a\nb", False),
        ("^a$", "a\n", True),
        ("^a$", "A", False),
        ("^b", "a\nb", False),
        ("(?m)^b", "a\nb", True),
        (r"^a\<b$", "a<b", True),
        (r"^(?>a+)b\K$", "aab", True),
        ("^[[:alpha:]]+\\h\\R", "ab\t\r\n", True),
    ],
)
def test_pcre2_is_the_library_with_no_option(prematch: str, log: str, fits: bool) -> None:
    decoders = root("r", f'<prematch type="pcre2">{prematch}</prematch>')
    assert names(decoders, log) == (("r", None) if fits else (None, None))


@pytest.mark.parametrize(
    ("regex", "order", "log", "wanted"),
    [
        (r"(\w)(x)?(\w)", "a,b,c", "Bar", {"~a": "B", "~b": "", "~c": "a"}),
        (r"^(\w+)(?: (\w+))?", "a,b", "one", {"~a": "one"}),
        (r"^(\w+)|(\d+)", "a,b", "one", {"~a": "one"}),
        (r"^(x)|(o)", "a,b", "one", {"~a": "", "~b": "o"}),
    ],
)
def test_captures_of_pcre2(regex: str, order: str, log: str, wanted: dict[str, str]) -> None:
    decoders = root("r", rf'<prematch>\w</prematch><regex type="pcre2">{regex}</regex><order>{order}</order>')
    assert fields(decoders, log) == wanted


NOTHING_CAPTURED = '<regex type="pcre2">(z)?</regex><order>a,b</order>'


def test_captures_left_over_from_the_pcre2_test_before() -> None:
    left = root("r", f'<prematch type="pcre2">^(p)(q)</prematch>{NOTHING_CAPTURED}')
    assert fields(left, "pqz") == {"~a": "p", "~b": "q"}
    gone = root("r", rf"<prematch>^(p)q</prematch>{NOTHING_CAPTURED}")
    assert fields(gone, "pqz") == {}
    program = root("r", f'<program_name type="pcre2">^(p)(q)</program_name>{NOTHING_CAPTURED}')
    assert fields(program, HEAD + "pq: x") == {"~a": "p", "~b": "q"}


def test_at_most_256_dynamic_fields_then_decoding_ends() -> None:
    wide = ",".join(f"f{number}" for number in range(128))
    groups = " ".join([r"(\w)"] * 128)
    decoders = (
        root("r", "<prematch>^a</prematch>")
        + kid("c", f"<regex>^{groups}</regex><order>{wide}</order>")
        + kid("c", f"<regex>^{groups}</regex><order>{wide.replace('f', 'g')}</order>")
        + kid("c", r"<regex>(\w)$</regex><order>srcip</order>")
    )
    event = decode(decoders, " ".join("a" * 128))
    assert len(event.dynamic) == 256
    assert event.static == {}


def test_fields_that_add_up_over_events() -> None:
    decoders = root("r", "<prematch>^r</prematch><accumulate>no</accumulate>") + kid(
        "c",
        r"<prematch>^r</prematch><accumulate />"
        r"<regex>id=(\w+) u=(\w*) s=(\S*) p=(\S*)</regex><order>id,user,srcip,status</order>",
    )
    at = 1_000_000_000.0
    for analyzer in analyzers(decoders):

        def said(
            log: str, after: float = 0, agent: str = "", analyzer: Analyzer = analyzer
        ) -> dict[str, bytes]:
            place = f"[001] ({agent}) any->x" if agent else "x"
            verdict = analyzer.judge(
                Arrival(queue="1", location=place.encode(), message=log.encode(), at=at + after)
            )
            assert verdict is not None
            return {name: value for name, value in verdict.event.static.items() if value}

        assert said("r id=1 u=bob s= p=ok") == {"id": b"1", "dstuser": b"bob", "status": b"ok"}
        assert said("r id=1 u= s=1.1.1.1 p=", 120) == {"id": b"1", "dstuser": b"bob", "srcip": b"1.1.1.1"}
        assert said("r id=1 u=eve s= p=", 200) == {"id": b"1", "dstuser": b"eve", "srcip": b"1.1.1.1"}
        assert said("r id=1 u= s= p=", 201) == {"id": b"1", "dstuser": b"bob", "srcip": b"1.1.1.1"}
        assert said("r id=1 u= s= p=", 201, "web") == {"id": b"1"}
        assert said("r id=1 u= s= p=", 322) == {"id": b"1"}
        assert said("r id=2 u= s= p=", 322) == {"id": b"2"}
        long = "v" * 81
        assert said(f"r id=3 u={long} s= p=", 322)["dstuser"] == long.encode()
        assert said("r id=3 u= s= p=", 322) == {"id": b"3"}


@pytest.mark.parametrize(
    ("location", "agent", "shown", "host"),
    [
        (
            b"[001] (web01) 10.0.0.5->/var/log/auth.log",
            b"001",
            b"(web01) 10.0.0.5->/var/log/auth.log",
            b"web01",
        ),
        (b"[002] (v6) fe80::1->x", b"002", b"(v6) fe80::1->x", b"v6"),
        (b"[003] (noend 1.1.1.1->x", b"003", b"(noend 1.1.1.1->x", b""),
        (b"[004]", b"004", b"", b""),
        (b"[005] noparen->x", b"005", b"noparen->x", b""),
        (b"[] (a) b->c", b"", b"(a) b->c", b"a"),
        (b"(x) root@1.1.1.1->/etc", b"000", b"(x) root@1.1.1.1->/etc", b"manager"),
    ],
)
def test_places(location: bytes, agent: bytes, shown: bytes, host: bytes) -> None:
    analyzer = analyzers("")[0]
    verdict = analyzer.judge(Arrival(queue="1", location=location, message=b"log", at=1.0))
    assert verdict is not None
    event = verdict.event
    assert (event.agent_id, event.location, event.hostname) == (agent, shown, host)


def test_an_agents_name_replaces_the_host_of_the_header_and_a_place_without_end_is_refused() -> None:
    analyzer = analyzers("")[0]
    arrival = Arrival(
        queue="1", location=b"[001] (web01) any->x", message=b"Dec 29 10:00:01 real sshd[1]: x\0y", at=1.0
    )
    verdict = analyzer.judge(arrival)
    assert verdict is not None
    event = verdict.event
    assert (event.hostname, event.program_name, event.log, event.size) == (b"web01", b"sshd", b"x", 1)
    assert event.full_log == b"Dec 29 10:00:01 real sshd[1]: x"
    assert analyzer.judge(Arrival(queue="1", location=b"[006", message=b"log", at=1.0)) is None
