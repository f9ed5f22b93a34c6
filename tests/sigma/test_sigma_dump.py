"""A rule set comes back from its bytes as it was; bytes of anything else are refused."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.content import rule_files
from secmon.errors import ContentError
from secmon.model.hit import Level
from secmon.sigma.dump import dump, load
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
    Keyword,
    KeywordRegex,
    Node,
    Not,
    Null,
    Operator,
    Or,
    Regex,
    Text,
    TimePart,
    fields_of,
)
from tests.sigma.rule_texts import ID, correlation_text, rule_text

SHIPPED = [RuleFile(path, text) for path, text in rule_files()[0]]
BROKEN = RuleFile("broken.yml", "title: nothing\n")

names = st.sampled_from(["url.path", "用户名", "process.command_line"])
texts = st.text(st.characters(), max_size=8)
patterns = st.lists(texts | st.sampled_from([ANY_TEXT, ANY_CHARACTER]), max_size=4).map(tuple)
numbers = st.integers() | st.sampled_from([2**63, 2**64, -(2**63) - 1, 10**308]) | st.floats(allow_nan=False)
atoms: st.SearchStrategy[Node] = st.one_of(
    st.builds(Text, names, patterns, st.booleans()),
    st.builds(Regex, names, texts, st.sampled_from(["", "i", "ims"])),
    st.builds(Compare, names, st.sampled_from(Operator), numbers, st.none() | st.sampled_from(TimePart)),
    st.builds(Cidr, names, st.just("192.0.2.0/24")),
    st.builds(Null, names),
    st.builds(Exists, names),
    st.builds(FieldReference, names, names),
    st.builds(Keyword, patterns, st.booleans()),
    st.builds(KeywordRegex, texts),
)


def joined(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.builds(And, several) | st.builds(Or, several) | st.builds(Not, inner)


trees = st.recursive(atoms, joined, max_leaves=12)


def test_the_shipped_rules_come_back_as_they_were() -> None:
    ruleset = load_rules([*SHIPPED, BROKEN])
    assert ruleset.rules
    assert ruleset.correlations
    assert ruleset.problems
    again = load(dump(ruleset))
    assert again == ruleset
    assert repr(again) == repr(ruleset)  # enums are enums, tuples are tuples
    assert all(again.by_id[rule.id] is rule for rule in again.rules)


def test_a_chain_of_correlations_comes_back_with_its_links() -> None:
    block = "type: event_count\ncondition: {gt: 1, lte: 9}"
    outer = "type: value_percentile\ncondition: {gte: 2.5, field: http.bytes, percentile: 99.9}"
    chain = [rule_text(), correlation_text(block), correlation_text(outer, number=8, rules=f"[{ID.format(9)}]")]
    ruleset = load_rules([RuleFile(f"{number}.yml", text) for number, text in enumerate(chain)])
    assert ruleset.problems == ()
    again = load(dump(ruleset))
    assert again == ruleset


@given(trees)
def test_any_condition_comes_back_as_it_was(tree: Node) -> None:
    source = LogSource("linux", service="sshd")
    rule = Rule(
        id="1",
        name="n",
        level=Level.LOW,
        path="p",
        line=1,
        digest="d",
        logsource=source,
        tree=tree,
        fields=fields_of(tree),
    )
    assert load(dump(RuleSet(rules=(rule,), by_id={"1": rule}))).rules == (rule,)


def test_names_that_are_no_text_and_numbers_beyond_64_bits_come_back_as_they_were() -> None:
    """One such rule of somebody else must not keep all others from being kept."""
    odd = RuleFile("caf\udce9.yml", rule_text("s: {process.pid|gt: 1180591620717411303424}\ncondition: s"))
    ruleset = load_rules([*SHIPPED[:3], odd])
    assert ID.format(1) in ruleset.by_id
    assert repr(load(dump(ruleset))) == repr(ruleset)


@given(st.binary(max_size=200))
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ContentError):
        load(data)


KEPT = dump(RuleSet(rules=load_rules(SHIPPED[:2]).rules, digest="d"))


@given(st.integers(0, len(KEPT) - 1), st.integers(1, 255))
def test_a_changed_byte_gives_a_rule_set_or_a_refusal_and_nothing_else(place: int, change: int) -> None:
    changed = bytearray(KEPT)
    changed[place] ^= change
    with suppress(ContentError):
        assert isinstance(load(bytes(changed)), RuleSet)
