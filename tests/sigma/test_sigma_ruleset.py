"""Loading rules: what is wrong is told with its line, and never stops the others."""

import pickle
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secmon.errors import ContentError
from secmon.model.event import Event
from secmon.model.hit import Level
from secmon.sigma.documents import documents
from secmon.sigma.rule import CorrelationRule, LogSource, Rule, RuleFile
from secmon.sigma.ruleset import load_rules
from tests.sigma.rule_texts import ID, both, correlation_text, load, only_problem, only_rule, rule_text

GOOD = rule_text()
EVENT_COUNT = "type: event_count\ngroup-by: [source.ip]\ncondition: {gte: 3}"


def test_a_rule_is_read_with_everything_that_alerts_need() -> None:
    head = (
        "tags: [attack.credential-access, attack.t1110.003, attack.T1078]\n"
        "custom:\n"
        "  secmon: {title_zh: 口令喷洒, group_by: [source.ip, user.name], group_window: 30m,"
        " controls: [L3-CES1-02], playbook: accounts, reason: '{source.ip} 试了 {user.name}'}"
    )
    rule = only_rule(rule_text(head=head))
    assert (rule.id, rule.name, rule.level) == (ID.format(1), "Rule 1", Level.HIGH)
    assert rule.techniques == ("T1078", "T1110.003")
    assert rule.title_zh == "口令喷洒"
    assert rule.group_by == ("source.ip", "user.name")
    assert rule.group_window.total_seconds() == 1800
    assert rule.controls == ("L3-CES1-02",)
    assert rule.playbook == "accounts"
    assert rule.reason_fields == ("source.ip", "user.name")
    assert rule.logsource == LogSource(category="authentication")
    assert rule.fields == ("user.name",)
    assert rule.generates


