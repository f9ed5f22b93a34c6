"""今日十件事: what to do next, in plain sentences, for somebody with fifteen minutes a day.

Pure: facts in, at most ten items out, the most urgent first. Alerts take at most six places while other work waits,
so that a burst of one rule does not hide a source that went silent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from secmon.web import words

MOST = 10
MOST_ALERTS = 6
MOST_DRAFTS = 3
"""So many drafts are named one by one."""
ALERTS_READ = 200
"""How many open alerts are looked at; a rule that has more than these is still one item."""

_RANK = {level: rank for rank, level in enumerate(reversed(words.LEVEL_ZH))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the list is made of, as JSON rows of the other pages.

    Args:
        alerts: open alerts.
        sources: accounts of sources.
        checks: checks of the daemon; empty for who may not see them.
        waiting: dead letters that wait.
        assets: registered systems.
        assessments: kept self-assessments, latest first.
        bulletins: bulletins, latest first.
    """

    alerts: Sequence[Mapping[str, Any]] = ()
    sources: Sequence[Mapping[str, Any]] = ()
    checks: Sequence[Mapping[str, str]] = ()
    waiting: int = 0
    assets: Sequence[Mapping[str, Any]] = ()
    assessments: Sequence[Mapping[str, Any]] = ()
    bulletins: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing to do.

    Args:
        kind: "source", "check", "alert", "letter", "bulletin" or "assessment".
        text: what is the matter, one sentence.
        why: what to look at or why it matters; may be empty.
        action: word on the button.
        link: where the action is.
        urgency: 0 is first.
    """

    kind: str
    text: str
    why: str
    action: str
    link: str
    urgency: int

    def row(self) -> dict[str, str]:
        """Return the item as JSON."""
        return {"kind": self.kind, "text": self.text, "why": self.why, "action": self.action, "link": self.link}


def todo(facts: Facts) -> tuple[list[Item], int]:
    """Return at most ten things to do, and how many more there are."""
    alerts = sorted(_alerts(facts.alerts), key=_urgency)
    others = sorted(
        [*_broken(facts), *_silent(facts), *_letters(facts), *_bulletins(facts), *_assessments(facts)], key=_urgency
    )
    room = max(MOST_ALERTS, MOST - len(others))
    chosen = sorted([*alerts[:room], *others[: MOST - min(room, len(alerts))]], key=_urgency)
    return chosen, len(alerts) + len(others) - len(chosen)


def _urgency(item: Item) -> int:
    return item.urgency


def _alerts(rows: Sequence[Mapping[str, Any]]) -> list[Item]:
    by_rule: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_rule.setdefault(row["rule.id"], []).append(row)
    return [_alert_item(found) for found in by_rule.values()]


def _alert_item(found: Sequence[Mapping[str, Any]]) -> Item:
    first = min(found, key=lambda row: _RANK[row["rule.level"]])
    level, title = first["rule.level"], first.get("rule.title_zh") or first["rule.name"]
    single = len(found) == 1
    number = "" if single else f"{len(found):,} 条同类"
    link = f"/alerts/{quote(first['alert.id'])}" if single else f"/alerts?rule={quote(first['rule.id'])}"
    return Item(
        kind="alert",
        text=f"{number}告警待研判（级别：{words.LEVEL_ZH[level]}）：{title}。",
        why=first["alert.reason"],
        action="去研判",
        link=link,
        urgency=10 + 10 * _RANK[level],
    )


def _broken(facts: Facts) -> list[Item]:
    failing = [
        Item(
            kind="source",
            text=f"日志来源 {row['source']} 读取异常，这段时间的日志没有进来。",
            why="；".join(row.get("problems", ())),
            action="看原因",
            link=f"/sources#{quote(row['source'])}",
            urgency=0,
        )
        for row in facts.sources
        if row["state"] == "failing"
    ]
    unwell = [
        Item(
            kind="check",
            text=f"本系统自检：{words.CHECK_ZH.get(row['check'], row['check'])}"
            f"{'发生故障' if row['state'] == 'fail' else '需要注意'}。",
            why=row["detail"],
            action="看自检",
            link="/#checks",
            urgency=1 if row["state"] == "fail" else 35,
        )
        for row in facts.checks
        if row["state"] in {"fail", "warn"} and row["check"] != "sources"  # each failing source is an item already
    ]
    return failing + unwell


def _silent(facts: Facts) -> list[Item]:
    silent = [row for row in facts.sources if row["state"] == "silent"]
    if not silent:
        return []
    named = "、".join(row["source"] for row in silent[:3]) + ("等" if len(silent) > 3 else "")  # noqa: PLR2004
    return [
        Item(
            kind="source",
            text=f"{len(silent):,} 个日志来源超过约定时间没有新日志：{named}。",
            why="没有日志就没有告警，请核对日志是否仍在写入。",
            action="去核对",
            link="/sources",
            urgency=25,
        )
    ]


def _letters(facts: Facts) -> list[Item]:
    if not facts.waiting:
        return []
    return [
        Item(
            kind="letter",
            text=f"{facts.waiting:,} 条日志没能解析，原文已加密留存，等待处理。",
            why="改正解析或来源类型后重放入库，确认无用的写明理由放弃。",
            action="去处理",
            link="/deadletters",
            urgency=38,
        )
    ]


def _bulletins(facts: Facts) -> list[Item]:
    drafts = [row for row in facts.bulletins if row["state"] == "draft"]
    if len(drafts) > MOST_DRAFTS:
        text = f"{len(drafts):,} 份通报和报告草稿待填写，最近一份：{drafts[0]['title']}。"
        why = "不再需要的不必管它，要发的填好后导出送签。"
        return [Item(kind="bulletin", text=text, why=why, action="去填写", link="/bulletins", urgency=36)]
    return [
        Item(
            kind="bulletin",
            text=f"{words.BULLETIN_KIND_ZH.get(row['kind'], row['kind'])}草稿待填写：{row['title']}。",
            why=f"还有 {to_fill(row):,} 处须由人填写，填好后导出送签。",
            action="去填写",
            link=f"/bulletins/{quote(row['bulletin.id'])}",
            urgency=36,
        )
        for row in drafts
    ]


def _assessments(facts: Facts) -> list[Item]:
    assessed = {row["asset.id"] for row in facts.assessments}
    never = [row for row in facts.assets if row["level"] >= 3 and row["asset.id"] not in assessed]  # noqa: PLR2004
    items = []
    if never:
        named = "、".join(row["name"] for row in never[:3]) + ("等" if len(never) > 3 else "")  # noqa: PLR2004
        items.append(
            Item(
                kind="assessment",
                text=f"{len(never):,} 个等保三级以上系统还没有做过自查：{named}。",
                why="",
                action="去自查",
                link="/compliance",
                urgency=60,
            )
        )
    latest: dict[str, Mapping[str, Any]] = {}
    for row in facts.assessments:
        latest.setdefault(row["asset.id"], row)
    for row in latest.values():
        failed, open_ = row["summary"]["不符合"], row["summary"]["未核查"]
        if failed or open_:
            items.append(
                Item(
                    kind="assessment",
                    text=f"{row['title']}：{failed} 项不符合、{open_} 项未核查。",
                    why="不符合的整改，未核查的补查配置或补材料。",
                    action="看清单",
                    link=f"/compliance/{quote(row['assessment.id'])}",
                    urgency=62,
                )
            )
    return items


def to_fill(bulletin: Mapping[str, Any]) -> int:
    """Return how many places of a bulletin a person still has to fill in."""
    return sum(1 for one in bulletin["paragraphs"] if one.get("to_fill"))
