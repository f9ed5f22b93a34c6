"""Composes the 自查报告 of one assessment: the document that the three writers print.

It never says more than the assessment does: 单位自查，不作为等级测评结论, no overall verdict and no compliance rate
that could be taken for one, and 未核查 is a section of its own. Masked samples of records stay out of it: a log line
may carry an attack; the reader walks from the evidence id to the record.
"""

from datetime import datetime, timedelta, timezone

from secmon.model.assessment import Assessment, ItemResult, Result
from secmon.model.asset import Asset
from secmon.model.document import Block, Heading, Layout, OfficialDocument, PageBreak, Paragraph, Table
from secmon.model.evidence import Evidence
from secmon.model.printable import clean
from secmon.model.unit import Unit

NOTICE = "单位自查，不作为等级测评结论"
TITLE = "网络安全等级保护自查报告"
TO_FILL = "（由本单位填写）"

_BEIJING = timezone(timedelta(hours=8), "北京时间")
_PROBLEMS = (Result.FAILED, Result.PARTLY)
_ASSET_LEVEL = 3
_KIND_ZH = {
    "events": "日志查询",
    "hits": "规则命中",
    "alerts": "告警研判",
    "findings": "敏感数据识别",
    "register": "资产台账",
    "setting": "系统设置",
    "answer": "人工核查",
}


def compose(assessment: Assessment, unit: Unit, asset: Asset) -> OfficialDocument:
    """Return the self-assessment report as a document (REPORT layout).

    Args:
        assessment: what was found.
        unit: the 主管单位 of the asset.
        asset: the information system.
    """
    framework = assessment.framework
    numbers = {one.id: f"证{index}" for index, one in enumerate(assessment.evidence, start=1)}
    blocks: tuple[Block, ...] = (
        *_foreword(assessment, asset),
        *_overview(assessment),
        *_problems(assessment, numbers),
        *_not_checked(assessment),
        PageBreak(),
        *_items(assessment, numbers),
        *_evidence(assessment, numbers),
        *_signatures(),
    )
    return OfficialDocument(
        kind="self-assessment",
        layout=Layout.REPORT,
        title=f"{clean(asset.name)}\n{TITLE}",
        issuer=clean(unit.name),
        notice=NOTICE,
        cover=_cover(assessment, unit, asset),
        blocks=blocks,
        footer=(
            f"控制项目录：{framework.source_number}《{framework.source_name}》，{framework.label}，摘要{framework.digest}",
            *(f"置信记号{mark}：{text}。" for mark, text in framework.legend.items()),
            f"报告摘要（SHA-256）：{assessment.digest()}",
        ),
        meta={"asset.id": asset.id, "unit.id": unit.id, "digest": assessment.digest()},
    )


def _cover(assessment: Assessment, unit: Unit, asset: Asset) -> tuple[tuple[str, str], ...]:
    return (
        ("系统名称", clean(asset.name)),
        ("系统编号", asset.id),
        ("主管单位", clean(unit.name)),
        ("运行单位", clean(asset.run_by) or TO_FILL),
        ("安全保护等级", f"第{_han(asset.level)}级" if asset.level else "尚未登记"),
        ("备案证明编号", clean(asset.filing_number) or TO_FILL),
        ("自查时段", f"{_day(assessment.since)}至{_day(assessment.until - timedelta(microseconds=1))}"),
        ("取数时刻", _minute(assessment.at)),
        ("自查人员", ""),
        ("审核人员", ""),
    )


def _foreword(assessment: Assessment, asset: Asset) -> list[Block]:
    framework = assessment.framework
    blocks: list[Block] = [
        Heading(1, "一、自查说明"),
        Paragraph(
            f"本报告对照{framework.source_number}第三级安全通用要求中“安全计算环境”一类，就日志能够作证的"
            f"{len(assessment.items)}项，对{clean(asset.name)}开展自查。其余各类、各项不在本报告范围内。"
        ),
        Paragraph(
            "各项结果由监测系统依据日志、规则命中、告警研判记录和台账给出，均为草稿，须经人工确认；"
            "没有数据、数据不足或证据过期的，一律列为“未核查”，不推定为符合。本报告不作总体结论，不计算得分。"
        ),
        Paragraph("“要点”为自拟概括，不是标准原文；检查方法与阈值为产品建议（P）。各项置信记号的含义见报告末。"),
    ]
    if asset.level != _ASSET_LEVEL:
        level = f"第{_han(asset.level)}级" if asset.level else "未定级"
        blocks.append(Paragraph(f"台账登记该系统为{level}，与本目录适用的第三级不一致，各项是否适用须先由本单位确认。"))
    return blocks


