"""What the rules for a node's own log look for is what the code writes: a text that is changed there fails here."""

from __future__ import annotations

from pathlib import Path

import pytest

import garrison

SOURCE = Path(garrison.__file__).parent
TEXTS = [
    "Invalid password provided by %s. Closing connection.",
    "Enrollment request of %s refused: %s",
    "Duplicate name '%s', rejecting enrollment.",
    "Agent key generated for '%s' (requested by %s)",
    "(1408): Invalid ID {",
    "(1213): Message from '{",
    "(1404): ",
    "(1406): Checksum mismatch.",
    "(1407): Duplicated counter for '{",
    "This node (%s) is the master now",
    "This node is no longer the master: %s",
    "No connection to the cluster engine at %s: %s",
    "The cluster engine at %s is of no use: %s",
    "The cluster engine is away: ",
    "failed: the cluster engine is away (%s)",
    "TLS handshake refused: another cluster key or cluster name",
    "TLS handshake refused: not a node of any cluster",
    "Agents are handed over to other nodes, and none are taken: %s.",
    "Agents are taken again.",
    "Message queue is full (%d). Events may be lost.",
    "the ruleset is broken (",
    "The ruleset on disk is not used;",
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_node_still_says_so(text: str) -> None:
    assert any(text in path.read_text("utf-8") for path in SOURCE.rglob("*.py"))
