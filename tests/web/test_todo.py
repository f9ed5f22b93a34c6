"""今日十件事: the most urgent first, never more than ten, nothing hidden by a burst of one rule."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from secmon.web.todo import MOST, MOST_ALERTS, Facts, todo

SUMMARY = {"符合": 1, "部分符合": 0, "不符合": 2, "不适用": 0, "未核查": 3}


def alert(rule: str = "r1", level: str = "high", **more: Any) -> dict[str, Any]:
    return {
        "alert.id": f"id-{rule}",
        "rule.id": rule,
        "rule.name": rule,
        "rule.title_zh": f"规则{rule}",
        "rule.level": level,
        "alert.reason": "账号 a 登录",
        **more,
    }


def source(name: str, state: str = "ok") -> dict[str, Any]:
    return {"source": name, "state": state, "problems": ["没有这个文件"]}


def texts(facts: Facts) -> list[str]:
    return [item.text for item in todo(facts)[0]]


def test_with_nothing_to_do_nothing_is_said() -> None:
    assert todo(
        Facts(sources=[source("web")], checks=[{"check": "store", "state": "ok", "detail": "", "remedy": ""}])
    ) == ([], 0)


def test_alerts_of_one_rule_are_one_thing_to_do() -> None:
    items, more = todo(Facts(alerts=[alert() for _ in range(30)]))
    assert [item.text for item in items] == ["30 条同类告警待研判（级别：高）：规则r1。"]
    assert (items[0].link, more) == ("/alerts?rule=r1", 0)


def test_one_alert_is_opened_at_once() -> None:
    (item,), _ = todo(Facts(alerts=[alert()]))
    assert (item.link, item.why) == ("/alerts/id-r1", "账号 a 登录")


def test_the_severe_comes_before_the_mild() -> None:
    found = texts(Facts(alerts=[alert("a", "low"), alert("b", "critical"), alert("c", "medium")]))
    assert [text[-2] for text in found] == ["b", "c", "a"]


def test_a_source_that_cannot_be_read_comes_first() -> None:
    found = texts(Facts(alerts=[alert(level="critical")], sources=[source("cas", "failing")]))
    assert found[0] == "日志来源 cas 读取异常，这段时间的日志没有进来。"


def test_silent_sources_are_one_sentence() -> None:
    found = texts(Facts(sources=[source(f"s{number}", "silent") for number in range(5)]))
    assert found == ["5 个日志来源超过约定时间没有新日志：s0、s1、s2等。"]


def test_a_burst_of_rules_leaves_room_for_the_rest() -> None:
    facts = Facts(
        alerts=[alert(f"r{number}") for number in range(40)],
        sources=[source("a", "silent")],
        waiting=7,
        assets=[{"asset.id": "A-1", "name": "教务系统", "level": 3}],
    )
    items, more = todo(facts)
    kinds = [item.kind for item in items]
    assert (len(items), kinds.count("alert"), more) == (MOST, 7, 33)
    assert {"source", "letter", "assessment"} <= set(kinds)


def test_the_machine_only_says_what_people_decide() -> None:
    """A grade, a colour or a verdict is never in a sentence of ours."""
    facts = Facts(
        alerts=[alert(level="critical")],
        assessments=[{"assessment.id": "x", "asset.id": "A-1", "title": "教务系统自查报告", "summary": SUMMARY}],
    )
    for text in texts(facts):
        assert not any(word in text for word in ("Ⅰ级", "Ⅱ级", "Ⅲ级", "Ⅳ级", "红色", "橙色", "黄色", "蓝色", "总体"))


def test_systems_of_level_three_and_above_want_an_assessment() -> None:
    assets = [{"asset.id": f"A-{level}", "name": f"系统{level}", "level": level} for level in range(6)]
    done = [{"assessment.id": "x", "asset.id": "A-4", "title": "t", "summary": {**SUMMARY, "不符合": 0, "未核查": 0}}]
    assert texts(Facts(assets=assets, assessments=done)) == ["2 个等保三级以上系统还没有做过自查：系统3、系统5。"]


def test_only_the_latest_assessment_of_a_system_counts() -> None:
    old = {"assessment.id": "old", "asset.id": "A-1", "title": "旧", "summary": SUMMARY}
    new = {"assessment.id": "new", "asset.id": "A-1", "title": "新", "summary": {**SUMMARY, "不符合": 0, "未核查": 0}}
    assert texts(Facts(assessments=[new, old])) == []


def test_many_drafts_are_one_thing_to_do() -> None:
    rows = [
        {
            "bulletin.id": f"{n}",
            "kind": "warning",
            "state": "draft",
            "title": f"第{n}份",
            "paragraphs": [{"to_fill": True}],
        }
        for n in range(9)
    ]
    assert texts(Facts(bulletins=rows)) == ["9 份通报和报告草稿待填写，最近一份：第0份。"]
    assert texts(Facts(bulletins=rows[:1])) == ["预警通报草稿待填写：第0份。"]
    assert texts(Facts(bulletins=[{**rows[0], "state": "distributed"}])) == []


@given(
    alerts=st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["low", "medium", "high", "critical"])), max_size=60),
    failing=st.integers(0, 15),
    silent=st.integers(0, 15),
    waiting=st.integers(0, 3),
)
def test_at_most_ten_in_order_and_none_forgotten(
    alerts: list[tuple[int, str]], failing: int, silent: int, waiting: int
) -> None:
    rows = [alert(f"r{rule}", level) for rule, level in alerts]
    sources = [source(f"f{n}", "failing") for n in range(failing)] + [source(f"s{n}", "silent") for n in range(silent)]
    items, more = todo(Facts(alerts=rows, sources=sources, waiting=waiting))
    rules = len({rule for rule, _ in alerts})
    others = failing + bool(silent) + bool(waiting)
    assert len(items) == min(MOST, len(items) + more)
    assert len(items) + more == rules + others
    assert [item.urgency for item in items] == sorted(item.urgency for item in items)
    assert sum(item.kind == "alert" for item in items) >= min(rules, MOST_ALERTS)
