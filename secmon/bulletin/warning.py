"""预警通报 (下行): tells the units below what kind of attack is about, how to look for it and what to do.

It goes to many units, so it carries nothing that belongs to one of them or would help an attacker: no system name,
domain, address, account, sample or payload; only what happened, how often, in how many units. Its level and colour
are acts of the authority that may issue them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from secmon.bulletin.criteria import propose_category
from secmon.bulletin.direction import DIRECTIONS, default_recipients, recipients
from secmon.bulletin.facts import AlertEvidence, AlertFacts, evidence_of
from secmon.bulletin.guide import Category, IncidentGuide
from secmon.bulletin.wording import (
    body,
    body_to_fill,
    bulletin_id,
    field,
    heading,
    minute,
    numbered,
    span,
    subheading,
)
from secmon.model.bulletin import TO_FILL, Bulletin, BulletinKind, BulletinParagraph
from secmon.model.printable import clean
from secmon.model.unit import Unit, UnitTree


def compose_warning(
    facts: AlertFacts,
    guide: IncidentGuide,
    *,
    issuer: Unit,
    tree: UnitTree,
    at: datetime,
    to: Iterable[str] | None = None,
) -> Bulletin:
    """Draft a 预警通报 from one alert.

    Args:
        facts: the alert.
        guide: categories and marks.
        issuer: the unit that drafts it.
        tree: all units.
        at: now.
        to: ids of the units addressed; None: all units right below the issuer.

    Raises:
        SecmonError: a recipient does not stand below the issuer.
    """
    kind = BulletinKind.WARNING
    # Its JSON form travels too, so not even masked values of one unit's people go in.
    evidence = evidence_of(replace(facts, masked_values=()))
    category = propose_category(guide, facts)
    affected = [unit.id for unit in facts.units]
    asked = default_recipients(kind, issuer, tree, affected) if to is None else to
    return Bulletin(
        id=bulletin_id(kind, issuer.id, facts, at),
        kind=kind,
        direction=DIRECTIONS[kind],
        title=f"关于防范{category.name}风险的预警通报",
        issuer_id=issuer.id,
        issuer_name=clean(issuer.name),
        recipients=recipients(kind, issuer, tree, asked),
        paragraphs=tuple(_paragraphs(facts, category, evidence)),
        alerts=((facts.id, facts.revision),),
        evidence=evidence.all,
        created_at=at,
        notes=(
            "知悉范围：主送、抄送单位网络安全工作人员，不得转发至互联网即时通信工具。",
            "事件类别代码依据GB/T 20986-2023，由系统按规则标注的技术建议（置信P；代码为V，拼写须对照标准附录）。",
            "预警级别与颜色由发布单位在权限内确定，系统不作建议。",
        ),
    )


def _paragraphs(facts: AlertFacts, category: Category, evidence: AlertEvidence) -> Sequence[BulletinParagraph]:
    ids = evidence.ids
    return [
        heading(1, "预警信息"),
        field("预警名称", f"{category.name}风险", ids),
        field("预警级别与颜色", ""),
        field(
            "事件类别",
            f"{category.group_name}（{category.group_code}）—{category.name}（{category.code}），建议，待人工确认",
            ids,
        ),
        field("起始时间", minute(facts.first), ids),
        field("有效期与解除条件", ""),
        field("漏洞名称与编号", ""),
        field("影响产品与版本", ""),
        field("危害等级", ""),
        heading(2, "基本情况"),
        body(_situation(facts), ids),
        *([body(_data(facts), ids)] if facts.has_personal_data else []),
        heading(3, "成因与危害"),
        body(f"{category.cause}{category.harm}", ids),
        body_to_fill(f"利用情况（是否有公开利用方法、是否已有在野利用，注明来源）：{TO_FILL}"),
        heading(4, "可能影响范围"),
        body(f"截至本稿形成时，监测到{_affected(facts)}。同类系统的使用单位均应排查。", ids),
        heading(5, "排查方法"),
        body(numbered(category.inspect), ids),
        heading(6, "处置措施与时限"),
        subheading(1, "处置措施"),
        body(numbered(category.act), ids),
        subheading(2, "临时缓解措施"),
        body(category.relief, ids),
        subheading(3, "完成时限"),
        body_to_fill(f"请于{TO_FILL}前完成排查处置。"),
        heading(7, "反馈要求"),
        body_to_fill(
            f"请于{TO_FILL}前反馈：是否受影响、受影响系统数量、已采取的措施、完成时间。发现网络安全事件的，"
            "按规定另行报告，不得以反馈代替报告。"
        ),
        body_to_fill(f"联系人及电话：{TO_FILL}"),
    ]


def _situation(facts: AlertFacts) -> str:
    techniques = f"，对应ATT&CK技术{'、'.join(clean(one) for one in facts.techniques)}" if facts.techniques else ""
    state = f"已研判为“{clean(facts.close_reason_zh)}”" if facts.close_reason_zh else "正在研判"
    return (
        f"{span(facts)}，监测发现“{clean(facts.rule_title_zh)}”情况，满足检测条件{facts.count}次{techniques}，"
        f"{state}。涉及单位的具体情况另行告知，本通报不列系统名称、域名和地址。"
    )


def _data(facts: AlertFacts) -> str:
    """Name the classes only: how many people of which unit were touched is for that unit and its superiors."""
    names = "、".join(clean(name) for name, count in facts.data_classes.items() if count)
    minors = "，其中有未成年人的信息" if facts.has_minors else ""
    return f"相关日志中出现{names}等个人信息{minors}，请各单位予以重视。"


def _affected(facts: AlertFacts) -> str:
    units = f"{len(facts.units)}个单位" if facts.units else "尚未对应到具体单位的系统"
    return f"{units}、{len(facts.assets)}个已登记系统出现上述情况" if facts.assets else f"{units}出现上述情况"
