"""The shipped rules: each is proven, explained, catalogued and serves a control; ordinary days give no alert."""

import json
import os
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import yaml

from secmon.app.rule_tests import parse_lines
from secmon.compliance.framework import load_framework
from secmon.content import framework_files, playbook_files, rule_files, rule_test_files
from secmon.model.event import Event
from secmon.model.hit import Hit, Level
from secmon.sigma.correlate import group_hits, moments
from secmon.sigma.hits import make_hits
from secmon.sigma.index import Engine
from secmon.sigma.rule import CorrelationRule, Rule, RuleFile, RuleSet
from secmon.sigma.ruleset import load_rules
from secmon.sigma.testing import run_tests
from secmon.triage import sight

ROOT = Path(__file__).parent.parent
ORDINARY = Path(__file__).parent / "rules"
CATALOGUE = ROOT / "docs" / "rules-catalogue.md"
MAX_GROUP_FIELDS = 3

AnyRule = Rule | CorrelationRule


@cache
def shipped() -> RuleSet:
    found, errors = rule_files()
    assert errors == []
    return load_rules([RuleFile(*each) for each in found])


def alerting() -> list[AnyRule]:
    """Rules that make alerts: correlations, and rules that are no mere base of one."""
    rules: list[AnyRule] = [rule for rule in (*shipped().rules, *shipped().intel_rules) if rule.generates]
    return sorted([*rules, *shipped().correlations, *shipped().baselines], key=lambda rule: rule.path)


def stem(rule: AnyRule) -> str:
    path = Path(rule.path)
    return f"{path.parent.name}/{path.stem}"


@cache
def sources() -> dict[str, dict[str, Any]]:
    """Every document of every rule file, by id."""
    found, _ = rule_files()
    documents = [document for _, text in found for document in yaml.safe_load_all(text)]
    return {document["id"]: document for document in documents}


@cache
def engine() -> Engine:
    return Engine(shipped())


def fired(events: Iterable[Event]) -> dict[str, int]:
    """Return how often each rule fires over some events: hits of rules, moments of correlations."""
    ruleset, counts = shipped(), dict[str, int]()
    hits: list[Hit] = [hit for event in events for hit in make_hits(ruleset, event, engine().match(event))]
    rules = {rule.id: rule for rule in ruleset.rules}
    for hit in hits:
        if rules[hit.rule_id].generates:
            name = stem(rules[hit.rule_id])
            counts[name] = counts.get(name, 0) + 1
    for correlation in ruleset.correlations:
        found = sum(len(moments(correlation, group)) for _, group in group_hits(correlation, hits))
        if found:
            counts[stem(correlation)] = found
    return counts


def parsed(kind: str, lines: list[str]) -> list[Event]:
    return [{**event, "event.id": f"{number:032x}"} for number, event in enumerate(parse_lines(kind, lines))]


RULES = pytest.mark.parametrize("rule", alerting(), ids=stem)


def test_every_shipped_rule_runs() -> None:
    assert [problem.text for problem in shipped().problems] == []


def test_every_rule_finds_its_matches_and_passes_over_its_near_misses() -> None:
    tests, errors = rule_test_files()
    run = run_tests(shipped(), [RuleFile(*each) for each in tests], parse_lines)
    assert errors == []
    assert run.untested == ()
    assert [f"{each.where}: {each.case}: {each.problem}" for each in run.outcomes if not each.ok] == []


def test_every_test_stands_beside_a_rule() -> None:
    rules = {path.removesuffix(".yml") for path, _ in rule_files()[0]}
    tests = {path.removesuffix(".test.yaml") for path, _ in rule_test_files()[0]}
    assert tests == rules


def test_base_rules_are_informational_and_make_no_alert() -> None:
    bases = [rule for rule in shipped().rules if not rule.generates]
    assert {rule.level for rule in bases} == {Level.INFORMATIONAL}


@RULES
def test_a_rule_explains_itself_in_both_languages(rule: AnyRule) -> None:
    document = sources()[rule.id]
    assert re.search("[\u4e00-\u9fff]", rule.title_zh)
    assert re.search("[\u4e00-\u9fff]", rule.reason)
    assert rule.name.isascii()
    assert len(document["description"]) > 60
    assert document["falsepositives"]


@RULES
def test_an_id_is_a_random_uuid(rule: AnyRule) -> None:
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", rule.id)


