"""FieldWatch: which fields that rules look at stand in events, by log source."""

from hypothesis import given
from hypothesis import strategies as st

from secmon.model.event import Event
from secmon.sigma.routing import route
from secmon.sigma.rule import RuleFile, RuleSet
from secmon.sigma.ruleset import load_rules
from secmon.sigma.seen import FieldWatch, Shown, name_of

RULES = """
title: Web
id: 5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a101
taxonomy: ecs
logsource: {category: webserver}
detection: {a: {url.path: x, http.request.method: y}, condition: a}
---
title: Log-in
id: 5f1c9a4e-0b1d-4c56-8a55-6d3c64f3a102
taxonomy: ecs
logsource: {category: authentication}
detection: {a: {user.name: x}, condition: a}
"""
RULESET = load_rules([RuleFile("seen.yml", RULES)])
WEB, LOGIN = "|webserver|", "|authentication|"


def web(**fields: str) -> Event:
    return {"event.dataset": "nginx.access", **{name.replace("_", "."): value for name, value in fields.items()}}


def test_only_fields_that_rules_look_at_are_noted() -> None:
    assert FieldWatch(RULESET).of([web(url_path="/", host_name="web1")]) == {WEB: Shown(frozenset({"url.path"}), 1)}


def test_the_fields_of_all_events_of_a_log_source_are_put_together() -> None:
    watch = FieldWatch(RULESET)
    assert watch.of([web(url_path="/"), web(http_request_method="GET")]) == {
        WEB: Shown(frozenset({"url.path", "http.request.method"}), 2)
    }
    assert watch.of([web()]) == {WEB: Shown(frozenset(), 1)}  # it was there, without any of them


def test_an_event_may_be_of_several_log_sources_or_of_none() -> None:
    both = web(user_name="mori") | {"event.category": ["web", "authentication"]}
    assert FieldWatch(RULESET).of([both, {"message": "x"}]) == {
        WEB: Shown(frozenset(), 1),
        LOGIN: Shown(frozenset({"user.name"}), 1),
    }


def test_without_rules_there_is_nothing_to_note() -> None:
    assert FieldWatch(RuleSet()).of([web(url_path="/")]) == {}


NAMES = st.sampled_from(["url.path", "http.request.method", "user.name", "host.name"])
EVENTS = st.lists(
    st.builds(
        lambda dataset, categories, names: {
            "event.dataset": dataset,
            "event.category": categories,
            **dict.fromkeys(names, "v"),
        },
        st.sampled_from(["nginx.access", "cas.audit"]),
        st.lists(st.sampled_from(["authentication", "web"]), max_size=2),
        st.sets(NAMES),
    ),
    max_size=12,
)


@given(batches=st.lists(EVENTS, max_size=4))
def test_it_is_the_union_over_all_events_whatever_was_seen_before(batches: list[list[Event]]) -> None:
    watch = FieldWatch(RULESET)
    for events in batches:
        expected: dict[str, Shown] = {}
        for rule in RULESET.rules:
            found = route(rule.logsource)
            assert found is not None
            ours = list(filter(found.accepts, events))
            if ours:
                fields = frozenset().union(*(set(rule.fields) & set(event) for event in ours))
                expected[name_of(rule.logsource)] = Shown(fields, len(ours))
        assert watch.of(events) == expected
