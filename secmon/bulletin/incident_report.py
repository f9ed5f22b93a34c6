"""网络安全事件报告 (上行): the facts the system has, laid into the form a superior expects; everything else stays open.

One form serves the three reports of the education system (事发紧急、事中、事后) and the eight items of the national
measure. The clauses of the grading guide stand beside the facts as 达到/接近/无法判定/不适用; the grade is a
person's 研判结论.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from secmon.bulletin.criteria import Judged, clocks_of, judge, propose_category
from secmon.bulletin.direction import DIRECTIONS, default_recipients, recipients
from secmon.bulletin.facts import AlertEvidence, AlertFacts, evidence_of
from secmon.bulletin.guide import Category, IncidentGuide, ReportItem, Stage
from secmon.bulletin.wording import (
    body,
    body_to_fill,
    bulletin_id,
    field,
    heading,
    minute,
    numbered,
    personal_data,
    span,
    table,
)
from secmon.model.asset import Asset
from secmon.model.bulletin import TO_FILL, Bulletin, BulletinKind, BulletinParagraph
from secmon.model.printable import clean, shield
from secmon.model.unit import Unit, UnitTree

MAX_SOURCES = 10
# Anomalies and hidden dangers are alerts, not incidents, until people say so: otherwise a 零报告 could never be zero.
_NOT_COUNTED = frozenset({"AB", "SHE"})
_CONFIRM = "，待人工确认"


def compose_incident_report(
    facts: AlertFacts,
    guide: IncidentGuide,
    *,
    issuer: Unit,
    tree: UnitTree,
    at: datetime,
    to: Iterable[str] | None = None,
    stage: str = "urgent",
) -> Bulletin:
    """Draft a 网络安全事件报告 from one alert.

    Args:
        facts: the alert.
        guide: clauses, deadlines, stages and items.
        issuer: the unit where it happened.
        tree: all units.
        at: now.
        to: ids of the units addressed; None: the issuer's 主管单位.
        stage: "urgent", "ongoing" or "after".

    Raises:
        SecmonError: a recipient is neither the issuer's 主管 nor its 属地 unit.
        KeyError: there is no such stage.
    """
    kind = BulletinKind.INCIDENT_REPORT
    evidence, category, which = evidence_of(facts), propose_category(guide, facts), guide.stage(stage)
    asked = default_recipients(kind, issuer, tree) if to is None else to
    return Bulletin(
        id=bulletin_id(kind, issuer.id, facts, at),
        kind=kind,
        direction=DIRECTIONS[kind],
        title=f"关于{_subject(facts)}疑似{category.name}情况的{which.name}",
        issuer_id=issuer.id,
        issuer_name=clean(issuer.name),
        recipients=recipients(kind, issuer, tree, asked),
        paragraphs=tuple(_paragraphs(_Case(facts, guide, issuer, category, which, evidence))),
        alerts=((facts.id, facts.revision),),
        evidence=evidence.all,
        created_at=at,
        notes=(
            "本稿由监测系统依据日志形成，系统不判定事件级别；级别、是否构成网络安全事件由本单位研判。",
            *(f"置信记号{mark}：{text}。" for mark, text in guide.legend.items()),
        ),
    )


def _subject(facts: AlertFacts) -> str:
    names = [clean(asset.name) for asset in facts.assets]
    return f"{names[0]}等{len(names)}个系统" if len(names) > 1 else names[0] if names else "本单位系统"


@dataclass(frozen=True, slots=True)
class _Case:
    """What one report is written from."""

    facts: AlertFacts
    guide: IncidentGuide
    issuer: Unit
    category: Category
    stage: Stage
    evidence: AlertEvidence


def _paragraphs(case: _Case) -> Iterable[BulletinParagraph]:
    facts, guide, category, evidence = case.facts, case.guide, case.category, case.evidence
    ids = evidence.ids
    yield heading(1, "基本情况")
    yield from _basics(case)
    yield heading(2, "发现经过与监测事实")
    yield body(_course(facts), ids)
    yield from _impact(facts, ids)
    yield heading(4, "分级条款对照")
    yield body("下表逐条列出条款与已取得数据的关系，只供研判参考，不是对事件级别的判断。", ids)
    yield from _criteria(judge(guide, facts, category), ids)
    yield heading(5, "研判结论")
    if category.group_code in _NOT_COUNTED:
        yield body(f"{category.group_name}一类的告警未经研判属实，不计为网络安全事件。", ids)
    for label in ("是否构成网络安全事件", "研判级别", "研判人", "研判理由与对应条款", "无法判定的条款及补充核实安排"):
        yield field(label, "")
    yield heading(6, "处置情况")
    yield body(f"建议立即开展的处置：{numbered(category.act)}以上为监测系统按类别给出的建议，不代表已经采取。", ids)
    for label in ("先期处置措施及时间", "措施效果", "现场保护与日志留存情况", "拟采取措施与请求支援事项"):
        yield field(label, "")
    for label in case.stage.fields:
        yield field(label, "")
    if case.stage.signature:
        yield field("单位主要负责人签字、盖章", "")
    yield heading(7, "报告内容对照")
    yield from _items(facts, guide.items, ids)
    yield heading(8, "报告时限与去向")
    yield from _clocks(facts, guide)
    yield heading(9, "证据清单")
    yield body("证据编号由该份证据内容的SHA-256摘要前16位构成。", ids)
    head = ("证据编号", "内容", "数量")
    yield from table(head, [(one.id, one.query, str(one.count)) for one in evidence.all], ids)


def _basics(case: _Case) -> Iterable[BulletinParagraph]:
    facts, category, stage, ids = case.facts, case.category, case.stage, case.evidence.ids
    yield field("报告类别", f"{stage.name}（时限：{stage.deadline}；置信{stage.confidence}）", ids)
    yield field("报告单位", clean(case.issuer.name), ids)
    for label in (
        "统一社会信用代码",
        "报告路线（关基运营者、中央和国家机关、其他）",
        "报告人、职务、手机",
        "主要负责人",
    ):
        yield field(label, "")
    yield field("发现或获知时刻与依据", "")
    yield field("发生时刻（监测到的最早时刻）", f"{minute(facts.first)}{_CONFIRM}", ids)
    yield field("发现途径", "日志监测", ids)
    for asset in facts.assets:
        yield field("涉及系统", _system(asset), ids)
    if not facts.assets:
        yield field("涉及系统", "")
    yield field("是否重点保护对象", "")
    code = f"{category.group_name}（{category.group_code}）—{category.name}（{category.code}）"
    others = f"，备选{'、'.join(category.alternatives)}" if category.alternatives else ""
    yield field("事件类别（GB/T 20986-2023）", f"建议{code}{others}{_CONFIRM}（置信V）", ids)
    yield field("事件类别（教育系统预案）", f"建议{category.education}{_CONFIRM}（置信P）", ids)


def _system(asset: Asset) -> str:
    level = f"等保{'〇一二三四五'[asset.level]}级" if 0 < asset.level <= 5 else "等保定级未登记"  # noqa: PLR2004 -- MLPS has five levels
    filing = f"备案证明编号{clean(asset.filing_number)}" if asset.filing_number else "备案证明编号未登记"
    supplier = f"承建或运维单位{clean(asset.supplier)}" if asset.supplier else "承建或运维单位未登记"
    return f"{clean(asset.name)}（{level}，{filing}，{supplier}）"


def _course(facts: AlertFacts) -> str:
    techniques = f"，对应ATT&CK技术{'、'.join(clean(one) for one in facts.techniques)}" if facts.techniques else ""
    state = f"目前研判意见为“{clean(facts.close_reason_zh)}”" if facts.close_reason_zh else "目前正在研判"
    return (
        f"{span(facts)}，监测系统规则“{clean(facts.rule_title_zh)}”满足检测条件{facts.count}次{techniques}。"
        f"告警编号{facts.id}，第{facts.revision}版；{state}。"
    )


def _impact(facts: AlertFacts, ids: tuple[str, ...]) -> Iterable[BulletinParagraph]:
    yield heading(3, "影响情况")
    if facts.has_personal_data:
        yield body(f"{personal_data(facts)}。以上仅为进入日志的部分，实际涉及范围须人工核实。", ids)
    else:
        yield body("相关日志中未识别出个人信息，不能据此排除个人信息受到影响。", ids)
    for label in ("不可用时长", "页面篡改时长、浏览和转发量", "直接经济损失", "其他影响和危害"):
        yield field(label, "")


def _criteria(judged: tuple[Judged, ...], ids: tuple[str, ...]) -> list[BulletinParagraph]:
    head = ("指南条款（要点）", "指南所在档次", "对照", "数据来源与说明", "置信")
    rows = [
        (f"{clause.topic}：{clause.text}", clause.tier, one.state.value, one.basis, clause.confidence)
        for one in judged
        for clause in (one.criterion,)
    ]
    return table(head, rows, ids)


def _items(facts: AlertFacts, items: tuple[ReportItem, ...], ids: tuple[str, ...]) -> Iterable[BulletinParagraph]:
    """Say for each of the eight items where its content stands; what only people know stays open."""
    known = {
        1: "见第一部分。",
        2: "时间、类别见第一部分；影响见第三部分；级别见第五部分；措施见第六部分。",
        5: _traces(facts),
    }
    head = ("序号", "国家网络安全事件报告管理办法要求的内容（要点）", "首报必报", "本报告内容", "置信")
    rows = [
        (str(one.number), one.text, "是" if one.first else "可补报", known.get(one.number) or TO_FILL, one.confidence)
        for one in items
    ]
    first, *others = table(head, rows, ids)
    yield first
    for row in others:
        number = int(row.cells[0])
        yield row if known.get(number) else table(head, [row.cells])[1]


def _traces(facts: AlertFacts) -> str:
    """Return what the logs say about the attacker; a source address is a trace, not an attacker."""
    if not facts.sources:
        return ""
    shown = "、".join(shield(one, max_chars=60) for one in facts.sources[:MAX_SOURCES])
    more = f"等{len(facts.sources)}个" if len(facts.sources) > MAX_SOURCES else ""
    return f"日志记录的来源地址{shown}{more}，是否为真实攻击来源待核实；攻击路径与存在的漏洞{TO_FILL}"


def _clocks(facts: AlertFacts, guide: IncidentGuide) -> Iterable[BulletinParagraph]:
    yield body_to_fill(
        "国家办法规定，经研判为较大及以上的网络安全事件须报告；有行业主管部门要求的，还须按其规定报告。"
        f"时限自“发现或获知”时刻起算，由本单位确认。本单位适用：{TO_FILL}"
    )
    head = ("事项", "起算", "时限", "报告或通知对象", "置信", "到期时刻")
    yield from table(
        head,
        [(one.name, one.start, one.within, one.to, one.confidence, TO_FILL) for one in clocks_of(guide, facts)],
    )
    yield from table(("去向", "方式", "时刻", "接收人", "回执号", "是否超时"), [(TO_FILL, "", "", "", "", "")] * 3)