def test_a_rule_without_extensions_groups_by_host_and_hour() -> None:
    rule = only_rule(GOOD.replace("level: high\n", ""))
    assert (rule.group_by, rule.group_window.total_seconds()) == (("host.name",), 3600)
    assert rule.level is Level.MEDIUM


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        (GOOD.replace("title: Rule 1\n", ""), 1, "title"),
        (GOOD.replace(ID.format(1), "not-a-uuid"), 2, "UUID"),
        (GOOD.replace("level: high", "level: terrible"), 4, "level"),
        (GOOD.replace("taxonomy: ecs", "taxonomy: mine"), 3, "taxonomy mine"),
        (GOOD.replace("category: authentication", "{}"), 5, "log source"),
        (GOOD.replace("condition: selection", "condition: selektion"), 9, "selektion"),
        (GOOD.replace("condition: selection", "condition: 1 of filter_*"), 9, "filter_*"),
        (GOOD.replace("condition: selection", "condition: selection | count() > 5"), 9, "pipe"),
        (GOOD.replace("condition: selection", "condition: selection and"), 9, ""),
        (GOOD.replace("condition: selection", "condition: ''"), 9, ""),
        (GOOD.replace("  condition: selection\n", ""), 7, "condition"),
        (GOOD.replace("user.name: root", "user.name|kontains: root"), 8, "kontains"),
        (GOOD.replace("user.name: root", "'user.name|re': 'a(?=b)'"), 8, "RE2 refuses"),
        (GOOD.replace("user.name: root", "'user.name|re': '(a'"), 8, "regular expression"),
        (GOOD.replace("user.name: root", "'user.name|cidr': 192.0.2.300/24"), 8, "CIDR"),
        (GOOD.replace("user.name: root", "'user.name|expand': '%admins%'"), 8, "%admins%"),
        (GOOD.replace("user.name: root", "'user.name|wide|contains': 管理"), 8, "bytes"),
        (GOOD.replace("user.name: root", "'user.name|windash': -a -b -c -d -e"), 8, "windash"),
        (GOOD.replace("user.name: root", "'user.name|hour': 1.5"), 8, "whole number"),
        (GOOD.replace("user.name: root", "'user.name|expand|base64': '%a%'"), 8, "not followed"),
        (GOOD.replace("user.name: root", "user.name: 123456789012345678901"), 8, "too large"),
        (GOOD.replace("{user.name: root}", "{user.name: !!int 5}"), 8, "tags"),
        (GOOD.replace("{user.name: root}", "{user.name: root, user.name: admin}"), 8, "twice"),
        (GOOD.replace("{user.name: root}", "{user.name: [[root]]}"), 8, ""),
        (GOOD.replace("{user.name: root}", "{}"), 8, ""),
        (GOOD.replace("  condition", "  timeframe: 5m\n  condition"), 9, "timeframe"),
        (GOOD.replace("taxonomy: ecs", "taxonomy: sigma").replace("user.name", "user"), 8, "field user is not known"),
        (GOOD + "custom: {secmon: {group_bye: [a]}}\n", 10, "group_bye"),
        (GOOD + "custom:\n  secmon:\n    group_window: soon\n", 12, "group_window"),
        (GOOD + "custom:\n  secmon:\n    reason: '{user.name'\n", 12, "brace"),
        (GOOD.replace("{user.name: root}", "{user.name|contains: []}"), 8, "empty list"),
        (GOOD + "filter: {rules: any}\n", 10, "one condition"),
        (GOOD + "action: repeat\n", 10, "action"),
        ("- a\n- list\n", 1, "mapping"),
        ("title: [unclosed\n", 2, "YAML"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_the_others_go_on(text: str, line: int, problem: str) -> None:
    ruleset = load(text, rule_text(number=2))
    (found,) = ruleset.problems
    assert (found.path, found.line, found.state) == ("r0.yml", line, "broken")
    assert problem in found.problem
    assert ID.format(2) in ruleset.by_id


def test_a_rule_that_nobody_can_feed_is_unroutable_not_silent() -> None:
    problem = only_problem(rule_text(logsource="product: nobody\nservice: dns"))
    assert (problem.state, problem.line, problem.rule_id) == ("unroutable", 5, ID.format(1))
    assert "product nobody, service dns" in problem.text


def test_a_broken_document_leaves_the_other_documents_of_its_file_alone() -> None:
    broken = GOOD.replace("condition: selection", "condition: nothing")
    ruleset = load(f"{broken}---\n{rule_text(number=2)}---\n{rule_text(number=3)}")
    assert [rule.id for rule in ruleset.rules] == [ID.format(2), ID.format(3)]
    assert [problem.line for problem in ruleset.problems] == [9]


def test_a_later_file_replaces_a_rule_and_a_twin_in_one_file_is_refused() -> None:
    overlay = load(GOOD, GOOD.replace("Rule 1", "Ours"))
    assert [rule.name for rule in overlay.rules] == ["Ours"]
    twins = load(f"{GOOD}---\n{GOOD.replace('Rule 1', 'Twin')}")
    assert [rule.name for rule in twins.rules] == ["Rule 1"]
    assert [problem.problem for problem in twins.problems] == ["another rule has the same id"]


def test_a_rule_without_an_id_is_named_by_its_title_and_must_be_the_only_one() -> None:
    nameless = GOOD.replace(f"id: {ID.format(1)}\n", "")
    first, again = load(nameless).rules[0].id, load(nameless).rules[0].id
    assert first == again
    assert [problem.problem for problem in load(nameless, nameless).problems] == ["another rule has the same id"]


def test_the_digest_follows_what_a_rule_does_and_nothing_else() -> None:
    one = only_rule(GOOD)
    assert only_rule(GOOD + "description: another\n").digest == one.digest
    assert only_rule(GOOD.replace("root", "admin")).digest != one.digest
    assert load(GOOD).digest == load(GOOD).digest != load(GOOD.replace("root", "admin")).digest


def test_compiled_rules_can_be_sent_to_another_process() -> None:
    ruleset = load(GOOD, correlation_text(EVENT_COUNT))
    assert pickle.loads(pickle.dumps(ruleset)) == ruleset  # noqa: S301  our own bytes


# --- correlations -----------------------------------------------------------------------------------------------


def test_a_correlation_finds_its_base_rule_by_id_and_by_name_whichever_file_comes_first() -> None:
    named = GOOD.replace("title:", "name: failed_login\ntitle:")
    for reference in (ID.format(1), "failed_login"):
        ruleset = load(correlation_text(EVENT_COUNT, rules=f"[{reference}]"), named)
        assert ruleset.problems == ()
        (correlation,) = ruleset.correlations
        assert isinstance(ruleset.by_id[ID.format(9)], CorrelationRule)
        assert correlation.rule_ids == (ID.format(1),)
        assert correlation.timespan.total_seconds() == 600


def test_a_base_rule_is_silent_unless_its_correlation_says_generate() -> None:
    def base(block: str) -> Rule:
        return load(GOOD, correlation_text(block)).rules[0]

    assert not base(EVENT_COUNT).generates
    assert base(EVENT_COUNT + "\ngenerate: true").generates


@pytest.mark.parametrize(("level", "speaks"), [("informational", False), ("low", True), ("high", True)])
def test_a_rule_that_only_informs_stays_silent_whatever_its_correlation_says(level: str, *, speaks: bool) -> None:
    rule = re.sub("^level: .*\n", "", GOOD, flags=re.MULTILINE) + f"level: {level}\n"
    ruleset = load(rule, correlation_text(EVENT_COUNT + "\ngenerate: true"))
    assert ruleset.problems == ()
    assert [one.generates for one in ruleset.rules] == [speaks]
    assert [one.generates for one in ruleset.correlations] == [True]


@pytest.mark.parametrize(
    ("block", "line", "problem"),
    [
        (EVENT_COUNT.replace("event_count", "evnt_count"), 7, "unknown"),
        (EVENT_COUNT.replace("type: event_count\n", ""), 4, "missing"),
        (EVENT_COUNT.replace("group-by", "group_by"), 8, "unknown key group_by"),
        (EVENT_COUNT.replace("gte: 3", "gte: 2.5"), 9, "whole number"),
        (EVENT_COUNT.replace("gte: 3", "gte: many"), 9, "not a number"),
        (EVENT_COUNT.replace("gte: 3", "gte: true"), 9, "not a number"),
        (EVENT_COUNT.replace("gte: 3", "gt: 3, lt: 4"), 9, "never hold"),
        (EVENT_COUNT.replace("gte: 3", "lt: 1"), 9, "never hold"),
        (EVENT_COUNT.replace("gte: 3", "eq: 0"), 9, "never hold"),
        (EVENT_COUNT.replace("gte: 3", "gte: 3, lte: 5, neq: 4"), 9, "two for a range"),
        (EVENT_COUNT.replace("gte: 3", "min: 3"), 9, "unknown key min"),
        (EVENT_COUNT.replace("gte: 3", "gte: 1e999"), 9, "not a number"),
        (EVENT_COUNT.replace("gte: 3", "gte: 3, field: user.name"), 9, "takes no field"),
        (EVENT_COUNT.replace("gte: 3", "gte: 3, percentile: 5"), 9, "takes no percentile"),
        (EVENT_COUNT.replace("condition: {gte: 3}", "generate: false"), 4, "no condition"),
        (EVENT_COUNT.replace("{gte: 3}", "a and b"), 9, "in words"),
        (EVENT_COUNT.replace("event_count", "temporal"), 9, "never hold"),
        (EVENT_COUNT.replace("event_count", "value_sum").replace("gte: 3", "gt: 3, lt: 3, field: x"), 9, "never hold"),
        (EVENT_COUNT.replace("event_count", "value_sum").replace("gte: 3", "gt: 3, field: [x, y]"), 9, "one field"),
        (EVENT_COUNT.replace("event_count", "value_percentile").replace("gte: 3", "gt: 3, field: x"), 9, "percentile"),
        (
            EVENT_COUNT.replace("event_count", "value_percentile").replace(
                "gte: 3", "gt: 3, field: x, percentile: 101"
            ),
            9,
            "percentile",
        ),
        (EVENT_COUNT.replace("event_count", "temporal").replace("{gte: 3}", "a | b"), 9, "pipe"),
        (EVENT_COUNT.replace("event_count", "temporal").replace("{gte: 3}", "other and more"), 9, "same rules"),
        (EVENT_COUNT.replace("event_count", "value_count"), 9, "field"),
        (EVENT_COUNT + "\naliases: {who: {other: user.name}}\ngroup-by: [who]", 0, "twice"),
        (EVENT_COUNT.replace("source.ip", "who") + "\naliases: {who: {other: user.name}}", 10, "alias who"),
    ],
)
def test_a_correlation_that_cannot_run_says_so(block: str, line: int, problem: str) -> None:
    ruleset = load(GOOD, correlation_text(block))
    (found,) = ruleset.problems
    assert problem in (found.problem + found.text)
    assert line in {found.line, 0}
    assert ruleset.correlations == ()
    assert len(ruleset.rules) == 1


def test_a_correlation_over_what_is_not_there_is_refused() -> None:
    assert "nobody" in only_problem(GOOD, correlation_text(EVENT_COUNT, rules="[nobody]")).problem
    assert "too long" not in only_problem(GOOD, correlation_text(EVENT_COUNT, rules="[5]")).problem
    assert "refers to no rule" in only_problem(GOOD, correlation_text(EVENT_COUNT, rules="[]")).problem
    assert "longer than time" in only_problem(GOOD, correlation_text(EVENT_COUNT, timespan="99999999999999d")).problem


def test_correlations_over_correlations_are_linked_whatever_their_order() -> None:
    inner = correlation_text(EVENT_COUNT)
    outer = correlation_text(EVENT_COUNT, number=8, rules=f"[{ID.format(9)}]")
    for texts in ([GOOD, inner, outer], [outer, inner, GOOD]):
        ruleset = load(*texts)
        assert ruleset.problems == ()
        chain, link = ruleset.correlations
        assert chain.inner[0].digest == link.digest
        assert (chain.generates, link.generates) == (True, False)
        assert chain.event_rule_ids == {ID.format(1)}
        assert {spec.correlation_id for spec in ruleset.rules[0].keys} == {ID.format(8), ID.format(9)}


def test_a_chain_that_bites_its_tail_is_refused_on_every_link() -> None:
    one = correlation_text(EVENT_COUNT, number=8, rules=f"[{ID.format(9)}]")
    two = correlation_text(EVENT_COUNT, number=9, rules=f"[{ID.format(8)}]")
    assert {problem.rule_id for problem in load(GOOD, one, two).problems} == {ID.format(8), ID.format(9)}
    assert "refers to itself" in load(GOOD, one, two).problems[1].problem
    endless = [correlation_text(EVENT_COUNT, number=n + 1, rules=f"[{ID.format(n)}]") for n in range(1, 12)]
    assert any("at most 8" in problem.problem for problem in load(GOOD, *endless).problems)
    deep = [correlation_text(EVENT_COUNT, number=n + 1, rules=f"[{ID.format(n)}]") for n in range(500, 1, -1)]
    assert len(load(GOOD, *deep).problems) == 499


def test_a_name_that_several_rules_have_is_looked_for_in_the_same_file_first() -> None:
    named = GOOD.replace("title:", "name: twin\ntitle:")
    other = rule_text("selection: {user.name: admin}\ncondition: selection", number=2, head="name: twin")
    apart = load(named, other, correlation_text(EVENT_COUNT, rules="[twin]"))
    assert "several rules have the name twin" in apart.problems[0].problem
    near = load(named, other + "---\n" + correlation_text(EVENT_COUNT, rules="[twin]"))
    assert near.correlations[0].rule_ids == (ID.format(2),)


def test_the_base_rules_of_a_broken_correlation_do_not_cry_out_instead() -> None:
    ruleset = load(GOOD, correlation_text(EVENT_COUNT.replace("event_count", "temporary")))
    assert [rule.generates for rule in ruleset.rules] == [False]


# --- pipelines --------------------------------------------------------------------------------------------------

PIPELINE = """
name: ours
priority: 10
transformations:
  - id: names
    type: field_name_mapping
    mapping: {User: user.name}
"""


def test_a_pipeline_gives_fields_their_names() -> None:
    text = GOOD.replace("user.name: root", "User: root").replace("taxonomy: ecs\n", "")
    ruleset = load_rules([RuleFile("r.yml", text)], pipelines=[RuleFile("p.yml", PIPELINE)])
    assert ruleset.problems == ()
    assert ruleset.rules[0].fields == ("user.name",)


def test_a_wrong_pipeline_stops_everything() -> None:
    with pytest.raises(ContentError, match=r"^p\.yml"):
        load_rules([RuleFile("r.yml", GOOD)], pipelines=[RuleFile("p.yml", "transformations: [{type: nonsense}]")])


# --- hostile files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: " + "[" * 100 + "]" * 100, "deep"),
        ("x" * (1 << 20) + "x", "larger"),
        ("a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
            f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 8)}]\n" for n in range(9)
        ), "too many"),
        ("a: *nothing\n", "anchor"),
        ("a: &a [*a]\n", "anchor"),
        ("? [complex]\n: key\n", "key must be a text"),
        ("<<: {a: b}\n", "merge"),
        ("a: \x00\n", "YAML"),
        ("a: \ud800\n", "YAML"),
    ],
)  # fmt: skip
def test_a_hostile_file_is_refused(text: str, problem: str) -> None:
    assert problem in only_problem(text).text