def _overview(assessment: Assessment) -> list[Block]:
    summary = assessment.summary()
    open_items = summary[Result.NOT_CHECKED.value]
    return [
        Heading(1, "二、结果汇总"),
        Table(head=tuple(summary), rows=(tuple(str(count) for count in summary.values()),), caption="各类结果项数"),
        Paragraph(
            f"{len(assessment.items)}项中，已取得证据并形成草稿结果的{len(assessment.items) - open_items}项，"
            f"未核查{open_items}项；引用证据{len(assessment.evidence)}份。",
            tuple(one.id for one in assessment.evidence),
        ),
    ]


def _problems(assessment: Assessment, numbers: dict[str, str]) -> list[Block]:
    found = [item for result in _PROBLEMS for item in assessment.items if item.result is result]
    blocks: list[Block] = [Heading(1, "三、需整改的问题")]
    if not found:
        return [*blocks, Paragraph("本次已核查的项目中未发现需整改的问题；未核查项目不在此列。")]
    for index, item in enumerate(found, start=1):
        blocks.append(Heading(3, f"{index}. {item.control.id} {item.control.point}（{item.result.value}）"))
        blocks.append(Paragraph(_problem(item, numbers), item.evidence_ids))
    rows = tuple((str(index), item.control.id, TO_FILL, TO_FILL, "") for index, item in enumerate(found, start=1))
    head = ("序号", "控制项", "整改措施", "责任人", "完成时限")
    return [*blocks, Table(head=head, rows=rows, widths=(1, 3, 5, 3, 3), caption="整改安排（由本单位填写）")]


def _problem(item: ItemResult, numbers: dict[str, str]) -> str:
    control = item.control
    risk = (
        f"该项列于高风险判例、重大风险隐患触发项{'、'.join(control.high_risk)}，是否成立须人工判断。"
        if control.high_risk
        else ""
    )
    return f"要点：{control.gist}。{item.reason}{risk}依据：{_numbers(item, numbers)}。"


def _not_checked(assessment: Assessment) -> list[Block]:
    items = [item for item in assessment.items if item.result is Result.NOT_CHECKED]
    blocks: list[Block] = [Heading(1, "四、未核查项目及原因")]
    if not items:
        return [*blocks, Paragraph("无。")]
    rows = tuple((item.control.id, item.control.point, item.reason) for item in items)
    return [*blocks, Table(head=("控制项", "控制点", "原因"), rows=rows, widths=(3, 3, 10))]


def _items(assessment: Assessment, numbers: dict[str, str]) -> list[Block]:
    rows = tuple(
        (
            f"{item.control.clause} {item.control.item}）",
            item.control.id,
            f"{item.control.point}：{item.control.gist}",
            f"{item.result.value}（草稿）",
            item.reason,
            _numbers(item, numbers),
            item.control.confidence,
        )
        for item in assessment.items
    )
    head = ("条款", "测评单元", "控制点与要点", "结果", "理由", "证据", "置信")
    return [Heading(1, "五、逐项结果"), Table(head=head, rows=rows, widths=(2.1, 3.1, 3.8, 1.9, 6, 1.9, 1.2))]


def _numbers(item: ItemResult, numbers: dict[str, str]) -> str:
    return "、".join(numbers[one] for one in item.evidence_ids) or "无"


def _evidence(assessment: Assessment, numbers: dict[str, str]) -> list[Block]:
    rows = tuple(_evidence_row(one, numbers[one.id]) for one in assessment.evidence)
    blocks: list[Block] = [Heading(1, "六、证据清单")]
    if not rows:
        return [*blocks, Paragraph("本次自查没有取得任何证据。")]
    blocks.append(Paragraph("证据编号由该份证据内容的SHA-256摘要前16位构成，内容有任何改动编号即不相符。"))
    head = ("序号", "证据编号", "类别", "内容与查询", "时段", "数量")
    return [*blocks, Table(head=head, rows=rows, widths=(1.2, 3, 1.8, 6.5, 3, 1.5))]


def _evidence_row(one: Evidence, number: str) -> tuple[str, ...]:
    kind = _KIND_ZH.get(one.kind, one.kind)
    span = f"{_day(one.since)}至{_day(one.until - timedelta(microseconds=1))}"
    return number, one.id, kind, one.query, span, str(one.count)


def _signatures() -> list[Block]:
    return [
        Heading(1, "七、确认"),
        Table(
            head=("环节", "姓名", "日期", "意见"),
            rows=(("自查人", "", "", TO_FILL), ("审核人", "", "", TO_FILL), ("负责人", "", "", TO_FILL)),
            widths=(2, 3, 3, 8),
            caption="各项结果经下列人员确认后方为确认结果",
        ),
    ]


def _day(moment: datetime) -> str:
    local = moment.astimezone(_BEIJING)
    return f"{local.year}年{local.month}月{local.day}日"


def _minute(moment: datetime) -> str:
    return f"{_day(moment)}{moment.astimezone(_BEIJING):%H:%M}（北京时间）"


def _han(level: int) -> str:
    return "〇一二三四五六七八九"[level] if 0 <= level <= 9 else str(level)  # noqa: PLR2004 -- ten digits
