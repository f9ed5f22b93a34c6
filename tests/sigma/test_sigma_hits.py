"""Hits: what alerts and correlations need of an event, and no more."""

from hypothesis import given
from hypothesis import strategies as st

from secmon.model.event import Event, Value
from secmon.model.ids import key_id
from secmon.sigma.correlate import group_hits
from secmon.sigma.hits import MAX_CAPTURED, MAX_LIST_CHARS, captured, make_hits
from tests.sigma.rule_texts import ID, correlation_text, load, login, rule_text

GROUPED = "type: value_count\ngroup-by: [source.ip]\ncondition: {gte: 2, field: user.name}"


def event(**fields: Value) -> Event:
    return login(user_name="root", **fields) | {"@timestamp": "2026-09-07T00:01:09.000Z", "event.id": "ab" * 16}


def test_a_hit_carries_what_alerts_and_correlations_need() -> None:
    ruleset = load(rule_text(), correlation_text(GROUPED))
    (made,) = make_hits(ruleset, event(source_ip="192.0.2.9", unit_id="370200", asset_id="A-1"), ruleset.rules)
    assert made.captured == {"source.ip": "192.0.2.9", "user.name": "root"}
    assert made.keys == (key_id(ID.format(9), {"source.ip": "192.0.2.9"}),)
    assert (made.unit_id, made.asset_id) == ("370200", "A-1")
    assert made.alert_id is None


def test_an_event_without_the_group_by_field_is_in_no_group() -> None:
    ruleset = load(rule_text(), correlation_text(GROUPED))
    (made,) = make_hits(ruleset, event(), ruleset.rules)
    assert made.keys == ()
    assert list(group_hits(ruleset.correlations[0], [made])) == []


def test_an_alert_is_rule_and_group_and_hour() -> None:
    ruleset = load(rule_text())

    def alert_of(stamp: str, host: str) -> str | None:
        made = make_hits(ruleset, event(host_name=host) | {"@timestamp": stamp}, ruleset.rules)
        return made[0].alert_id

    base = alert_of("2026-09-07T00:00:00Z", "web01")
    assert base == alert_of("2026-09-07T00:59:59Z", "web01")
    assert base != alert_of("2026-09-07T01:00:00Z", "web01")
    assert base != alert_of("2026-09-07T00:00:00Z", "web02")


def test_the_signature_follows_the_fields_that_the_rule_looked_at() -> None:
    ruleset = load(rule_text())

    def signature(**fields: Value) -> str:
        return make_hits(ruleset, event(**fields), ruleset.rules)[0].signature

    assert signature(source_ip="192.0.2.1") == signature(source_ip="192.0.2.2")
    assert signature() != make_hits(ruleset, event() | {"user.name": "admin"}, ruleset.rules)[0].signature


def test_aliases_name_the_field_of_each_base_rule() -> None:
    block = (
        "type: event_count\ngroup-by: [who]\ncondition: {gte: 2}\n"
        f"aliases: {{who: {{{ID.format(1)}: user.name, {ID.format(2)}: source.user.name}}}}"
    )
    rules = f"[{ID.format(1)}, {ID.format(2)}]"
    other = rule_text("selection: {source.user.name: '*'}\ncondition: selection", number=2)
    ruleset = load(rule_text(), other, correlation_text(block, rules=rules))
    assert ruleset.problems == ()
    one, two = ruleset.rules
    hits = make_hits(ruleset, event(), [one])
    hits += make_hits(ruleset, event(source_user_name="root") | {"event.id": "cd" * 16}, [two])
    ((group, found),) = group_hits(ruleset.correlations[0], hits)
    assert (group, len(found)) == ({"who": "root"}, 2)


@given(st.text(min_size=MAX_CAPTURED - 2, max_size=MAX_CAPTURED + 3), st.text(max_size=3))
def test_captured_values_are_small_distinct_and_storable(text: str, more: str) -> None:
    first, second = captured(text), captured(text + more)
    assert isinstance(first, str)
    assert len(first) <= MAX_CAPTURED
    assert (first == second) is (more == "")
    first.encode()


def test_the_values_of_a_list_are_small_together() -> None:
    longest = ["x" * MAX_CAPTURED] * (MAX_LIST_CHARS // MAX_CAPTURED)
    assert captured(longest) == longest
    one, other = captured([*longest, "a"]), captured([*longest, "b"])
    assert isinstance(one, str)
    assert len(one) <= MAX_CAPTURED
    assert one != other


def test_a_lone_surrogate_is_captured_as_its_escape() -> None:
    assert captured("a\ud800") == "a\\ud800"
    assert captured(["a"]) == "a"
    assert captured([str(n) for n in range(99)]) != captured([str(n) for n in range(100)])