@RULES
def test_levels_are_restrained(rule: AnyRule) -> None:
    assert rule.level in {Level.LOW, Level.MEDIUM, Level.HIGH}


@RULES
def test_alerts_are_grouped_by_few_fields(rule: AnyRule) -> None:
    assert 1 <= len(rule.group_by) <= MAX_GROUP_FIELDS


@RULES
def test_a_rule_names_techniques(rule: AnyRule) -> None:
    assert rule.techniques


@cache
def controls() -> dict[str, bool]:
    """Return each control with whether it is answered by hits of rules."""
    found: dict[str, bool] = {}
    for path, text in framework_files()[0]:
        framework, _ = load_framework(path, text)
        for control in framework.controls if framework else ():
            found[control.id] = any(check.kind == "rule_hits" for check in control.checks)
    return found


@RULES
def test_a_rule_serves_controls_that_exist(rule: AnyRule) -> None:
    assert rule.controls
    assert set(rule.controls) <= set(controls())


def test_every_control_that_asks_for_hits_is_served_by_a_rule() -> None:
    asked = {control for control, asks in controls().items() if asks}
    served = {control for rule in alerting() for control in rule.controls}
    assert asked
    assert asked - served == set()


def test_the_playbooks_that_rules_offer_exist() -> None:
    known = {yaml.safe_load(text)["id"] for _, text in playbook_files()[0]}
    assert {rule.playbook for rule in alerting() if rule.playbook} <= known


def test_the_rules_that_playbooks_name_exist() -> None:
    named = {rule for _, text in playbook_files()[0] for rule in yaml.safe_load(text)["applies_to"]["rules"]}
    assert named
    assert named - {rule.id for rule in alerting()} == set(sight.CARDS)


WITHOUT_PLAYBOOK: dict[str, str] = {}
"""Rule that offers no playbook → why not."""


def test_every_alerting_rule_offers_a_playbook_or_says_why_not() -> None:
    assert {stem(rule) for rule in alerting() if not rule.playbook} == set(WITHOUT_PLAYBOOK)
    assert all(WITHOUT_PLAYBOOK.values())


def test_every_playbook_is_offered_by_a_rule_or_by_what_secmon_says_of_itself() -> None:
    playbooks = [yaml.safe_load(text) for _, text in playbook_files()[0]]
    of_rules = {rule.playbook for rule in alerting() if rule.playbook}
    cards = {card.id for card in sight.CARDS.values()}
    of_itself = {one["id"] for one in playbooks if cards & set(one["applies_to"]["rules"])}
    assert {one["id"] for one in playbooks} == of_rules | of_itself
    assert of_itself


def needed(rule: AnyRule) -> str:
    """Say what log source a rule reads."""
    rules = shipped().by_id
    bases = (
        [base for each in rule.rule_ids if isinstance(base := rules[each], Rule)]
        if isinstance(rule, CorrelationRule)
        else [rule]
    )
    return "; ".join(sorted({str(base.logsource) for base in bases}))


def fields(rule: AnyRule) -> str:
    """Say which event fields a rule cannot do without: those of its condition, its keys and its counts."""
    rules = shipped().by_id
    if isinstance(rule, Rule):
        names = {*rule.fields, *(rule.intel.fields if rule.intel else ())}
    else:
        bases = [base for each in rule.rule_ids if isinstance(base := rules[each], Rule)]
        specs = [spec for base in bases for spec in base.keys if spec.correlation_id == rule.id]
        names = {name for base in bases for name in base.fields}
        names |= {name for spec in specs for _, found in (*spec.group, *spec.values) for name in found}
    return " ".join(f"`{name}`" for name in sorted(names))


def row(rule: AnyRule) -> str:
    """Return the line of the catalogue that tells of a rule."""
    served = ", ".join(sorted(control.removeprefix("L3-") for control in rule.controls))
    cells = (
        f"`{stem(rule)}`",
        rule.title_zh,
        rule.level.value,
        needed(rule),
        fields(rule),
        served,
        rule.playbook or "–",
    )
    return "| " + " | ".join(cells) + " |"


@RULES
def test_the_catalogue_tells_of_the_rule_as_it_is(rule: AnyRule) -> None:
    assert row(rule) in CATALOGUE.read_text(encoding="utf-8").splitlines()


