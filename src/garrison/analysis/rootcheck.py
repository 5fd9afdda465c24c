"""Rootcheck events (queue 9): a text with a title and perhaps a file. Pure but for the memory that is handed in.

    System Audit: CIS - Test check {CIS: 1.1.1 RHEL7} {PCI_DSS: 2.2}. File: /etc/fstab. Reference: http://x .

`if_fts` holds the first time that an agent sends a text. Source: spec/analysis.md 18.2; spec/analysis-3-outputs.md 7.3.
"""

from __future__ import annotations

import re

from garrison.analysis.event import DecoderCard, Event
from garrison.analysis.fields import add_dynamic

_AUDIT = b"System Audit: "
_QUOTED = re.compile(rb"([Ff])ile '[^']*' ?")
_QUOTED_FILE = re.compile(rb"[Ff]ile '([^']*)'")
_NAMED_FILE = re.compile(rb"File: (.*?)(?:\. |\.?$)", re.DOTALL)


def decode(event: Event) -> None:
    """Fills the event."""
    event.decoder = DecoderCard(name=b"rootcheck")
    event.category = "ossec"
    title = title_of(event.log)
    if title:
        add_dynamic(event, b"title", title)
    file = file_of(event.log)
    if file:
        add_dynamic(event, b"file", file)


def title_of(log: bytes) -> bytes:
    """The title: before ` {`, without `System Audit: `, cut behind its first sentence, without a file's name."""
    title = log.partition(b" {")[0]
    place = title.find(_AUDIT)
    dash = title.find(b" - ")
    if place >= 0 and (dash < 0 or place < dash):
        title = title[place + len(_AUDIT) :]
    sentence = title.find(b". ")
    if sentence >= 0:
        title = title[: sentence + 1]
    return _QUOTED.sub(rb"\1ile ", title).strip()


def file_of(log: bytes) -> bytes:
    """The file that the text names; empty when it names none."""
    found = _NAMED_FILE.search(log) or _QUOTED_FILE.search(log)
    return found[1] if found else b""
