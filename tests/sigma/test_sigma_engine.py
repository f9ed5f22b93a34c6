"""The fast engine against the definition: any rules, any events, any order, small memories."""

import os
import random
import re
import string
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import orjson
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.collect.oneshot import open_reading
from secmon.model.event import Event
from secmon.pipeline import parse_frames
from secmon.sigma.index import Engine
from secmon.sigma.match import Definition
from secmon.sigma.routing import known_sources
from secmon.sigma.rule import LogSource, Rule, RuleFile, RuleSet
from secmon.sigma.ruleset import load_rules
from secmon.sigma.tree import (
    ANY_CHARACTER,
    ANY_TEXT,
    And,
    Cidr,
    Compare,
    Exists,
    FieldReference,
    FieldRelation,
    Keyword,
    KeywordRegex,
    Node,
    Not,
    Null,
    Operator,
    Or,
    Pattern,
    Regex,
    Text,
    atoms_of,
)
from tests.sigma.trees import compiled

MATCH_COUNT = re.compile(r"match_count: (\d+)")
# Samples that say one hit, and hold more events that the rule describes.
MISCOUNTED = {
    "8fbf3271-1ef6-4e94-8210-03c2317947f6": 3,  # three programs of ProcDump are written, the rule names each of them
}
YAML_ID = re.compile(r"- id: ([0-9a-f-]{36})")

# Few fields and few characters, so that things meet: the awkward ones of every kind among them.
FIELDS = st.sampled_from(["a", "b", "event.code", "winlog.event_data.X"])
CHARACTERS = st.sampled_from(
    list("abAB01.\\*?-/ \n\r\t\x00\x0b") + list("äÄσΣςİıſ中") + ["\u212a", "\ud800", "😀", "\x7f"]
)
WORDS = st.text(CHARACTERS, max_size=6)
EXPRESSIONS = st.sampled_from(
    [
        "a", "^a", "a$", "^$", "", "a*", "a.b", "[ab]+", "[^a]", r"\d", r"\D", r"\s", r"\S", r"\w+\b", "a|b", "(a|b)c?",
        "(?i)ab", "(?s)a.b", "(?m)^a", "k", "(?i)k", "a{2}", "a{1,2}?", r"\x41", r"\.", "中", "[a-b]{2,}$", ".", r"\\",
        r"[\s\d]", "^.*$", r"^\W", "(?P<x>a)", "a?b?", r"\bA", r"[\x00-\x1f]",
    ]
)  # fmt: skip


@st.composite
def patterns(draw: st.DrawFn) -> Pattern:
    parts = draw(st.lists(st.one_of(WORDS.filter(bool), st.just(ANY_TEXT), st.just(ANY_CHARACTER)), max_size=4))
    merged: list[object] = []
    for part in parts:
        if merged and isinstance(part, str) and isinstance(merged[-1], str):
            merged[-1] += part
        elif not (merged and part == ANY_TEXT and merged[-1] == ANY_TEXT):
            merged.append(part)
    return tuple(merged)  # type: ignore[arg-type]  # parts by construction


NUMBERS = st.integers(-3, 3) | st.sampled_from([0.5, 1.0, 10**18, -(10**18)])
ATOMS = st.one_of(
    st.builds(Text, FIELDS, patterns(), st.booleans()),
    st.builds(Text, FIELDS, patterns(), st.booleans()),
    st.builds(Regex, FIELDS, EXPRESSIONS, st.sampled_from(["", "i", "s", "m", "is"])),
    st.builds(Compare, FIELDS, st.sampled_from(list(Operator)), NUMBERS),
    st.builds(Cidr, FIELDS, st.sampled_from(["192.0.2.0/24", "2001:db8::/32", "0.0.0.0/0"])),
    st.builds(Null, FIELDS),
    st.builds(Exists, FIELDS),
    st.builds(FieldReference, FIELDS, FIELDS, st.sampled_from(list(FieldRelation))),
    st.builds(Keyword, patterns(), st.booleans()),
    st.builds(KeywordRegex, EXPRESSIONS, st.sampled_from(["", "i"])),
)