def test_the_catalogue_tells_of_no_other_rule() -> None:
    told = re.findall(r"^\| `([a-z]+/[a-z_0-9]+)` \|", CATALOGUE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(told) == sorted(stem(rule) for rule in alerting())


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("nginx.access", "ordinary-access.log"),
        ("syslog", "ordinary-syslog.log"),
        ("cas.audit", "ordinary-cas.log"),
        ("ecs", "ordinary-education.jsonl"),
    ],
)
def test_an_ordinary_day_at_school_gives_no_alert(kind: str, name: str) -> None:
    lines = (ORDINARY / name).read_text(encoding="utf-8").splitlines()
    events = parsed(kind, lines)
    assert len(events) == len(lines)
    assert fired(events) == {}


REQUEST = '203.0.113.9 - - [07/Sep/2026:09:30:00 +0800] "GET {path} HTTP/1.1" 200 512 "-" "Mozilla/5.0"'


ATTACKS = [
    ("web/sql_injection", "1 union all select name,pwd from users"),
    ("web/sql_injection", "x' or '1'='1"),
    ("web/sql_injection", "1/**/union/**/select/**/1,2"),
    ("web/cross_site_scripting", "<script>alert(1)</script>"),
    ("web/cross_site_scripting", "<img src=x onerror=alert(1)>"),
    ("web/path_traversal", "../../../../etc/passwd"),
    ("web/path_traversal", "..\\..\\..\\windows\\win.ini"),
    ("web/command_injection", "127.0.0.1;cat /etc/hosts"),
    ("web/command_injection", "$(whoami)"),
    ("web/jndi_injection", "${jndi:ldap://203.0.113.9/a}"),
    ("web/java_deserialization", '{"@type":"com.sun.rowset.JdbcRowSetImpl"}'),
    ("web/php_deserialization", 'O:8:"Exploit1":1:{s:3:"cmd";}'),
    ("web/php_code_injection", "system('id')"),
    ("web/template_injection", "{{config.items()}}"),
    ("web/server_side_request", "http://169.254.169.254/latest/"),
    ("web/xml_external_entity", '<!ENTITY x SYSTEM "file:///etc/hosts">'),
    ("web/nosql_ldap_injection", '{"$ne":""}'),
    ("web/response_splitting", "x\r\nSet-Cookie: a=1"),
]
"""Rule → what it must see however it is written."""


