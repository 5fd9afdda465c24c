"""Why a verdict is what it is, in lines for people. Pure.

    Rule 5710 (level 5) answers: sshd: attempt to log in as a user that does not exist   0095-sshd_rules.xml:89
      by way of 1 > 5700 > 5710
    Decoder 'sshd' ...
    73 rules refused, 26 of them as they are for other decoders:
      5712 (level 10): seen 3 of 8 events within 120 s   0095-sshd_rules.xml:109

What most explains comes first: the answer, what decoded the log, then rules that refused by a condition of their own,
those deepest in the tree first. Rules of other decoders are only counted.
Source: `trace`; the layout is ours.
"""

from __future__ import annotations

from pathlib import PurePath

from garrison.analysis.event import Verdict
from garrison.analysis.trace import Count, DecoderTry, Refusal, RuleTry, Trace

MOST_SHOWN_BYTES = 80
MOST_REFUSALS = 20


def explain_lines(verdict: Verdict, trace: Trace) -> list[str]:
    """The explanation; each line is one text without its end."""
    return [*_answer(verdict, trace), "", *_decoding(verdict, trace), "", *_rules(verdict, trace)]


def _shown(data: bytes | None) -> str:
    if data is None:
        return "nothing"
    text = data[:MOST_SHOWN_BYTES].decode("utf-8", "backslashreplace")
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f"'{text}'" + (" ..." if len(data) > MOST_SHOWN_BYTES else "")


def _place(path: str, line: int) -> str:
    return f"{PurePath(path).name}:{line}"


def _plain(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


# -- the answer -------------------------------------------------------------------------------------------------------


def _answer(verdict: Verdict, trace: Trace) -> list[str]:
    rule = verdict.rule
    if rule is None:
        return [f"No rule answers; {len(trace.rules)} were tried."]
    lines = [
        f"Rule {rule.id} (level {rule.level}) answers: {_plain(verdict.description)}   {_place(rule.path, rule.line)}"
    ]
    if not verdict.is_alert:
        lines.append(
            "  No alert: its level is below log_alert_level, or its time of <ignore> is running"
            if rule.level
            else "  No alert: level 0 says that this event is of no interest"
        )
    chain = _chain(trace, rule.id)
    if len(chain) > 1:
        lines.append("  by way of " + " > ".join(str(each.rule.card.id) for each in chain))
    for each in chain:
        if each.count is not None:
            lines.append(f"  {each.rule.card.id} has seen {_counted(each.count)}")
    return lines


def _chain(trace: Trace, answer: int) -> list[RuleTry]:
    """The rules from the root to the answer."""
    chain: list[RuleTry] = []
    depth = None
    for each in reversed(trace.rules):
        if each.refusal is not None:
            continue
        if depth is None:
            if each.rule.card.id != answer:
                continue
        elif each.depth != depth - 1:
            continue
        depth = each.depth
        chain.insert(0, each)
    return chain


def _counted(count: Count) -> str:
    return f"{count.seen} of {count.needed} events within {count.timeframe_s} s"


# -- decoders ---------------------------------------------------------------------------------------------------------


def _decoding(verdict: Verdict, trace: Trace) -> list[str]:
    decoder = verdict.event.decoder
    if decoder is None:
        return [f"No decoder fits; {len(trace.decoders)} were tried."]
    under = f" under '{_plain(decoder.parent)}'" if decoder.parent else ""
    lines = [f"Decoder '{_plain(decoder.name)}'{under}"]
    lines += [_decoder_line(each) for each in trace.decoders if each.fits]
    last = max((at for at, each in enumerate(trace.decoders) if each.fits), default=-1)
    refused = [each for each in trace.decoders[:last] if not each.fits]
    if refused:
        names = ", ".join(dict.fromkeys(_plain(each.decoder.written_name) for each in refused))
        lines.append(f"  tried before, without a fit: {names[:400]}")
    return lines


def _decoder_line(each: DecoderTry) -> str:
    node = each.decoder
    name, place = _plain(node.written_name), _place(node.path, node.line)
    return f"  {name}: <{each.option}> fits {_shown(each.text)}   {place}"


# -- rules ------------------------------------------------------------------------------------------------------------


def _rules(verdict: Verdict, trace: Trace) -> list[str]:
    refused = [each for each in trace.rules if each.refusal is not None]
    foreign = [each for each in refused if each.refusal and each.refusal.option == "decoded_as"]
    others = [each for each in refused if each not in foreign]
    if not refused:
        return ["No rule refused."]
    lines = [f"{len(refused)} rules refused, {len(foreign)} of them as they are for other decoders:"]
    deepest = sorted(others, key=lambda each: -each.depth)
    lines += [_refused_line(each) for each in deepest[:MOST_REFUSALS]]
    if len(deepest) > MOST_REFUSALS:
        lines.append(f"  and {len(deepest) - MOST_REFUSALS} more, higher up in the tree")
    return lines


def _refused_line(each: RuleTry) -> str:
    card, refusal = each.rule.card, each.refusal
    assert refusal is not None
    place = _place(card.path, refusal.line or card.line)
    return f"  {card.id} (level {card.level}): {_reason(refusal, each.count)}   {place}"


def _reason(refusal: Refusal, count: Count | None) -> str:
    if refusal.option == "frequency" and count is not None:
        return f"seen {_counted(count)}"
    if refusal.option == "if_fts":
        return "<if_fts>: these fields were seen together before, or the decoder has no <fts>"
    if refusal.option == "check_diff":
        return "<check_diff>: the log is the same as before, or the first"
    if refusal.option == "list":
        return "<list>: no entry fits"
    wants = f"{'not ' if refusal.negated else ''}{_shown(refusal.text)}"
    if refusal.option in ("match", "regex"):
        return f"<{refusal.option}> wants {wants} in the log"
    if refusal.value is None:
        return f"<{refusal.option}> wants {wants}, which the event does not have"
    return f"<{refusal.option}> wants {wants}, the event has {_shown(refusal.value)}"