def test_aliases_and_documents_mean_what_yaml_says() -> None:
    text = "a: &x {k: [1, true, null]}\nb: *x\n---\n---\nc: 'q'\n"
    first, second = documents("f", text)
    assert first.data == {"a": {"k": [1, True, None]}, "b": {"k": [1, True, None]}}
    assert (second.data, second.line) == ({"c": "q"}, 5)
    assert first.line_of("a", "k", 1) == 1


@settings(deadline=None, max_examples=200)
@given(st.text(st.sampled_from("abk:- {}[]*&!|>'\"\n#,?%@0.~<"), max_size=60))
def test_no_text_breaks_the_loader(text: str) -> None:
    ruleset = load(text, f"{GOOD}custom: {text}", GOOD.replace("{user.name: root}", text))
    assert ruleset.digest


@settings(deadline=None, max_examples=200)
@given(
    key=st.text("axb|", max_size=3),
    modifiers=st.lists(
        st.sampled_from(
            ["contains", "all", "re", "i", "cased", "windash", "base64", "base64offset", "wide", "cidr", "gt", "exists",
             "fieldref", "expand", "hour", "neq", "startswith", "endswith", "utf16", "nonsense"]
        ),
        max_size=4,
    ),
    value=st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text("a*?\\%.(", max_size=4),
        st.lists(st.one_of(st.none(), st.integers(), st.text("a*?\\%", max_size=3)), max_size=3),
    ),
)  # fmt: skip
def test_no_chain_of_modifiers_breaks_the_loader(key: str, modifiers: list[str], value: object) -> None:
    from secmon.sigma.compile import RuleError, Settings, compile_rule  # noqa: PLC0415  the inner door
    from secmon.sigma.documents import YamlDocument  # noqa: PLC0415

    selection = {"|".join([key, *modifiers]): value}
    data = {"title": "T", "taxonomy": "ecs", "logsource": {"category": "authentication"}}
    data |= {"detection": {"selection": selection, "condition": "selection"}}
    try:
        compiled = compile_rule(YamlDocument("f", 1, data, {}), Settings())
    except RuleError:
        return
    assert compiled.rule.digest