def every_byte(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


def overlong(text: str) -> str:
    return "".join(f"%{0xC0 | ord(each) >> 6:02X}%{0x80 | ord(each) & 0x3F:02X}" for each in text)


DISGUISES: dict[str, Callable[[str], str]] = {
    "encoded once": lambda text: quote(text, safe=""),
    "encoded twice": lambda text: quote(quote(text, safe=""), safe=""),
    "encoded three times": lambda text: quote(quote(quote(text, safe=""), safe=""), safe=""),
    "plus for blank": quote_plus,
    "letters too": every_byte,
    "letters too, twice": lambda text: quote(every_byte(text), safe=""),
    "as escape() writes": lambda text: "".join(f"%u{ord(each):04x}" for each in text),
    "overlong": overlong,
    "overlong in three bytes": lambda text: "".join(
        f"%e0%{0x80 | ord(each) >> 6:02x}%{0x80 | ord(each) & 0x3F:02x}" for each in text
    ),
    "in capitals": lambda text: every_byte(text).upper(),
}


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
@pytest.mark.parametrize(("rule", "payload"), ATTACKS)
def test_encoding_an_attack_hides_it_from_no_rule(rule: str, payload: str, disguise: Callable[[str], str]) -> None:
    assert rule in fired(parsed("nginx.access", [REQUEST.format(path=f"/search?q={disguise(payload)}")]))


@pytest.mark.parametrize(
    "payload",
    [
        "1/**/union/**/select/**/1,2",
        "1/*x*/union/*y z*/all/*** **/select/*x*/1,2",
        "1 /*!50000union*/ /*!50000select*/ 1,2",
        "1 /*!union*//*!select*/ 1,2",
        "1\tunion\nselect\r\n1,2",
        "1\x0bunion\x0cselect\xa01,2",
        "1 uNiOn(sElEcT(1),2)",
        "-1 union all select@@version",
        "-1 union select 7",
        "1'/**/oR/**/'1'/**/lIkE/**/'1",
    ],
)
def test_what_a_database_skips_hides_no_injection(payload: str) -> None:
    assert "web/sql_injection" in fired(parsed("nginx.access", [REQUEST.format(path=f"/news?id={quote(payload)}")]))


@pytest.mark.parametrize(
    "path",
    [
        "/actuator/env", "/%61ctuator/%65nv", "//actuator///env", "/./actuator/./env", "/static/..;/actuator/env",
        "/static/%2e%2e/actuator/env", "/actuator;a=b/env;c=d", "/%2561ctuator/env", "/actuator%2fenv",
        "/actuator%5cenv", "/ACTUATOR/ENV", "/%c0%af%61ctuator%c0%afenv", "/actuator/env/",
    ],
)  # fmt: skip
def test_no_way_to_write_a_path_hides_a_management_page(path: str) -> None:
    assert "web/exposed_management_page" in fired(parsed("nginx.access", [REQUEST.format(path=path)]))


HARMLESS = [
    "学生会 (union) 选举 select 委员会",
    "O'Brien and Sons = 3",
    "教师's or 家长's 意见",
    "Cat; dog; find out more",
    "Staff | Head of Year",
    "Java; Python 3; PHP 7.4",
    "运行 `python -m pytest`, 看 `id` 和 `env` 的用法",
    "def __init__(self, name): 构造函数怎么写",
    "Benchmark (2,858 rules)",
    'print("a")  # 注释',
    'option("--zone", default="UTC")',
    'if x["and", "or"] -> y',
    "1/2 and 3/4 or 5",
    "c++ && c# || java",
    "成绩 > 60 且 < 90",
    "<<红楼梦>> 第十回",
    "e-mail: onload 事件是什么意思",
    "C:\\Users\\课件\\第1章.pptx",
    "作业/../提交说明",
    "100% 完成 50%25",
    "select 课程 from 教务处网站",
    "来来往往 拉拉队 老李",
    "https://www.example.edu.cn/a.html?x=1",
    "{{ user.name }} 您好",
    "${姓名} 同学",
    "2026-09-07 -- 2026-09-30",
    "(教务)(处)，（通知）；“关于放假”",
]
"""What people look for, and forms send, that has something of an attack."""

HARMLESS_WAYS = {
    "as browsers send it": quote_plus,
    "twice": lambda text: quote(quote(text, safe=""), safe=""),
    "by an old page": lambda text: quote(text.encode("gb18030")),
    "as escape() writes": lambda text: "".join(
        f"%u{ord(each):04x}" if ord(each) > 0xFF else quote(each) for each in text
    ),
}


@pytest.mark.parametrize("way", HARMLESS_WAYS.values(), ids=HARMLESS_WAYS)
@pytest.mark.parametrize("text", HARMLESS)
def test_what_people_look_for_gives_no_alert(text: str, way: Callable[[str], str]) -> None:
    assert fired(parsed("nginx.access", [REQUEST.format(path=f"/search?q={way(text)}&page=1")])) == {}


def corpus(label: str) -> list[str]:
    """Return payloads of the gotestwaf corpus that fit into a web address."""
    path = Path(os.environ["SECMON_CORPORA"]) / "gotestwaf" / "payloads.jsonl"
    cases = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [case["payload"] for case in cases if case["label"] == label and "\n" not in case["payload"]]


def requests(payloads: Iterable[str], layers: int) -> list[str]:
    lines = []
    for payload in payloads:
        text = payload
        for _ in range(layers):
            text = quote(text, safe="")
        lines.append(REQUEST.format(path=f"/search?q={text}"))
    return lines


@pytest.mark.corpora
@pytest.mark.parametrize("layers", [1, 2])
def test_ordinary_texts_of_the_corpus_give_no_alert(layers: int) -> None:
    payloads = corpus("benign")
    assert len(payloads) > 40
    assert fired(parsed("nginx.access", requests(payloads, layers))) == {}


@pytest.mark.corpora
def test_at_least_half_of_the_corpus_attacks_are_seen_in_the_address() -> None:
    """Many of them belong into a body, which an access log does not hold."""
    payloads = corpus("attack")
    events = parsed("nginx.access", requests(payloads, 1))
    seen = sum(1 for event in events if any(rule.generates for rule in engine().match(event)))
    assert seen >= len(payloads) / 2
