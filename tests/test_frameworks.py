"""The shipped catalogues: complete, marked, and nothing in them can be 符合 without data."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from secmon.compliance.framework import load_framework
from secmon.model.assessment import Control, FactSource, FactSpec, Framework, Result, Selection
from secmon.model.event import Event
from secmon.model.text import has_phrase, words

FOLDER = Path(__file__).parent.parent / "frameworks"
# The level-3 items of 安全计算环境 whose check modes include L (logs).
LOG_ITEMS = [1, 2, 3, 4, 6, 7, 8, 9, 12, 13, 14, 15, 18, 19, 20, 21, 22, 23, 25, 26, 27, 28, 29, 30, 31, 35]


def shipped() -> Framework:
    path = FOLDER / "mlps-l3-ces.yaml"
    framework, errors = load_framework(path.name, path.read_text(encoding="utf-8"))
    assert [str(error) for error in errors] == []
    assert framework is not None
    return framework


CONTROLS = shipped().controls


def test_the_catalogue_has_exactly_the_26_items_that_logs_can_answer() -> None:
    assert len(LOG_ITEMS) == 26
    assert [control.id for control in CONTROLS] == [f"L3-CES1-{number:02}" for number in LOG_ITEMS]


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.id)
def test_an_item_carries_its_place_and_its_mark(control: Control) -> None:
    assert control.clause.startswith("8.1.4.")
    assert control.class_code == "CES"
    assert control.level == (3,)
    assert control.confidence in {"V", "V2", "G", "P"}
    assert len(control.gist) >= 8


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.id)
def test_what_can_be_met_names_the_coverage_it_takes(control: Control) -> None:
    for check in control.checks:
        if any(outcome.result is Result.MET for outcome in check.outcomes):
            assert check.coverage
            assert all(coverage.count >= 1 for coverage in check.coverage)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.id)
def test_an_item_has_a_required_check(control: Control) -> None:
    assert any(check.required for check in control.checks)


def test_a_rule_check_looks_at_the_rules_of_its_own_item() -> None:
    for control in CONTROLS:
        for check in control.checks:
            if "hits" in check.facts:
                assert check.facts["hits"].controls == (control.id,)


def test_the_legend_explains_every_mark() -> None:
    assert set(shipped().legend) >= {"V", "V2", "G", "P"}


# Facts that the shipped sample logs hold something for; the others wait for samples of backups and scanners.
SAMPLED = (
    "登录记录", "写明账号的登录记录", "时间、账号、类型、成败、来源齐全的登录记录", "失败的登录",
    "账号锁定或限制登录的记录", "加密方式的远程管理登录", "网络会话记录", "成功的登录", "默认账户的成功登录",
    "来宾或测试账户的成功登录", "账户启停、增删记录", "提升权限的操作记录", "Web 访问记录", "被拒绝的 Web 访问",
    "带主机名的日志", "该系统的全部日志", "日志被清除的记录", "操作系统审计日志", "审计服务停止的记录",
    "入侵检测设备或软件的告警", "防恶意代码软件的记录", "文件完整性监测记录",
)  # fmt: skip


def sampled_events() -> Iterator[Event]:
    for path in sorted((FOLDER.parent / "test_corpora").glob("*/*.expected.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield {name: value for name, value in json.loads(line).get("fields", {}).items() if value is not None}


EVENTS = list(sampled_events())


def selects(selection: Selection, event: Event) -> bool:
    """The obvious reading of a selection."""
    for name, accepted in selection.equals.items():
        value = event.get(name, [])
        if not {str(one) for one in (value if isinstance(value, list) else [value])} & set(accepted):
            return False
    phrase = words(selection.text)
    return all(name in event for name in selection.present) and (
        not phrase or any(has_phrase(str(value), phrase) for value in event.values())
    )


def event_facts() -> dict[str, FactSpec]:
    checks = [check for control in CONTROLS for check in control.checks]
    specs = [spec for check in checks for spec in check.facts.values()]
    return {spec.title: spec for spec in specs if spec.source is FactSource.EVENTS}


@pytest.mark.parametrize("title", SAMPLED)
def test_a_fact_finds_events_of_the_shipped_samples(title: str) -> None:
    spec = event_facts()[title]
    assert any(selects(selection, event) for selection in spec.any_of for event in EVENTS)


@pytest.mark.parametrize("title", sorted(event_facts()))
def test_the_alternatives_of_a_fact_do_not_overlap_on_the_samples(title: str) -> None:
    spec = event_facts()[title]
    for event in EVENTS:
        assert sum(selects(selection, event) for selection in spec.any_of) <= 1
