"""A small ruleset to try rules on: programs `tst` and `oth`, whose JSON fields become static and dynamic fields.

    lab = Lab('<rule id="101" level="7"> <if_sid>100</if_sid> <match>u=</match> <description>x</description> </rule>')
    lab.ids("u=bob", "other")          ->  [101, 100]

Rule 1 is the root (level 0, silent), 100 takes all of program `tst` (level 5, groups `g,`), 200 all of `oth`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from garrison.analysis.compile import compile_program
from garrison.analysis.event import Arrival, Verdict
from garrison.analysis.run import Analyzer
from garrison.analysis.source import Source, SourceFile, Thresholds
from garrison.ground.errors import Fault, RuleError

SHIPPED = Thresholds()

AT = 1_795_600_000.0
"""2026-11-25 09:46:40 UTC, a Wednesday."""

DECODERS = """
<decoder name="tst"> <program_name>^tst</program_name> </decoder>
<decoder name="tst-j"> <parent>tst</parent> <plugin_decoder>JSON_Decoder</plugin_decoder> </decoder>
<decoder name="oth"> <program_name>^oth</program_name> </decoder>
<decoder name="oth-j"> <parent>oth</parent> <plugin_decoder>JSON_Decoder</plugin_decoder> </decoder>
<decoder name="seen"> <program_name>^seen</program_name> </decoder>
<decoder name="seen-f">
  <parent>seen</parent> <prematch>^user</prematch> <regex>^user (\\S+) from (\\S+)</regex>
  <order>dstuser, srcip</order> <fts>name, dstuser</fts>
</decoder>
"""

BASE = """
<group name="g,">
  <rule id="1" level="0" noalert="1"> <description>root</description> </rule>
  <rule id="100" level="5"> <program_name>^tst</program_name> <description>tst</description> </rule>
  <rule id="200" level="5"> <program_name>^oth</program_name> <description>oth</description> </rule>
</group>
"""


def source(
    rules: str,
    *,
    base: str = BASE,
    decoders: str = DECODERS,
    lists: Mapping[str, bytes] | None = None,
    thresholds: Thresholds = SHIPPED,
    root: str = "g,",
) -> Source:
    """The texts of a ruleset: `rules` (as they are if they hold a group) after those of the base."""
    text = rules if "<group name" in rules or not rules else f'<group name="{root}">{rules}</group>'
    files = [SourceFile(path="base.xml", text=base.encode())]
    if text:
        files.append(SourceFile(path="my.xml", text=text.encode("latin-1")))
    return Source(
        decoders=(SourceFile(path="decoders.xml", text=decoders.encode()),),
        rules=tuple(files),
        lists=lists or {},
        thresholds=thresholds,
    )


class Lab:
    """An analyzer with `rules`; a log test unless `is_log_test` is False. Time stands still but for `wait`."""

    def __init__(
        self, rules: str, *, is_log_test: bool = True, memory_size: int = 8192, **texts: Any
    ) -> None:
        self.program = compile_program(source(rules, **texts))
        self.analyzer = Analyzer(
            self.program, host_name=b"manager", is_log_test=is_log_test, memory_size=memory_size
        )
        self.at = AT

    def wait(self, seconds: float) -> None:
        """Moves the clock."""
        self.at += seconds

    def judge(self, text: str, *, program: str = "tst", location: str = "x", agent: str = "") -> Verdict:
        """The verdict on one log; `agent` is an id such as `001`."""
        log = f"Dec 10 10:00:00 host {program}: {text}"
        place = f"[{agent}] (agent{agent}) any->{location}" if agent else location
        verdict = self.analyzer.judge(
            Arrival(queue="1", location=place.encode(), message=log.encode("latin-1"), at=self.at)
        )
        assert verdict is not None
        return verdict

    def id(self, text: str, **event: str) -> int | None:
        """The id of the rule that answers."""
        verdict = self.judge(text, **event)
        return verdict.rule.id if verdict.rule else None

    def ids(self, *texts: str, **event: str) -> list[int | None]:
        """The ids of the rules that answer, in order."""
        return [self.id(text, **event) for text in texts]


def faults(rules: str, **texts: Any) -> list[Fault]:
    """What is wrong with `rules`, warnings included."""
    try:
        return list(compile_program(source(rules, **texts), filters=False).warnings)
    except RuleError as error:
        return list(error.faults)


def told(rules: str, **texts: Any) -> list[str]:
    """The same as lines."""
    return [str(fault) for fault in faults(rules, **texts)]


def rule(number: int, inside: str, attributes: str = 'level="5"') -> str:
    """One rule with a description."""
    return f'<rule id="{number}" {attributes}>{inside}<description>r{number}</description></rule>'


def child(number: int, inside: str, attributes: str = 'level="5"', parent: str = "100") -> str:
    """The same below `parent`."""
    return rule(number, f"<if_sid>{parent}</if_sid>{inside}", attributes)