def test_a_pipeline_gives_placeholders_their_values_and_routes_anew() -> None:
    pipeline = RuleFile(
        "p.yml",
        "name: p\npriority: 1\nvars: {admins: [adm1, 'op*']}\ntransformations:\n"
        "  - {id: v, type: value_placeholders}\n"
        "  - {id: l, type: change_logsource, product: cas, service: audit}\n"
        "  - {id: a, type: add_condition, conditions: {host.name: web1}}\n",
    )
    text = rule_text("s: {'user.name|expand': '%admins%'}\nf: {a: b}\ncondition: s and not 1 of f*")
    ruleset = load_rules([RuleFile("r.yml", text)], pipelines=[pipeline])
    assert ruleset.problems == ()
    (rule,) = ruleset.rules
    event: Event = {"event.dataset": "cas.audit", "user.name": "op7", "host.name": "web1"}
    assert both(rule, event)
    assert not both(rule, event | {"host.name": "web2"})
    assert not both(rule, event | {"event.dataset": "sshd", "event.category": ["authentication"]})


def test_tactics_and_techniques_come_from_the_tags() -> None:
    head = "tags: [attack.credential_access, attack.t1110.003, attack.stealth, attack.g0016, car.2013-05-004]"
    rule = only_rule(rule_text(head=head))
    assert rule.tactics == ("credential-access", "stealth")
    assert rule.techniques == ("T1110.003",)


def test_a_problem_is_told_in_the_same_words_at_every_run() -> None:
    (problem,) = load(rule_text("selection:\n  user.name|contains: null\ncondition: selection")).problems
    assert " object at 0x" not in problem.problem
