"""What sources can never send, and what rules can never find: sure where it says no."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.content import rule_files
from secmon.errors import ParseError
from secmon.model.event import Dropped, Event, ParseContext, Record
from secmon.parse.registry import KINDS
from secmon.sigma.match import holds
from secmon.sigma.reach import can_hold, can_reach, wanted_fields
from secmon.sigma.routing import known_sources, route
from secmon.sigma.rule import LogSource, RuleFile
from secmon.sigma.ruleset import load_rules
from secmon.sigma.tree import And, Exists, FieldReference, Keyword, Node, Not, Null, Or, Text, fields_of

CORPORA = Path(__file__).parents[2] / "test_corpora"
FIELDS = ("a", "b", "c")
WEB = LogSource(category="webserver")


def logs(kind: str) -> Iterator[Event]:
    context = ParseContext(UTC, datetime(2026, 11, 21, tzinfo=UTC))
    for path in sorted((CORPORA / kind).glob("*")):
        if path.suffix not in {".log", ".jsonl"} or path.name.endswith(".expected.jsonl"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            try:
                found = KINDS[kind].parse(Record(line, f"{path.name}:{number}", "utf-8"), context)
            except ParseError:
                continue
            if not isinstance(found, Dropped):
                for event in found:
                    event.setdefault("event.dataset", KINDS[kind].dataset)
                    event.setdefault("event.module", KINDS[kind].module)
                    yield event


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"windows.evtx"}))
def test_whatever_a_source_did_send_it_can_send(kind: str) -> None:
    events = list(logs(kind))
    assert events
    for source in known_sources():
        found = route(source)
        if found is not None and any(found.accepts(event) for event in events):
            assert can_reach(kind, source), source


@pytest.mark.parametrize(
    ("kind", "source", "reaches"),
    [
        ("nginx.access", WEB, True),
        ("nginx.access", LogSource(product="apache", category="webserver"), False),
        ("nginx.access", LogSource(product="windows"), False),
        ("nginx.access", LogSource(category="authentication"), False),
        ("syslog", LogSource(product="linux", service="sshd"), True),
        ("syslog", WEB, False),
        ("cas.audit", LogSource(product="cas", service="audit"), True),
        ("suricata.eve", LogSource(category="ids"), True),
        ("suricata.eve", LogSource(product="cas"), False),
        ("windows.evtx", LogSource(product="windows", category="process_creation"), True),
        ("windows.json", LogSource(product="linux"), False),
        ("ecs", LogSource(product="cas"), True),
        ("ecs", LogSource(product="toaster"), False),
        ("a kind of tomorrow", WEB, True),
    ],
)
def test_what_reaches_what(kind: str, source: LogSource, *, reaches: bool) -> None:
    assert can_reach(kind, source) is reaches


def text(field: str, value: str) -> Text:
    return Text(field, (value,))


ATOMS = st.one_of(
    st.builds(text, st.sampled_from(FIELDS), st.sampled_from(["x", "y"])),
    st.builds(Null, st.sampled_from(FIELDS)),
    st.builds(Exists, st.sampled_from(FIELDS)),
    st.builds(FieldReference, st.sampled_from(FIELDS), st.sampled_from(FIELDS)),
    st.just(Keyword(("x",))),
)
TREES: st.SearchStrategy[Node] = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(lambda nodes: And(tuple(nodes)), st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda nodes: Or(tuple(nodes)), st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=8,
)
EVENTS = st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(["x", "y", "z"]))


@given(tree=TREES, event=EVENTS, more=st.sets(st.sampled_from(FIELDS)))
def test_a_rule_that_can_hold_for_none_of_the_fields_holds_for_no_event_of_them(
    tree: Node, event: dict[str, str], more: set[str]
) -> None:
    present = {*event, *more}
    if holds(tree, dict(event)):
        assert can_hold(tree, present)
        assert wanted_fields(tree, present) == ()


@given(tree=TREES, present=st.sets(st.sampled_from(FIELDS)))
def test_the_fields_that_are_wanted_are_absent_ones_of_the_rule(tree: Node, present: set[str]) -> None:
    wanted = set(wanted_fields(tree, present))
    assert wanted <= set(fields_of(tree)) - present
    assert not wanted or not can_hold(tree, present)


@pytest.mark.parametrize(
    ("tree", "present", "wanted"),
    [
        (And((text("a", "x"), text("b", "y"))), ("a",), ("b",)),
        (Or((text("a", "x"), text("b", "y"))), ("a",), ()),
        (Or((text("a", "x"), text("b", "y"))), ("c",), ("a", "b")),
        (And((text("a", "x"), Not(text("b", "y")))), ("a",), ()),
        (Not(Null("a")), (), ("a",)),
        (Null("a"), (), ()),
        (FieldReference("a", "b"), ("a",), ("b",)),
        (Keyword(("x",)), (), ()),
    ],
)
def test_what_is_wanted(tree: Node, present: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    assert wanted_fields(tree, present) == wanted


def test_none_of_our_rules_is_impossible_in_itself() -> None:
    ruleset = load_rules([RuleFile(*one) for one in rule_files()[0]])
    assert [rule.name for rule in ruleset.rules if not can_hold(rule.tree, rule.fields)] == []
