"""Filing by likeness leaves nothing out that a look at every event would count, and passes over floods in one step."""

from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from garrison.analysis.event import Event
from garrison.analysis.likeness import LikenessIndex, is_alike
from garrison.analysis.program import Likeness

VALUES = st.sampled_from([None, b"", b"a", b"b", b"c"])


def event(agent: bytes, category: str, static: dict[str, bytes], dynamic: dict[bytes, bytes]) -> Event:
    made = Event(
        at=0.0, queue="1", agent_id=agent, location=b"x", hostname=b"h", full_log=b"l", log=b"l", size=1,
        category=category, static=static, by_name=dynamic,
    )  # fmt: skip
    made.dynamic = list(dynamic.items())
    return made


@st.composite
def events(draw: st.DrawFn) -> Event:
    static = {name: value for name in ("srcip", "dstuser") if (value := draw(VALUES)) is not None}
    dynamic = {name: value for name in (b"f", b"g") if (value := draw(VALUES)) is not None}
    return event(
        draw(st.sampled_from([b"001", b"002"])), draw(st.sampled_from(["syslog", "ids"])), static, dynamic
    )


likenesses = st.builds(
    Likeness,
    same=st.lists(st.sampled_from(["srcip", "dstuser", "location"]), max_size=2, unique=True).map(tuple),
    different=st.lists(st.sampled_from(["srcip", "dstuser"]), max_size=2, unique=True).map(tuple),
    same_fields=st.lists(st.sampled_from([b"f", b"g"]), max_size=1).map(tuple),
    different_fields=st.lists(st.sampled_from([b"f", b"g"]), max_size=2, unique=True).map(tuple),
    crosses_agents=st.booleans(),
)


@settings(max_examples=400, deadline=None)
@given(likenesses, st.booleans(), st.lists(st.tuples(events(), st.booleans()), max_size=30))
def test_as_a_look_at_every_event(
    likeness: Likeness, by_category: bool, steps: list[tuple[Event, bool]]
) -> None:
    index = LikenessIndex(likeness, by_category=by_category)
    plain: deque[Event] = deque()
    for each, drops in steps:
        wanted = [
            other
            for other in reversed(plain)
            if (likeness.crosses_agents or other.agent_id == each.agent_id)
            and (not by_category or other.category == each.category)
            and is_alike(likeness, other, each)
        ]
        found = [other for other in index.newest_first(each) if is_alike(likeness, other, each)]
        assert list(map(id, found)) == list(map(id, wanted))
        index.add(each)
        plain.append(each)
        if drops:
            index.drop(plain.popleft())
    while plain:
        index.drop(plain.popleft())
    assert not index._runs


def test_a_flood_of_equal_events_is_passed_over_in_one_step() -> None:
    index = LikenessIndex(Likeness(same=("srcip",), different=("dstuser",)), by_category=False)
    flood = [event(b"001", "syslog", {"srcip": b"a", "dstuser": b"root"}, {}) for _ in range(5_000)]
    for each in flood:
        index.add(each)
    assert list(index.newest_first(flood[0])) == []
    other = event(b"001", "syslog", {"srcip": b"a", "dstuser": b"ana"}, {})
    assert next(index.newest_first(other)) is flood[-1]
    quiet = event(b"002", "syslog", {"srcip": b"a", "dstuser": b"ana"}, {})
    assert list(index.newest_first(quiet)) == []
