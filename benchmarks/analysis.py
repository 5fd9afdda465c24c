"""What the analysis costs: events per CPU-second in one process, alerts encoded, and where the time goes.

    python -m benchmarks.analysis [--reference DIR] [--rounds 5] [--json FILE]

Reads the full reference ruleset, the mixed corpus and the logs from the reference folder. Each stream is judged
`--rounds` times by a fresh analyzer; the median counts. CPU seconds, not wall time, so that a busy machine
disturbs less. The shares are measured in a run of their own with a clock around each stage.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from garrison.alerts.json_text import encode_json
from garrison.alerts.record import Context, alert_object
from garrison.analysis import run as analysis_run
from garrison.analysis.compile import compile_program
from garrison.analysis.event import Arrival
from garrison.analysis.load import load_folder
from garrison.analysis.program import Program
from garrison.analysis.run import Analyzer

CONTEXT = Context(manager_name="manager", cluster_name="wazuh", node_name="node01")
ALERTING = 0.58
"""Share of alerting events in the mixed stream, as in the figures of the C engine that it is compared with."""

LEAST_EVENTS = 2_000
"""Shorter streams are repeated, so that a round is long enough to be measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One stream: its size, what it gave, and the median over all rounds."""

    stream: str
    events: int
    mean_bytes: int
    alerts_percent: float
    events_per_cpu_s: int
    us_per_event: float
    shares_percent: dict[str, int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table; 2 where the reference data is absent."""
    parser = argparse.ArgumentParser(prog="benchmarks.analysis", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--reference", type=Path, default=Path("../shared"), help="folder of the reference data"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    wanted = parser.parse_args(arguments)
    if not (wanted.reference / "ruleset/full").is_dir():
        print(
            f"no reference ruleset in {wanted.reference}: name its folder with --reference", file=sys.stderr
        )
        return 2
    program, cpu_s = _timed(lambda: compile_program(load_folder(wanted.reference / "ruleset/full")))
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{len(program.rules)} rules compiled in {cpu_s:.2f} CPU-seconds, {memory_mb:.0f} MB resident")
    gc.collect()
    gc.freeze()
    streams = _streams(wanted.reference, program)
    results = [measure(name, logs, program, wanted.rounds) for name, logs in streams]
    print(table(results))
    if wanted.json:
        figures = {
            "compile_cpu_s": cpu_s,
            "memory_mb": memory_mb,
            "streams": [asdict(each) for each in results],
        }
        wanted.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


def _streams(reference: Path, program: Program) -> list[tuple[str, list[bytes]]]:
    cases = map(json.loads, (reference / "ruleset/cases.jsonl").read_text("utf-8").splitlines())
    corpus = [log.encode("utf-8", "surrogateescape") for case in cases for log in case["logs"]]
    logs = [
        (path.name, path.read_bytes().splitlines()) for path in sorted((reference / "logs").glob("*.log"))
    ]
    return [("mixed corpus", mixed(corpus, logs, program)), ("corpus alone", corpus), *logs]


def mixed(corpus: list[bytes], logs: list[tuple[str, list[bytes]]], program: Program) -> list[bytes]:
    """The corpus with as many ordinary lines between as leave `ALERTING` of all to raise an alert."""
    analyzer = Analyzer(program, host_name=b"manager")
    alerting = sum(map(partial(_alerts, analyzer), corpus))
    ordinary = (line for lines in zip(*(lines for _, lines in logs), strict=False) for line in lines)
    quiet = (line for line in ordinary if not _alerts(analyzer, line))
    wanted = max(0, round(alerting / ALERTING) - len(corpus))
    fillers = list(islice(quiet, wanted))
    every = max(1, len(corpus) // max(1, len(fillers)))
    stream: list[bytes] = []
    for number, log in enumerate(corpus):
        stream.append(log)
        if number % every == 0 and fillers:
            stream.append(fillers.pop())
    return stream + fillers


def _alerts(analyzer: Analyzer, log: bytes) -> bool:
    verdict = analyzer.judge(Arrival(queue="1", location=b"/var/log/x", message=log, at=1.7e9))
    return verdict is not None and verdict.is_alert


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    before = time.process_time()
    found = work()
    return found, time.process_time() - before


def measure(name: str, logs: list[bytes], program: Program, rounds: int) -> Result:
    """The stream judged `rounds` times, and once more for the shares."""
    logs = logs * max(1, -(-LEAST_EVENTS // len(logs)))
    arrivals = [
        Arrival(queue="1", location=b"/var/log/x", message=log, at=1.7e9 + at) for at, log in enumerate(logs)
    ]
    seconds, alerts = [], 0
    for _ in range(rounds):
        analyzer = Analyzer(program, host_name=b"manager")
        alerts, cpu_s = _timed(lambda analyzer=analyzer: _judge_all(analyzer, arrivals))
        seconds.append(cpu_s)
    median = statistics.median(seconds)
    return Result(
        stream=name,
        events=len(arrivals),
        mean_bytes=round(statistics.fmean(map(len, logs))),
        alerts_percent=round(100 * alerts / len(arrivals), 1),
        events_per_cpu_s=round(len(arrivals) / median),
        us_per_event=round(1e6 * median / len(arrivals), 1),
        shares_percent=_shares(program, arrivals),
    )


def _judge_all(analyzer: Analyzer, arrivals: Sequence[Arrival]) -> int:
    alerts = 0
    for number, arrival in enumerate(arrivals):
        verdict = analyzer.judge(arrival)
        if verdict is not None and verdict.is_alert:
            encode_json(alert_object(verdict, CONTEXT, f"{int(arrival.at)}.{number}"))
            alerts += 1
    return alerts


def _shares(program: Program, arrivals: Sequence[Arrival]) -> dict[str, int]:
    """Percent of the time by stage; rules and all bookkeeping are what the other stages leave."""
    spent: dict[str, int] = {"header": 0, "prefilter": 0, "decode": 0, "rules": 0, "encode": 0}
    clock = time.thread_time_ns

    def counted(stage: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*given: Any, **named: Any) -> Any:
            before = clock()
            try:
                return work(*given, **named)
            finally:
                spent[stage] += clock() - before

        return counting

    analyzer = Analyzer(program, host_name=b"manager")
    plain = analysis_run.cut_header
    analysis_run.cut_header = counted("header", plain)
    if analyzer._scanner is not None:
        analyzer._scanner.scan = counted("prefilter", analyzer._scanner.scan)  # type: ignore[method-assign]
    analyzer._decoding.decode = counted("decode", analyzer._decoding.decode)  # type: ignore[method-assign]
    encode = counted("encode", lambda verdict: encode_json(alert_object(verdict, CONTEXT, "1.1")))
    try:
        started = clock()
        for arrival in arrivals:
            verdict = analyzer.judge(arrival)
            if verdict is not None and verdict.is_alert:
                encode(verdict)
        whole = clock() - started
    finally:
        analysis_run.cut_header = plain
    spent["rules"] = whole - sum(spent.values())
    return {stage: round(100 * ns / whole) for stage, ns in spent.items()}


def table(results: Sequence[Result]) -> str:
    """The results for a terminal."""
    head = f"{'stream':<22}{'events':>8}{'bytes':>7}{'alerts':>8}{'events/CPU-s':>14}{'us':>7}   where"
    rows = [head]
    for each in results:
        where = ", ".join(f"{stage} {share} %" for stage, share in each.shares_percent.items())
        rows.append(
            f"{each.stream:<22}{each.events:>8}{each.mean_bytes:>7}{each.alerts_percent:>7}%"
            f"{each.events_per_cpu_s:>14,}{each.us_per_event:>7}   {where}"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