def _branches(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(children, min_size=2, max_size=4).map(tuple)
    return st.builds(And, several) | st.builds(Or, several) | st.builds(Not, children)


TREES: st.SearchStrategy[Node] = st.recursive(ATOMS, _branches, max_leaves=8)
SCALARS = st.one_of(
    WORDS,
    st.text(max_size=4),
    st.integers(-3, 3),
    st.sampled_from([1.0, 0.5, True, False, "192.0.2.7", "::ffff:192.0.2.7", "2001:db8::9", "4625", 4625, "a" * 600]),
)
EVENTS = st.dictionaries(FIELDS | st.just("message"), SCALARS | st.lists(SCALARS, max_size=3), max_size=4)
SOURCES = st.sampled_from(
    [LogSource(category="authentication"), LogSource(product="windows"), LogSource(product="cas", service="audit")]
)
ROUTED = st.sampled_from(
    [
        {"event.category": ["authentication"]},
        {"event.category": ["authentication", "web"], "event.dataset": "cas.audit"},
        {"winlog.channel": "Security", "event.category": ["authentication"]},
        {"winlog.channel": "System"},
        {},
    ]
)


@settings(deadline=None, max_examples=400)
@given(
    trees=st.lists(st.tuples(TREES, SOURCES), min_size=1, max_size=6),
    events=st.lists(st.builds(lambda fields, routed: fields | routed, EVENTS, ROUTED), max_size=8),
    cache_bytes=st.sampled_from([0, 2000, 1 << 20]),
)
def test_the_engine_agrees_with_the_definition(
    trees: list[tuple[Node, LogSource]], events: list[Event], cache_bytes: int
) -> None:
    ruleset = compiled(trees)
    engine, definition = Engine(ruleset, cache_bytes=cache_bytes), Definition(ruleset.rules)
    for event in [*events, *events]:  # the second time out of the memories
        assert engine.match(event) == definition.match(event)


@settings(deadline=None, max_examples=300)
@given(
    expression=st.text("ab.\\dDsSwWb|()[]^$*+?{}1,-:Pi<x>=!nzAQE", max_size=8),
    text=st.text("ab1-\n\x0b \x00", max_size=5),
)
def test_no_regular_expression_makes_the_engine_find_less(expression: str, text: str) -> None:
    try:
        tree = Regex("a", expression)
        ruleset = compiled([(tree, LogSource(category="authentication"))])
        expected = Definition(ruleset.rules).match({"event.category": ["authentication"], "a": text})
    except ValueError:
        return  # RE2 refuses it, and so the rule is refused when it is loaded
    assert Engine(ruleset).match({"event.category": ["authentication"], "a": text}) == expected


def test_hits_come_by_rule_id_and_the_list_belongs_to_the_caller() -> None:
    tree = Exists("a")
    sources = [LogSource(category="authentication"), LogSource(product="cas", service="audit")]
    engine = Engine(compiled([(tree, sources[number % 2]) for number in range(6)]))
    event: Event = {"a": "x", "event.category": ["authentication"], "event.dataset": "cas.audit"}
    assert [rule.id for rule in engine.match(event)] == ["00", "01", "02", "03", "04", "05"]
    engine.match(event).clear()
    assert len(engine.match(event)) == 6


def test_a_flood_of_new_values_does_not_grow_the_memories() -> None:
    engine = Engine(compiled([(Text("a", (ANY_TEXT, "x")), LogSource(category="authentication"))]), cache_bytes=100_000)
    for number in range(5000):
        engine.match({"event.category": ["authentication"], "a": f"value {number}"})
    scanner = engine._atoms.scanner("a")
    assert len(scanner.known) < 100_000 // 160


def test_every_log_source_that_is_known_has_a_route() -> None:
    engine = Engine(compiled([(Exists("a"), source) for source in known_sources()]))
    assert len(engine._routes) == len(set(known_sources()))


# --- with data that is not in the repository --------------------------------------------------------------------


def _windows_events() -> Iterator[Event]:
    path = Path(os.environ["SECMON_CORPORA"]) / "windows" / "otrf-97k.jsonl.zst"
    system = {
        "EventID": "event.code",
        "Channel": "winlog.channel",
        "Provider_Name": "winlog.provider_name",
        "Computer": "winlog.computer_name",
    }
    with zstandard.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            fields = orjson.loads(line)
            yield {system.get(name, f"winlog.event_data.{name}"): str(value) for name, value in fields.items()}


@pytest.fixture(scope="module")
def public_rules() -> RuleSet:
    folder = Path(os.environ["SECMON_PUBLIC_RULES"])
    paths = sorted(folder.glob("rules*/**/*.yml"))
    return load_rules([RuleFile(str(path), path.read_text("utf-8")) for path in paths])


@pytest.mark.public_rules
@pytest.mark.corpora
@pytest.mark.slow
def test_the_engine_agrees_with_the_definition_on_real_events(public_rules: RuleSet) -> None:
    engine, definition = Engine(public_rules), Definition(public_rules.rules)
    sample = [event for number, event in enumerate(_windows_events()) if number % 400 == 0]
    for event in sample:
        assert engine.match(event) == definition.match(event)


class AnyPlaceholder(dict[str, Sequence[str]]):
    """Values for every placeholder there is."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> Sequence[str]:
        return ("x",)


@pytest.mark.public_rules
@pytest.mark.slow
def test_public_rules_load_but_for_placeholders_that_only_their_user_can_fill(public_rules: RuleSet) -> None:
    paths = list(Path(os.environ["SECMON_PUBLIC_RULES"]).glob("rules*/**/*.yml"))
    assert [problem.text for problem in public_rules.problems if "the placeholder" not in problem.problem] == []
    assert len(public_rules.rules) + len(public_rules.problems) == len(paths)
    files = [RuleFile(str(path), path.read_text("utf-8")) for path in paths]
    assert load_rules(files, placeholders=AnyPlaceholder()).problems == ()


@pytest.mark.public_rules
@pytest.mark.slow
def test_a_random_choice_of_public_rules_agrees_on_events_made_of_their_own_words(public_rules: RuleSet) -> None:
    dice = random.Random(20260907)  # noqa: S311  a reproducible choice
    rules = dice.sample(public_rules.rules, 300)
    ruleset = RuleSet(rules=tuple(sorted(rules, key=lambda rule: rule.id)))
    engine, definition = Engine(ruleset), Definition(ruleset.rules)
    for event in islice(_events_of_words(rules, dice), 600):
        assert engine.match(event) == definition.match(event)


@pytest.mark.public_rules
@pytest.mark.slow
def test_every_published_positive_sample_is_found_by_its_rule(public_rules: RuleSet) -> None:
    engine = Engine(public_rules)
    samples = sorted(Path(os.environ["SECMON_PUBLIC_RULES"]).glob("regression_data/**/info.yml"))
    wrong: list[tuple[str, str, int]] = []
    for sample in samples:
        found = Counter(rule.id for event in _sampled(sample.parent) for rule in engine.match(event))
        _, _, about = sample.read_text("utf-8").partition("rule_metadata")
        count = MATCH_COUNT.search(about)
        wrong += [
            (sample.parent.name, rule_id, found[rule_id])
            for rule_id in YAML_ID.findall(about)
            if not found[rule_id] or (count and found[rule_id] != MISCOUNTED.get(rule_id, int(count[1])))
        ]
    assert len(samples) > 100
    assert wrong == []  # no rule is excused: one that were would stand here with its reason


def _sampled(folder: Path) -> Iterator[Event]:
    """Yield the events of one published sample: an event log, or lines of a network device."""
    (path,) = (path for path in folder.iterdir() if path.suffix in {".evtx", ".raw"})
    if path.suffix == ".raw":
        assert "cisco" in path.parts
        for line in path.read_text("utf-8").splitlines():
            yield {"observer.vendor": "Cisco", "message": line}
        return
    reading = open_reading(str(path), source="windows.evtx", zone=UTC)
    for frames in reading.frames:
        yield from (event for event, _, _ in parse_frames(frames, reading.lane, now=datetime.now(UTC)).events)


def _events_of_words(rules: list[Rule], dice: random.Random) -> Iterator[Event]:
    """Yield events that hold what a rule looks for, more or less."""
    while True:
        rule = dice.choice(rules)
        event: Event = dict(dice.choice([{"event.code": "1"}, {"event.code": "4104"}, {"event.code": "13"}]))
        event["winlog.channel"] = dice.choice(["Microsoft-Windows-Sysmon/Operational", "Security", "System"])
        for atom in atoms_of(rule.tree):
            if isinstance(atom, Text) and dice.random() < 0.7:
                filler = "".join(dice.choices(string.ascii_letters, k=2))
                word = "".join(part if isinstance(part, str) else filler for part in atom.pattern)
                event[atom.field] = dice.choice([word, word.upper(), word + "ä", word[:-1]])
        yield event
