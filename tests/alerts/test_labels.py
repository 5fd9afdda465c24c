"""Which labels alerts show, and that hidden ones leave their mark."""

from __future__ import annotations

import pytest

from garrison.alerts.labels import Labels, labels_of_keepalive, shown_labels
from garrison.alerts.line import AlertLines
from garrison.alerts.record import Context, alert_object
from tests.alerts.samples import event, verdict

LINES = '"env.tier":prod\n!"owner":ana\n#"_agent_ip":10.0.0.5\n"_x":y\nnot a label\n"broken\n"empty":'


@pytest.mark.parametrize(
    ("text", "shows_hidden", "expected"),
    [
        (LINES, False, (("env.tier", "prod"), ("empty", ""))),
        (LINES, True, (("env.tier", "prod"), ("owner", "ana"), ("empty", ""))),
        ('!"owner":ana', False, ()),
        ('#"_agent_ip":10.0.0.5\n"_x":y', False, None),
        ("", False, None),
        ('"a":b":c', False, (("a", 'b":c'),)),
    ],
)
def test_lines_of_a_keepalive(text: str, shows_hidden: bool, expected: Labels | None) -> None:
    assert labels_of_keepalive(text, shows_hidden=shows_hidden) == expected


def test_labels_of_this_host() -> None:
    labels = [("a", "1", False), ("b", "2", True), ("_c", "3", False)]
    assert shown_labels(labels, shows_hidden=False) == (("a", "1"),)
    assert shown_labels([], shows_hidden=False) is None


@pytest.mark.parametrize(
    ("labels", "expected"),
    [(None, {}), ((), {"labels": {}}), ((("a.b", "1"),), {"labels": {"a": {"b": "1"}}})],
)
def test_labels_in_alerts(labels: Labels | None, expected: dict[str, object]) -> None:
    context = Context(manager_name="vm", labels=lambda identity: labels)
    subject = event(agent_id=b"001")
    agent = alert_object(verdict(subject), context, "1.0")["agent"]
    assert agent == {"id": "001", **expected}
    assert (b'"labels"' in AlertLines(context).alert(verdict(subject), "1.0")) == (labels is not None)


def test_many_labels_are_read_each_time() -> None:
    text = "\n".join(f'"key{number}":{"v" * 100}' for number in range(100))
    found = labels_of_keepalive(text)
    assert found is not None and len(found) == 100
    context = Context(manager_name="vm", labels=lambda identity: found)
    fast, made = AlertLines(context), verdict(event(agent_id=b"001"))
    assert fast.alert(made, "1.0") == fast.alert(made, "1.0") and fast._agents == {}
